"""The BMS's event log: reading it, and telling what in it is new.

The log is a ring of 49 slots whose time stamps have 24 bits (tinybms-protocol.md, 3). Reading it again and again
shows the same events again and again; ``merge`` lets each through once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent, open_events, ring_order, unwrap
from tinybms_bridge.errors import DeviceRefused
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    EventEntry,
    EventsReply,
    ReadModbus,
    RegistersReply,
    Reply,
    Request,
    SimpleRequest,
    to_u32,
)

__all__ = [
    "EVENTS_ADDRESS",
    "EVENTS_COUNT",
    "EVENT_SLOTS",
    "KEPT_EVENTS",
    "EventLogReading",
    "Requester",
    "merge",
    "read_events",
    "reading_of",
    "registers_to_entries",
    "shares_events",
    "since_last_gap",
]

EVENT_SLOTS = 49
EVENTS_ADDRESS = 200
EVENTS_COUNT = 2 * EVENT_SLOTS
_LIFETIME_ADDRESS = 32

KEPT_EVENTS = 4 * EVENT_SLOTS
"""Events that ``merge`` remembers, besides open ones."""

_COMPARED_EVENTS = 2 * EVENT_SLOTS
"""What a ring shows again is among the last 49 known; twice that leaves room for a known list out of order."""


class Requester(Protocol):
    """What the readers need of a client."""

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Send a request and return its reply. Raises DeviceRefused or LinkError."""
        ...


@dataclass(frozen=True, slots=True)
class EventLogReading:
    """The log as it was at one moment."""

    now_s: int
    """Lifetime counter at the reading."""
    events: tuple[BmsEvent, ...]
    """Oldest first."""
    complete: bool
    """Whether the whole ring was read, not only its newest events."""


async def read_events(link: Requester, *, newest_only: bool = False, attempts: int | None = None) -> EventLogReading:
    """Read the log by 0x12, or 0x11 for the newest; a BMS that refuses is asked for registers 200 to 297 instead.

    Raises:
        DeviceRefused: the BMS refuses every way.
        LinkError: no good answer.

    """
    first, last = CommandCode.EVENTS_ALL, CommandCode.EVENTS_NEWEST
    if newest_only:
        first, last = last, first
    for command in (first, None, last):
        try:
            if command is None:
                return await _from_registers(link, attempts)
            reply = await link.request(SimpleRequest(command), attempts=attempts)
        except DeviceRefused as error:
            refusal = error
            continue
        assert isinstance(reply, EventsReply)
        return reading_of(reply.entries, reply.now_s, complete=not reply.newest_only)
    raise refusal


async def _from_registers(link: Requester, attempts: int | None) -> EventLogReading:
    """Read the events before the counter: no event can then lie ahead of it."""
    slots = await link.request(ReadModbus(EVENTS_ADDRESS, EVENTS_COUNT), attempts=attempts)
    counter = await link.request(ReadModbus(_LIFETIME_ADDRESS, 2), attempts=attempts)
    assert isinstance(slots, RegistersReply)
    assert isinstance(counter, RegistersReply)
    return reading_of(registers_to_entries(slots.values), to_u32(*counter.values), complete=True)


def registers_to_entries(words_from_200: Sequence[int]) -> tuple[EventEntry, ...]:
    """Return the slots held by registers from 200: 16 bits of the stamp, then its upper 8 bits and the number."""
    pairs = zip(words_from_200[::2], words_from_200[1::2], strict=True)
    return tuple(EventEntry(low | (high & 0xFF) << 16, high >> 8) for low, high in pairs)


def reading_of(entries: Sequence[EventEntry], now_s: int, *, complete: bool) -> EventLogReading:
    """Return the reading for slots as the BMS told them; empty ones (number 0) are left out."""
    events = [BmsEvent(unwrap(entry.time_s, now_s), entry.event_id) for entry in entries if entry.event_id]
    return EventLogReading(now_s, tuple(ring_order(events)), complete)


def shares_events(known: Sequence[DatedEvent], reading: EventLogReading) -> bool:
    """Return whether the reading holds an event that is known: then none between the two was lost."""
    marks = {_mark(dated.event) for dated in known[-_COMPARED_EVENTS:]}
    return any(_mark(event) in marks for event in reading.events)


def since_last_gap(known: Sequence[DatedEvent]) -> tuple[DatedEvent, ...]:
    """Return the events from which open ones follow: what began before a gap may have ended in it."""
    gaps = [index for index, dated in enumerate(known) if dated.after_gap]
    return tuple(known[gaps[-1] if gaps else 0 :])


def merge(
    known: Sequence[DatedEvent], reading: EventLogReading, now_wall: datetime, serial_number: str = ""
) -> tuple[tuple[DatedEvent, ...], tuple[DatedEvent, ...]]:
    """Return the known events with the new ones among them, and the new ones alone, oldest first.

    An event is known when number and 24-bit stamp are, as often as the reading shows them: two of a kind in one
    second are two. So an event is not taken for new when it passes the age of 194 days, at which its unwrapped time
    jumps, nor when the lifetime counter is set back. Events of another BMS are not known: begin with none for it.
    A full ring without any known event has lost some: the known ones give way, and its oldest is marked as after a gap.

    Args:
        known: Result of the last call, or the saved events of this BMS; bounded by this function.
        reading: What the BMS says now.
        now_wall: UTC at the time of the reading.
        serial_number: Of the BMS; empty when it is not known.

    """
    gap = bool(known) and _is_full(reading) and not shares_events(known, reading)
    if gap:
        known = ()
    seen = Counter(_mark(dated.event) for dated in known[-_COMPARED_EVENTS:])
    new: list[DatedEvent] = []
    for event in reading.events:
        mark = _mark(event)
        if seen[mark] > 0:
            seen[mark] -= 1
        else:
            at = _calendar(event, reading.now_s, now_wall)
            new.append(DatedEvent(event, at, serial_number, after_gap=gap and not new))
    return _bounded(_sorted([*known, *new], reading.now_s)), tuple(new)


def _is_full(reading: EventLogReading) -> bool:
    return reading.complete and len(reading.events) >= EVENT_SLOTS


def _mark(event: BmsEvent) -> tuple[int, int]:
    return event.stamp_s, event.event_id


def _calendar(event: BmsEvent, now_s: int, now_wall: datetime) -> datetime | None:
    """Return when it happened, or None for a stamp that the counter has not reached."""
    if event.lifetime_s < 0:
        return None
    return (now_wall - timedelta(seconds=now_s - event.lifetime_s)).replace(microsecond=0)


def _sorted(events: list[DatedEvent], now_s: int) -> list[DatedEvent]:
    """Sort by time, unless the counter was set back: then only the order of becoming known is right."""
    if all(dated.event.lifetime_s <= now_s for dated in events):
        events.sort(key=lambda dated: dated.event.lifetime_s)
    return events


def _bounded(events: list[DatedEvent]) -> tuple[DatedEvent, ...]:
    """Drop the oldest but keep those that are still open."""
    old, young = events[:-KEPT_EVENTS], events[-KEPT_EVENTS:]
    if not old:
        return tuple(young)
    still_open = set(open_events(dated.event for dated in events))
    return (*(dated for dated in old if dated.event in still_open), *young)
