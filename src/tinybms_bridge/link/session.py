"""The core's side of one connection: hello, what the client is to get, and its commands, all within bounds.

A client can cost the core only so much. What it does not read stays within its outbox; it is read from only as fast as
its budget of messages and bytes grows, and not at all while it does not read itself; a few commands are under way at a
time; and it has to show within some seconds that it is there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tinybms_bridge.hal.clock import Clock, Timer
from tinybms_bridge.link.codec import DecodeError, decoder, printable
from tinybms_bridge.link.commands import Command, LinkDialect
from tinybms_bridge.link.failures import Failure, FailureKind, failure_of
from tinybms_bridge.link.outbox import Outbox
from tinybms_bridge.link.sockets import Peer
from tinybms_bridge.link.wire import (
    FROM_CLIENT,
    LINK_VERSION,
    MOST_FROM_CLIENT,
    MOST_IN_FLIGHT,
    Bye,
    Call,
    CallAnswer,
    CallProgress,
    Hello,
    KeepAlive,
    LinkMessage,
    MessageReader,
    WholeState,
    encode,
    why_incompatible,
)
from tinybms_bridge.words import message

__all__ = ["Budget", "Caller", "ClientSession", "Handler", "Host", "SessionBounds"]

log = logging.getLogger(__name__)

_CHUNK = 65_536
"""Bytes that are given to the system at once, and that it may owe a client before the outbox waits."""
_REST_S = 0.1
"""Shortest pause of a client that has used up its budget: several messages are taken in one turn then."""
_CLOSE_S = 2.0
"""How long a client may take to read the last word."""
_KEEP_ALIVE = encode(KeepAlive())


@dataclass(frozen=True, slots=True)
class SessionBounds:
    """How much one client may cost."""

    messages_per_s: float = 60.0
    """What a client may send in the long run; its budget is shared by all connections of a process."""
    burst: float = 60.0
    bytes_each: int = 4096
    """A message of so many bytes counts as one more."""
    commands: int = MOST_IN_FLIGHT
    hello_s: float = 10.0
    """How long to wait for the first message."""
    silent_s: float = 30.0
    """How long a client may send nothing, or read nothing."""


class Budget:
    """Messages that may be taken: grows with time up to a bound, and may be overdrawn by one message."""

    def __init__(self, per_s: float, most: float, now_s: float) -> None:
        self._per_s = per_s
        self._most = most
        self._left = most
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait until the next message may be taken; 0 for not at all."""
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return 0.0 if self._left > 0 else (1.0 - self._left) / self._per_s

    def full(self, now_s: float) -> bool:
        """Return whether nothing has been taken for so long that it does not show any more."""
        return self.wait_s(now_s) == 0.0 and self._left >= self._most

    def take(self, cost: float) -> None:
        """Take a message that costs so much."""
        self._left -= cost


class Caller:
    """Who sent a command, as its handler sees it."""

    __slots__ = ("_id", "_session", "peer", "who")

    def __init__(self, session: "ClientSession", call_id: int) -> None:
        self.who = session.who
        """Which program it is, as it says itself."""
        self.peer = session.peer
        """Which process it is, as the kernel says."""
        self._session = session
        self._id = call_id

    def progress(self, value: object) -> None:
        """Tell the caller something on the way to the answer; one that does not read does not get it."""
        self._session.tell_progress(self._id, value)


@dataclass(frozen=True, slots=True)
class Handler:
    """What carries out one command."""

    command: type[Command[Any]]
    carry_out: Callable[[Any, Caller], Awaitable[object]]
    ends_with_client: bool = False
    """Whether it is cancelled when the client goes; what writes to a device is not."""


@dataclass(slots=True)
class Traffic:
    """What went over the link since the start, or since the counters were reset."""

    connections: int = 0
    refused: int = 0
    """Connections that were not taken, or closed because of what the client did."""
    commands: int = 0
    busy: int = 0
    """Commands that were answered as busy."""
    failed: int = 0
    """Commands that were answered with a failure."""
    throttled: int = 0
    """How often a client had to wait because it sent too much."""
    changes: int = 0
    events: int = 0
    events_lost: int = 0
    """Events that clients did not read in time."""
    merged: int = 0
    """Changes that a newer one replaced before a client read them."""
    bytes_sent: int = 0


