import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeState,
    Freshness,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    Quantity,
    RateSettings,
    StateSettings,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.rates import RateMemory, limit_rates, lowest_wish_v, remember

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

SETTINGS = settings_before(bulk_voltage_v=58.4, max_charge_current_a=60.0, max_discharge_current_a=90.0)
STOPPED = replace(SETTINGS, inhibited=Inhibited(charge=True, discharge=True))


def in_force(cvl_v: float, ccl_a: float, dcl_a: float, since_rise_s: float = math.inf) -> RateMemory:
    """Return the memory of limits that are in force."""
    return RateMemory(cvl_v, ccl_a, dcl_a, since_rise_s, running=True)


def just_before(cvl_v: float, lifetime_s: int) -> RateMemory:
    """Return the memory of limits that were in force when the BMS had counted so far."""
    return RateMemory(cvl_v, 50.0, 100.0, at_lifetime_s=lifetime_s)


@pytest.mark.parametrize(
    ("cell_v", "current_a", "saved", "expected"),
    [
        pytest.param(3.30, -20.0, RateMemory(), (53.69, 0.0, 100.0), id="first start of all"),
        pytest.param(3.50, 30.0, RateMemory(), (56.09, 30.0, 100.0), id="first start while charging"),
        pytest.param(3.50, 30.0, RateMemory(54.0, 9.0, 40.0), (54.0, 9.0, 40.0), id="less was in force"),
        pytest.param(3.50, 30.0, RateMemory(58.4, 50.0, 100.0), (56.09, 30.0, 100.0), id="more was in force"),
        pytest.param(3.30, 0.0, just_before(58.4, 990), (58.4, 0.0, 100.0), id="an interruption"),
        pytest.param(3.30, 0.0, just_before(58.4, 900), (53.69, 0.0, 100.0), id="too long for an interruption"),
        pytest.param(3.30, 0.0, just_before(58.4, 1001), (53.69, 0.0, 100.0), id="a counter that was set back"),
        pytest.param(3.64, 2.0, RateMemory(58.3, 5.0, 100.0), (58.3, 2.0, 100.0), id="all but reached"),
        pytest.param(3.30, -20.0, RateMemory(53.6, 0.0, 0.0), (53.6, 0.0, 20.0), id="the inverter runs"),
        pytest.param(3.30, 0.0, RateMemory(53.6, 0.0, 0.0), (53.6, 0.0, 1.0), id="the inverter may run"),
    ],
)
def test_the_first_limits_are_no_jump(
    context: MakeContext,
    make_draft: MakeDraft,
    cell_v: float,
    current_a: float,
    saved: RateMemory,
    expected: tuple[float, ...],
) -> None:
    """After a start nothing lies above what flows or what was in force; but no inverter is switched off."""
    draft = make_draft()
    now = context(max_cell_v=cell_v, delta_mv=0.0, current_a=current_a, pack={"lifetime_s": 1000})
    memory = limit_rates(draft, now, saved, 0.1)

    expected = (expected[0], expected[1] + 50.0 * 0.1 / 30.0, min(100.0, expected[2] + 100.0 * 0.1 / 30.0))
    assert tuple(draft[quantity] for quantity in Quantity) == pytest.approx(expected)
    kept = in_force(draft[Quantity.CVL], draft[Quantity.CCL], draft[Quantity.DCL], 0.0)
    assert remember(memory, draft, context()) == kept


@pytest.mark.parametrize(
    ("since_rise_s", "cvl_v", "since_after_s"), [(18.9, 55.0, 19.9), (19.0, 55.4, 0.0), (math.inf, 55.4, 0.0)]
)
def test_cvl_rises_in_steps_and_not_too_often(
    context: MakeContext, make_draft: MakeDraft, since_rise_s: float, cvl_v: float, since_after_s: float
) -> None:
    """One step of at most 0.4 V, and none within 20 s of the last one."""
    draft = make_draft()
    memory = limit_rates(draft, context(), in_force(55.0, 50.0, 100.0, since_rise_s), 1.0)

    assert draft[Quantity.CVL] == pytest.approx(cvl_v)
    assert memory.since_rise_s == pytest.approx(since_after_s)
    (reason,) = draft.reasons[3:]
    assert (reason.code, reason.threshold, reason.step) == (LimitCode.RATE, 58.4, 0.4)
    assert reason.limit == reason.value == draft[Quantity.CVL]
    assert reason.wait_s == (20.0 if cvl_v > 55.0 else 1.0)


