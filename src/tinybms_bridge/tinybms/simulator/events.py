"""The event log of the BMS: a ring of 49 slots in registers 200 to 297 (protocol Rev D, events)."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from tinybms_bridge.tinybms.frames import EventEntry

__all__ = ["EVENT_SLOTS", "EventId", "EventRing", "entries_in", "newest_first"]

EVENT_SLOTS = 49
"""Slots of the ring."""

_STAMP_MASK = 0xFFFFFF


class EventId(IntEnum):
    """Numbers of the events that the simulator itself writes."""

    BMS_STARTED = 0x61


class EventRing:
    """A ring that overwrites its oldest entry.

    Args:
        first_slot: where the next event goes; a real ring stands anywhere.

    """

    def __init__(self, first_slot: int = 0) -> None:
        self._slots: list[EventEntry | None] = [None] * EVENT_SLOTS
        self._next = first_slot % EVENT_SLOTS

    def add(self, lifetime_s: int, event_id: int) -> None:
        """Write an event stamped with the lower 24 bits of the lifetime counter."""
        self._slots[self._next] = EventEntry(lifetime_s & _STAMP_MASK, event_id)
        self._next = (self._next + 1) % EVENT_SLOTS

    def clear(self) -> None:
        """Empty every slot; the ring goes on where it stood."""
        self._slots = [None] * EVENT_SLOTS

    def words(self) -> list[int]:
        """Return the 98 registers from 200: lower 16 bits of the stamp, then its upper 8 bits and the id."""
        words: list[int] = []
        for entry in self._slots:
            stamp, event_id = (entry.time_s, entry.event_id) if entry else (0, 0)
            words += (stamp & 0xFFFF, stamp >> 16 | event_id << 8)
        return words


def entries_in(words: Sequence[int]) -> list[EventEntry]:
    """Return the events held by registers from 200, in slot order, without the empty slots (id 0)."""
    pairs = zip(words[::2], words[1::2], strict=False)
    return [EventEntry(low | (high & 0xFF) << 16, high >> 8) for low, high in pairs if high >> 8]


def newest_first(entries: Iterable[EventEntry], now_s: int) -> list[EventEntry]:
    """Return the events sorted by age, taking each stamp for the latest moment before ``now_s`` that it can mean."""
    return sorted(entries, key=lambda entry: (now_s - entry.time_s) & _STAMP_MASK)
