"""What the BMS records of its life: event log (registers 200 to 297) and statistics (100 to 117)."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from tinybms_bridge.tinybms.frames import EventEntry, from_u32

__all__ = [
    "EVENT_SLOTS",
    "EventId",
    "SimulatedEventRing",
    "SimulatedResetCause",
    "SimulatedWakeCause",
    "Statistics",
    "entries_in",
    "newest_first",
]


EVENT_SLOTS = 49
"""Slots of the ring."""

_STAMP_MASK = 0xFFFFFF
_LAST_FAULT = 0x30
_LAST_WARNING = 0x60


class EventId(IntEnum):
    """Numbers of the events (tinybms-protocol.md, 3)."""

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


class SimulatedEventRing:
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


class SimulatedResetCause(IntEnum):
    """Low byte of register 114, as far as the simulator causes it."""

    INDEPENDENT_WATCHDOG = 3
    SOFTWARE_RESET = 4
    POWER_ON = 5


class SimulatedWakeCause(IntEnum):
    """High byte of register 114."""

    CHARGER_CONNECTED = 0
    IGNITION = 1
    DISCHARGING_DETECTED = 2
    UART = 3


@dataclass(slots=True)
class Statistics:
    """Extremes ever seen, never limits; and how often something happened."""

    max_discharge_a: float = 0.0
    max_charge_a: float = 0.0
    max_difference_v: float = 0.0
    under_voltage_count: int = 0
    over_voltage_count: int = 0
    discharge_over_current_count: int = 0
    charge_over_current_count: int = 0
    over_heat_count: int = 0
    charging_count: int = 0
    full_charge_count: int = 0
    min_temperature_c: float | None = None
    max_temperature_c: float | None = None
    reset_cause: SimulatedResetCause = SimulatedResetCause.POWER_ON
    wake_cause: SimulatedWakeCause = SimulatedWakeCause.CHARGER_CONNECTED
    cleared_at_s: int = 0
    """Lifetime counter at the last clearing."""

    def observe(self, current_a: float, voltages_v: Sequence[float], temperatures_c: Sequence[float]) -> None:
        """Widen the extremes by one sample."""
        self.max_charge_a = max(self.max_charge_a, current_a)
        self.max_discharge_a = max(self.max_discharge_a, -current_a)
        self.max_difference_v = max(self.max_difference_v, max(voltages_v) - min(voltages_v))
        coldest, hottest = min(temperatures_c), max(temperatures_c)
        self.min_temperature_c = coldest if self.min_temperature_c is None else min(self.min_temperature_c, coldest)
        self.max_temperature_c = hottest if self.max_temperature_c is None else max(self.max_temperature_c, hottest)

    def count(self, event: EventId) -> None:
        """Count an event, if there is a counter for it."""
        name = _COUNTERS.get(event)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def clear(self, lifetime_s: int) -> None:
        """Forget everything but the causes of reset and wake-up (command 0x02, option 2)."""
        fresh = Statistics(reset_cause=self.reset_cause, wake_cause=self.wake_cause, cleared_at_s=lifetime_s)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def words(self) -> list[int]:
        """Return registers 100 to 117."""
        return [
            0,
            0,
            _word(self.max_discharge_a * 10.0),
            _word(self.max_charge_a * 10.0),
            _word(self.max_difference_v * 10000.0),
            self.under_voltage_count & 0xFFFF,
            self.over_voltage_count & 0xFFFF,
            self.discharge_over_current_count & 0xFFFF,
            self.charge_over_current_count & 0xFFFF,
            self.over_heat_count & 0xFFFF,
            0,
            self.charging_count & 0xFFFF,
            self.full_charge_count & 0xFFFF,
            _byte(self.min_temperature_c) | _byte(self.max_temperature_c) << 8,
            self.reset_cause | self.wake_cause << 8,
            0,
            *from_u32(self.cleared_at_s & 0xFFFFFFFF),
        ]


_COUNTERS: Mapping[EventId, str] = MappingProxyType(
    {
        EventId.UNDER_VOLTAGE: "under_voltage_count",
        EventId.OVER_VOLTAGE: "over_voltage_count",
        EventId.DISCHARGE_OVER_CURRENT: "discharge_over_current_count",
        EventId.REGENERATION_OVER_CURRENT: "charge_over_current_count",
        EventId.CHARGE_OVER_CURRENT: "charge_over_current_count",
        EventId.OVER_HEAT: "over_heat_count",
        EventId.CHARGING_STARTED: "charging_count",
        EventId.CHARGING_COMPLETE: "full_charge_count",
    }
)
"""Counter of each event; regeneration has none of its own and is counted as charging."""


def _word(value: float) -> int:
    return min(max(round(value), 0), 0xFFFF)


def _byte(temperature_c: float | None) -> int:
    return min(max(round(temperature_c or 0.0), -128), 127) & 0xFF
