from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeProfile,
    ChargeState,
    LimitCode,
    Limits,
    LimitSettings,
    PolicyMemory,
    PolicySettings,
    Quantity,
    RateSettings,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.policy import RebulkMemory, apply_policy, full_charge_due, next_policy, next_rebulk
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

DAY_S = 86_400
FULL = {"status": BmsStatus.FULLY_CHARGED}
UNRAMPED = RateSettings(cvl_interval_s=0.0, cvl_step_v=0.0, current_rise_s=0.0)
TAIL = {"max_cell_v": 3.64, "current_a": 2.0}
"""At full voltage with a current below 3 % of 100 Ah."""
PLATEAU = {"max_cell_v": 3.32}
"""Cells at rest that contradict no count from 30 to 95 %."""
LOW = {"max_cell_v": 3.22}
"""Cells at rest that contradict no count from 10 to 20 %, and none above where discharging ends."""


def wishes(**changes: Any) -> LimitSettings:
    """Return settings with wishes of the user and without ramps."""
    return settings_before(policy=PolicySettings(**changes), rates=UNRAMPED)


@pytest.fixture(name="walk")
def _walk(context: MakeContext) -> Callable[..., list[PolicyMemory]]:
    """Return a driver: settings, samples and the seconds between them in, the memory after each out."""

    def walk(
        settings: LimitSettings, samples: list[dict[str, Any]], *, seconds: float = 1.0, memory: PolicyMemory
    ) -> list[PolicyMemory]:
        seen = []
        for sample in samples:
            memory = next_policy(memory, context(settings, **sample), seconds)
            seen.append(memory)
        return seen

    return walk


Walk = Callable[..., list[PolicyMemory]]
EMPTY = PolicyMemory()


# --- full ---------------------------------------------------------------------------------------------------------


def test_full_when_the_bms_says_so(walk: Walk) -> None:
    """Status 0x92 is enough, at any voltage and SOC, and at once."""
    (memory,) = walk(wishes(), [{"soc": 97.0, "max_cell_v": 3.4, "pack": FULL | {"lifetime_s": 5000}}], memory=EMPTY)

    assert (memory.full, memory.full_soc_percent, memory.full_at_lifetime_s) == (True, 97.0, 5000)


@pytest.mark.parametrize("event", [0x38, 0x39])
def test_a_charge_that_ended_early_is_not_full(walk: Walk, event: int) -> None:
    """Status 0x92 also follows a charger that does not fit; then SOC was not set to 100 %, and the pack may be half."""
    (memory,) = walk(wishes(), [{"soc": 60.0, "pack": FULL, "open_events": (event,)}], memory=EMPTY)

    assert not memory.full


def test_full_after_two_minutes_of_tail_current(walk: Walk) -> None:
    """At full voltage with a small current for 120 s, whatever the counted SOC."""
    seen = walk(wishes(), [TAIL | {"soc": 83.0}] * 125, memory=EMPTY)

    assert [memory.full for memory in seen] == [False] * 119 + [True] * 6
    assert seen[-1].full_soc_percent == 83.0


@pytest.mark.parametrize(
    ("moment", "is_full"),
    [
        pytest.param({"max_cell_v": 3.64, "current_a": 0.0}, True, id="the current has gone to 0"),
        pytest.param({"max_cell_v": 3.64, "current_a": 3.0}, True, id="3 % of the capacity"),
        pytest.param({"max_cell_v": 3.64, "current_a": 3.1}, False, id="more than 3 %"),
        pytest.param({"max_cell_v": 3.64, "current_a": -0.5}, False, id="discharging"),
        pytest.param({"max_cell_v": 3.60, "current_a": 2.0}, False, id="the voltage is not reached"),
        pytest.param({"max_cell_v": 3.35, "current_a": 0.0}, False, id="at rest on the plateau"),
        pytest.param({"max_cell_v": 3.33, "current_a": 1.0}, False, id="weak sun on the plateau"),
    ],
)
def test_what_counts_as_tail_current(walk: Walk, moment: dict[str, Any], is_full: bool) -> None:
    """Voltage and current together; a pack at rest is not full because no current flows."""
    assert walk(wishes(), [moment], seconds=3600.0, memory=EMPTY)[-1].full is is_full


