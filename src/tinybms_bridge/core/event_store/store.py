"""The list and its file.

The file holds one entry a line, and new ones are added to its end; when it has twice as many as are kept, and when it
is not as it was left, it is replaced whole. A line that a power cut has left half written is left out when it is read.
Entries are saved in batches: the worst a kill can cost is the last interval, and the BMS tells its events again.
"""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from tinybms_bridge.battery.bms_events import DatedEvent
from tinybms_bridge.core.event_store.records import line_of, record_of
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.documents import LaterVersionError, load, put_aside
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import Noted

__all__ = ["EVENTS_FILE", "EventStore"]

log = logging.getLogger(__name__)

EVENTS_FILE = "events.jsonl"
"""Name of the file in the state directory."""


class EventStore:
    """A bounded list of entries; each source has half of it, so that neither drives the other out.

    Args:
        storage: Where the list is kept.
        limit: Most entries.

    """

    def __init__(self, storage: Storage, *, limit: int = 2000) -> None:
        self.on_added: Callable[[EventRecord], None] = lambda _record: None
        """Called with each entry that is added; not for those of the file."""
        self._storage = storage
        self._entries: dict[EventSource, deque[tuple[EventRecord, str]]] = {
            source: deque(maxlen=max(1, limit // 2)) for source in EventSource
        }
        self._records: tuple[EventRecord, ...] | None = None
        self._most_lines = 2 * limit
        self._last_number = 0
        self._saved_number = 0
        self._file: _WholeFile | None = None
        """The file as it was left; None when it has to be written anew."""
        self._writing = threading.Lock()

    @property
    def name(self) -> str:
        """What to call the file in messages."""
        return self._storage.name

    @property
    def unsaved(self) -> bool:
        """Whether there are entries that the file does not have."""
        return self._last_number != self._saved_number

    def load(self, tell: Callable[[str], None] = log.warning) -> None:
        """Read the file; a line that is damaged is left out, a file that cannot be used gives way to the one before.

        What cannot be used is kept aside, and told. Blocks. Never raises for what the file holds.
        """
        found = load(self._storage, "the event list", _parse, tell)
        records, damaged, whole = found.value or _NOTHING
        for record in records:
            self._append(record)
        self._saved_number = self._last_number
        self._file = None if found.from_previous else whole
        if damaged:
            aside = "" if found.from_previous else f"; {put_aside(self._storage, keep=True)}"
            tell(f"{damaged} damaged entries of the event list in {self.name} were left out{aside}")
        if damaged or found.problem:
            self._saved_number = -1  # the file has to be written anew

    def look(self) -> None:
        """Read the file as ``load`` does, but leave everything as it is: it belongs to another process. Blocks."""
        for read in (self._storage.read, self._storage.read_previous):
            with suppress(OSError, ValueError):
                data = read()
                if data is not None:
                    for record in _parse(data).records:
                        self._append(record)
                    return

    def records(self) -> tuple[EventRecord, ...]:
        """Return every entry, in the order in which they became known: the same object until there is another one."""
        if self._records is None:
            entries = (record for record, _ in itertools.chain(*self._entries.values()))
            self._records = tuple(sorted(entries, key=lambda record: record.number))
        return self._records

    def bms_events(self) -> tuple[DatedEvent, ...]:
        """Return the events of the BMS, oldest first: what ``merge`` starts with after a restart."""
        found = (record.dated() for record, _ in self._entries[EventSource.BMS])
        return tuple(event for event in found if event is not None)

    def add(self, noted: Noted, at: datetime) -> EventRecord:
        """Add what the bridge noticed."""
        record = EventRecord(
            number=self._last_number + 1,
            at=at,
            source=EventSource.BRIDGE,
            severity=noted.severity,
            code=noted.code,
            text=noted.text,
            by=noted.by,
            parameters=noted.message.parameters,
            pack=noted.pack,
        )
        self._append(record)
        self.on_added(record)
        return record

    def add_bms(self, events: Iterable[DatedEvent], pack: str = "") -> list[EventRecord]:
        """Add events of the BMS, of one of several packs where it is named, that ``merge`` found to be new."""
        added = []
        for dated in events:
            kind = dated.event.kind
            record = EventRecord(
                number=self._last_number + 1,
                at=dated.at,
                source=EventSource.BMS,
                severity=kind.severity,
                code=f"bms.{kind.key}",
                text=kind.text,
                parameters=kind.message.parameters,
                lifetime_s=dated.event.lifetime_s,
                event_id=dated.event.event_id,
                serial_number=dated.serial_number,
                after_gap=dated.after_gap,
                pack=pack,
            )
            self._append(record)
            self.on_added(record)
            added.append(record)
        return added

    async def save(self, run_blocking: RunBlocking = in_thread) -> None:
        """Write what is new off the event loop. Raises OSError."""
        if self.unsaved:
            await run_blocking(self._write, self._last_number, self._lines())

    def save_quietly(self) -> None:
        """Write what is new at the end of the process, where nobody can act on a failure any more. Blocks."""
        try:
            if self.unsaved:
                self._write(self._last_number, self._lines())
        except OSError as error:
            log.error("the event list could not be saved in %s: %s", self.name, error)  # noqa: TRY400 -- one clear line

    def _write(self, number: int, lines: Sequence[tuple[int, str]]) -> None:
        """Write one list at a time, never an older one: a cancelled ``save`` may still be under way at the end."""
        with self._writing:
            if number > self._saved_number:
                new = [line for line in lines if line[0] > self._saved_number]
                file, self._file = self._file, None
                self._file = self._add(new, file) or self._replace(lines)
                self._saved_number = number

    def _add(self, lines: Sequence[tuple[int, str]], file: "_WholeFile | None") -> "_WholeFile | None":
        """Add lines to the end of the file; None where that must not be, or cannot."""
        if file is None or file.lines + len(lines) > self._most_lines:
            return None
        data = _text(lines)
        try:
            self._storage.append(data, after=file.size_bytes)
        except OSError:
            return None
        return _WholeFile(file.size_bytes + len(data), file.lines + len(lines))

    def _replace(self, lines: Sequence[tuple[int, str]]) -> "_WholeFile":
        """Write the file anew. Raises OSError."""
        data = _text(lines)
        self._storage.write(data)
        return _WholeFile(len(data), len(lines))

    def _append(self, record: EventRecord) -> None:
        self._entries[record.source].append((record, line_of(record)))
        self._records = None
        self._last_number = max(self._last_number, record.number)

    def _lines(self) -> list[tuple[int, str]]:
        """Return every entry as its number and its line, in order."""
        return sorted((record.number, line) for kept in self._entries.values() for record, line in kept)


class _WholeFile(NamedTuple):
    """A file that has no damage and ends with a whole line."""

    size_bytes: int
    lines: int


class _Parsed(NamedTuple):
    """What is in a file."""

    records: Sequence[EventRecord]
    damaged: int
    """Lines that are left out."""
    whole: _WholeFile | None


_NOTHING = _Parsed((), 0, None)


def _text(lines: Sequence[tuple[int, str]]) -> bytes:
    return "".join(f"{line}\n" for _, line in lines).encode(errors="replace")


def _parse(data: bytes) -> _Parsed:
    """Return what is in a file. Raises ValueError when there is no entry."""
    records, damaged = [], 0
    for line in data.decode(errors="replace").rstrip("\n").split("\n"):
        try:
            records.append(record_of(line))
        except LaterVersionError:
            raise
        except ValueError:
            damaged += 1
    if not records:
        raise ValueError("it holds no entry")
    is_whole = not damaged and data.endswith(b"\n")
    return _Parsed(records, damaged, _WholeFile(len(data), len(records)) if is_whole else None)
