from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeProfile,
    LimitCode,
    LimitSettings,
    ManualInhibits,
    PolicySettings,
    Quantity,
    RateMemory,
    StopMemory,
)
from tinybms_bridge.battery.limits.charge_stop import follow_stop, set_stop_level
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

STOPPED = settings_before(manual=ManualInhibits(stop_charge=True))
STORED = settings_before(policy=PolicySettings(profile=ChargeProfile.STORAGE))
FEEDING_IN = {"max_cell_v": 3.30, "delta_mv": 0.0, "current_a": 40.0, "soc": 60.0}
PACK_V = 16 * 3.30

IN_FORCE = RateMemory(53.6, 0.0, 100.0, running=True)


def stopped(make_draft: MakeDraft, context: Context, memory: StopMemory) -> Draft:
    """Return a draft in which charging is stopped."""
    draft = make_draft()
    set_stop_level(draft, context, memory)
    draft.stop_charge(0.0, LimitCode.MANUAL, detail="stop charge")
    return draft


def followed(
    make_context: MakeContext, make_draft: MakeDraft, moments: list[tuple[float, float]], memory: StopMemory
) -> list[StopMemory]:
    """Return the memory after each second with a cell voltage and a current."""
    seen = []
    for cell_v, current_a in moments:
        now = make_context(STOPPED, max_cell_v=cell_v, delta_mv=0.0, current_a=current_a)
        memory = follow_stop(stopped(make_draft, now, memory), now, memory, IN_FORCE, 1.0)
        seen.append(memory)
    return seen


@pytest.mark.parametrize(
    ("settings", "changes", "code"),
    [
        pytest.param(STOPPED, {}, LimitCode.MANUAL, id="by hand"),
        pytest.param(settings_before(), {"temperatures_c": (25.0, -5.0)}, LimitCode.TEMPERATURE, id="frost"),
        pytest.param(settings_before(), {"pack": {"status": BmsStatus.FAULT}}, LimitCode.BMS_FAULT, id="fault"),
    ],
)
def test_every_stop_ends_what_heeds_no_ccl(
    make_engine: MakeEngine, settings: LimitSettings, changes: dict[str, Any], code: LimitCode
) -> None:
    """It begins at rest, whatever a load does; under feed-in CVL goes below the pack, and the stop is its reason."""
    engine = make_engine(settings)
    begun = engine.feed(**{**FEEDING_IN, "current_a": -80.0, "max_cell_v": 3.15}, **changes)
    patient = engine.last_for(4.0, **FEEDING_IN, **changes)
    followed = engine.last_for(3.0, **FEEDING_IN, **changes)
    last = engine.last_for(60.0, **FEEDING_IN, **changes)

    assert begun.cvl_v == patient.cvl_v == pytest.approx(53.6)
    assert PACK_V - 0.1 < followed.cvl_v <= PACK_V
    assert last.cvl_v == pytest.approx(PACK_V - 0.6)
    assert {limits.binding(Quantity.CVL).code for limits in (begun, followed, last)} == {code}


def test_a_wish_goes_down_in_steps(make_engine: MakeEngine) -> None:
    """Storage is no emergency: CVL comes down by 0.1 V in 3 s, to rest and then below the pack; CCL ends at once."""
    engine = make_engine(STORED)
    engine.feed(**{**FEEDING_IN, "soc": 50.0})
    seen = [engine.feed(every_s=1.0, **FEEDING_IN) for _ in range(400)]
    falls = [before.cvl_v - after.cvl_v for before, after in pairwise(seen)]

    assert seen[0].ccl_a == 0.0
    assert seen[0].cvl_v == pytest.approx(58.3)
    assert max(falls) == pytest.approx(0.1)
    assert seen[30].cvl_v == pytest.approx(57.3)
    assert min(limits.cvl_v for limits in seen) == pytest.approx(PACK_V - 0.6)
    assert {limits.binding(Quantity.CVL).code for limits in seen} == {LimitCode.SOC_WINDOW}