class Host(Protocol):
    """The server, as a session needs it."""

    traffic: Traffic

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What carries out the commands, by name."""
        ...

    def greeting(self, hello: Hello, outbox: Outbox) -> tuple[Hello, WholeState | None]:
        """Return the answer to a client's hello, and the state if it needs all of it; the outbox gets the rest."""
        ...

    def warn(self, kind: str, who: str, text: str) -> None:
        """Say in the log what a client did wrong; once for each kind and program."""
        ...

    def gone(self, session: "ClientSession") -> None:
        """Forget a session."""
        ...


class ClientSession(asyncio.Protocol):
    """One client; used once."""

    def __init__(self, host: Host, peer: Peer, budget: Budget, clock: Clock, bounds: SessionBounds) -> None:
        self.peer = peer
        self.who = "somebody"
        self.outbox = Outbox()
        self.greeted = False
        self._host = host
        self._budget = budget
        self._clock = clock
        self._bounds = bounds
        self._reader = MessageReader(FROM_CLIENT, MOST_FROM_CLIENT)
        self._transport: asyncio.Transport | None = None
        self._tasks: dict[int, tuple[asyncio.Task[None], Handler]] = {}
        self._began_s = self._heard_s = self._read_s = clock.awake()
        self._stuck = False
        self._closing = False
        self._reading = True
        self._later: Timer | None = None
        self._sent_since_tick = False

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_CHUNK)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._heard_s = self._clock.awake()
        self._reader.feed(data)
        self._read()

    def pause_writing(self) -> None:
        """Keep what is to come in the outbox: the client does not read."""
        self._stuck = True
        self._read_s = self._clock.awake()

    def resume_writing(self) -> None:
        """Go on: the client reads again."""
        self._stuck = False
        self._heard_s = self._clock.awake()
        self.flush()
        self._read()

    def connection_lost(self, _exc: Exception | None) -> None:
        """End what ends with the client, and leave the rest to itself."""
        self._closing = True
        self._transport = None
        if self._later is not None:
            self._later.cancel()
        for task, handler in self._tasks.values():
            if handler.ends_with_client:
                task.cancel()
        self._host.gone(self)

    # what the server asks for

    @property
    def busy(self) -> list[asyncio.Task[None]]:
        """The commands that are under way."""
        return [task for task, _ in self._tasks.values()]

    def flush(self) -> None:
        """Send what is in the outbox, as far as the client takes it."""
        while self.greeted and not (self._stuck or self._closing or self.outbox.empty):
            self._write(self.outbox.take(_CHUNK))

    def tick(self) -> None:
        """Close a client that does not show that it is there; tell one that heard nothing that the core is."""
        now_s, bounds = self._clock.awake(), self._bounds
        if self._closing:
            if now_s - self._read_s > _CLOSE_S:
                self._abort()
        elif not self.greeted:
            if now_s - self._began_s > bounds.hello_s:
                self.close("said nothing that begins a conversation", kind="silent")
        elif self._stuck:
            if now_s - self._read_s > bounds.silent_s:
                self.close(f"read nothing for {bounds.silent_s:.0f} s", kind="stuck")
        elif now_s - self._heard_s > bounds.silent_s:
            self.close(f"sent nothing for {bounds.silent_s:.0f} s", kind="silent")
        elif self._sent_since_tick:
            self._sent_since_tick = False
        else:
            self._write(_KEEP_ALIVE)
            self._sent_since_tick = False

    def close(self, reason: str, *, kind: str = "") -> None:
        """Say why, and close; with a ``kind`` it is the client's fault, and counted and logged."""
        if self._closing or self._transport is None:
            return
        if kind:
            self._host.traffic.refused += 1
            self._host.warn(kind, self.who, f"{self.who} ({self.peer}) {reason}; its connection is closed")
        self._closing = True
        if self._stuck:
            self._abort()
        else:
            self._read_s = self._clock.awake()
            self._transport.write(encode(Bye(reason)))
            self._transport.close()

    def tell_progress(self, call_id: int, value: object) -> None:
        """Send something on the way to an answer, unless the client does not read."""
        if not self._stuck:
            self._send(CallProgress(call_id, value))

    # what the client sent

    def _read(self) -> None:
        while not (self._closing or self._stuck):
            wait_s = self._budget.wait_s(self._clock.awake())
            if wait_s > 0 and self._reader.waiting:
                self._rest(wait_s)
                return
            taken = self._reader.take()
            if taken is None:
                break
            self._heard_s = self._clock.awake()
            self._budget.take(1.0 + self._reader.size / self._bounds.bytes_each)
            self._handle(taken)
        if self._reader.broken:
            self.close(f"sent what is no message: {self._reader.broken}", kind="garbage")
        self._set_reading(not (self._closing or self._stuck))

    def _rest(self, wait_s: float) -> None:
        self._set_reading(False)
        if self._later is None:
            self._host.traffic.throttled += 1
            self._later = self._clock.call_later(max(wait_s, _REST_S), self._read_on)

    def _read_on(self) -> None:
        self._later = None
        self._read()

    def _set_reading(self, wanted: bool) -> None:
        if self._transport is None or wanted is self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _handle(self, taken: LinkMessage) -> None:
        if isinstance(taken, Bye):
            self.close("")
        elif isinstance(taken, Hello):
            self._greet(taken)
        elif not self.greeted:
            self.close("said something before hello", kind="garbage")
        elif isinstance(taken, Call):
            self._call(taken)

    def _greet(self, hello: Hello) -> None:
        if self.greeted:
            self.close("said hello twice", kind="garbage")
            return
        self.who = printable(hello.who, 40) or self.who
        reason = why_incompatible(hello.link_version)
        if reason:
            self.close(f"cannot be talked to: {reason}", kind="version")
            return
        answer, state = self._host.greeting(hello, self.outbox)
        self._send(answer)
        if state is not None:
            self._send(state)
        self.greeted = True
        self.flush()

    # commands

    def _call(self, call: Call) -> None:
        traffic = self._host.traffic
        traffic.commands += 1
        handler = self._host.handlers.get(call.name)
        if len(self._tasks) >= self._bounds.commands:
            traffic.busy += 1
            failure = Failure(FailureKind.BUSY, message("core.busy"), hint=message("core.one_by_one"))
            self._answer(call.id, failure=failure)
        elif call.id in self._tasks:
            self._answer(call.id, failure=_invalid(f"command {call.id} is under way already"))
        elif handler is None:
            self._answer(call.id, failure=_unknown(call.name))
        else:
            self._start(call, handler)

    def _start(self, call: Call, handler: Handler) -> None:
        try:
            command = decoder(handler.command, LinkDialect)(call.arguments)
        except DecodeError as error:
            self._answer(call.id, failure=_invalid(f"{call.name}: {error}"))
            return
        task = asyncio.get_running_loop().create_task(
            self._carry_out(call, handler, command), name=f"link command {call.name}"
        )
        self._tasks[call.id] = (task, handler)

    async def _carry_out(self, call: Call, handler: Handler, command: Command[Any]) -> None:
        try:
            value = await handler.carry_out(command, Caller(self, call.id))
        except asyncio.CancelledError:
            self._answer(call.id, failure=Failure(FailureKind.LINK, message("core.ends")))
            raise
        except Exception as error:  # noqa: BLE001 -- a fault of one command is told and logged, and ends nothing else
            self._answer(call.id, failure=self._failure(call.name, error))
        else:
            self._answer(call.id, value)
        finally:
            del self._tasks[call.id]

    def _failure(self, name: str, error: Exception) -> Failure:
        failure = failure_of(error)
        if failure is None:
            log.error("the command %s of %s failed", name, self.who, exc_info=error)
            text = message("core.failed", command=name, error=type(error).__name__)
            failure = Failure(FailureKind.INTERNAL, text)
        return failure

    def _answer(self, call_id: int, value: object = None, failure: Failure | None = None) -> None:
        if failure is not None:
            self._host.traffic.failed += 1
        self.flush()  # what the command changed is known before its answer
        self._send(CallAnswer(call_id, value, failure))

    # sending

    def _send(self, sent: LinkMessage) -> None:
        if self._closing:
            return
        try:
            frame = encode(sent)
        except (TypeError, ValueError) as error:
            log.error("a message of type %s cannot be sent: %s", type(sent).__name__, error)  # noqa: TRY400
            if not isinstance(sent, CallAnswer):
                return
            failure = Failure(FailureKind.INTERNAL, message("core.unsendable"))
            frame = encode(CallAnswer(sent.id, failure=failure))
        self._write(frame)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data and not self._transport.is_closing():
            self._sent_since_tick = True
            self._host.traffic.bytes_sent += len(data)
            self._transport.write(data)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _unknown(name: str) -> Failure:
    what = message("core.unknown_command", command=printable(name, 40))
    return Failure(FailureKind.LINK, what, hint=message("core.restart", version=LINK_VERSION))


def _invalid(words: str) -> Failure:
    return Failure(FailureKind.INVALID, message("core.invalid", reason=words))