def test_a_rise_below_one_step_of_the_frame_is_left_out(context: MakeContext, make_draft: MakeDraft) -> None:
    """Noise at the border of a 0.1 V step must not move CVL up and down; a whole step waits its turn and goes out."""
    noise, waiting, due = make_draft(cvl_v=55.05), make_draft(cvl_v=55.1), make_draft(cvl_v=55.1)
    kept = limit_rates(noise, context(), in_force(55.0, 50.0, 100.0, 30.0), 1.0)
    limit_rates(waiting, context(), in_force(55.0, 50.0, 100.0, 3.0), 1.0)
    memory = limit_rates(due, context(), in_force(55.0, 50.0, 100.0, 30.0), 1.0)

    assert [draft[Quantity.CVL] for draft in (noise, waiting, due)] == [55.0, 55.0, 55.1]
    assert (kept.since_rise_s, memory.since_rise_s) == (31.0, 0.0)


@pytest.mark.parametrize(
    ("cvl_v", "since_fall_s", "expected_v"),
    [
        pytest.param(56.0, 10_799.0, 56.0, id="the target, long after the last fall"),
        pytest.param(56.0, 10_798.0, 55.95, id="the target, soon after a fall"),
        pytest.param(55.99, math.inf, 55.95, id="less than the target, which noise may be"),
    ],
)
def test_the_last_part_of_a_step_to_the_target_is_made_in_the_end(
    context: MakeContext, make_draft: MakeDraft, cvl_v: float, since_fall_s: float, expected_v: float
) -> None:
    """Where CVL starts from the voltage of the pack, its steps end below the target: no cell may stay low for that."""
    draft = make_draft(cvl_v=cvl_v)
    draft.target_v = 56.0
    limit_rates(draft, context(), replace(in_force(55.95, 50.0, 100.0), since_fall_s=since_fall_s), 1.0)

    assert draft[Quantity.CVL] == expected_v


@pytest.mark.parametrize(("running", "since_fall_s"), [(True, 0.0), (False, math.inf)])
def test_the_first_limits_of_a_start_are_no_fall(
    context: MakeContext, make_draft: MakeDraft, running: bool, since_fall_s: float
) -> None:
    """A start that is kept low, for cold cells for example, does not put off the last part of its way up."""
    memory = replace(in_force(54.0, 50.0, 100.0), running=running)

    assert remember(memory, make_draft(cvl_v=53.6), context()).since_fall_s == since_fall_s


@pytest.mark.parametrize("cells", [4, 8, 16])
@pytest.mark.parametrize("cell_v", [3.30, 3.301, 3.317, 3.3333])
def test_a_start_at_any_voltage_leads_to_the_whole_target(
    make_engine: MakeEngine, make_ratings: Callable[..., Any], cells: int, cell_v: float
) -> None:
    """Not to one step of the frame below it, which four cells feel as 25 mV each."""
    engine = make_engine(LimitSettings(), start_samples=3, ramped=True)
    sample = {"cells_v": (cell_v,) * cells, "current_a": 10.0, "ratings": make_ratings(series_cells=cells)}
    engine.feed(3, **sample)
    limits = engine.last_for(900.0, **sample)

    assert limits.cvl_v == pytest.approx(cells * 3.5)


@pytest.mark.parametrize("elapsed_s", [0.0, 0.1, 3600.0])
def test_every_fall_goes_out_at_once(context: MakeContext, make_draft: MakeDraft, elapsed_s: float) -> None:
    """A reduction waits for nothing, right after a rise either."""
    draft = make_draft(cvl_v=51.2, ccl_a=0.0, dcl_a=0.0)
    memory = limit_rates(draft, context(), in_force(58.4, 50.0, 100.0, 0.0), elapsed_s)

    assert [draft[quantity] for quantity in Quantity] == [51.2, 0.0, 0.0]
    assert memory.since_rise_s == elapsed_s


