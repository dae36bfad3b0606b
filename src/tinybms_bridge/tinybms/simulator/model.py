"""The battery behind the registers: pack, profile and the decisions of the BMS, moved on in small steps."""

import math
from collections.abc import Sequence

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.simulator.control import (
    ChargeController,
    Thresholds,
    balancing_now,
    balancing_wanted,
)
from tinybms_bridge.tinybms.simulator.firmware import Board
from tinybms_bridge.tinybms.simulator.gauge import FuelGauge
from tinybms_bridge.tinybms.simulator.image import Sample
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.profile import Profile
from tinybms_bridge.tinybms.simulator.settings import SettingsBlock
from tinybms_bridge.tinybms.simulator.statistics import Statistics

__all__ = ["BatteryModel"]

_STEP_S = 1.0
_MAX_STEPS = 200
"""Bounds the work of one call: longer spans take coarser steps, which in the end cross the borders of segments."""

_BOARD_TAU_S = 300.0
_BOARD_OWN_WARMTH_C = 2.0
_BOARD_FULL_LOAD_WARMTH_C = 15.0
_BLEEDER_WARMTH_C = 1.0


class BatteryModel:
    """Pack and BMS logic in pack time, which a simulation may run faster than the clock.

    Args:
        pack: the cells.
        settings: settings registers in force.
        board: power part of the BMS.
        profile: what charges and discharges the pack until ``drive`` is called; None for nothing.

    """

    def __init__(self, pack: Pack, settings: SettingsBlock, board: Board, profile: Profile | None = None) -> None:
        self.pack = pack
        self.gauge = FuelGauge(pack.soc * 100.0)
        self.statistics = Statistics()
        self.quiet_s = 0.0
        """Pack time since current flowed, a charger was there or a cell bled."""
        self._settings = settings
        self._board = board
        self._profile = profile
        self._driven_a: float | None = None
        self._time_s = 0.0
        self._control = ChargeController()
        self._wanted: Sequence[int] = ()
        self._bleeding: Sequence[int] = ()
        self._status = BmsStatus.IDLE
        self._board_c = pack.ambient_c + _BOARD_OWN_WARMTH_C
        self._voltages_v = pack.cell_voltages_v

    def drive(self, current_a: float) -> None:
        """Let somebody else set the current from now on, instead of the profile.

        Raises:
            ValueError: the current is not finite.

        """
        if not math.isfinite(current_a):
            raise ValueError(f"a current must be finite, got {current_a} A")
        self._driven_a = current_a

    def run(self, span_s: float, *, switches_open: bool = False) -> None:
        """Let ``span_s`` seconds of pack time pass; with open switches no current flows."""
        end_s = self._time_s + span_s
        longest_s = max(_STEP_S, span_s / _MAX_STEPS)
        steps = 0
        while self._time_s < end_s - 1e-9:
            dt_s = min(end_s - self._time_s, longest_s)
            if self._profile is not None and steps < 2 * _MAX_STEPS:
                dt_s = min(dt_s, self._profile.at(self._time_s)[1])
            self._step(dt_s, None if switches_open else self._wanted_a())
            self._time_s += dt_s
            steps += 1

    def set_soc(self, percent: float) -> None:
        """Set the count of the state of charge; the cells stay as they are."""
        self.gauge.soc_percent = percent

    def set_soh(self, percent: float) -> None:
        """Set the count of the state of health."""
        self.gauge.soh_percent = percent

    def sample(self, lifetime_s: int, external_sensors: int) -> Sample:
        """Return what the BMS measures now, with 0 to 2 external sensors."""
        limits = self._limits()
        return Sample(
            cells_v=self._voltages_v,
            configured_cells=self._settings[307],
            current_a=limits.measured_a(self.pack.current_a),
            soc_percent=self.gauge.soc_percent,
            soh_percent=self.gauge.soh_percent,
            left_ah=self.gauge.left_ah(self._capacity_ah()),
            lifetime_s=lifetime_s,
            internal_c=self._board_c,
            external_c=self._external_c(external_sensors),
            status=self._status,
            balancing_wanted=self._wanted,
            balancing_now=self._bleeding,
        )

    def _step(self, dt_s: float, wanted_a: float | None) -> None:
        limits = self._limits()
        current_a = self._gate(wanted_a, limits)
        self._balance(limits)
        self.pack.step(dt_s, current_a, self._bleeding)
        self._voltages_v = self.pack.cell_voltages_v
        measured_a = limits.measured_a(current_a)
        self.gauge.count(measured_a, dt_s, self._capacity_ah(), self._settings[322])
        self._warm_board(dt_s, current_a)
        self._finish(measured_a, limits)
        self.statistics.observe(measured_a, self._voltages_v, self.pack.temperatures_c)
        active = measured_a != 0.0 or self._control.charger or bool(self._bleeding)
        self.quiet_s = 0.0 if active else self.quiet_s + dt_s

    def _wanted_a(self) -> float:
        if self._driven_a is not None:
            return self._driven_a
        if self._profile is None:
            return 0.0
        segment, _ = self._profile.at(self._time_s)
        return segment.current_a(sum(self._voltages_v))

    def _gate(self, wanted_a: float | None, limits: Thresholds) -> float:
        """Return the current that flows: a driven one as it is, that of a profile within the cell limits."""
        if wanted_a is None:
            return 0.0
        if self._driven_a is None:
            return self._control.allow(wanted_a, self._voltages_v, limits)
        self._control.follow(wanted_a, limits)
        return wanted_a

    def _balance(self, limits: Thresholds) -> None:
        charging = self._control.charger or self._control.full
        self._wanted = balancing_wanted(self._voltages_v, limits) if charging else ()
        self._bleeding = balancing_now(self._wanted)

    def _finish(self, measured_a: float, limits: Thresholds) -> None:
        """Note the end of a charge and the status."""
        if self._control.charge_complete(measured_a, self._voltages_v, limits):
            self.gauge.soc_percent = 100.0
            self.statistics.full_charge_count += 1
        before, self._status = self._status, self._control.status(measured_a, limits)
        if self._status is BmsStatus.CHARGING and before is not BmsStatus.CHARGING:
            self.statistics.charging_count += 1

    def _warm_board(self, dt_s: float, current_a: float) -> None:
        load = (current_a / self._board.discharge_cutoff_a) ** 2
        settled_c = (
            self.pack.ambient_c
            + _BOARD_OWN_WARMTH_C
            + _BOARD_FULL_LOAD_WARMTH_C * load
            + _BLEEDER_WARMTH_C * len(self._bleeding)
        )
        self._board_c = settled_c + (self._board_c - settled_c) * math.exp(-dt_s / _BOARD_TAU_S)

    def _external_c(self, sensors: int) -> tuple[float | None, float | None]:
        """Return the sensors' readings: the first sits on the lower half of the cells, the second on the upper."""
        cells_c = self.pack.temperatures_c
        half = len(cells_c) // 2
        lower_c, upper_c = sum(cells_c[:half]) / half, sum(cells_c[half:]) / (len(cells_c) - half)
        return (lower_c if sensors >= 1 else None), (upper_c if sensors >= 2 else None)

    def _limits(self) -> Thresholds:
        return Thresholds.of(self._settings, self._board.idle_current_a)

    def _capacity_ah(self) -> float:
        return self._settings[306] / 100.0
