"""The BMS of a scenario: its readings, its counting, its balancing and its switches, without registers or bytes."""

from collections.abc import Sequence

from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackState, Ratings, Snapshot, Temperatures
from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.judge import Judge, Protection
from tinybms_bridge.bench.sensors import Sensors
from tinybms_bridge.tinybms.simulator.gauge import FuelGauge

__all__ = ["BenchBms", "bleeding_cells"]

_MAX_CYCLES = 3000
_FULL_TOLERANCE_V = 0.002
"""A charger that holds the voltage approaches register 300 without ever reaching it."""
_BLEED_STRIDE = 3
"""Adjacent cells do not bleed together: at most every third (protocol reference, section 5.5)."""
_SEEN_CHARGE_C = 0.4
"""Largest charge current in the statistics of a used pack, as a multiple of its capacity."""
_SEEN_DISCHARGE_C = 0.7


class BenchBms:
    """Watches a pack with imperfect sensors.

    Args:
        plan: the battery and what its BMS is set to.
        true_soc_percent: of the pack now; the count starts with the plan's error.
        sensors: its inputs.

    """

    def __init__(self, plan: BatteryPlan, true_soc_percent: float, sensors: Sensors) -> None:
        self.ratings: Ratings = plan.ratings()
        self.judge = Judge(self.ratings)
        self.bleeding: frozenset[int] = frozenset()
        """Indexes of the cells that are bled now."""
        self.max_charge_a = _SEEN_CHARGE_C * plan.capacity_ah
        """Register 103: the largest charge current ever seen. A statistic."""
        self.max_discharge_a = _SEEN_DISCHARGE_C * plan.capacity_ah
        """Register 102, likewise."""
        self._sensors = sensors
        self._gauge = FuelGauge(min(max(true_soc_percent + plan.soc_error_percent, 0.0), 100.0))
        self._balance_above_v = plan.early_balancing_cell_v
        self._half = plan.cells // 2
        self._sequence = 0
        self._full = False
        self._cells_v: tuple[float, ...] = ()
        self._current_a = 0.0
        self._temperatures_c = (plan.temperature_c, plan.temperature_c)
        self._has_external, self._has_board = sensors.plan.external, sensors.plan.board

    @property
    def soc_percent(self) -> float:
        """The BMS's count."""
        return self._gauge.soc_percent

    def observe(
        self, now_s: float, dt_s: float, cells_v: Sequence[float], current_a: float, temperatures_c: Sequence[float]
    ) -> None:
        """Take the truth at the end of a step of ``dt_s`` seconds: read it, judge it, count, balance.

        Cells and current are judged as they are, temperatures as the BMS reads them.
        """
        sensors, half = self._sensors, self._half
        sensors.tick()
        self._cells_v = sensors.cells_v(cells_v)
        self._current_a = sensors.current_a(current_a)
        self._temperatures_c = (
            sensors.temperature_c(sum(temperatures_c[:half]) / half),
            sensors.temperature_c(sum(temperatures_c[half:]) / (len(temperatures_c) - half)),
        )
        self.judge.observe(now_s, dt_s, cells_v, current_a, self._temperatures_c)
        self.max_charge_a = max(self.max_charge_a, self._current_a)
        self.max_discharge_a = max(self.max_discharge_a, -self._current_a)
        self._gauge.count(self._current_a, dt_s, self.ratings.capacity_ah, _MAX_CYCLES)
        self._follow()

    def sample(self, now_s: float) -> Snapshot:
        """Return a new sample of what was observed last."""
        self._sequence += 1
        status = self._status()
        return Snapshot(
            sequence=self._sequence,
            taken_at_s=now_s,
            pack=PackState(
                voltage_v=round(sum(self._cells_v), 3),
                current_a=self._current_a,
                soc_percent=self._gauge.soc_percent,
                soh_percent=self._gauge.soh_percent,
                status=status,
                status_raw=status.value,
                lifetime_s=int(now_s),
            ),
            cells=Cells(self._cells_v, tuple([i in self.bleeding for i in range(len(self._cells_v))])),
            temperatures=self._temperatures(),
            ratings=self.ratings,
            open_events=tuple([protection.event_id for protection in self.judge.open]),
        )

    def _temperatures(self) -> Temperatures:
        first_c, second_c = self._temperatures_c
        board_c = round((first_c + second_c) / 2.0, 1) if self._has_board else None
        return Temperatures(board_c, first_c, second_c) if self._has_external else Temperatures(board_c)

    def _follow(self) -> None:
        """Find the end of a charge, and the cells to bleed (protocol reference, sections 5.3 and 5.5)."""
        ratings, cells_v, current_a = self.ratings, self._cells_v, self._current_a
        highest_v, disbalance_v = max(cells_v), ratings.allowed_disbalance_mv / 1000.0
        if current_a < 0.0:
            self._full = False
        elif 0.0 < current_a < ratings.charge_finished_current_a and not self._full:
            at_voltage = highest_v >= ratings.fully_charged_cell_v - _FULL_TOLERANCE_V
            if at_voltage and highest_v - min(cells_v) < disbalance_v:
                self._full = True
                self._gauge.soc_percent = 100.0
        bleeds = current_a > 0.0 or Protection.OVER_VOLTAGE in self.judge.open
        self.bleeding = bleeding_cells(cells_v, self._balance_above_v, disbalance_v) if bleeds else frozenset()

    def _status(self) -> BmsStatus:
        if self.judge.faulted:
            return BmsStatus.FAULT
        if self._full:
            return BmsStatus.FULLY_CHARGED
        if self._current_a == 0.0:
            return BmsStatus.IDLE
        return BmsStatus.CHARGING if self._current_a > 0.0 else BmsStatus.DISCHARGING


def bleeding_cells(cells_v: Sequence[float], above_v: float, disbalance_v: float) -> frozenset[int]:
    """Return the indexes (from 0) of the cells that bleed: the highest, no two of them within three places."""
    least_v = max(above_v, min(cells_v) + disbalance_v)
    if max(cells_v) <= least_v:
        return frozenset()
    chosen: list[int] = []
    for index in sorted(range(len(cells_v)), key=lambda i: -cells_v[i]):
        if cells_v[index] <= least_v:
            break
        if all(abs(index - other) >= _BLEED_STRIDE for other in chosen):
            chosen.append(index)
    return frozenset(chosen)
