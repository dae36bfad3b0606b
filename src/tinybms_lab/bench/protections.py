"""What lets the switches of a TinyBMS open: its protections, and the course of a charge.

Protections are judged on the true cell voltages: what would have tripped, and which switch opens (tinybms-protocol.md,
5.1: registers 301, 305 and 315 to 320; automatic recovery after the 5 s of register 332).

A charge goes as the user manual tells it (tinybms-protocol.md, 5.3), with the decisions and times of the
simulated TinyBMS. The charger never unplugs itself: on a solar system it is always there, so that after a full charge
only an empty cell, or register 321, lets it charge again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_lab.bms.logic import ChargeControl, ChargePhase
from tinybms_lab.bms.measurement import BmsThresholds, Measurement
from tinybms_lab.bms.records import EventId

__all__ = ["ManualCharge", "Opening", "Protection", "ProtectionMonitor", "ProtectionTrip", "thresholds"]

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
class ProtectionTrip:
    """One protection that opened a switch."""

    time_s: float
    protection: Protection


class ProtectionMonitor:
    """Watches one pack.

    Args:
        ratings: thresholds.
        idle_a: a charger counts as there above this current.

    """

    def __init__(self, ratings: Ratings, idle_a: float = 0.8) -> None:
        self.trips: list[ProtectionTrip] = []
        self.false: frozenset[Protection] = frozenset()
        """Those that the BMS takes for active without a cause; they open switches, and are no trips."""
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
        causes = self._active(max(cells_v), min(cells_v), current_a, temperatures_c)
        active = [*causes, *self.false] if self.false else causes
        for protection in active:
            if protection not in self._clear_s and protection in causes:
                self.trips.append(ProtectionTrip(now_s, protection))
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


@dataclass(frozen=True, slots=True)
class Opening:
    """The charger switch opened although no protection wanted it."""

    time_s: float
    current_a: float
    """True current that it cut."""


def thresholds(ratings: Ratings, *, single_port: bool = False) -> BmsThresholds:
    """Return the settings that a charge, and balancing, follow."""
    assert ratings.early_balancing_cell_v is not None
    return BmsThresholds(
        full_v=ratings.fully_charged_cell_v,
        empty_v=ratings.fully_discharged_cell_v,
        balance_above_v=ratings.early_balancing_cell_v,
        finished_a=ratings.charge_finished_current_a,
        disbalance_v=ratings.allowed_disbalance_mv / 1000.0,
        idle_a=ratings.least_current_a,
        restart_percent=ratings.charge_restart_percent if ratings.charge_restart else None,
        single_port=single_port,
    )


class ManualCharge:
    """Follows one charge after the other.

    Args:
        limits: settings of the BMS.

    """

    def __init__(self, limits: BmsThresholds) -> None:
        self.openings: list[Opening] = []
        self._limits = limits
        self._control = ChargeControl()

    @property
    def takes(self) -> bool:
        """Whether current may flow in. A single port is closed unless a charge has ended or pauses."""
        if self._limits.single_port:
            return not self.pauses and not self._control.ended
        return self._control.phase is ChargePhase.CHARGING

    @property
    def gives(self) -> bool:
        """Whether current may flow out: a pause opens a single port for the loads, too."""
        return not (self._limits.single_port and self.pauses)

    @property
    def pauses(self) -> bool:
        """Whether the charge waits until the cells are alike; they are bled without a current."""
        return self._control.phase is ChargePhase.BALANCING

    @property
    def ended(self) -> bool:
        """Whether the charge is over, which the status calls fully charged."""
        return self._control.ended

    def observe(
        self,
        now_s: float,
        cells_v: Sequence[float],
        current_a: float,
        true_a: float,
        offered_a: float,
        soc_percent: float,
        *,
        allowed: bool,
        unbalanced: bool,
    ) -> bool:
        """Take the readings of a step; return whether a charge was completed, which sets the count to 100 %.

        Args:
            now_s: time of the readings.
            cells_v: as read.
            current_a: as read.
            true_a: the current that a switch that opens now has to cut.
            offered_a: what the chargers would give to the battery.
            soc_percent: the count.
            allowed: whether no protection keeps the charger off.
            unbalanced: whether a cell should be bled.

        """
        took = self.takes
        measured = Measurement(
            tuple(cells_v), current_a, 0.0, charger=True, soc_percent=soc_percent, offered_a=offered_a
        )
        events = self._control.step(measured, self._limits, now_s, allowed=allowed, unbalanced=unbalanced)
        if took and not self.takes and allowed:
            self.openings.append(Opening(now_s, true_a))
        return EventId.CHARGING_COMPLETE in events
