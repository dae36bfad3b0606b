"""What one pack alone bears at a moment: the ratings of its BMS, and what the charge control leaves a single pack.

The derating of a single pack is tried elsewhere; here it is the measure of what the parallel ones may carry.
"""

from collections.abc import Sequence

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_bridge.battery.limits.context import make_context
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures

__all__ = ["OwnLimits"]


class OwnLimits:
    """The limits of one pack by its true cells.

    Args:
        ratings: of its BMS.
        settings: of the engine.
        feed_in: chargers obey no CCL; then the voltage of the cells is that of CVL, and takes nothing of the current.

    """

    def __init__(self, ratings: Ratings, settings: LimitSettings, *, feed_in: bool = False) -> None:
        context = make_context(_at_rest(ratings), ratings, settings)
        higher = make_context(_at_rest(ratings), ratings, settings, balancing=True)
        self._ratings = ratings
        self._charging = context.charging
        name = "charge_by_cell_voltage"
        self._by_cell = None if feed_in else (context.curves[name], higher.curves[name])
        self._by_warmth = context.curves["charge_by_temperature"]
        self._discharge_by_warmth = context.curves["discharge_by_temperature"]

    def charge_a(self, highest_v: float, temperatures_c: Sequence[float], *, balancing: bool = False) -> float:
        """Return the most that may flow in: register 318, less by the highest cell and by the temperature.

        ``balancing``: cells are held at a higher voltage for a day, and bear a current there.
        """
        most_a = self._ratings.charge_over_current_a
        coldest_c, hottest_c = min(temperatures_c), max(temperatures_c)
        by_cell = 1.0 if self._by_cell is None else self._by_cell[balancing].at(highest_v)
        share = min(by_cell, self._by_warmth.at(coldest_c), self._by_warmth.at(hottest_c))
        return min(most_a * share, self._charging.cold_a(coldest_c))

    def discharge_a(self, temperatures_c: Sequence[float]) -> float:
        """Return the most that may flow out: register 317, or 305 if that is lower, less by the temperature."""
        ratings = self._ratings
        most_a = min(ratings.discharge_over_current_a, ratings.discharge_peak_current_a or float("inf"))
        curve = self._discharge_by_warmth
        return most_a * min(curve.at(min(temperatures_c)), curve.at(max(temperatures_c)))


def _at_rest(ratings: Ratings) -> Snapshot:
    cell_v = (ratings.fully_charged_cell_v + ratings.fully_discharged_cell_v) / 2.0
    cells = ratings.series_cells
    return Snapshot(
        sequence=1,
        taken_at_s=0.0,
        pack=PackValues(voltage_v=cell_v * cells, current_a=0.0, soc_percent=50.0),
        cells=Cells((cell_v,) * cells, (False,) * cells, (False,) * cells),
        temperatures=Temperatures(25.0, 25.0, 25.0),
        ratings=ratings,
    )