@pytest.mark.parametrize(
    ("settings", "max_cell_v", "is_full"),
    [
        (settings_before(bulk_voltage_v=55.2), 3.44, True),
        (settings_before(bulk_voltage_v=55.2), 3.41, False),
        (settings_before(cell_max_v=3.5), 3.49, True),
        (settings_before(alarm_voltage_v=56.0), 3.49, True),
        (settings_before(bulk_voltage_v=53.6), 3.35, False),
        (settings_before(), 3.60, False),
        (settings_before(bulk_voltage_v=60.0), 3.44, True),
    ],
)
def test_full_voltage_is_that_of_the_target(
    walk: Walk, settings: LimitSettings, max_cell_v: float, is_full: bool
) -> None:
    """A pack that is charged to 3.45 V per cell is full there; but no target makes a plateau at rest full."""
    sample = {"max_cell_v": max_cell_v, "current_a": 1.0}

    assert walk(settings, [sample] * 2, seconds=60.0, memory=EMPTY)[-1].full is is_full


@pytest.mark.parametrize("cells", [4, 8, 16])
def test_full_is_found_with_a_close_cutoff(walk: Walk, make_ratings: Callable[..., Ratings], cells: int) -> None:
    """With register 315 just above 300 the target lies below register 300, and the pack is full at the target."""
    ratings = make_ratings(series_cells=cells, fully_charged_cell_v=3.65, over_voltage_cell_v=3.66)
    target_v = 3.66 * cells - 0.5
    sample = {"ratings": ratings, "max_cell_v": target_v / cells, "current_a": 1.0}

    assert walk(wishes(), [sample] * 2, seconds=60.0, memory=EMPTY)[-1].full


def test_load_steps_delay_full_and_do_not_prevent_it(walk: Walk) -> None:
    """A noisy current or a load of seconds does not start the two minutes anew (a complaint elsewhere)."""
    second = [TAIL, TAIL | {"current_a": -0.2}, TAIL, TAIL, TAIL | {"max_cell_v": 3.55, "current_a": -40.0}, TAIL]
    seen = walk(wishes(), second * 100, memory=EMPTY)

    assert 120 < [memory.full for memory in seen].index(True) < 260


def test_voltage_that_is_gone_takes_the_time_back(walk: Walk) -> None:
    """A short peak leaves nothing behind for the next one."""
    seen = walk(wishes(), [TAIL] * 100 + [{"max_cell_v": 3.4}] * 100 + [TAIL] * 100, memory=EMPTY)

    assert seen[199].tail_s == 0.0
    assert not seen[-1].full


def test_full_ends_below_the_float_band(walk: Walk) -> None:
    """Full from the SOC at which it was found down to 3 % below, the band of FLOAT, whatever the counter says."""
    full = PolicyMemory(full=True, full_soc_percent=83.0)
    seen = walk(wishes(), [{"soc": soc} for soc in (83.0, 81.0, 80.0, 79.9)], memory=full)

    assert [memory.full for memory in seen] == [True, True, True, False]


def test_a_corrected_counter_moves_the_end(walk: Walk) -> None:
    """Found full at a counted 85 %, set to 100 % by the BMS afterwards: full ends at 97 %, not at 82 %."""
    full = PolicyMemory(full=True, full_soc_percent=85.0)
    seen = walk(wishes(), [{"soc": 85.0}, {"soc": 100.0}, {"soc": 97.0}, {"soc": 96.9}], memory=full)

    assert [memory.full for memory in seen] == [True, True, True, False]


def test_a_full_pack_at_rest_is_full_once(walk: Walk) -> None:
    """From full through hours of rest there is one beginning of full and no second one."""
    story = [TAIL | {"soc": 96.0}] * 150 + [{"max_cell_v": 3.36, "current_a": 0.0, "soc": 95.5}] * 500
    story += [{"max_cell_v": 3.34, "current_a": -5.0, "soc": 90.0}] * 10
    story += [{"max_cell_v": 3.34, "current_a": 0.0, "soc": 90.0}] * 500
    seen = [memory.full for memory in walk(wishes(), story, seconds=5.0, memory=EMPTY)]

    assert sum(now and not before for before, now in zip([False, *seen], seen, strict=False)) == 1
    assert seen[-1] is False


