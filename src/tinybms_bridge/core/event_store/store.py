"""The list and its file.

The file holds one entry a line and is replaced whole, so that it is complete or the one before, whatever happens.
Entries are saved in batches: the worst a kill can cost is the last interval, and the BMS tells its events again.
"""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

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
        self._last_number = 0
        self._saved_number = 0
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
        records, damaged = found.value or ((), 0)
        for record in records:
            self._append(record)
        self._saved_number = self._last_number
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
                    for record in _parse(data)[0]:
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
        )
        self._append(record)
        self.on_added(record)
        return record

    def add_bms(self, events: Iterable[DatedEvent]) -> list[EventRecord]:
        """Add events of the BMS that ``merge`` found to be new."""
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
            )
            self._append(record)
            self.on_added(record)
            added.append(record)
        return added

    async def save(self, run_blocking: RunBlocking = in_thread) -> None:
        """Write the list off the event loop if it has changed. Raises OSError."""
        if self.unsaved:
            number, data = self._last_number, self._document()
            await run_blocking(self._write, number, data)

    def save_quietly(self) -> None:
        """Write the list at the end of the process, where nobody can act on a failure any more. Blocks."""
        try:
            if self.unsaved:
                self._write(self._last_number, self._document())
        except OSError as error:
            log.error("the event list could not be saved in %s: %s", self.name, error)  # noqa: TRY400 -- one clear line

    def _write(self, number: int, data: bytes) -> None:
        """Write one document at a time, never an older one: a cancelled ``save`` may still be under way at the end."""
        with self._writing:
            if number > self._saved_number:
                self._storage.write(data)
                self._saved_number = number

    def _append(self, record: EventRecord) -> None:
        self._entries[record.source].append((record, line_of(record)))
        self._records = None
        self._last_number = max(self._last_number, record.number)

    def _document(self) -> bytes:
        entries = sorted(
            (entry for kept in self._entries.values() for entry in kept), key=lambda entry: entry[0].number
        )
        return "".join(f"{line}\n" for _, line in entries).encode(errors="replace")


def _parse(data: bytes) -> tuple[list[EventRecord], int]:
    """Return the entries of a file and how many lines are damaged. Raises ValueError when there is no entry."""
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
    return records, damaged
