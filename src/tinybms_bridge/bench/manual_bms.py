"""The course of a charge as the user manual tells it (protocol reference, section 5.3), for the BMS of the bench.

Decisions and times are those of the simulated TinyBMS. The charger never unplugs itself: on a solar system it is always
there, so that after a full charge only an empty cell, or register 321, lets it charge again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.tinybms.simulator.logic import ChargeControl, ChargePhase
from tinybms_bridge.tinybms.simulator.measurement import Measurement, Thresholds
from tinybms_bridge.tinybms.simulator.records import EventId

__all__ = ["ManualCharge", "Opening", "thresholds"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The charger switch opened although no protection wanted it."""

    time_s: float
    current_a: float
    """True current that it cut."""


def thresholds(ratings: Ratings, *, single_port: bool = False) -> Thresholds:
    """Return the settings that a charge, and balancing, follow."""
    assert ratings.early_balancing_cell_v is not None
    return Thresholds(
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

    def __init__(self, limits: Thresholds) -> None:
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