@pytest.mark.parametrize(("elapsed_s", "share"), [(0.0, 0.0), (0.1, 1 / 300), (15.0, 0.5), (30.0, 1.0), (300.0, 1.0)])
def test_currents_rise_from_0_to_their_base_in_30_s(
    context: MakeContext, make_draft: MakeDraft, elapsed_s: float, share: float
) -> None:
    """The ramp is a share of the base each second, whatever the rhythm of the samples."""
    draft = make_draft()
    limit_rates(draft, context(), in_force(58.4, 0.0, 0.0, 0.0), elapsed_s)

    assert draft[Quantity.CCL] == pytest.approx(50.0 * share)
    assert draft[Quantity.DCL] == pytest.approx(100.0 * share)


@pytest.mark.parametrize(
    "rates", [RateSettings(), RateSettings(cvl_interval_s=0.0, cvl_step_v=0.0, current_rise_s=0.0)]
)
@pytest.mark.parametrize("why", [{"new_sample": False}, {"fresh": False}, {"in_doubt": True}])
def test_time_alone_raises_nothing(
    context: MakeContext, make_draft: MakeDraft, rates: RateSettings, why: dict[str, bool]
) -> None:
    """Between two samples, in a hold and while readings are in doubt each limit stands; a fall goes out at once."""
    draft, falling = make_draft(), make_draft()
    now = context(settings_before(rates=rates))
    limit_rates(draft, now, in_force(55.0, 20.0, 30.0), 1.0, **why)
    limit_rates(falling, now, in_force(58.5, 60.0, 110.0), 1.0, **why)

    assert [draft[quantity] for quantity in Quantity] == [55.0, 20.0, 30.0]
    assert [falling[quantity] for quantity in Quantity] == [58.4, 50.0, 100.0]


def test_a_ramp_goes_on_where_it_stood(context: MakeContext, make_draft: MakeDraft) -> None:
    """The time between two samples counts for the ramp when the second one comes; that of a hold does not."""
    for fresh, share in ((True, 2.0 / 30.0), (False, 1.0 / 30.0)):
        draft = make_draft()
        waited = limit_rates(make_draft(), context(), in_force(58.4, 0.0, 0.0), 1.0, fresh=fresh, new_sample=False)
        limit_rates(draft, context(), waited, 1.0)
        assert draft[Quantity.CCL] == pytest.approx(50.0 * share)


def test_a_doubt_pauses_the_ramps_for_a_second_and_does_not_start_them_anew(
    context: MakeContext, make_draft: MakeDraft
) -> None:
    """A loose sense wire, in doubt at each second sample, costs a second of the ramp and not the charge of a day."""
    memory, seen = in_force(58.4, 0.0, 100.0), []
    for number in range(100):
        draft = make_draft()
        memory = limit_rates(draft, context(), memory, 0.1, in_doubt=number % 2 == 1)
        memory = remember(memory, draft, context())
        seen.append(draft[Quantity.CCL])

    assert seen[10] == pytest.approx(seen[9] + 50.0 / 300.0)
    assert 50.0 * (10.0 - 1.6) / 30.0 < seen[-1] < 50.0 * 9.2 / 30.0


def test_cvl_falls_for_a_wish_by_a_step_in_each_loop_of_a_gx() -> None:
    """0.1 V in 3 s, also where steps are rare; nothing holds a first limit up."""
    lately = replace(in_force(58.4, 50.0, 100.0), since_fall_s=1.0)

    assert lowest_wish_v(lately, 1.0) == 58.4
    assert lowest_wish_v(lately, 2.0) == pytest.approx(58.3)
    assert lowest_wish_v(lately, 30.0) == pytest.approx(57.4)
    assert lowest_wish_v(in_force(58.4, 50.0, 100.0), 0.1) == pytest.approx(58.3)
    assert lowest_wish_v(replace(lately, running=False), 1.0) == -math.inf
    assert lowest_wish_v(RateMemory(running=True), 1.0) == -math.inf


def test_ramps_can_be_switched_off(context: MakeContext, make_draft: MakeDraft) -> None:
    """0 means no bound: not an endless wait."""
    draft = make_draft()
    settings = settings_before(rates=RateSettings(cvl_interval_s=0.0, cvl_step_v=0.0, current_rise_s=0.0))
    limit_rates(draft, context(settings), in_force(51.2, 0.0, 0.0, 0.0), 0.0)

    assert [draft[quantity] for quantity in Quantity] == [58.4, 50.0, 100.0]


