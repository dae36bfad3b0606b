"""What the cells allow of a count, and what hangs on it: windows, curves, states. The counts here have drifted."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    PRESETS,
    ChargeDefaults,
    ChargeProfile,
    ChargeState,
    Chemistry,
    Curve,
    LimitCode,
    LimitSettings,
    PolicyMemory,
    PolicySettings,
    Preset,
    Quantity,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.soc_count import CredibleSoc, RestMemory, credible_soc, next_rest
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeEngine = Callable[..., Any]
MakeSnapshot = Callable[..., Snapshot]

RESTED = {Chemistry.LFP: 3.32, Chemistry.LI_ION: 3.80, Chemistry.LTO: 2.30}
"""Cells at rest that are clearly more than half charged, or half charged at the least."""

presets = st.sampled_from(list(PRESETS.values()))
percents = st.floats(0.0, 100.4)


@pytest.fixture(name="rated")
def _rated(make_ratings: Callable[..., Ratings], li_ion: Ratings, lto: Ratings) -> Callable[[Chemistry], Ratings]:
    """Return the settings of a BMS by chemistry."""
    ratings = {Chemistry.LFP: make_ratings(), Chemistry.LI_ION: li_ion, Chemistry.LTO: lto}
    return ratings.__getitem__


@pytest.mark.parametrize("chemistry", list(Chemistry))
@pytest.mark.parametrize("soc", [0.0, 3.0, 5.0])
def test_a_counter_at_its_lower_end_does_not_lock_a_battery(
    make_engine: MakeEngine, rated: Callable[[Chemistry], Ratings], chemistry: Chemistry, soc: float
) -> None:
    """Every cell rests clearly above empty: it may be charged and discharged as any other, also with a reserve."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_min_percent=20.0, force_charge_start_percent=10.0)))
    limits = engine.last_for(3600.0, every_s=2.0, soc=soc, max_cell_v=RESTED[chemistry], ratings=rated(chemistry))

    assert limits.state is ChargeState.BULK
    assert limits.cvl_v > engine.snapshot.pack.voltage_v
    assert (limits.ccl_a, limits.dcl_a, limits.force_charge) == (54.0, 108.0, False)


@pytest.mark.parametrize("chemistry", list(Chemistry))
@pytest.mark.parametrize("profile", [ChargeProfile.NORMAL, ChargeProfile.STORAGE])
def test_a_counter_at_its_upper_end_does_not_lock_a_battery(
    make_engine: MakeEngine, rated: Callable[[Chemistry], Ratings], chemistry: Chemistry, profile: ChargeProfile
) -> None:
    """A window that a count of 100 % has closed opens where the cells are nearly empty, and so does a curve by SOC."""
    policy = PolicySettings(profile=profile, soc_max_percent=80.0, full_charge_interval_days=0.0)
    curves = (("charge_by_soc", Curve(((80.0, 1.0), (100.0, 0.0)))),)
    engine = make_engine(settings_before(policy=policy, curves=curves))
    nearly_empty_v = PRESETS[chemistry].empty_v + 0.02
    limits = engine.last_for(60.0, soc=100.0, max_cell_v=nearly_empty_v, ratings=rated(chemistry))

    assert (limits.ccl_a, limits.cvl_v > engine.snapshot.pack.voltage_v) == (54.0, True)


def test_a_battery_that_is_full_is_above_its_window(make_engine: MakeEngine) -> None:
    """A count that is far too low does not fill a battery past what the user allows."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_max_percent=80.0, full_charge_interval_days=0.0)))
    limits = engine.last_for(30.0, soc=40.0, max_cell_v=3.55)

    assert (limits.ccl_a, limits.binding(Quantity.CCL).code) == (1.0, LimitCode.SOC_WINDOW)
    assert limits.binding(Quantity.CCL).value > 80.0


def test_a_reserve_is_kept_where_the_cells_cannot_know(make_engine: MakeEngine) -> None:
    """3.28 V on the plateau contradict no count of 15 %: the user's reserve holds."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_min_percent=20.0)))

    assert engine.last_for(30.0, soc=15.0, max_cell_v=3.28).dcl_a == 0.0