def test_a_fault_does_not_wait_for_a_wish(make_engine: MakeEngine) -> None:
    """While CVL comes down for storage a fault brings it to rest with the same sample."""
    engine = make_engine(STORED)
    engine.feed(**{**FEEDING_IN, "soc": 50.0})
    engine.last_for(9.0, **FEEDING_IN)
    limits = engine.feed(**FEEDING_IN, open_events=(0x03,))

    assert limits.cvl_v == pytest.approx(53.6)
    assert limits.binding(Quantity.CVL).code is LimitCode.BMS_FAULT


def test_a_stop_is_the_reason_where_cvl_is_as_low_already(make_engine: MakeEngine, li_ion: Ratings) -> None:
    """With a target at or below rest CVL cannot go down; the user still sees that charging is stopped."""
    for cell_v in (3.90, 3.80):
        settings = replace(STOPPED, bulk_voltage_v=14 * cell_v)
        limits = make_engine(settings).feed(ratings=li_ion, max_cell_v=3.70)
        assert limits.cvl_v == pytest.approx(14 * cell_v)
        assert limits.binding(Quantity.CVL).code is LimitCode.MANUAL


def test_the_first_stop_is_the_reason(context: MakeContext, make_draft: MakeDraft) -> None:
    """Several stops at one level: the earliest stage has stopped charging; one that is above CVL says nothing."""
    draft = stopped(make_draft, context(), StopMemory())
    draft.stop_charge(0.0, LimitCode.BMS_FAULT)
    lower = make_draft(cvl_v=52.0)
    lower.stop_charge(0.0, LimitCode.MANUAL)

    assert [r.code for r in draft.reasons[3:]] == [LimitCode.MANUAL, LimitCode.MANUAL]
    assert [r.quantity for r in lower.reasons[3:]] == [Quantity.CCL]
    assert (lower[Quantity.CVL], lower.stopped) == (52.0, True)


def test_what_heeds_ccl_moves_nothing(context: MakeContext, make_draft: MakeDraft) -> None:
    """Peaks of a load that is switched off, noise and discharge leave the level at rest."""
    peaks = [(3.30, 60.0)] * 3 + [(3.30, -60.0)] * 40
    seen = followed(context, make_draft, peaks * 5 + [(3.30, 0.4)] * 600 + [(3.0, -100.0)] * 600, StopMemory())
    assert {memory.level_v for memory in seen} == {None}


def test_a_charge_that_the_bms_cuts_again_and_again_is_not_forgotten(
    context: MakeContext, make_draft: MakeDraft
) -> None:
    """In frost the BMS opens its switch within a second, so no charge lasts; CVL goes down to the pack at rest."""
    seen = followed(context, make_draft, ([(3.31, 30.0)] * 2 + [(3.30, 0.0)] * 6) * 5, StopMemory())
    assert seen[-1].level_v == pytest.approx(16 * 3.30 - 0.05, abs=0.05)


@pytest.mark.parametrize(
    ("unheeded", "current_a", "coldest_c", "level_v"),
    [
        pytest.param(True, 0.0, 25.0, PACK_V, id="the sun carries the loads"),
        pytest.param(True, -3.0, 25.0, None, id="loads discharge the pack"),
        pytest.param(False, 0.0, 25.0, None, id="chargers that heed CCL"),
        pytest.param(True, 0.0, 0.7, PACK_V, id="just below register 320"),
        pytest.param(True, 0.0, 0.3, None, id="frost, where the switch of the BMS is open"),
    ],
)
def test_where_no_ccl_is_heeded_the_level_waits_at_the_pack(
    context: MakeContext,
    make_draft: MakeDraft,
    make_ratings: Callable[..., Ratings],
    unheeded: bool,
    current_a: float,
    coldest_c: float,
    level_v: float | None,
) -> None:
    """Before a switch of the BMS closes that flutters at register 320: nothing flows when it does."""
    ratings, temperatures_c = make_ratings(low_temperature_charge_c=1.0), (20.0, coldest_c, None)
    now = context(
        STOPPED,
        max_cell_v=3.30,
        delta_mv=0.0,
        current_a=current_a,
        ratings=ratings,
        temperatures_c=temperatures_c,
    )
    draft = stopped(make_draft, now, StopMemory())
    memory = follow_stop(draft, now, StopMemory(), IN_FORCE, 1.0, unheeded=unheeded)

    assert memory.level_v == (None if level_v is None else pytest.approx(level_v))