@given(
    before_v_a=st.tuples(st.floats(40.0, 60.0), st.floats(0.0, 50.0), st.floats(0.0, 100.0)),
    since_rise_s=st.floats(0.0, 100.0),
    elapsed_s=st.floats(0.0, 100.0),
)
def test_rates_only_hold_back(
    context: MakeContext,
    make_draft: MakeDraft,
    before_v_a: tuple[float, float, float],
    since_rise_s: float,
    elapsed_s: float,
) -> None:
    """Whatever was in force: the result lies between that and what was wanted, and never above what was wanted."""
    draft = make_draft()
    wanted = [draft[quantity] for quantity in Quantity]
    limit_rates(draft, context(), in_force(*before_v_a, since_rise_s), elapsed_s)

    for quantity, wanted_now, before in zip(Quantity, wanted, before_v_a, strict=True):
        assert min(wanted_now, before) <= draft[quantity] <= wanted_now


def test_a_restart_of_the_bridge_switches_no_inverter_off(make_engine: MakeEngine) -> None:
    """The first sendable DCL after a start is its full value: off grid the lights stay on."""
    engine = make_engine(SETTINGS, start_samples=3, ramped=True)
    decided = [engine.offer() for _ in range(3)]

    assert decided[:2] == [None, None]
    assert decided[2].may_send
    assert decided[2].dcl_a == 90.0
    assert {reason.code for reason in decided[2].reasons if reason.quantity is Quantity.DCL} == {LimitCode.CONFIGURED}


def test_a_restart_is_no_jump(make_engine: MakeEngine) -> None:
    """What was held back before a restart is held back after it, and rises by the same rates."""
    engine = make_engine(STOPPED, start_samples=3)
    engine.last_for(30.0)
    engine.settings = replace(engine.settings, inhibited=Inhibited())
    before = engine.feed(20)
    engine.restart()
    after = engine.feed(3)

    assert before.cvl_v == after.cvl_v == pytest.approx(54.0)
    assert before.ccl_a == pytest.approx(4.0)
    assert after.ccl_a <= before.ccl_a + 0.6
    assert engine.last_for(18.0).cvl_v == pytest.approx(54.0)
    assert engine.last_for(300.0).cvl_v == pytest.approx(58.4)
    assert engine.limits.ccl_a == 60.0


def test_a_silence_is_like_a_start(make_engine: MakeEngine) -> None:
    """Without a hold there is no last frame with CCL 0; after a silence of hours chargers still begin gently."""
    engine = make_engine(replace(SETTINGS, freshness=FreshnessSettings(hold_s=0.0)))
    assert engine.last_for(5.0).ccl_a == 60.0
    assert not engine.wait(60.0).may_send
    back = [
        limits for limits in (engine.feed(current_a=7.0, pack={"lifetime_s": 500}) for _ in range(5)) if limits.may_send
    ]

    assert back[0].ccl_a <= 8.0
    assert back[0].cvl_v == pytest.approx(16 * 3.55, abs=0.11)
    assert back[0].dcl_a == 90.0


def test_cvl_comes_back_step_by_step(make_engine: MakeEngine) -> None:
    """From the resting voltage to the target in steps of 0.4 V, 20 s apart; a jump of CVL is a jump of current."""
    engine = make_engine(STOPPED)
    engine.feed()
    engine.settings = replace(engine.settings, inhibited=Inhibited())
    seen = [engine.feed(every_s=0.5).cvl_v for _ in range(600)]
    rises = [(number / 2, after - before) for number, (before, after) in enumerate(pairwise(seen)) if after != before]

    assert seen[0] == pytest.approx(54.0), "the last rise was long ago"
    assert all(0.0 < rise <= 0.4 + 1e-9 for _, rise in rises)
    assert {later - sooner for (sooner, _), (later, _) in pairwise(rises)} == {20.0}
    assert seen[-1] == pytest.approx(58.4)


def test_a_dip_costs_the_time_of_its_return(make_engine: MakeEngine) -> None:
    """CVL falls with the sample that demands it and may rise again at once only after a rest of 20 s."""
    engine = make_engine(SETTINGS)
    engine.last_for(60.0)
    assert engine.feed(open_events=(0x03,)).cvl_v == pytest.approx(53.6)
    assert engine.feed().cvl_v == pytest.approx(54.0)
    assert engine.feed(open_events=(0x03,)).cvl_v == pytest.approx(53.6)
    assert engine.last_for(19.0).cvl_v == pytest.approx(53.6)
    assert engine.last_for(2.0).cvl_v == pytest.approx(54.0)