def test_a_count_that_is_too_high_switches_no_lights_off(make_engine: MakeEngine) -> None:
    """Only the count ends discharging by a reserve; where the cells are empty, their own curve does."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_min_percent=20.0)))

    assert engine.last_for(30.0, soc=50.0, max_cell_v=3.17).dcl_a > 0.0


def test_float_ends_with_cells_that_are_no_longer_full(make_engine: MakeEngine) -> None:
    """A count that stays at 100 % kept the small current of FLOAT for days."""
    engine = make_engine()
    floating = engine.last_for(200.0, soc=100.0, max_cell_v=3.64, current_a=1.0)
    limits = engine.last_for(600.0, soc=100.0, max_cell_v=3.25, current_a=0.0)

    assert (floating.state, floating.full) == (ChargeState.FLOAT, True)
    assert floating.ccl_a <= 5.0
    assert limits.state is not ChargeState.FLOAT
    assert (limits.full, limits.ccl_a) == (False, 54.0)


def test_the_current_of_a_sunny_noon_is_not_charge(make_engine: MakeEngine) -> None:
    """At 0.5C the cells of a half charged battery stand at 3.42 V: that is no FLOAT at a counted 96 %."""
    engine = make_engine()

    assert engine.last_for(300.0, soc=96.0, max_cell_v=3.42, current_a=50.0).state is ChargeState.FLOAT_APPROACH


def test_a_pulsed_load_does_not_move_what_the_cells_say(sample: MakeSnapshot, make_ratings: Callable[..., Any]) -> None:
    """1C each second poll, with twice the resistance that is estimated: no count from 30 to 50 % is contradicted."""
    rest: RestMemory | None = None
    for number in range(600):
        current_a = -100.0 if number % 2 else 0.0
        snapshot = sample(soc=50.0, max_cell_v=3.31 + 0.004 * current_a, current_a=current_a)
        rest = next_rest(rest, snapshot, make_ratings(), 1.0)
    assert rest is not None
    soc = credible_soc(PRESETS[Chemistry.LFP], 1.0, rest, snapshot)

    assert soc.least_percent < 30.0
    assert soc.most_percent > 50.0


def test_missing_data_is_not_averaged(make_engine: MakeEngine) -> None:
    """After a silence the first sample speaks, not the average of before."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_min_percent=20.0)))
    engine.last_for(300.0, soc=10.0, max_cell_v=3.36)
    engine.wait(60.0)

    assert engine.last_for(5.0, soc=10.0, max_cell_v=3.20).dcl_a == 0.0


def test_a_charge_to_4_10_v_is_full_where_the_bms_says_so(context: MakeContext, li_ion: Ratings) -> None:
    """The BMS counts 100 % at register 300, whatever a Li-ion cell could hold: the cells say the same."""
    ratings = replace(li_ion, fully_charged_cell_v=4.05)
    soc = context(soc=100.0, max_cell_v=4.04, ratings=ratings).soc

    assert soc.most_percent == 100.0
    assert soc.percent == 100.0


@pytest.mark.parametrize(
    ("counted", "stops_charging", "ends_discharging", "full"),
    [(10.0, 30.0, 30.0, 10.0), (50.0, 50.0, 50.0, 50.0), (95.0, 70.0, 95.0, 70.0)],
)
def test_which_of_them_counts(counted: float, stops_charging: float, ends_discharging: float, full: float) -> None:
    """The cells correct a count to both sides for charging, and only upwards for what switches the lights off."""
    soc = CredibleSoc(counted, known=True, least_percent=30.0, most_percent=70.0)

    assert (soc.percent, soc.to_discharge_percent, soc.at_most_percent) == (stops_charging, ends_discharging, full)
    assert replace(soc, known=False).to_discharge_percent == stops_charging


@given(preset=presets, low_v=st.floats(0.5, 5.0), apart_v=st.floats(0.0, 1.0), more_v=st.floats(0.0, 1.0))
def test_higher_cells_never_say_less(
    sample: MakeSnapshot, preset: Preset, low_v: float, apart_v: float, more_v: float
) -> None:
    """What the cells allow is in order, and rises with them."""
    snapshot = sample()
    low = credible_soc(preset, 1.0, RestMemory(low_v, low_v + apart_v, 0.0), snapshot)
    high = credible_soc(preset, 1.0, RestMemory(low_v + more_v, low_v + apart_v + more_v, 0.0), snapshot)

    assert 0.0 <= low.least_percent <= low.most_percent <= 100.0
    assert low.least_percent <= high.least_percent
    assert low.most_percent <= high.most_percent


