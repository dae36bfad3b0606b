"""What the simulated BMS decides from its measurements: cut-off, status, full charge, balancing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import BmsStatus

__all__ = ["ChargeController", "Thresholds", "balancing_now", "balancing_wanted"]

_FULL_TOLERANCE_V = 0.002
"""A charger that holds the voltage approaches register 300 without ever reaching it."""

_BLEED_STRIDE = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Settings of the BMS in units."""

    full_v: float
    """Register 300."""
    empty_v: float
    """Register 301."""
    balance_above_v: float
    """Register 303."""
    finished_a: float
    """Register 304."""
    disbalance_v: float
    """Register 308."""
    idle_a: float
    """Activity threshold of the board."""

    @classmethod
    def of(cls, settings: Mapping[int, int], idle_a: float) -> "Thresholds":
        """Return the thresholds held by raw settings registers."""
        full_v, empty_v, balance_v, finished_a, disbalance_v = (
            settings[address] / 1000.0 for address in (300, 301, 303, 304, 308)
        )
        return cls(full_v, empty_v, balance_v, finished_a, disbalance_v, idle_a)

    def measured_a(self, current_a: float) -> float:
        """Return the current as the BMS reads it: exactly 0 within the activity threshold."""
        return 0.0 if abs(current_a) <= self.idle_a else current_a


class ChargeController:
    """Follows charging and discharging, cuts a profile at the cell limits and tells the online status.

    The protections of the user manual (section on protections) are not modelled here; each is a state of its own.
    """

    def __init__(self) -> None:
        self.full = False
        """End of charge was reached and the charger is still there."""
        self.charger = False
        """A charger is there."""
        self._empty = False

    def allow(self, wanted_a: float, voltages_v: Sequence[float], limits: Thresholds) -> float:
        """Return the current that the BMS lets a load or charger of its own profile drive: wanted, or 0.

        Charging ends when a cell reaches register 300, until the charger is taken away; discharging ends when a cell
        falls to register 301, until charging begins.
        """
        self.charger = wanted_a > 0
        if self.charger:
            self._empty = False
            self.full = self.full or max(voltages_v) >= limits.full_v
            return 0.0 if self.full else wanted_a
        self.full = False
        if wanted_a < 0:
            self._empty = self._empty or min(voltages_v) <= limits.empty_v
            return 0.0 if self._empty else wanted_a
        return 0.0

    def follow(self, current_a: float, limits: Thresholds) -> None:
        """Take note of a current that somebody else drives."""
        measured_a = limits.measured_a(current_a)
        self.charger = measured_a > 0
        if measured_a < 0:
            self.full = False

    def charge_complete(self, current_a: float, voltages_v: Sequence[float], limits: Thresholds) -> bool:
        """Return True once, when charging ends properly: voltage reached, balanced, little current (manual Rev D)."""
        complete = (
            not self.full
            and 0.0 < current_a < limits.finished_a
            and max(voltages_v) >= limits.full_v - _FULL_TOLERANCE_V
            and max(voltages_v) - min(voltages_v) < limits.disbalance_v
        )
        self.full = self.full or complete
        return complete

    def status(self, current_a: float, limits: Thresholds) -> BmsStatus:
        """Return the online status (register 50) at this current."""
        if self.full:
            return BmsStatus.FULLY_CHARGED
        measured_a = limits.measured_a(current_a)
        if self.charger or measured_a > 0:
            return BmsStatus.CHARGING
        return BmsStatus.DISCHARGING if measured_a < 0 else BmsStatus.IDLE


def balancing_wanted(voltages_v: Sequence[float], limits: Thresholds) -> list[int]:
    """Return the indexes (from 0) of the cells that should bleed, highest voltage first."""
    lowest_v = min(voltages_v)
    high = [
        index
        for index, voltage_v in enumerate(voltages_v)
        if voltage_v > limits.balance_above_v and voltage_v - lowest_v > limits.disbalance_v
    ]
    return sorted(high, key=lambda index: -voltages_v[index])


def balancing_now(wanted: Sequence[int]) -> list[int]:
    """Return those that may bleed at once: at most every third cell (user manual Rev D, balancing)."""
    chosen: list[int] = []
    for index in wanted:
        if all(abs(index - other) >= _BLEED_STRIDE for other in chosen):
            chosen.append(index)
    return chosen