def test_charge_current_comes_back_by_a_ramp(make_engine: MakeEngine) -> None:
    """After a hold CCL starts at 0 and rises 2 A a second (case 5 of the reference: 100 A to 220 A at once)."""
    engine = make_engine(SETTINGS)
    engine.last_for(5.0)
    held = engine.wait(10.0)
    assert (held.freshness, held.ccl_a) == (Freshness.HOLD, 0.0)
    engine.feed(2)
    seen = [engine.feed().ccl_a for _ in range(320)]

    assert seen[0] < 1.0
    assert max(after - before for before, after in pairwise(seen)) == pytest.approx(0.2)
    assert seen[-1] == 60.0


def test_discharge_does_not_dip_after_a_hold(make_engine: MakeEngine) -> None:
    """DCL was as it was during HOLD and stays so when samples come back; after SILENT as well."""
    for silence_s, state in ((10.0, Freshness.HOLD), (100.0, Freshness.SILENT)):
        engine = make_engine(SETTINGS)
        engine.last_for(5.0)
        seen: list[Limits] = [engine.wait(silence_s)]
        seen += [engine.feed() for _ in range(20)]
        assert seen[0].freshness is state
        assert seen[-1].freshness is Freshness.FRESH
        assert {limits.dcl_a for limits in seen if limits.may_send} == {90.0}


def test_a_raised_maximum_is_no_jump(make_engine: MakeEngine) -> None:
    """New settings are in force at once downwards and by the ramp upwards."""
    engine = make_engine(replace(SETTINGS, max_charge_current_a=20.0))
    assert engine.feed().ccl_a == 20.0
    engine.settings = replace(engine.settings, max_charge_current_a=60.0)
    assert engine.feed(every_s=1.0).ccl_a == pytest.approx(22.0)
    engine.settings = replace(engine.settings, max_charge_current_a=10.0)
    assert engine.feed().ccl_a == 10.0


def test_leaving_float_is_no_jump(make_engine: MakeEngine) -> None:
    """From 5 A in FLOAT the current rises by its ramp although the state changes with one sample."""
    engine = make_engine(replace(SETTINGS, states=StateSettings(float_exit_soc_percent=94.0)))
    assert engine.feed(soc=96.0).ccl_a == 5.0
    after = engine.feed(soc=50.0)
    assert after.state is ChargeState.BULK
    assert after.ccl_a == pytest.approx(5.2)
    assert after.binding(Quantity.CCL).code is LimitCode.RATE


def test_a_clock_that_steps_back_raises_nothing(make_engine: MakeEngine) -> None:
    """Without time that has passed nothing rises; the ramp goes on from where it was."""
    engine = make_engine(STOPPED)
    engine.feed()
    engine.settings = replace(engine.settings, inhibited=Inhibited())
    before = engine.feed(10)
    engine.now_s -= 1.1
    assert engine.feed().ccl_a == pytest.approx(before.ccl_a)
    assert engine.feed().ccl_a == pytest.approx(before.ccl_a + 0.2)


def test_time_without_a_decision_is_no_head_start(make_engine: MakeEngine, make_ratings: Callable[..., Any]) -> None:
    """While the BMS's settings make no sense nothing is decided; afterwards limits go on from the last ones sent."""
    engine = make_engine(STOPPED)
    engine.feed()
    engine.settings = replace(engine.settings, inhibited=Inhibited())
    nonsense = make_ratings(over_voltage_cell_v=0.0)
    assert [engine.offer(every_s=1.0, ratings=nonsense) for _ in range(100)] == [None] * 100
    assert engine.feed().ccl_a == pytest.approx(0.2)


def test_old_data_at_the_start_sends_nothing(make_engine: MakeEngine) -> None:
    """Before anything was decided from fresh data there is no DCL "as it was": nothing is sent instead of 0 A."""
    engine = make_engine(SETTINGS, start_samples=3)
    assert [engine.offer(ratings=None) for _ in range(3)] == [None] * 3
    late = engine.offer(every_s=10.0)

    assert (engine.memory.freshness.state, late) == (Freshness.HOLD, None)
    assert engine.feed(2).dcl_a == 90.0