def test_the_level_sinks_slower_the_closer_it_is(context: MakeContext, make_draft: MakeDraft) -> None:
    """A volt in a minute at the most, and a few millivolts a second near the end: chargers take time to follow."""
    for current_a, rate_v_per_s in ((200.0, 0.02), (13.0, 0.01), (1.75, 0.001)):
        seen = followed(context, make_draft, [(3.30, current_a)] * 20, StopMemory())
        assert seen[-2].level_v is not None
        assert seen[-1].level_v == pytest.approx(seen[-2].level_v - rate_v_per_s, abs=1e-6)


moments = st.lists(st.tuples(st.floats(2.9, 3.6), st.floats(-150.0, 150.0)), min_size=1, max_size=40)


@given(moments=moments, level_v=st.none() | st.floats(0.0, 70.0))
def test_the_level_never_rises_and_never_follows_a_load(
    context: MakeContext, make_draft: MakeDraft, moments: list[tuple[float, float]], level_v: float | None
) -> None:
    """Whatever happens during a stop: within floor and resting, only down, and down only while it is charged."""
    before_v = level_v if level_v is not None and 51.2 <= level_v <= 53.6 else 53.6
    for (cell_v, current_a), memory in zip(
        moments, followed(context, make_draft, moments, StopMemory(level_v)), strict=True
    ):
        now_v = before_v if memory.level_v is None or not 51.2 <= memory.level_v <= 53.6 else memory.level_v
        assert 51.2 - 1e-9 <= now_v <= before_v + 1e-9
        if current_a <= 0.5:
            assert now_v == before_v
        assert now_v >= min(before_v, max(16 * cell_v - 0.6, 51.2)) - 1e-9
        before_v = now_v


def test_a_stop_survives_a_restart(make_engine: MakeEngine) -> None:
    """A bridge that starts again does not begin at rest, where the sun would charge once more."""
    engine = make_engine(STORED)
    before = engine.last_for(400.0, **FEEDING_IN)
    engine.restart()
    after = engine.feed(**FEEDING_IN)

    assert before.cvl_v < PACK_V
    assert after.cvl_v == pytest.approx(before.cvl_v, abs=0.02)
    assert after.binding(Quantity.CVL).code is LimitCode.SOC_WINDOW


def test_after_a_stop_cvl_rises_by_its_rate(make_engine: MakeEngine) -> None:
    """The end of a stop is no jump, and a stop that comes again meanwhile begins where CVL has come to."""
    engine = make_engine(STOPPED)
    low_v = engine.last_for(60.0, **FEEDING_IN).cvl_v
    engine.settings = replace(engine.settings, manual=ManualInhibits())
    risen_v = engine.last_for(30.0, **{**FEEDING_IN, "current_a": 0.0}).cvl_v
    engine.settings = replace(engine.settings, manual=STOPPED.manual)
    again_v = engine.feed(**FEEDING_IN).cvl_v

    assert low_v < PACK_V < risen_v <= low_v + 0.8 + 1e-9
    assert again_v == pytest.approx(risen_v)


def test_a_level_of_another_pack_is_none(context: MakeContext, make_draft: MakeDraft) -> None:
    """A level below the floor or above rest was learned elsewhere."""
    for level_v, expected_v in ((30.0, 53.6), (60.0, 53.6), (52.0, 52.0)):
        draft = make_draft()
        set_stop_level(draft, context(), StopMemory(level_v))
        assert draft.stop_v == pytest.approx(expected_v)
