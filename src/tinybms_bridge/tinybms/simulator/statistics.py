"""Lifetime statistics of the BMS: registers 100 to 117 (protocol Rev D, statistics)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from tinybms_bridge.tinybms.frames import from_u32
from tinybms_bridge.tinybms.simulator.events import EventId

__all__ = ["ResetCause", "Statistics", "WakeCause"]


class ResetCause(IntEnum):
    """Low byte of register 114, as far as the simulator causes it."""

    INDEPENDENT_WATCHDOG = 3
    SOFTWARE_RESET = 4
    POWER_ON = 5


class WakeCause(IntEnum):
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
    reset_cause: ResetCause = ResetCause.POWER_ON
    wake_cause: WakeCause = WakeCause.CHARGER_CONNECTED
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
