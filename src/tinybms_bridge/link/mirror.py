"""The state of the core as last heard, for who only watches: read at any time, and told of each change.

While the core is not heard the last state stays, with the time since then: who shows it says how old it is, and nobody
decides from it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from tinybms_bridge.link.codec import DecodeError, Trusting, decoder
from tinybms_bridge.link.reader import BranchReader
from tinybms_bridge.link.wire import BranchChange, EventMessage, EventsLost, WholeState

__all__ = ["Mirror", "OnChange", "OnEvent"]

log = logging.getLogger(__name__)

S = TypeVar("S")

OnChange = Callable[[frozenset[str]], None]
"""Called with the names of the branches that have another value, once for all that came together."""
OnEvent = Callable[[object], None]
"""Called with each event."""

_MOST_TOLD = 64


class Mirror(Generic[S]):
    """The state tree of the core, and its events.

    Args:
        tree: A dataclass with a default for each field; each field is a branch.
        events: The types of events by kind; others are passed over.
        now: Monotonic seconds.

    """

    def __init__(self, tree: type[S], events: Mapping[str, type[object]], now: Callable[[], float]) -> None:
        self.state: S = tree()
        """As last heard; defaults before."""
        self.connected = False
        """Whether the core is heard now."""
        self.since_s = now()
        """Monotonic time since when ``connected`` is as it is."""
        self.last_heard_s: float | None = None
        """Monotonic time of the last message of the core; None before the first."""
        self.run_id = ""
        """Which run of the core the state is of; empty before the first."""
        self.sequence = 0
        """Number of the last change or event."""
        self.events_lost = 0
        """Events that did not arrive because this side was too slow, or away too long."""
        self._tree = tree
        self._empty = tree()
        self._events = events
        self._now = now
        self._on_change: list[tuple[OnChange, frozenset[str]]] = []
        self._on_event: list[tuple[OnEvent, tuple[type[object], ...]]] = []
        self._on_connection: list[Callable[[bool], None]] = []
        self._changed: set[str] = set()
        self._told: set[str] = set()
        hints = get_type_hints(tree)
        self._readers: dict[str, BranchReader[Any]] = {}
        self._entries: dict[str, list[str]] = {}  # branches that are read entry by entry, by the map that they are of
        self._values = self._unknown()
        self._types = {field.name: hints[field.name] for field in fields(tree)}  # type: ignore[arg-type]

    # who watches

    def on_change(self, call: OnChange, *branches: str) -> Callable[[], None]:
        """Call when one of these branches (none: any) has another value; returns what ends that."""
        entry = call, frozenset(branches)
        self._on_change.append(entry)
        return lambda: self._on_change.remove(entry)

    def on_event(self, call: OnEvent, *kinds: type[object]) -> Callable[[], None]:
        """Call with each event of these types (none: with all); returns what ends that."""
        entry = call, kinds
        self._on_event.append(entry)
        return lambda: self._on_event.remove(entry)

    def on_connection(self, call: Callable[[bool], None]) -> Callable[[], None]:
        """Call when the core is heard again or no longer; returns what ends that."""
        self._on_connection.append(call)
        return lambda: self._on_connection.remove(call)

    # what the client hears

    def heard(self) -> None:
        """Note that the core said something."""
        self.last_heard_s = self._now()

    def set_connected(self, connected: bool) -> None:
        """Note that the core is heard from now on, or no longer."""
        if connected is not self.connected:
            self.connected = connected
            self.since_s = self._now()
            for call in list(self._on_connection):
                _call(call, connected)

    def take_state(self, message: WholeState, run_id: str) -> None:
        """Take a whole state in place of what was known; what it does not name is unknown again."""
        self.state, self._values = self._empty, self._unknown()
        self.run_id = run_id
        self.sequence = message.sequence
        self._changed.update(self._types)
        for branch, document in message.branches.items():
            self._put(branch, document)

    def take_change(self, message: BranchChange) -> None:
        """Take another value of one branch."""
        self.sequence = message.sequence
        self._changed.add(message.branch.partition(".")[0])
        self._put(message.branch, message.value)

    def take_event(self, message: EventMessage) -> None:
        """Take an event, and call who waits for it."""
        self.sequence = message.sequence
        kind = self._events.get(message.kind)
        if kind is None:
            return
        try:
            event = decoder(kind, Trusting)(message.value)
        except DecodeError as error:
            self._tell(message.kind, f"an event of kind {message.kind} cannot be read: {error}")
            return
        for call, kinds in list(self._on_event):
            if not kinds or isinstance(event, kinds):
                _call(call, event)

    def take_lost(self, message: EventsLost) -> None:
        """Count events that did not arrive."""
        self.events_lost += message.events

    def tell_changes(self) -> None:
        """Call who waits for changes, once for all since the last time."""
        changed, self._changed = frozenset(self._changed & self._types.keys()), set()
        if not changed:
            return
        for call, branches in list(self._on_change):
            if not branches or branches & changed:
                _call(call, changed)

    def _unknown(self) -> dict[str, Any]:
        """Return the branches as they are before the core has told anything."""
        return {each.name: getattr(self._empty, each.name) for each in fields(self._empty)}  # type: ignore[arg-type]

    def _put(self, branch: str, document: object) -> None:
        """Put a value into the state; one that cannot be read is unknown from then on, and that is said once."""
        name, _, key = branch.partition(".")
        if name not in self._types:
            return
        try:
            value = self._reader(branch, name, key).read(document)
        except DecodeError as error:
            self._tell(branch, f"what the core says of {branch} cannot be read: {error}")
            value, key = getattr(self._empty, name), ""
        if key:
            value = {**getattr(self.state, name), key: value}
        else:
            self._forget_entries(name)
        self._values[name] = value
        self.state = self._tree(**self._values)

    def _reader(self, branch: str, name: str, key: str) -> BranchReader[Any]:
        """Return what reads a branch, with its memory of the last value."""
        found = self._readers.get(branch)
        if found is None:
            kind = self._types[name]
            found = self._readers[branch] = BranchReader(_entry_type(kind) if key else kind)
            if key:
                self._entries.setdefault(name, []).append(branch)
        return found

    def _forget_entries(self, name: str) -> None:
        """Forget what read single entries of a map that is there as a whole again."""
        for branch in self._entries.pop(name, ()):
            del self._readers[branch]

    def _tell(self, about: str, text: str) -> None:
        if about not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(about)
            log.warning("%s", text)


def _entry_type(kind: object) -> Any:  # noqa: ANN401 -- any type that an annotation names
    """Return the type of the entries of a map. Raises DecodeError for another type."""
    origin = get_origin(kind)
    if not isinstance(origin, type) or not issubclass(origin, Mapping):
        raise DecodeError("is no map")
    return get_args(kind)[1]


def _call(call: Callable[[Any], None], argument: object) -> None:
    """Call one who waits; what is wrong with one is no matter of the others."""
    try:
        call(argument)
    except Exception:
        log.exception("what was to be done at a change failed")
