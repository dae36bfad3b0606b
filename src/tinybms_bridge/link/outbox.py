"""What a client has not read yet, bounded: of each branch only the newest, of the events the last ones and a count.

Knows nothing of time or I/O. What several clients are to get is encoded once, and only when one of them can take it.
"""

import logging
from collections import deque

from tinybms_bridge.link.wire import BranchChange, EventMessage, EventsLost, encode

__all__ = ["MOST_EVENTS", "Branches", "EventRing", "Outbox", "QueuedMessage"]

log = logging.getLogger(__name__)

MOST_EVENTS = 256
"""Events that are kept for a client that does not read, and for one that comes back."""


class QueuedMessage:
    """One change or event, with its number; becomes bytes when the first client takes it."""

    __slots__ = ("_frame", "message", "sequence")

    def __init__(self, message: BranchChange | EventMessage) -> None:
        self.message = message
        self.sequence = message.sequence
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """Return the message as bytes; empty, and said in the log, for a value that cannot cross the link."""
        if self._frame is None:
            try:
                self._frame = encode(self.message)
            except (TypeError, ValueError) as error:
                name = self.message.branch if isinstance(self.message, BranchChange) else self.message.kind
                log.error("%s cannot be sent to the services: %s", name, error)  # noqa: TRY400 -- no fault of this place
                self._frame = b""
        return self._frame


class Branches:
    """The newest entry of each branch, in the order of their numbers.

    A branch may be a field of the state tree, or with a dot one entry of a field that is a map: ``packs.main``. A new
    value of the whole field replaces what was said of its entries.
    """

    def __init__(self) -> None:
        self._entries: dict[str, QueuedMessage] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, name: str, entry: QueuedMessage) -> bool:
        """Keep an entry, and return whether it took the place of one."""
        found = self._entries.pop(name, None)
        if "." not in name:
            parts = [each for each in self._entries if each.startswith(name + ".")]
            for part in parts:
                found = self._entries.pop(part)
        self._entries[name] = entry
        return found is not None

    def since(self, sequence: int) -> list[tuple[str, QueuedMessage]]:
        """Return names and entries with a higher number."""
        return [(name, entry) for name, entry in self._entries.items() if entry.sequence > sequence]

    def first(self) -> QueuedMessage | None:
        """Return the entry with the lowest number."""
        return next(iter(self._entries.values()), None)

    def take(self) -> QueuedMessage:
        """Return the entry with the lowest number, and keep it no longer."""
        return self._entries.pop(next(iter(self._entries)))


class EventRing:
    """The last events, for a client that comes back."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._entries: deque[QueuedMessage] = deque(maxlen=most)
        self._last_dropped = 0

    def put(self, entry: QueuedMessage) -> None:
        """Keep an event; the oldest goes."""
        if len(self._entries) == self._entries.maxlen:
            self._last_dropped = self._entries[0].sequence
        self._entries.append(entry)

    def since(self, sequence: int) -> list[QueuedMessage] | None:
        """Return the events with a higher number; None when some of them are not kept any more."""
        if self._last_dropped > sequence:
            return None
        return [entry for entry in self._entries if entry.sequence > sequence]


class Outbox:
    """What one client is to get."""

    def __init__(self, most_events: int = MOST_EVENTS) -> None:
        self.events_lost = 0
        """Events that were dropped since the start."""
        self.merged = 0
        """Changes that a newer one of the same branch replaced since the start."""
        self._branches = Branches()
        self._events: deque[QueuedMessage] = deque()
        self._most_events = most_events
        self._untold = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not (self._branches or self._events or self._untold)

    def __len__(self) -> int:
        return len(self._branches) + len(self._events)

    def put_branch(self, name: str, entry: QueuedMessage) -> None:
        """Add a change; one of the same branch that has not been taken is replaced."""
        self.merged += self._branches.put(name, entry)

    def put_event(self, entry: QueuedMessage) -> None:
        """Add an event; where there are too many the oldest is dropped, counted, and the count told."""
        if len(self._events) >= self._most_events:
            self._events.popleft()
            self.lose(1)
        self._events.append(entry)

    def lose(self, events: int) -> None:
        """Count events that the client does not get."""
        self.events_lost += events
        self._untold += events

    def take(self, most_bytes: int) -> bytes:
        """Return the next messages in the order of their numbers: at least one, and no further once it is enough."""
        frames: list[bytes] = []
        size = 0
        if self._untold:
            frames.append(encode(EventsLost(self._untold)))
            self._untold = 0
        while size < most_bytes and (self._branches or self._events):
            frame = self._next().frame()
            frames.append(frame)
            size += len(frame)
        return b"".join(frames)

    def _next(self) -> QueuedMessage:
        first = self._branches.first()
        if first is None or (self._events and self._events[0].sequence < first.sequence):
            return self._events.popleft()
        return self._branches.take()
