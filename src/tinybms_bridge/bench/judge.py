"""The protections of a TinyBMS, judged on the true cell voltages: what would have tripped, and which switch opens.

Protocol reference, section 5.1: registers 301, 305 and 315 to 320; automatic recovery after the 5 s of register 332.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["Judge", "Protection", "Trip"]

RECOVERY_S = 5.0
"""Register 332, default."""
_NO_PEAK_A = 1e9


class Protection(Enum):
    """A protection of the BMS: name, event, and whether it stops discharge; every one but DISCHARGED stops charge."""

    OVER_VOLTAGE = ("over-voltage", 0x03, False)
    UNDER_VOLTAGE = ("under-voltage", 0x02, True)
    DISCHARGED = ("discharged", 0x31, True)
    CHARGE_CURRENT = ("charge over-current", 0x06, False)
    DISCHARGE_CURRENT = ("discharge over-current", 0x05, True)
    OVER_HEAT = ("over-heat", 0x04, True)
    COLD_CHARGE = ("cold charge", 0x37, False)

    def __init__(self, label: str, event_id: int, stops_discharge: bool) -> None:
        self.label = label
        self.event_id = event_id
        self.stops_discharge = stops_discharge

    @property
    def is_warning(self) -> bool:
        """Whether the BMS calls it a warning and shows no fault."""
        return self in (Protection.DISCHARGED, Protection.COLD_CHARGE)

    @property
    def stops_charge(self) -> bool:
        """Whether the charger switch opens."""
        return self is not Protection.DISCHARGED


@dataclass(frozen=True, slots=True)
class Trip:
    """One protection that opened a switch."""

    time_s: float
    protection: Protection


class Judge:
    """Watches one pack.

    Args:
        ratings: thresholds.
        idle_a: a charger counts as there above this current.

    """

    def __init__(self, ratings: Ratings, idle_a: float = 0.8) -> None:
        self.trips: list[Trip] = []
        self._ratings = ratings
        self._idle_a = idle_a
        self._clear_s: dict[Protection, float] = {}
        """Open protections, and for how long their cause has been gone."""
        peak_a = ratings.discharge_peak_current_a or _NO_PEAK_A
        self._discharge_a = min(ratings.discharge_over_current_a, peak_a)

    @property
    def open(self) -> tuple[Protection, ...]:
        """Protections that keep a switch open now."""
        return tuple(self._clear_s)

    @property
    def faulted(self) -> bool:
        """Whether a fault is open; a warning is none."""
        return any(not protection.is_warning for protection in self._clear_s)

    @property
    def takes(self) -> bool:
        """Whether current may flow in."""
        return not any(protection.stops_charge for protection in self._clear_s)

    @property
    def gives(self) -> bool:
        """Whether current may flow out."""
        return not any(protection.stops_discharge for protection in self._clear_s)

    def observe(
        self, now_s: float, dt_s: float, cells_v: Sequence[float], current_a: float, temperatures_c: Sequence[float]
    ) -> None:
        """Judge the truth at the end of a step of ``dt_s`` seconds."""
        active = self._active(max(cells_v), min(cells_v), current_a, temperatures_c)
        for protection in active:
            if protection not in self._clear_s:
                self.trips.append(Trip(now_s, protection))
            self._clear_s[protection] = 0.0
        for protection in [p for p in self._clear_s if p not in active]:
            self._clear_s[protection] += dt_s
            if self._clear_s[protection] >= RECOVERY_S:
                del self._clear_s[protection]

    def _active(
        self, highest_v: float, lowest_v: float, current_a: float, temperatures_c: Sequence[float]
    ) -> list[Protection]:
        ratings = self._ratings
        charging = current_a > self._idle_a or Protection.COLD_CHARGE in self._clear_s
        causes = (
            (highest_v > ratings.over_voltage_cell_v, Protection.OVER_VOLTAGE),
            (lowest_v < ratings.under_voltage_cell_v, Protection.UNDER_VOLTAGE),
            (lowest_v < ratings.fully_discharged_cell_v, Protection.DISCHARGED),
            (current_a > ratings.charge_over_current_a, Protection.CHARGE_CURRENT),
            (current_a < -self._discharge_a, Protection.DISCHARGE_CURRENT),
            (max(temperatures_c) > ratings.over_heat_c, Protection.OVER_HEAT),
            (charging and min(temperatures_c) < ratings.low_temperature_charge_c, Protection.COLD_CHARGE),
        )
        return [protection for is_active, protection in causes if is_active]
