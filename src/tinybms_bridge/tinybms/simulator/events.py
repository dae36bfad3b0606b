"""The event log of the BMS: a ring of 49 slots in registers 200 to 297 (protocol Rev D, events)."""

import itertools
from collections.abc import Iterable, Sequence
from enum import IntEnum

from tinybms_bridge.tinybms.frames import EventEntry

__all__ = ["EVENT_SLOTS", "EventId", "EventRing", "entries_in", "newest_first"]

EVENT_SLOTS = 49
"""Slots of the ring."""

_STAMP_MASK = 0xFFFFFF
_LAST_FAULT = 0x30
_LAST_WARNING = 0x60


class EventId(IntEnum):
    """Numbers of the events (protocol Rev D, events)."""

    UNDER_VOLTAGE = 0x02
    OVER_VOLTAGE = 0x03
    OVER_HEAT = 0x04
    DISCHARGE_OVER_CURRENT = 0x05
    CHARGE_OVER_CURRENT = 0x06
    REGENERATION_OVER_CURRENT = 0x07
    TOO_COLD = 0x0A
    CHARGER_SWITCH_STUCK = 0x0B
    LOAD_SWITCH_STUCK = 0x0C
    PORT_SWITCH_STUCK = 0x0D
    CURRENT_SENSOR_LOST = 0x0E
    CURRENT_SENSOR_NOT_READY = 0x0F
    DISCHARGED = 0x31
    TOO_COLD_TO_CHARGE = 0x37
    CHARGER_VOLTAGE_HIGH = 0x38
    CHARGER_VOLTAGE_LOW = 0x39
    BMS_STARTED = 0x61
    CHARGING_STARTED = 0x62
    CHARGING_COMPLETE = 0x63
    CHARGER_FOUND = 0x64
    CHARGER_GONE = 0x65
    DUAL_PORT = 0x66
    SINGLE_PORT = 0x67
    OVER_HEAT_OVER = 0x73
    TOO_COLD_TO_CHARGE_OVER = 0x74
    TOO_COLD_OVER = 0x75
    CHARGE_OVER_CURRENT_OVER = 0x76
    DISCHARGE_OVER_CURRENT_OVER = 0x77
    REGENERATION_OVER_CURRENT_OVER = 0x78
    OVER_VOLTAGE_OVER = 0x79
    DISCHARGED_OVER = 0x7A
    UNDER_VOLTAGE_OVER = 0x7B
    CURRENT_SENSOR_IN_USE = 0x7C
    CURRENT_SENSOR_REMOVED = 0x7D

    @property
    def is_fault(self) -> bool:
        """Whether the number lies in the vendor's range of faults."""
        return self <= _LAST_FAULT

    @property
    def is_warning(self) -> bool:
        """Whether the number lies in the vendor's range of warnings."""
        return _LAST_FAULT < self <= _LAST_WARNING


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
    """Return events that come in slot order by age, each stamp taken for the latest moment up to ``now_s``.

    Of one second too the last one comes first, as a ring is that is read backwards from where it stands.
    """
    ages = [((now_s - entry.time_s) & _STAMP_MASK, entry) for entry in entries]
    rises = [at for at, ((a, _), (b, _)) in enumerate(itertools.pairwise(ages), start=1) if b > a]
    start = rises[0] if len(rises) == 1 else 0
    newest_first = (ages[start:] + ages[:start])[::-1]
    return [entry for _, entry in sorted(newest_first, key=lambda aged: aged[0])]
