"""The BMS of a scenario: its readings, its counting, its balancing and its switches, without registers or bytes."""

from collections.abc import Sequence
from dataclasses import replace

from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_lab.bench.battery import BatteryPlan, BmsKind
from tinybms_lab.bench.dirt import Sensors
from tinybms_lab.bench.protections import ManualCharge, Opening, Protection, ProtectionMonitor, thresholds
from tinybms_lab.bms.logic import balancing_now, balancing_wanted
from tinybms_lab.bms.model import FuelGauge

__all__ = ["BenchBms"]

_MAX_CYCLES = 3000
_FULL_TOLERANCE_V = 0.002
"""A charger that holds the voltage approaches register 300 without ever reaching it."""
_HALL_A, _LOW_POWER_A = 0.8, 0.08
"""Currents that a board with a Hall sensor, and a low-power board, read as 0 (tinybms-protocol.md, 5.2)."""
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
        least_a = _HALL_A if sensors.plan.idle_a >= _HALL_A else _LOW_POWER_A
        self.ratings: Ratings = replace(plan.ratings(), least_current_a=least_a)
        self.monitor = ProtectionMonitor(self.ratings)
        self.bleeding: frozenset[int] = frozenset()
        """Indexes of the cells that are bled now."""
        self.wanted: frozenset[int] = frozenset()
        """Those that the BMS would bleed if it could."""
        self.max_charge_a = _SEEN_CHARGE_C * plan.capacity_ah
        """Register 103: the largest charge current ever seen. A statistic."""
        self.max_discharge_a = _SEEN_DISCHARGE_C * plan.capacity_ah
        """Register 102, likewise."""
        self._sensors = sensors
        self._gauge = FuelGauge(min(max(true_soc_percent + plan.soc_error_percent, 0.0), 100.0))
        single_port = plan.bms is BmsKind.SINGLE_PORT
        self._limits = thresholds(self.ratings, single_port=single_port)
        self._charge = None if plan.bms is BmsKind.COUNTING else ManualCharge(self._limits)
        self._half = plan.cells // 2
        self._sequence = 0
        self._full = False
        self._cells_v: tuple[float, ...] = ()
        self._no_bits = (False,) * plan.cells
        self._current_a = 0.0
        self._temperatures_c = (plan.temperature_c, plan.temperature_c)
        self._has_external, self._has_board = sensors.plan.external, sensors.plan.board

    @property
    def soc_percent(self) -> float:
        """The BMS's count."""
        return self._gauge.soc_percent

    @property
    def takes(self) -> bool:
        """Whether current may flow in."""
        return self.monitor.takes and (self._charge is None or self._charge.takes)

    @property
    def gives(self) -> bool:
        """Whether current may flow out."""
        return self.monitor.gives and (self._charge is None or self._charge.gives)

    @property
    def full(self) -> bool:
        """Whether the status says fully charged."""
        return self._full

    @property
    def openings(self) -> tuple[Opening, ...]:
        """When the charger switch opened without a protection."""
        return () if self._charge is None else tuple(self._charge.openings)

    def allowed_a(self, current_a: float) -> float:
        """Return what the switches let through."""
        return current_a if (self.takes if current_a > 0.0 else self.gives) else 0.0

    def observe(
        self,
        now_s: float,
        dt_s: float,
        cells_v: Sequence[float],
        current_a: float,
        temperatures_c: Sequence[float],
        offered_a: float = 0.0,
    ) -> None:
        """Take the truth at the end of a step of ``dt_s`` seconds: read it, judge it, count, balance.

        Cells and current are judged as they are, temperatures as the BMS reads them. ``offered_a``: what the chargers
        would give to the battery.
        """
        sensors, half = self._sensors, self._half
        sensors.tick()
        self._cells_v = sensors.cells_v(cells_v)
        self._current_a = sensors.current_a(current_a)
        self._temperatures_c = (
            sensors.temperature_c(sum(temperatures_c[:half]) / half),
            sensors.temperature_c(sum(temperatures_c[half:]) / (len(temperatures_c) - half)),
        )
        self.monitor.observe(now_s, dt_s, cells_v, current_a, self._temperatures_c)
        self.max_charge_a = max(self.max_charge_a, self._current_a)
        self.max_discharge_a = max(self.max_discharge_a, -self._current_a)
        self._gauge.count(self._current_a, dt_s, self.ratings.capacity_ah, _MAX_CYCLES)
        self._follow(now_s, current_a, offered_a)

    def complete(self) -> None:
        """Find the end of a charge: count 100 % and say full (event 0x63)."""
        self._full = True
        self._gauge.soc_percent = 100.0

    def sample(self, now_s: float) -> Snapshot:
        """Return a new sample of what was observed last."""
        self._sequence += 1
        status = self._status()
        return Snapshot(
            sequence=self._sequence,
            taken_at_s=now_s,
            pack=PackValues(
                voltage_v=round(sum(self._cells_v), 3),
                current_a=self._current_a,
                soc_percent=self._gauge.soc_percent,
                soh_percent=self._gauge.soh_percent,
                status=status,
                status_raw=status.value,
                lifetime_s=int(now_s),
            ),
            cells=Cells(self._cells_v, self._bits(self.bleeding), self._bits(self.wanted)),
            temperatures=self._temperatures(),
            ratings=self.ratings,
            open_events=tuple([protection.event_id for protection in self.monitor.open]),
        )

    def _temperatures(self) -> Temperatures:
        first_c, second_c = self._temperatures_c
        board_c = round((first_c + second_c) / 2.0, 1) if self._has_board else None
        return Temperatures(board_c, first_c, second_c) if self._has_external else Temperatures(board_c)

    def _bits(self, indexes: frozenset[int]) -> tuple[bool, ...]:
        return tuple([i in indexes for i in range(len(self._cells_v))]) if indexes else self._no_bits

    def _follow(self, now_s: float, true_a: float, offered_a: float) -> None:
        """Find the end of a charge, and the cells to bleed (tinybms-protocol.md, 5.3 and 5.5)."""
        over_voltage = Protection.OVER_VOLTAGE in self.monitor.open
        high = balancing_wanted(self._cells_v, self._limits, over_voltage=over_voltage)
        self.wanted = frozenset(high)
        if self._charge is None:
            completed, pauses = self._completes(), False
        else:
            completed = self._charge.observe(
                now_s, self._cells_v, self._current_a, true_a, offered_a, self._gauge.soc_percent,
                allowed=self.monitor.takes, unbalanced=bool(high),
            )  # fmt: skip
            self._full, pauses = self._charge.ended, self._charge.pauses
        if completed:
            self.complete()
        bleeds = high and (self._current_a > 0.0 or pauses or over_voltage)
        self.bleeding = frozenset(balancing_now(high)) if bleeds else frozenset()

    def _completes(self) -> bool:
        """Return whether a charge is over now, by voltage, imbalance and current; discharging begins another one."""
        ratings, current_a = self.ratings, self._current_a
        if current_a < 0.0:
            self._full = False
        elif 0.0 < current_a < ratings.charge_finished_current_a and not self._full:
            highest_v = max(self._cells_v)
            at_voltage = highest_v >= ratings.fully_charged_cell_v - _FULL_TOLERANCE_V
            return at_voltage and highest_v - min(self._cells_v) < self._limits.disbalance_v
        return False

    def _status(self) -> BmsStatus:
        if self.monitor.faulted:
            return BmsStatus.FAULT
        if self._full:
            return BmsStatus.FULLY_CHARGED
        if self._current_a == 0.0:
            return BmsStatus.IDLE
        return BmsStatus.CHARGING if self._current_a > 0.0 else BmsStatus.DISCHARGING
