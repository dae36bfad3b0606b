"""The engine over random lives of a battery: samples, faults, silences, new settings, restarts, clocks that step."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tinybms_bridge.battery.bms_event_kinds import EVENT_KINDS, Stops, kind_of
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeProfile,
    Curve,
    Freshness,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    Memory,
    PolicySettings,
    ProtectionSettings,
    Quantity,
    RateSettings,
    StateSettings,
    explain,
    step,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.derating import is_blind
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Switches, Temperatures

EPSILON = 1e-6

CHEMISTRIES = {"lfp": (3.65, 2.90, 3.75), "lfp-factory": (3.60, 2.80, 4.20), "li-ion": (4.15, 3.0, 4.25)} | {
    "lto": (2.65, 1.80, 2.80),
    "close": (3.65, 2.90, 3.66),
}
"""Registers 300, 301 and 315."""


@st.composite
def rated(draw: st.DrawFn) -> Ratings:
    """Return settings of a BMS."""
    full_v, empty_v, cutoff_v = CHEMISTRIES[draw(st.sampled_from(sorted(CHEMISTRIES)))]
    return Ratings(
        series_cells=draw(st.integers(4, 16)),
        fully_charged_cell_v=full_v,
        fully_discharged_cell_v=empty_v,
        over_voltage_cell_v=cutoff_v,
        under_voltage_cell_v=empty_v - 0.2,
        charge_over_current_a=draw(st.sampled_from([20.0, 100.0, 750.0])),
        discharge_over_current_a=draw(st.sampled_from([60.0, 150.0])),
        discharge_peak_current_a=draw(st.none() | st.just(200.0)),
        over_heat_c=draw(st.sampled_from([45.0, 60.0])),
        low_temperature_charge_c=draw(st.sampled_from([-20.0, 1.0])),
        capacity_ah=draw(st.sampled_from([10.0, 280.0])),
        switches=draw(st.sampled_from(Switches)),
    )


maxima_a = st.none() | st.sampled_from([0.0, 5.0, 40.0, 750.0])
some_curves = st.sampled_from(
    [
        (),
        (("charge_by_soc", Curve(((80.0, 1.0), (100.0, 0.1)))),),
        (("discharge_by_cell_voltage", Curve(((2.0, 0.0), (3.0, 0.5)))),),
        (("charge_by_temperature", Curve(((0.0, 0.0), (10.0, 0.05)))),),
    ]
)
some_settings = st.builds(
    LimitSettings,
    defaults=st.sampled_from(ChargeDefaults),
    bulk_voltage_v=st.none() | st.floats(9.0, 70.0),
    max_charge_current_a=maxima_a,
    keep_lost_sensor=st.booleans(),
    max_discharge_current_a=maxima_a,
    over_voltage_margin_v=st.sampled_from([0.0, 0.1, 1.0]),
    curves=some_curves,
    states=st.builds(
        StateSettings,
        enabled=st.booleans(),
        float_offset_v=st.sampled_from([0.1, 2.0]),
        imbalance_hold_max_s=st.sampled_from([60.0, 14_400.0]),
        sustain_dcl_a=st.sampled_from([0.0, 5.0]),
    ),
    policy=st.builds(
        PolicySettings,
        profile=st.sampled_from(ChargeProfile),
        soc_max_percent=st.sampled_from([60.0, 80.0, 100.0]),
        soc_min_percent=st.sampled_from([0.0, 20.0]),
        force_charge_start_percent=st.sampled_from([0.0, 30.0]),
    ),
    protection=st.builds(
        ProtectionSettings, gain=st.sampled_from([0.0, 120.0, 1000.0]), relearn_s=st.sampled_from([60.0, 3600.0])
    ),
    rates=st.builds(
        RateSettings,
        cvl_interval_s=st.sampled_from([0.5, 20.0]),
        cvl_step_v=st.sampled_from([0.1, 0.4]),
        current_rise_s=st.sampled_from([5.0, 30.0]),
    ),
    inhibited=st.builds(Inhibited, st.booleans(), st.booleans()),
)

sensors_c = st.none() | st.floats(-45.0, 70.0) | st.just(25.0)
some_events = st.lists(st.sampled_from([*EVENT_KINDS, 0x20, 0x45]), max_size=2).map(tuple)


class Life(RuleBasedStateMachine):
    """One battery with its bridge."""

    @initialize(ratings=rated(), asked=some_settings, soc=st.floats(0.0, 100.0), spread_v=st.floats(0.0, 0.3))
    def begin(self, ratings: Ratings, asked: LimitSettings, soc: float, spread_v: float) -> None:
        """Switch everything on."""
        self.ratings, self.asked = ratings, replace(asked, inhibited=Inhibited())
        self.soc, self.rest_v, self.spread_v = soc, ratings.fully_charged_cell_v - 0.05, spread_v
        self.lifetime_s = 1000.0
        self.memory, self.now_s, self.number = Memory(), 100.0, 0
        self.snapshot: Snapshot | None = None
        self.sent: Limits | None = None
        self.fresh: Limits | None = None
        self.since_rise_s = 1e9
        self.waited_s = 0.0
        self.sent_at_s = -1e9
        self.running = False

    # --- what happens --------------------------------------------------------------------------------------------

    @rule(
        gap_s=st.sampled_from([0.1, 0.1, 1.0, 2.9]),
        times=st.integers(1, 8),
        walk=st.tuples(st.floats(-3.0, 3.0), st.floats(-0.1, 0.1), st.floats(-0.05, 0.05)),
        current_a=st.floats(-300.0, 300.0) | st.sampled_from([0.0, 1.0]),
        temperatures_c=st.tuples(sensors_c, sensors_c, sensors_c),
        status=st.sampled_from(BmsStatus),
        events=st.just(()) | some_events,
    )
    def sample(
        self,
        gap_s: float,
        times: int,
        walk: tuple[float, float, float],
        current_a: float,
        temperatures_c: tuple[float | None, ...],
        status: BmsStatus,
        events: tuple[int, ...],
    ) -> None:
        """Let the battery drift and answer a few times, with sensors and events as they come."""
        full_v, empty_v = self.ratings.fully_charged_cell_v, self.ratings.fully_discharged_cell_v
        self.soc = min(100.4, max(0.0, self.soc + walk[0]))
        self.rest_v = min(full_v + 0.15, max(empty_v - 0.1, self.rest_v + walk[1]))
        self.spread_v = min(0.3, max(0.0, self.spread_v + walk[2]))
        cells_v = tuple(self.rest_v - self.spread_v * (n % 3) / 2.0 for n in range(self.ratings.series_cells))
        for _ in range(times):
            self._pass(gap_s)
            self.number += 1
            self.snapshot = Snapshot(
                self.number,
                self.now_s,
                PackValues(sum(cells_v), current_a, self.soc, status=status, lifetime_s=int(self.lifetime_s)),
                Cells(cells_v),
                Temperatures(*temperatures_c),
                self.ratings,
                events,
            )
            self._decide(gap_s)

    @rule(gap_s=st.sampled_from([0.0, 0.5, 1.0]), times=st.integers(1, 10))
    def wait(self, gap_s: float, times: int) -> None:
        """Ask again without a new sample."""
        for _ in range(times):
            self._pass(gap_s)
            self._decide(gap_s)

    @precondition(lambda self: self.snapshot is not None)
    @rule(seconds=st.sampled_from([5, 20, 40, 120]))
    def silence(self, seconds: int) -> None:
        """Let the BMS be silent for long."""
        for _ in range(seconds):
            self._pass(1.0)
            self._decide(1.0)

    @rule(asked=some_settings)
    def configure(self, asked: LimitSettings) -> None:
        """Replace all settings."""
        self.asked = asked

    @rule()
    def restart(self) -> None:
        """End the bridge and start it again from its file."""
        saved = SavedState.of(EnergyTotals(), self.memory)
        loaded = SavedState.from_document(json.loads(json.dumps(saved.to_document())))
        assert loaded == saved
        self.memory = loaded.memory
        self.snapshot = self.fresh = None
        self.running = False
        self.now_s, self.number = 50.0, 0

    @rule(seconds=st.sampled_from([0.5, 3.0, 1000.0]))
    def step_clock_back(self, seconds: float) -> None:
        """Set the clock back."""
        self.now_s -= seconds
        self._decide(0.0)

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        self.lifetime_s += seconds

    # --- what must hold ------------------------------------------------------------------------------------------

    def _decide(self, elapsed_s: float) -> None:
        before = self.memory
        self.new_sample = self.snapshot is not None and self.snapshot.sequence != before.freshness.last_sequence
        self.stop_level_v, self.cvl_before_v = before.stop.level_v, before.rates.cvl_v
        limits, self.memory = step(self.snapshot, self.asked, before, self.now_s)
        self.returned = before.freshness.state is not Freshness.FRESH or self.now_s <= (before.last_step_s or 0.0)
        if limits is None:
            assert self.snapshot is None or self.fresh is None, "what was decidable once stays so"
            return
        assert self.memory.counted is not None
        rest, lowest = self.memory.rest, self.memory.chemistry.lowest
        context = make_context(self.memory.counted, self.ratings, self.asked, rest, lowest)
        self._check_bounds(limits, context)
        self._check_reasons(limits)
        self._check_data(limits)
        self._check_demands(limits, context)
        self._check_directions(limits, context, elapsed_s)
        if limits.may_send:
            self._check_rates(limits, context, elapsed_s)
            self.sent, self.sent_at_s = limits, self.lifetime_s
        self.running = limits.may_send
        if limits.freshness is Freshness.FRESH:
            self.fresh = limits

    def _check_bounds(self, limits: Limits, context: Context) -> None:
        cutoff_v = self.ratings.over_voltage_cell_v * self.ratings.series_cells
        assert 0.0 < min(context.least_v, context.floor_v) <= limits.cvl_v <= context.ceiling_v
        if limits.cvl_v < context.floor_v:  # charging goes on although it is stopped, or although CCL is less
            causes_v = (self.stop_level_v, self.memory.enforcement.level_v, self.cvl_before_v)
            assert limits.cvl_v >= min(each for each in causes_v if each is not None) - EPSILON
        assert limits.cvl_v <= cutoff_v - 0.4 - self.asked.over_voltage_margin_v + EPSILON
        for limit_a, maximum_a, cutoff_a in (
            (limits.ccl_a, self.asked.max_charge_current_a, self.ratings.charge_over_current_a),
            (limits.dcl_a, self.asked.max_discharge_current_a, self.ratings.discharge_over_current_a),
        ):
            assert 0.0 <= limit_a <= min(cutoff_a, cutoff_a if maximum_a is None else maximum_a)

    def _check_reasons(self, limits: Limits) -> None:
        for quantity in Quantity:
            value: float = getattr(limits, quantity)
            binding = limits.binding(quantity)
            assert binding is not None
            assert binding.limit == value
            story = [r.limit for r in limits.reasons if r.quantity is quantity and r.code is not LimitCode.FLOOR]
            assert story == sorted(story, reverse=True)
        assert all(explain(reason) for reason in limits.reasons)

    def _check_data(self, limits: Limits) -> None:
        assert self.snapshot is not None
        age_s, freshness = abs(self.now_s - self.snapshot.taken_at_s), self.asked.freshness
        if age_s > freshness.fresh_timeout_s + EPSILON:
            assert limits.freshness is not Freshness.FRESH
        if age_s > freshness.fresh_timeout_s + freshness.hold_s + EPSILON:
            assert not limits.may_send
        if limits.freshness is Freshness.FRESH:
            return
        assert limits.ccl_a == 0.0
        if limits.freshness is Freshness.HOLD:
            assert self.fresh is not None
            assert limits.dcl_a <= self.fresh.dcl_a

    def _check_demands(self, limits: Limits, context: Context) -> None:
        """What the readings that count and the user demand is in force with this very step."""
        snapshot, curves, inhibited = context.snapshot, context.curves, self.asked.inhibited
        charge_a, discharge_a = (
            next(reason.limit for reason in limits.reasons if reason.quantity is quantity)
            for quantity in (Quantity.CCL, Quantity.DCL)
        )
        assert limits.ccl_a <= charge_a * curves["charge_by_cell_voltage"].at(snapshot.cells.max_v) + EPSILON
        assert limits.dcl_a <= discharge_a * curves["discharge_by_cell_voltage"].at(snapshot.cells.min_v) + EPSILON
        for celsius in snapshot.temperatures.pack_c:
            assert limits.ccl_a <= charge_a * curves["charge_by_temperature"].at(celsius) + EPSILON
            assert limits.dcl_a <= discharge_a * curves["discharge_by_temperature"].at(celsius) + EPSILON
            if curves["charge_by_temperature"].at(celsius) == 0.0:
                assert limits.cvl_v <= context.resting_v
        if limits.freshness is Freshness.FRESH and self.asked.keep_lost_sensor:
            for celsius in self._temperatures_c():
                assert limits.ccl_a <= charge_a * curves["charge_by_temperature"].at(celsius) + EPSILON
        if snapshot.cells.max_v > context.charging.threshold_cell_v:
            assert limits.cvl_v <= max(context.floor_v, snapshot.pack.voltage_v - 0.1) + EPSILON
        assert not inhibited.charge or limits.ccl_a == 0.0
        assert not inhibited.discharge or limits.dcl_a == 0.0

    def _check_rates(self, limits: Limits, context: Context, elapsed_s: float) -> None:
        """Nothing jumps up, over a restart and a silence neither; what comes first lies not above what flows."""
        before, rates, pack = self.sent, self.asked.rates, context.snapshot.pack
        self.waited_s += elapsed_s
        ramps_a = {
            quantity: next(r.limit for r in limits.reasons if r.quantity is quantity)
            * self.waited_s
            / rates.current_rise_s
            for quantity in (Quantity.CCL, Quantity.DCL)
        }
        if self.new_sample and not self.memory.readings.in_doubt:  # what rises takes the time since the last rise
            self.waited_s = 0.0
        least_dcl_a = 0.0
        if not self.running:
            least_dcl_a = max(1.0, -pack.current_a)
            flows_v = max(context.resting_v, pack.voltage_v) + rates.cvl_least_rise_v
            away_s = self.lifetime_s - self.sent_at_s
            assert limits.cvl_v <= max(flows_v, context.floor_v) + EPSILON or away_s < 62.0
            assert limits.ccl_a <= max(0.0, pack.current_a) + ramps_a[Quantity.CCL] + EPSILON
        if before is None:
            self.since_rise_s = 1e9
            return
        self.since_rise_s += elapsed_s
        if limits.cvl_v > max(before.cvl_v, context.floor_v) + EPSILON:
            assert limits.cvl_v <= before.cvl_v + context.charging.cvl_step_v + EPSILON
            assert self.since_rise_s >= rates.cvl_interval_s - EPSILON
            self.since_rise_s = 0.0
        if self.running and not self.new_sample:
            assert limits.cvl_v <= max(before.cvl_v, context.floor_v) + EPSILON
            assert limits.ccl_a <= before.ccl_a
            assert limits.dcl_a <= before.dcl_a
            return
        assert limits.ccl_a <= before.ccl_a + ramps_a[Quantity.CCL] + EPSILON
        assert limits.dcl_a <= max(before.dcl_a, least_dcl_a) + ramps_a[Quantity.DCL] + EPSILON

    def _check_directions(self, limits: Limits, context: Context, elapsed_s: float) -> None:
        """A limit of 0 has one of its own causes; off grid a DCL of 0 switches the inverter off."""
        if limits.freshness is not Freshness.FRESH:
            return
        stops = Stops.NOTHING
        for number in context.snapshot.open_events:
            stops |= kind_of(number).stops_with(self.ratings.switches)
        unknown = not stops and context.snapshot.pack.status is BmsStatus.FAULT
        if limits.dcl_a == 0.0:
            assert self._may_end_discharge(context, Stops.DISCHARGE in stops, elapsed_s)
        if limits.ccl_a == 0.0:
            assert self._may_end_charge(context, Stops.CHARGE in stops or unknown, elapsed_s), limits.reasons
        if stops & Stops.DISCHARGE:
            assert limits.dcl_a == 0.0
        if stops & Stops.CHARGE or unknown:
            assert limits.ccl_a == 0.0
            assert limits.cvl_v <= context.resting_v

    def _may_end_discharge(self, context: Context, stopped: bool, elapsed_s: float) -> bool:
        snapshot, asked = context.snapshot, self.asked
        policy, curve = asked.policy, context.curves["discharge_by_cell_voltage"]
        heat = context.curves["discharge_by_temperature"]
        window_end = policy.soc_min_percent + policy.soc_window_hysteresis_percent
        empty_until_v = next(x for x, fraction in curve.points if fraction == curve.most)
        states = asked.states
        return (
            stopped
            or asked.inhibited.discharge
            or asked.max_discharge_current_a == 0.0
            or (policy.soc_min_percent > 0.0 and snapshot.pack.soc_percent <= window_end)
            or snapshot.cells.min_v < empty_until_v
            or self.memory.discharge.pause.on
            or any(heat.at(celsius) <= 0.0 for celsius in (*snapshot.temperatures.pack_c, *self._last_of_the_board_c()))
            or (states.enabled and states.sustain_dcl_a == 0.0 and snapshot.pack.soc_percent < 8.0)
            or self._no_time_to_rise(Quantity.DCL, elapsed_s)
        )

    def _may_end_charge(self, context: Context, stopped: bool, elapsed_s: float) -> bool:
        snapshot, asked = context.snapshot, self.asked
        cold = context.curves["charge_by_temperature"]
        bears_a = 0.02 * context.ratings.capacity_ah
        upper = min(asked.policy.soc_max_percent, asked.policy.storage_soc_percent)
        in_store = context.soc.percent >= upper - asked.policy.soc_window_hysteresis_percent
        return (
            stopped
            or asked.inhibited.charge
            or asked.max_charge_current_a == 0.0
            or (asked.policy.profile is ChargeProfile.STORAGE and in_store)
            or context.curves["charge_by_cell_voltage"].at(snapshot.cells.max_v) <= 0.0
            or any(cold.at(celsius) < min(0.1, cold.most) for celsius in self._temperatures_c())
            or any(cold.at(celsius) <= 0.0 for celsius in self._temperatures_c())
            or any(context.charging.cold_a(celsius) <= bears_a for celsius in self._temperatures_c())
            or is_blind(self.memory.sensors, snapshot.temperatures)
            or self._no_time_to_rise(Quantity.CCL, elapsed_s)
        )

    def _temperatures_c(self) -> list[float]:
        """Return what is measured, and what a lost sensor has read last."""
        assert self.memory.counted is not None
        sensors = self.memory.sensors
        return [
            *self.memory.counted.temperatures.pack_c,
            *(celsius for celsius in (sensors.external_1_c, sensors.external_2_c) if celsius is not None),
            *self._last_of_the_board_c(),
        ]

    def _last_of_the_board_c(self) -> list[float]:
        """Return what the board's sensor has read last, while no sensor is alive."""
        assert self.memory.counted is not None
        board_c = self.memory.sensors.internal_c
        return [] if self.memory.counted.temperatures.pack_c or board_c is None else [board_c]

    def _no_time_to_rise(self, quantity: Quantity, elapsed_s: float) -> bool:
        still = elapsed_s == 0.0 or not self.new_sample or self.returned or self.memory.readings.in_doubt
        return still and self.sent is not None and getattr(self.sent, quantity) == 0.0


TestLife: Any = Life.TestCase
TestLife.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