def test_status_that_stays_is_one_event(walk: Walk) -> None:
    """A charger that stays connected keeps the BMS at 0x92 while SOC falls: full does not blink."""
    seen = walk(wishes(), [{"soc": 100.0 - n, "pack": FULL} for n in range(30)], memory=EMPTY)

    assert all(memory.full for memory in seen)


def test_weak_sun_and_a_wrong_counter_still_reach_float(make_engine: MakeEngine) -> None:
    """SOC counts 12 % too low: the pack is full at a counted 86 %, and FLOAT comes by voltage and current."""
    engine = make_engine()
    before = engine.last_for(100.0, soc=86.0, max_cell_v=3.64, current_a=1.5)
    after = engine.last_for(60.0, soc=86.5, max_cell_v=3.64, current_a=1.5)

    assert before.state is ChargeState.FLOAT_APPROACH
    assert (after.state, after.full) == (ChargeState.FLOAT, True)
    assert after.cvl_v == pytest.approx(58.3)
    assert engine.feed(soc=84.0).state is ChargeState.FLOAT
    assert engine.feed(soc=83.4).state is not ChargeState.FLOAT


# --- SOC window ---------------------------------------------------------------------------------------------------


def recently_full(**more: Any) -> PolicyMemory:
    """Return the memory of a pack that was full an hour ago."""
    return PolicyMemory(full_at_lifetime_s=1_000_000, **more)


NOW = {"lifetime_s": 1_003_600}


def test_window_has_hysteresis_at_both_ends(walk: Walk) -> None:
    """The upper bound holds until 5 % below it, the lower one until 5 % above it."""
    settings = wishes(soc_max_percent=80.0, soc_min_percent=20.0)
    up = walk(settings, [PLATEAU | {"soc": s} for s in (79.9, 80.0, 76.0, 75.0, 74.9, 79.0)], memory=recently_full())
    down = walk(settings, [LOW | {"soc": s} for s in (20.1, 20.0, 24.0, 25.0, 25.1, 21.0)], memory=recently_full())

    assert [memory.above_window for memory in up] == [False, True, True, True, False, False]
    assert [memory.below_window for memory in down] == [False, True, True, True, False, False]


def test_above_the_window_the_sun_is_not_stopped(context: MakeContext, make_draft: MakeDraft) -> None:
    """CVL at rest and 1 A: a CCL of 0 would stop the sun for the loads too. DCL is not touched."""
    settings, draft = wishes(soc_max_percent=80.0), make_draft()
    apply_policy(draft, context(settings, soc=85.0, pack=NOW, **PLATEAU), recently_full(above_window=True))

    assert [draft[q] for q in Quantity] == pytest.approx([53.6, 1.0, 100.0])
    assert [(r.code, r.value, r.threshold, r.detail) for r in draft.reasons[3:]] == [
        (LimitCode.SOC_WINDOW, 85.0, 80.0, "normal")
    ] * 2


def test_below_the_window_only_discharging_ends(context: MakeContext, make_draft: MakeDraft) -> None:
    """The user's reserve: DCL 0 with the bound in the reason; charging goes on."""
    settings, draft = wishes(soc_min_percent=20.0), make_draft()
    apply_policy(draft, context(settings, soc=19.0, **LOW), PolicyMemory(below_window=True))

    assert [draft[q] for q in Quantity] == [58.4, 50.0, 0.0]
    assert (draft.reasons[-1].value, draft.reasons[-1].threshold, draft.reasons[-1].detail) == (19.0, 20.0, "minimum")


@pytest.mark.parametrize("soc", [0.0, 50.0, 100.0, 100.4])
def test_without_a_window_there_is_none(walk: Walk, soc: float) -> None:
    """Bounds of 0 and 100 % bind nothing, also at a SOC a little above 100."""
    (memory,) = walk(wishes(), [{"soc": soc}], memory=PolicyMemory(above_window=True, below_window=True))

    assert (memory.above_window, memory.below_window) == (False, False)


