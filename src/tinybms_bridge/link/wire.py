"""The messages of the link, and how they are cut from a stream of bytes. Knows nothing of time or I/O.

A message is its length in four bytes, most significant first, and a JSON object whose ``type`` says what it is::

    client                                   core
    hello      who, since when       ->
                                     <-      hello      its version, its run, whether the client's state is good still
                                     <-      state      every branch of the state tree (unless it is)
                                     <-      change     one branch, numbered
                                     <-      event      something that happened, numbered
                                     <-      lost       events that came faster than the client read
    command    id, name, arguments   ->
                                     <-      progress   id, something on the way
                                     <-      answer     id, value or failure
    alive                           <->      alive      nothing to say for some seconds
    bye        why                  <->      bye        why

Both sides say their version first. The major number has to be the same; the minor numbers may differ by one, and what
the newer side says beyond the older's words is passed over: types of messages, fields, branches, kinds of events.
A minor version may add such things, with defaults. Members of an enum, and another meaning, need a major one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tinybms_bridge.link.codec import DecodeError, decoder, from_json, printable, to_json
from tinybms_bridge.link.failures import Failure

__all__ = [
    "FROM_CLIENT",
    "FROM_CORE",
    "LINK_VERSION",
    "MOST_FROM_CLIENT",
    "MOST_FROM_CORE",
    "MOST_IN_FLIGHT",
    "BranchChange",
    "Bye",
    "Call",
    "CallAnswer",
    "CallProgress",
    "EventMessage",
    "EventsLost",
    "Hello",
    "KeepAlive",
    "LinkMessage",
    "MessageReader",
    "WholeState",
    "encode",
    "prepare",
    "why_incompatible",
]

LINK_VERSION = "1.0"
"""Version of what this program speaks."""

MOST_FROM_CORE = 4 * 1024 * 1024
"""Longest message of the core in bytes."""
MOST_FROM_CLIENT = 256 * 1024
"""Longest message of a client in bytes: a configuration, or a backup of the BMS's settings, many times over."""
MOST_IN_FLIGHT = 8
"""Commands of one client that may be under way; more are answered as busy."""

_HEAD = 4
_MINOR_APART = 1


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of either side."""

    type: str = field(default="hello", init=False, repr=False)
    link_version: str
    """``major.minor``."""
    program_version: str = ""
    who: str = ""
    """Which program speaks, for the log."""
    run: str = ""
    """From the core: its present run. From a client: the run that its state is from, or empty."""
    sequence: int = 0
    """From a client: the number of the last change or event that it has."""
    resumed: bool = False
    """From the core: only what the client has missed follows, not the whole state."""


@dataclass(frozen=True, slots=True)
class WholeState:
    """Every branch of the state tree that is known."""

    type: str = field(default="state", init=False, repr=False)
    sequence: int
    branches: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BranchChange:
    """One branch of the state tree has another value."""

    type: str = field(default="change", init=False, repr=False)
    sequence: int
    branch: str
    value: Any


@dataclass(frozen=True, slots=True)
class EventMessage:
    """Something happened."""

    type: str = field(default="event", init=False, repr=False)
    sequence: int
    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events that the client did not read in time; they are gone."""

    type: str = field(default="lost", init=False, repr=False)
    events: int


