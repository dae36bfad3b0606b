import math
from dataclasses import replace
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import FreshnessMemory, FreshnessSettings
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeState,
    Chemistry,
    Freshness,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    Memory,
    Quantity,
    RateMemory,
    StateMemory,
    StateSettings,
    StopMemory,
    explain,
    step,
)
from tinybms_bridge.battery.limits.charge_stop import Attempt
from tinybms_bridge.battery.limits.context import make_context
from tinybms_bridge.battery.limits.enforcement import EnforcementMemory
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot

T = TypeVar("T")

relaxed = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

wild = st.floats()


def mostly(good: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Return a strategy of values that a healthy system shows, with an odd one now and then."""
    return st.integers(0, 9).flatmap(lambda number: good if number else odd)


cell_v = mostly(st.floats(2.0, 4.5), wild)
current_a = mostly(st.floats(0.0, 750.0), wild)
percent = mostly(st.floats(0.0, 100.0), wild)
time_s = mostly(st.floats(0.0, 200.0), wild)

any_ratings = st.builds(
    Ratings,
    series_cells=mostly(st.integers(4, 16), st.integers(-1, 0xFFFF)),
    fully_charged_cell_v=cell_v,
    fully_discharged_cell_v=cell_v,
    over_voltage_cell_v=cell_v,
    under_voltage_cell_v=cell_v,
    charge_over_current_a=current_a,
    discharge_over_current_a=current_a,
    discharge_peak_current_a=st.none() | current_a,
    over_heat_c=wild,
    low_temperature_charge_c=wild,
    capacity_ah=wild,
)
any_snapshot = st.builds(
    Snapshot,
    sequence=st.integers(0, 5),
    taken_at_s=time_s,
    pack=st.builds(PackValues, voltage_v=wild, current_a=wild, soc_percent=percent),
    cells=st.builds(Cells, mostly(st.lists(cell_v, min_size=1, max_size=17), st.just([])).map(tuple)),
    ratings=mostly(any_ratings, st.none()),
)
any_states = st.builds(
    StateSettings,
    enabled=st.booleans(),
    bulk_soc_percent=percent,
    transition_soc_percent=percent,
    float_soc_percent=percent,
    float_exit_soc_percent=percent,
    soc_hysteresis_percent=percent,
    float_approach_offset_v=cell_v,
    float_offset_v=cell_v,
    maximum_ccl_in_float_a=current_a,
    imbalance_hold_mv=percent,
    imbalance_release_mv=percent,
    imbalance_hold_max_s=time_s,
    imbalance_drop_v_per_mv=wild,
    imbalance_drop_max_v=cell_v,
    sustain_entry_soc_percent=percent,
    sustain_exit_soc_percent=percent,
    sustain_voltage_v=cell_v,
    sustain_cell_v=st.none() | cell_v,
    sustain_ccl_a=current_a,
    sustain_dcl_a=current_a,
)
any_freshness = st.builds(
    FreshnessSettings,
    fresh_timeout_s=time_s,
    hold_s=time_s,
    start_samples=st.integers(-1, 5),
    return_samples=st.integers(-1, 5),
)
some_inhibited = st.builds(Inhibited, st.booleans(), st.booleans())
any_settings = st.builds(
    LimitSettings,
    defaults=st.sampled_from(ChargeDefaults),
    chemistry=st.none() | st.sampled_from(Chemistry),
    bulk_voltage_v=st.none() | wild,
    alarm_voltage_v=st.none() | wild,
    over_voltage_margin_v=mostly(st.floats(0.0, 2.0), wild),
    cell_max_v=st.none() | cell_v,
    floor_cell_v=st.none() | cell_v,
    resting_cell_v=st.none() | cell_v,
    max_charge_current_a=st.none() | current_a,
    max_discharge_current_a=st.none() | current_a,
    current_fraction=wild,
    states=any_states,
    freshness=any_freshness,
    inhibited=some_inhibited,
)
some_limits = st.builds(
    Limits,
    cvl_v=st.floats(1.0, 70.0),
    ccl_a=st.floats(0.0, 750.0),
    dcl_a=st.floats(0.0, 750.0),
    discharge_voltage_v=wild,
    state=st.sampled_from(ChargeState),
    freshness=st.just(Freshness.FRESH),
)
any_memory = st.builds(
    Memory,
    states=st.builds(StateMemory, st.sampled_from(ChargeState), st.booleans(), wild, st.booleans()),
    freshness=st.builds(
        FreshnessMemory,
        state=st.sampled_from(Freshness),
        since_s=time_s,
        streak=st.integers(-1, 10),
        last_sequence=st.integers(0, 5),
        last_sample_s=st.none() | time_s,
    ),
    last_step_s=st.none() | time_s,
    last_fresh=st.none() | some_limits,
    rates=st.builds(
        RateMemory,
        st.none() | st.floats(1.0, 70.0),
        st.none() | current_a,
        st.none() | current_a,
        running=st.booleans(),
    ),
    stop=st.builds(StopMemory, st.none() | st.floats(1.0, 70.0), st.floats(0.0, 10.0)),
    enforcement=st.builds(
        EnforcementMemory,
        st.none() | st.floats(1.0, 70.0),
        st.none() | st.floats(-300.0, 300.0),
        current_a,
        current_a,
        attempt=st.builds(Attempt, st.none() | st.floats(0.0, 300.0), time_s, st.booleans(), st.booleans()),
    ),
)


def check_bounds(snapshot: Snapshot, asked: LimitSettings, limits: Limits, before: Memory, after: Memory) -> None:
    """Assert what holds for every decision: CVL within its bounds, currents within 0 and the user's maximum.

    The floor of CVL gives way where charging is stopped or CCL enforced, down to the least CVL, and nowhere else; from
    there, or from the lower CVL of before, it is come back to by a ramp.
    """
    assert snapshot.ratings is not None
    ratings = snapshot.ratings
    context = make_context(snapshot, ratings, asked)
    assert 0.0 < context.least_v <= context.resting_v
    assert 0.0 < context.floor_v <= context.ceiling_v
    causes_v = (before.rates.cvl_v, before.stop.level_v, after.enforcement.level_v)
    lowest_v = min([context.floor_v, *[max(each, context.least_v) for each in causes_v if each is not None]])
    lowest_v = lowest_v if before.rates.cvl_v is None else min(lowest_v, before.rates.cvl_v)
    assert lowest_v <= limits.cvl_v <= context.ceiling_v
    assert math.isfinite(limits.cvl_v)
    assert limits.cvl_v <= context.over_voltage_bound_v <= ratings.over_voltage_cell_v * ratings.series_cells - 0.4
    assert limits.cvl_v <= context.fit.bms_target_v or limits.cvl_v == context.floor_v
    for current, maximum in (
        (limits.ccl_a, asked.max_charge_current_a),
        (limits.dcl_a, asked.max_discharge_current_a),
    ):
        assert 0.0 <= current <= 3276.7
        assert maximum is None or math.isnan(maximum) or current <= max(0.0, maximum)


def check_freshness(snapshot: Snapshot, asked: LimitSettings, limits: Limits, dcl_before_a: float) -> None:
    """Assert that old data never charges, never raises the discharge, and rests."""
    if limits.freshness is Freshness.FRESH:
        return
    assert snapshot.ratings is not None
    context = make_context(snapshot, snapshot.ratings, asked)
    assert limits.ccl_a == 0.0
    assert limits.cvl_v <= max(context.resting_v, context.floor_v)
    assert limits.dcl_a <= dcl_before_a
    assert limits.may_send == (limits.freshness is Freshness.HOLD)


def check_reasons(limits: Limits) -> None:
    """Assert that each limit has causes, that the last one carries its value, and that all can be put into words."""
    for quantity, limit in (
        (Quantity.CVL, limits.cvl_v),
        (Quantity.CCL, limits.ccl_a),
        (Quantity.DCL, limits.dcl_a),
    ):
        reasons = [reason for reason in limits.reasons if reason.quantity is quantity]
        assert reasons
        assert limits.binding(quantity) is reasons[-1]
        assert reasons[-1].limit == limit
        lowered = [reason.limit for reason in reasons if reason.code is not LimitCode.FLOOR]
        assert math.isnan(lowered[0]) or lowered == sorted(lowered, reverse=True)
    assert all(map(explain, limits.reasons))


@relaxed
@given(snapshot=any_snapshot, asked=any_settings, memory=any_memory, now_s=time_s)
def test_one_step_from_anywhere(snapshot: Snapshot, asked: LimitSettings, memory: Memory, now_s: float) -> None:
    """From any memory, with any sample, settings and time, a decision is within every bound or is no decision."""
    limits, after = step(snapshot, asked, memory, now_s)

    if limits is None:
        assert after.last_fresh == memory.last_fresh
        return
    check_bounds(snapshot, asked, limits, memory, after)
    check_freshness(snapshot, asked, limits, memory.last_fresh.dcl_a if memory.last_fresh else 0.0)
    check_reasons(limits)
    assert after.last_fresh == (limits if limits.freshness is Freshness.FRESH else memory.last_fresh)


@relaxed
@given(asked=any_settings, now_s=time_s, memory=any_memory)
def test_no_sample_no_limits(asked: LimitSettings, now_s: float, memory: Memory) -> None:
    """Without a sample nothing is decided and nothing fails."""
    limits, after = step(None, asked, memory, now_s)

    assert limits is None
    assert after.states == memory.states


@st.composite
def sound_ratings(draw: st.DrawFn) -> Ratings:
    """Return settings of a BMS that pass its own rules, of any chemistry and number of cells."""
    low, full = draw(st.sampled_from([(2.5, 3.65), (2.8, 3.5), (3.0, 4.2), (2.9, 4.05), (1.8, 2.8)]))
    return Ratings(
        series_cells=draw(st.integers(4, 16)),
        fully_charged_cell_v=full,
        fully_discharged_cell_v=low,
        over_voltage_cell_v=full + draw(st.floats(0.01, 0.3)),
        under_voltage_cell_v=low - 0.1,
        charge_over_current_a=draw(st.floats(1.0, 750.0)),
        discharge_over_current_a=draw(st.floats(1.0, 750.0)),
        discharge_peak_current_a=draw(st.none() | st.floats(1.0, 750.0)),
        over_heat_c=60.0,
        low_temperature_charge_c=1.0,
        capacity_ah=100.0,
    )


@st.composite
def plausible_sample(draw: st.DrawFn, ratings: Ratings) -> Snapshot:
    """Return a sample that the plausibility filter lets pass; number and time are set later."""
    count = ratings.series_cells
    cells = draw(st.lists(st.floats(0.5, 5.0), min_size=count, max_size=count))
    pack = PackValues(sum(cells), draw(st.floats(-750.0, 750.0)), draw(st.floats(0.0, 100.4)))
    return Snapshot(0, 0.0, pack, Cells(tuple(cells)), ratings=ratings)


@st.composite
def sensible_settings(draw: st.DrawFn) -> LimitSettings:
    """Return settings within the ranges of the configuration."""
    return LimitSettings(
        bulk_voltage_v=draw(st.none() | st.floats(3.0, 80.0)),
        alarm_voltage_v=draw(st.none() | st.floats(3.0, 80.0)),
        over_voltage_margin_v=draw(st.floats(0.0, 2.0)),
        cell_max_v=draw(st.none() | st.floats(1.2, 4.5)),
        floor_cell_v=draw(st.none() | st.floats(0.8, 4.5)),
        resting_cell_v=draw(st.none() | st.floats(0.8, 4.5)),
        max_charge_current_a=draw(st.none() | st.floats(0.0, 750.0)),
        max_discharge_current_a=draw(st.none() | st.floats(0.0, 750.0)),
        states=replace(
            StateSettings(),
            enabled=draw(st.booleans()),
            float_offset_v=draw(st.floats(0.0, 5.0)),
            float_approach_offset_v=draw(st.floats(0.0, 5.0)),
            sustain_voltage_v=draw(st.floats(0.0, 80.0)),
        ),
        inhibited=draw(some_inhibited),
    )


@relaxed
@given(st.data())
def test_history_of_a_real_battery(data: st.DataObject) -> None:
    """Over any history of good samples, gaps and clock steps there is a decision once one counts, within bounds."""
    ratings, asked = data.draw(sound_ratings()), data.draw(sensible_settings())
    snapshot = data.draw(plausible_sample(ratings))
    memory, now_s, dcl_fresh_a = Memory(StateMemory(data.draw(st.sampled_from(ChargeState)))), 1000.0, 0.0
    for number in range(data.draw(st.integers(1, 12))):
        now_s += data.draw(st.sampled_from([0.1, 0.1, 1.0, 2.9, 5.0, 31.0, -40.0]))
        if data.draw(st.integers(0, 3)):
            snapshot = replace(data.draw(plausible_sample(ratings)), sequence=number + 1, taken_at_s=now_s)
        before = memory
        limits, memory = step(snapshot, asked, memory, now_s)

        assert (limits is None) == (memory.counted is None)
        if limits is None:
            continue
        check_bounds(snapshot, asked, limits, before, memory)
        check_freshness(snapshot, asked, limits, dcl_fresh_a)
        check_reasons(limits)
        assert limits.ccl_a <= ratings.charge_over_current_a
        assert limits.dcl_a <= ratings.discharge_over_current_a
        if limits.freshness is Freshness.FRESH:
            dcl_fresh_a = limits.dcl_a


@relaxed
@given(st.data())
def test_state_only_lowers(data: st.DataObject) -> None:
    """No charge state allows more than the same sample with the states switched off."""
    ratings, asked = data.draw(sound_ratings()), data.draw(sensible_settings())
    asked = replace(asked, freshness=FreshnessSettings(start_samples=1))
    snapshot = replace(data.draw(plausible_sample(ratings)), sequence=1)
    memory = Memory(StateMemory(data.draw(st.sampled_from(ChargeState)), data.draw(st.booleans())))
    on, _ = step(snapshot, replace(asked, states=replace(asked.states, enabled=True)), memory, 0.0)
    off, _ = step(snapshot, replace(asked, states=replace(asked.states, enabled=False)), memory, 0.0)

    assert on is not None
    assert off is not None
    assert off.state is ChargeState.BULK
    assert (on.cvl_v, on.ccl_a, on.dcl_a) <= (off.cvl_v, off.ccl_a, off.dcl_a)
    assert on.ccl_a <= off.ccl_a
    assert on.dcl_a <= off.dcl_a