def test_storage_keeps_the_pack_half_full(make_engine: MakeEngine) -> None:
    """Profile storage: no charging above its own SOC, a due full charge or not, and again 5 % below."""
    engine = make_engine(wishes(profile=ChargeProfile.STORAGE))
    at_70 = engine.feed(soc=70.0, **PLATEAU)
    at_49 = engine.feed(soc=49.0, **PLATEAU)

    assert (at_70.cvl_v, at_70.ccl_a, at_70.dcl_a) == pytest.approx((53.6, 0.0, 108.0))
    assert at_70.binding(Quantity.CCL).detail == "storage"
    assert (at_49.cvl_v, at_49.ccl_a) == pytest.approx((58.4, 54.0))


def test_storage_respects_a_lower_maximum(walk: Walk) -> None:
    """The lower of the storage SOC and the user's maximum counts."""
    settings = wishes(profile=ChargeProfile.STORAGE, soc_max_percent=40.0)

    assert walk(settings, [{"soc": 41.0}], memory=EMPTY)[-1].above_window


# --- full charges -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "memory", "lifetime_s", "due"),
    [
        pytest.param({}, PolicyMemory(), 0, True, id="never seen full"),
        pytest.param({}, recently_full(), 1_000_000, False, id="just full"),
        pytest.param({}, recently_full(), 1_000_000 + 14 * DAY_S - 1, False, id="13.99 days"),
        pytest.param({}, recently_full(), 1_000_000 + 14 * DAY_S, True, id="14 days, asleep or not"),
        pytest.param({}, recently_full(), 999_999, True, id="the counter was set back: nothing is known"),
        pytest.param({"full_charge_interval_days": 0.0}, PolicyMemory(), 0, False, id="switched off"),
        pytest.param({"full_charge_interval_days": 30.0}, recently_full(), 1_000_000 + 20 * DAY_S, False, id="30 d"),
        pytest.param({"profile": ChargeProfile.STORAGE}, PolicyMemory(), 0, False, id="storage never"),
        pytest.param({"profile": ChargeProfile.FULL_ONCE}, recently_full(), 1_000_001, True, id="asked for"),
        pytest.param(
            {"profile": ChargeProfile.FULL_ONCE}, recently_full(full_once_done=True), 1_000_001, False, id="done"
        ),
    ],
)
def test_when_a_full_charge_is_due(
    context: MakeContext, changes: dict[str, Any], memory: PolicyMemory, lifetime_s: int, due: bool
) -> None:
    """By the lifetime counter of the BMS, which runs in its sleep and while the bridge is off."""
    assert full_charge_due(memory, context(wishes(**changes), pack={"lifetime_s": lifetime_s})) is due


def test_a_due_full_charge_ignores_the_window_until_it_is_done(make_engine: MakeEngine) -> None:
    """After 14 days above the bound charging goes on, until the BMS says full; then the window is back."""
    engine = make_engine(wishes(soc_max_percent=80.0))
    engine.memory = replace(engine.memory, policy=recently_full())
    due = {"lifetime_s": 1_000_000 + 15 * DAY_S}

    assert engine.feed(soc=82.0, pack=NOW).ccl_a == 1.0
    assert engine.feed(soc=82.0, pack=due).ccl_a == pytest.approx(54.0)
    assert engine.feed(soc=90.0, pack=due).cvl_v == pytest.approx(58.35)
    full = engine.feed(soc=100.0, pack=due | FULL)
    assert full.full
    assert full.ccl_a == 1.0
    assert engine.last_for(180.0, soc=100.0, pack=due | FULL).cvl_v == pytest.approx(53.6)
    assert engine.feed(soc=90.0, pack=due).ccl_a == 1.0


def test_a_full_charge_waits_for_the_bms(walk: Walk) -> None:
    """Only the BMS sets its SOC right: full by voltage gives FLOAT, but the charge is done within another hour."""
    settings, due = wishes(soc_max_percent=80.0), {"lifetime_s": 77}
    seen = walk(settings, [TAIL | {"soc": 96.0, "pack": due}] * 70, seconds=60.0, memory=EMPTY)

    assert seen[1].full
    assert seen[1].full_at_lifetime_s is None
    done = [memory.full_at_lifetime_s for memory in seen].index(77)
    assert done == pytest.approx(60, abs=1)
    by_bms = walk(settings, [{"soc": 100.0, "pack": due | FULL}], memory=seen[1])
    assert by_bms[-1].full_at_lifetime_s == 77


