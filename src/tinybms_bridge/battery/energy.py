"""Energy and charge counters by integration of pack power and current over the time between two samples."""

from dataclasses import dataclass

from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["MAX_GAP_S", "EnergyCounter", "EnergyTotals"]

MAX_GAP_S = 5.0
"""A longer time without a sample is not integrated: nobody knows what the current was."""


@quick
@dataclass(frozen=True, slots=True)
class EnergyTotals:
    """Totals since the counters were first started; they only grow."""

    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    charged_ah: float = 0.0
    discharged_ah: float = 0.0


class EnergyCounter:
    """Integrates accepted samples by the trapezoidal rule, charge and discharge apart."""

    def __init__(self, totals: EnergyTotals | None = None) -> None:
        self.totals = totals or EnergyTotals()
        """The present totals; replaced, never changed in place."""
        self._last: Snapshot | None = None

    def add(self, snapshot: Snapshot) -> EnergyTotals:
        """Add the interval since the previous sample and return the totals.

        Samples out of order and gaps over ``MAX_GAP_S`` add nothing.
        """
        last = self._last
        gap_s = 0.0 if last is None else snapshot.taken_at_s - last.taken_at_s
        if last is None or gap_s > 0.0:
            self._last = snapshot
        if last is None or not 0.0 < gap_s <= MAX_GAP_S:
            return self.totals
        hours = gap_s / 3600.0
        energy_wh = (last.pack.power_w + snapshot.pack.power_w) / 2.0 * hours
        charge_ah = (last.pack.current_a + snapshot.pack.current_a) / 2.0 * hours
        old = self.totals
        self.totals = EnergyTotals(
            charged_wh=old.charged_wh + max(0.0, energy_wh),
            discharged_wh=old.discharged_wh + max(0.0, -energy_wh),
            charged_ah=old.charged_ah + max(0.0, charge_ah),
            discharged_ah=old.discharged_ah + max(0.0, -charge_ah),
        )
        return self.totals