@given(percents, st.floats(), st.floats(0.0, 1e9), st.floats(-1e4, 1e4), st.floats(0.0, 1e6))
def test_nothing_makes_it_fail(
    sample: MakeSnapshot,
    make_ratings: Callable[..., Ratings],
    soc: float,
    celsius: float,
    capacity_ah: float,
    current_a: float,
    elapsed_s: float,
) -> None:
    """Whatever a sample holds, there is a percentage."""
    snapshot = sample(soc=soc, current_a=current_a, temperatures_c=(celsius,))
    rest = next_rest(RestMemory(3.3, 3.4, 0.0), snapshot, make_ratings(capacity_ah=capacity_ah), elapsed_s)
    found = credible_soc(PRESETS[Chemistry.LFP], 1.0, rest, snapshot)

    assert all(
        math.isfinite(each) for each in (found.percent, found.to_discharge_percent, found.at_most_percent, rest.min_v)
    )


@pytest.mark.parametrize(
    ("max_cell_v", "current_a", "state"),
    [
        pytest.param(3.10, 0.0, ChargeState.SUSTAIN, id="empty"),
        pytest.param(3.33, 0.0, ChargeState.BULK, id="on the plateau"),
        pytest.param(3.64, 1.0, ChargeState.FLOAT, id="full"),
    ],
)
def test_states_go_by_cells_where_no_soc_can_be(
    make_engine: MakeEngine, max_cell_v: float, current_a: float, state: ChargeState
) -> None:
    """A register 46 that is absurd from the start: nearly empty, in between and full are known all the same."""
    engine = make_engine(start_samples=3)
    limits = engine.last_for(200.0, soc=3000.0, max_cell_v=max_cell_v, delta_mv=0.0, current_a=current_a)

    assert (limits.state, limits.soc_known) == (state, False)


# --- one cell ahead of the others -----------------------------------------------------------------------------------

RUNNER = {"cells_v": (3.64, *(3.34 for _ in range(15))), "current_a": 2.0, "soc": 96.0}
"""One cell is full and the others are on the plateau, with a tail current."""


def test_one_full_cell_makes_no_full_battery(make_engine: MakeEngine) -> None:
    """An hour at its voltage and a tail current: full is not judged on the highest cell alone."""
    limits = make_engine().last_for(3600.0, **RUNNER)

    assert not limits.full
    assert limits.state is ChargeState.IMBALANCE_HOLD


def test_one_low_cell_does_not_keep_a_battery_from_being_full(make_engine: MakeEngine) -> None:
    """The highest cell is not alone: most of the cells are there."""
    cells_v = (3.34, *(3.64 for _ in range(15)))

    assert make_engine().last_for(300.0, cells_v=cells_v, current_a=2.0, soc=96.0).full


def test_a_pack_far_apart_has_an_end_of_its_own(make_engine: MakeEngine) -> None:
    """Four hours in sum: FLOAT, told, and no full charge; a night, and the next one takes its four hours again."""
    engine = make_engine()
    engine.last_for(7200.0, every_s=2.0, **RUNNER)
    engine.last_for(600.0, every_s=2.0, **RUNNER | {"cells_v": (3.5, *(3.34 for _ in range(15))), "current_a": -5.0})
    before = engine.last_for(7000.0, every_s=2.0, **RUNNER)
    after = engine.last_for(400.0, every_s=2.0, **RUNNER)

    assert (before.uneven, before.state is ChargeState.FLOAT) == (False, False)
    assert (after.uneven, after.full, after.state) == (True, False, ChargeState.FLOAT)
    assert engine.memory.policy.full_at_lifetime_s is None
    assert LimitCode.UNEVEN in {reason.code for reason in after.reasons}
    engine.restart()
    assert engine.last_for(10.0, every_s=2.0, **RUNNER).uneven
    night = engine.last_for(600.0, every_s=2.0, soc=70.0, max_cell_v=3.3, current_a=-20.0)
    assert (night.uneven, engine.memory.policy.uneven_s) == (False, 0.0)


def test_cells_that_come_together_are_full(make_engine: MakeEngine) -> None:
    """The balancer has done its work: the charge is a full one after all."""
    engine = make_engine()
    engine.last_for(14_500.0, every_s=2.0, **RUNNER)
    limits = engine.last_for(200.0, max_cell_v=3.64, current_a=2.0, soc=98.0)

    assert (limits.full, limits.uneven) == (True, False)


def test_an_uneven_pack_ends_a_full_charge_that_stays_due(make_engine: MakeEngine) -> None:
    """A full charge past the window ends as well; it is not done."""
    engine = make_engine(settings_before(policy=PolicySettings(soc_max_percent=80.0)))
    limits = engine.last_for(14_600.0, every_s=2.0, **RUNNER)

    assert (limits.state, limits.full_charge_due) == (ChargeState.FLOAT, True)
    assert engine.memory.policy == replace(engine.memory.policy, full=False, full_at_lifetime_s=None)
    assert isinstance(engine.memory.policy, PolicyMemory)