def test_full_once_is_done_once(make_engine: MakeEngine) -> None:
    """The window is ignored until the pack was full; then it holds, and a new choice of the profile begins anew."""
    engine = make_engine(wishes(profile=ChargeProfile.FULL_ONCE, soc_max_percent=80.0))
    engine.memory = replace(engine.memory, policy=recently_full())
    assert engine.feed(soc=85.0, pack=NOW).ccl_a == pytest.approx(54.0)
    engine.feed(soc=100.0, pack=NOW | FULL)
    assert engine.feed(soc=85.0, pack=NOW).ccl_a == 1.0
    assert engine.memory.policy.full_once_done

    once = engine.settings
    engine.settings = replace(once, policy=replace(once.policy, profile=ChargeProfile.NORMAL))
    assert engine.feed(soc=85.0, pack=NOW).ccl_a == 1.0
    assert not engine.memory.policy.full_once_done
    engine.settings = once
    assert engine.feed(soc=85.0, pack=NOW).ccl_a == pytest.approx(54.0)


def test_full_once_survives_a_restart(make_engine: MakeEngine) -> None:
    """A restart between full and the end of the profile does not begin a second full charge."""
    engine = make_engine(wishes(profile=ChargeProfile.FULL_ONCE, soc_max_percent=80.0))
    engine.feed(soc=100.0, pack=NOW | FULL)
    engine.restart()

    assert engine.feed(soc=85.0, pack=NOW).ccl_a == 1.0


# --- force charge -------------------------------------------------------------------------------------------------


def test_force_charge_has_hysteresis(walk: Walk) -> None:
    """Asked for at 10 %, no longer at 30 %; in between as before."""
    settings = wishes(force_charge_start_percent=10.0, force_charge_stop_percent=30.0)
    seen = walk(settings, [LOW | {"soc": s} for s in (10.1, 10.0, 20.0, 29.9, 30.0, 20.0)], memory=EMPTY)

    assert [memory.force_charge for memory in seen] == [False, True, True, True, False, False]


def test_force_charge_is_off_by_default(walk: Walk) -> None:
    """0 means never, at 0 % too, and ends what was asked before."""
    assert not walk(wishes(), [{"soc": 0.0}], memory=PolicyMemory(force_charge=True))[-1].force_charge


def test_force_charge_is_shown_and_lowers_nothing(make_engine: MakeEngine) -> None:
    """It is a flag of the decision, for whoever can start a generator."""
    asking: Limits = make_engine(wishes(force_charge_start_percent=20.0)).feed(soc=15.0, **LOW)
    silent: Limits = make_engine(wishes()).feed(soc=15.0, **LOW)

    assert (asking.force_charge, silent.force_charge) == (True, False)
    assert replace(asking, force_charge=False) == silent


# --- always -------------------------------------------------------------------------------------------------------

policies = st.builds(
    PolicySettings,
    profile=st.sampled_from(ChargeProfile),
    soc_max_percent=st.floats(20.0, 100.0),
    soc_min_percent=st.floats(0.0, 80.0),
    soc_window_hysteresis_percent=st.floats(0.5, 20.0),
    storage_soc_percent=st.floats(20.0, 90.0),
    full_charge_interval_days=st.floats(0.0, 365.0),
    force_charge_start_percent=st.floats(0.0, 80.0),
    force_charge_stop_percent=st.floats(1.0, 100.0),
)
samples = st.fixed_dictionaries(
    {
        "soc": st.floats(0.0, 100.4),
        "max_cell_v": st.sampled_from([3.3, 3.6, 3.64]),
        "current_a": st.sampled_from([-20.0, 0.0, 1.0, 30.0]),
        "pack": st.fixed_dictionaries(
            {"status": st.sampled_from(BmsStatus), "lifetime_s": st.integers(0, 100 * DAY_S)}
        ),
    }
)