@dataclass(frozen=True, slots=True)
class Call:
    """Something that the core is asked to do."""

    type: str = field(default="command", init=False, repr=False)
    id: int
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallProgress:
    """Something on the way to the answer."""

    type: str = field(default="progress", init=False, repr=False)
    id: int
    value: Any


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What became of a command."""

    type: str = field(default="answer", init=False, repr=False)
    id: int
    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The sender is there, with nothing to say."""

    type: str = field(default="alive", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a newer peer, which is passed over; never sent."""

    type: str


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender closes the connection after this."""

    type: str = field(default="bye", init=False, repr=False)
    reason: str = ""


LinkMessage: TypeAlias = (
    Hello
    | WholeState
    | BranchChange
    | EventMessage
    | EventsLost
    | Call
    | CallProgress
    | CallAnswer
    | KeepAlive
    | Unknown
    | Bye
)


def _by_tag(kinds: Iterable[type[LinkMessage]]) -> Mapping[str, type[LinkMessage]]:
    return {str(kind.__dataclass_fields__["type"].default): kind for kind in kinds}


FROM_CORE = _by_tag(
    (Hello, WholeState, BranchChange, EventMessage, EventsLost, CallProgress, CallAnswer, KeepAlive, Bye)
)
"""What a client listens to, by type."""
FROM_CLIENT = _by_tag((Hello, Call, KeepAlive, Bye))
"""What the core listens to, by type."""


def prepare(known: Mapping[str, type[LinkMessage]]) -> None:
    """Make what reads these messages, so that the first one waits for nothing; takes some milliseconds."""
    for kind in known.values():
        decoder(kind)


def encode(message: LinkMessage, most: int = MOST_FROM_CORE) -> bytes:
    """Return a message as bytes. Raises TypeError for what is no data, ValueError for a message that is too long."""
    body = to_json(message)
    if len(body) > most:
        raise ValueError(f"a message of {len(body)} bytes is longer than the {most} that the link takes")
    return len(body).to_bytes(_HEAD, "big") + body


class MessageReader:
    """Cuts a stream of bytes into messages; never raises, and reads no further once something is wrong.

    Args:
        known: The types of messages to listen to; others are read as ``Unknown``.
        most: Longest message in bytes.

    """

    def __init__(self, known: Mapping[str, type[LinkMessage]], most: int) -> None:
        self.broken = ""
        """Why nothing more can be read, or empty."""
        self.size = 0
        """Bytes of the message that was taken last."""
        self._known = known
        self._most = most
        self._buffer = bytearray()
        self._start = 0

    @property
    def waiting(self) -> int:
        """Bytes that have been fed and not been taken."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive. To stay within bounds, take all messages before feeding more."""
        if self.broken:
            return
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def take(self) -> LinkMessage | None:
        """Return the next message, or None when there is no whole one or ``broken`` says why there will be none."""
        body = None if self.broken else self._body()
        if body is None:
            return None
        self.size = len(body)
        try:
            return self._parsed(body)
        except DecodeError as error:
            self._break(str(error))
            return None

    def _body(self) -> bytes | None:
        if self.waiting < _HEAD:
            return None
        start = self._start + _HEAD
        length = int.from_bytes(self._buffer[self._start : start], "big")
        if length > self._most:
            self._break(f"a message of {length} bytes is longer than the {self._most} that are allowed")
            return None
        if self.waiting < _HEAD + length:
            return None
        self._start = start + length
        return bytes(memoryview(self._buffer)[start : self._start])

    def _parsed(self, body: bytes) -> LinkMessage:
        document = from_json(body)
        tag = document.get("type") if isinstance(document, dict) else None
        if not isinstance(tag, str):
            raise DecodeError("a message is no object with a type")
        kind = self._known.get(tag)
        if kind is None:
            return Unknown(printable(tag, 40))
        try:
            return decoder(kind)(document)
        except DecodeError as error:
            raise DecodeError(printable(f"a message of type {tag}: {error}")) from None

    def _break(self, reason: str) -> None:
        self.broken = reason
        self._buffer.clear()
        self._start = 0


def why_incompatible(theirs: str, ours: str = LINK_VERSION) -> str:
    """Return why two versions of the link cannot speak to each other, or nothing."""
    their, our = _version(theirs), _version(ours)
    if their is None or our is None:
        return f"it speaks an unknown version of the link, {printable(theirs, 40)!r}; this one speaks {ours}"
    if their[0] != our[0] or abs(their[1] - our[1]) > _MINOR_APART:
        return f"it speaks version {theirs} of the link, this one {ours}; run both from the same version of the program"
    return ""


def _version(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    if not (major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal() and len(text) <= 16):
        return None
    return int(major), int(minor)