@given(policy=policies, story=st.lists(samples, min_size=1, max_size=20))
def test_wishes_only_lower(
    context: MakeContext, make_draft: MakeDraft, policy: PolicySettings, story: list[dict[str, Any]]
) -> None:
    """Over any history: no wish raises a limit, CVL rests at the least, and only the minimum ends discharging."""
    settings, memory = settings_before(policy=policy), PolicyMemory()
    for sample in story:
        made = context(settings, **sample)
        memory = next_policy(memory, made, 30.0)
        draft = make_draft()
        apply_policy(draft, made, memory)
        assert draft[Quantity.CVL] in (58.4, made.resting_v)
        assert draft[Quantity.CCL] in (50.0, 1.0, 0.0)
        assert (draft[Quantity.DCL] == 0.0) == memory.below_window
        if memory.below_window:
            assert policy.soc_min_percent > 0.0
            assert sample["soc"] <= policy.soc_min_percent + policy.soc_window_hysteresis_percent
        if draft[Quantity.CCL] == 0.0:
            assert policy.profile is ChargeProfile.STORAGE
        assert memory.tail_s >= 0.0


def test_a_window_that_is_ignored_is_told(make_engine: MakeEngine) -> None:
    """Above the bound with the whole current: the limits say that a full charge is due, until it is done."""
    engine = make_engine(wishes(soc_max_percent=80.0))
    due = engine.feed(soc=92.0, max_cell_v=3.4, pack={"lifetime_s": 5})
    done = engine.feed(soc=92.0, pack={"lifetime_s": 6, "status": BmsStatus.FULLY_CHARGED})
    assert (due.full_charge_due, due.ccl_a) == (True, 54.0)
    assert not done.full_charge_due


def after(
    context: MakeContext, seconds: int, memory: RebulkMemory | None = None, *, due: bool = False, **more: Any
) -> tuple[RebulkMemory, bool]:
    """Return the memory after some seconds in FLOAT, and whether it has ended."""
    memory = memory or RebulkMemory()
    for _ in range(seconds):
        memory, ends = next_rebulk(memory, context(LimitSettings(), **more), 1.0, due=due)
        if ends:
            return memory, True
    return memory, False


@pytest.mark.parametrize(
    ("seconds", "more", "ends"),
    [
        pytest.param(599, {"soc": 95.0, "max_cell_v": 3.28}, False, id="low for less than ten minutes"),
        pytest.param(601, {"soc": 95.0, "max_cell_v": 3.28}, True, id="low for ten minutes"),
        pytest.param(900, {"soc": 95.0, "max_cell_v": 3.31}, False, id="not low"),
        pytest.param(900, {"soc": 95.0, "max_cell_v": 3.28, "current_a": -30.0}, False, id="a load that pulls"),
        pytest.param(2, {"soc": 89.0, "max_cell_v": 3.33}, True, id="the count says it"),
        pytest.param(900, {"soc": 3.0, "max_cell_v": 3.45}, False, id="a count that the cells contradict"),
        pytest.param(900, {"soc": 3.0, "max_cell_v": 3.45, "pack": {"soc_known": False}}, False, id="no count"),
    ],
)
def test_what_ends_float(context: MakeContext, seconds: int, more: dict[str, Any], ends: bool) -> None:
    """A battery that has been used is charged again, and one that looks so for a moment is not."""
    assert after(context, seconds, **more)[1] is ends


def test_a_full_charge_that_is_due_ends_float(context: MakeContext) -> None:
    """A battery that only floats is charged in full once in a while."""
    assert after(context, 2, due=True, soc=99.0, max_cell_v=3.38)[1]


def test_at_most_twice_a_day(context: MakeContext) -> None:
    """Whatever says that it has been used: the third time waits until the first is a day ago."""
    memory, times = RebulkMemory(), []
    for hour in range(60):
        pack = {"lifetime_s": 3600 * hour}
        memory, ends = after(context, 2, memory, soc=50.0, max_cell_v=3.25, pack=pack)
        times += [hour] if ends else []
    assert times == [0, 1, 24, 25, 48, 49]


def test_a_counter_that_was_set_back_is_no_obstacle(context: MakeContext) -> None:
    """Times that lie ahead are none."""
    memory = RebulkMemory(begun_at_s=(5 * DAY_S, 6 * DAY_S))
    assert after(context, 2, memory, soc=50.0, max_cell_v=3.25, pack={"lifetime_s": 10})[1]
