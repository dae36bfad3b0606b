from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import FreshnessSettings
from tinybms_bridge.battery.limits import (
    PRESETS,
    ChargeDefaults,
    Chemistry,
    ChemistryMemory,
    Inhibited,
    LimitSettings,
    Memory,
    ProtectionSettings,
    fit_to_battery,
    step,
)
from tinybms_bridge.battery.limits.context import make_context, ramp_floor
from tinybms_bridge.battery.limits.fit import judge_chemistry, next_chemistry
from tinybms_bridge.battery.limits.presets import possible_at, preset_for
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot

LTO, LFP, LI_ION = Chemistry.LTO, Chemistry.LFP, Chemistry.LI_ION
UNIT = Ratings(16, 3.70, 2.9, 3.90, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)
"""Register 300 may be that of LFP or Li-ion."""
LIVE = ChemistryMemory(LFP)


def live_for(
    memory: ChemistryMemory,
    seconds: float,
    cell_v: float,
    *,
    low_v: float | None = None,
    current_a: float = 0.0,
    cvl_v: float | None = 53.6,
    ratings: Ratings = UNIT,
    typed: LimitSettings | None = None,
) -> ChemistryMemory:
    """Return the memory after some time with cells at one voltage, one of them perhaps lower."""
    cells = ((low_v if low_v is not None else cell_v), *(cell_v,) * 15)
    snapshot = Snapshot(1, 0.0, PackValues(sum(cells), current_a, 50.0), Cells(cells), ratings=ratings)
    for _ in range(round(seconds)):
        memory = next_chemistry(memory, snapshot, ratings, typed or LimitSettings(), cvl_v, 1.0)
    return memory


@pytest.mark.parametrize(
    ("full_v", "typed", "lowest", "chemistry", "decided", "fits"),
    [
        (3.65, None, LTO, LFP, True, True),
        (3.70, None, LFP, LFP, False, True),
        (3.70, None, LI_ION, LI_ION, True, True),
        (3.70, LFP, LFP, LFP, True, True),
        (3.70, LI_ION, LFP, LI_ION, True, True),
        (3.70, LFP, LI_ION, LFP, True, False),
        (3.65, LTO, LFP, LFP, True, False),
        (3.65, LTO, LTO, LTO, False, False),
        (3.65, LI_ION, LFP, LFP, False, False),
        (3.65, LI_ION, LI_ION, LFP, False, False),
        (4.15, LFP, LFP, LFP, False, False),
        (4.15, LFP, LI_ION, LI_ION, True, False),
        (2.70, LFP, LTO, LTO, False, False),
        (2.70, None, LFP, LTO, True, True),
    ],
)
def test_three_witnesses(
    full_v: float, typed: Chemistry | None, lowest: Chemistry, chemistry: Chemistry, decided: bool, fits: bool
) -> None:
    """Register 300, the owner and the cells: the lowest that is possible counts, and two outvote a lower one."""
    verdict = judge_chemistry(replace(UNIT, fully_charged_cell_v=full_v), LimitSettings(chemistry=typed), lowest)

    assert (verdict.chemistry, verdict.decided, verdict.fits) == (chemistry, decided, fits)


def test_cells_above_2_95_v_are_no_lto_at_once() -> None:
    """Before the first decision: an LFP pack must not be emptied to 2.85 V per cell for an hour."""
    assert live_for(ChemistryMemory(), 1, 3.30).lowest is LFP
    assert live_for(ChemistryMemory(), 1, 3.30, low_v=2.94).lowest is LTO


@pytest.mark.parametrize(
    ("seconds", "moment", "lowest"),
    [
        pytest.param(3601, {"cell_v": 3.60}, LI_ION, id="rested an hour"),
        pytest.param(3500, {"cell_v": 3.60}, LFP, id="not an hour"),
        pytest.param(7200, {"cell_v": 3.60, "low_v": 3.45}, LFP, id="one cell low"),
        pytest.param(7200, {"cell_v": 3.60, "current_a": 1.0}, LFP, id="being charged"),
        pytest.param(7200, {"cell_v": 3.60, "cvl_v": 57.6}, LFP, id="held by chargers at CVL"),
        pytest.param(7200, {"cell_v": 3.60, "cvl_v": 57.2}, LFP, id="held by chargers that feed in"),
        pytest.param(80, {"cell_v": 3.60, "current_a": -50.0, "cvl_v": 57.6}, LI_ION, id="gave a hundredth"),
        pytest.param(60, {"cell_v": 3.60, "current_a": -50.0, "cvl_v": 57.6}, LFP, id="gave less"),
        pytest.param(90_000, {"cell_v": 3.40}, LFP, id="an LFP pack at rest"),
    ],
)
def test_rested_cells_above_3_45_v_are_no_lfp(seconds: float, moment: dict[str, float], lowest: Chemistry) -> None:
    """Rested means: not charged and not held for an hour, or on the way down for a hundredth of the capacity."""
    assert live_for(LIVE, seconds, **moment).lowest is lowest  # type: ignore[arg-type]  # all of them numbers


def test_a_charge_in_between_begins_anew() -> None:
    """Half an hour, a cloud gap, half an hour: the surface charge of LFP may have been renewed."""
    memory = live_for(LIVE, 3000, 3.60)
    memory = live_for(memory, 1, 3.60, current_a=20.0)
    assert live_for(memory, 3000, 3.60).lowest is LFP


def test_a_wrong_verdict_is_taken_back() -> None:
    """A charger that obeys nobody has held LFP cells up: once they rest below 3.40 V for an hour, they may be LFP."""
    memory = ChemistryMemory(LI_ION)
    assert live_for(memory, 3500, 3.33).lowest is LI_ION
    assert live_for(memory, 3601, 3.33).lowest is LFP
    assert live_for(memory, 7200, 3.33, current_a=-40.0).lowest is LI_ION, "a load pulls any cell down"
    assert live_for(LIVE, 3601, 2.30).lowest is LTO


def test_cells_are_asked_only_where_something_is_open() -> None:
    """LFP packs that float high all day are nobody's question while register 300 is clear."""
    clear = replace(UNIT, fully_charged_cell_v=3.65)
    assert live_for(LIVE, 7200, 3.60, ratings=clear).lowest is LFP
    assert live_for(ChemistryMemory(LI_ION), 1, 3.60, ratings=clear).lowest is LFP
    assert live_for(LIVE, 3601, 3.60, ratings=clear, typed=LimitSettings(chemistry=LI_ION)).lowest is LI_ION


@given(
    moments=st.lists(
        st.tuples(st.floats(2.0, 4.5), st.floats(-100.0, 100.0), st.none() | st.floats(30.0, 70.0)), max_size=30
    ),
    elapsed_s=st.floats(0.0, 5.0),
)
@settings(max_examples=200, deadline=None)
def test_memory_stays_bounded(moments: list[tuple[float, float, float | None]], elapsed_s: float) -> None:
    """Whatever happens: times of an hour at most, a hundredth of the capacity, and one of three chemistries."""
    memory = ChemistryMemory()
    for cell_v, current_a, cvl_v in moments:
        cells = (cell_v,) * 16
        snapshot = Snapshot(1, 0.0, PackValues(sum(cells), current_a, 50.0), Cells(cells), ratings=UNIT)
        memory = next_chemistry(memory, snapshot, UNIT, LimitSettings(), cvl_v, elapsed_s)
        assert memory.lowest in Chemistry
        assert 0.0 <= memory.rest_s < 3600.0
        assert 0.0 <= memory.low_s < 3600.0
        assert 0.0 <= memory.taken_ah < 1.0


def test_verdict_outlives_a_restart(make_engine: Callable[..., object]) -> None:
    """The next start does not begin with an hour of the wrong chemistry."""
    made = make_engine()
    made.memory = replace(made.memory, chemistry=ChemistryMemory(LI_ION, 5.0))  # type: ignore[attr-defined]
    made.restart()  # type: ignore[attr-defined]
    assert made.memory.chemistry == ChemistryMemory(LI_ION)  # type: ignore[attr-defined]


MakeRatings = Callable[..., Ratings]


@st.composite
def valid_units(draw: st.DrawFn) -> Ratings:
    """Return settings that a TinyBMS accepts: 316 < 301 < 300 < 315 by 10 mV at least, in its ranges, 4 to 16 cells."""
    under_mv = draw(st.integers(800, 3500))
    empty_mv = draw(st.integers(under_mv + 10, 4480))
    full_mv = draw(st.integers(max(empty_mv + 10, 1200), 4490))
    return Ratings(
        series_cells=draw(st.integers(4, 16)),
        fully_charged_cell_v=full_mv / 1000.0,
        fully_discharged_cell_v=empty_mv / 1000.0,
        over_voltage_cell_v=draw(st.integers(full_mv + 10, 4500)) / 1000.0,
        under_voltage_cell_v=under_mv / 1000.0,
        charge_over_current_a=draw(st.floats(1.0, 750.0)),
        discharge_over_current_a=draw(st.floats(1.0, 750.0)),
        discharge_peak_current_a=None,
        over_heat_c=60.0,
        low_temperature_charge_c=1.0,
        capacity_ah=draw(st.floats(0.1, 655.0)),
    )


typed_v = st.none() | st.floats(0.0, 100.0) | st.sampled_from([float("nan"), float("inf"), -1.0])
typed_settings = st.builds(
    LimitSettings,
    defaults=st.sampled_from(ChargeDefaults),
    chemistry=st.none() | st.sampled_from(Chemistry),
    bulk_voltage_v=typed_v,
    alarm_voltage_v=typed_v,
    over_voltage_margin_v=st.floats(-5.0, 100.0),
    cell_max_v=typed_v,
    floor_cell_v=typed_v,
    resting_cell_v=typed_v,
    protection=st.builds(ProtectionSettings, threshold_v=typed_v, release_v=typed_v),
    freshness=st.just(FreshnessSettings(start_samples=1)),
)


def sample(ratings: Ratings, cell_v: float) -> Snapshot:
    """Return a sample of equal cells at rest."""
    cells = (cell_v,) * ratings.series_cells
    return Snapshot(1, 100.0, PackValues(sum(cells), 0.0, 50.0), Cells(cells), ratings=ratings)


@given(ratings=valid_units(), typed=typed_settings, lowest=st.sampled_from(Chemistry), share=st.floats(0.0, 1.0))
@settings(max_examples=400, deadline=None)
def test_no_valid_unit_ends_in_silence(ratings: Ratings, typed: LimitSettings, lowest: Chemistry, share: float) -> None:
    """Whatever is typed and whatever the registers are: a CVL can be decided, and it stays between the registers.

    The floor is above register 316, except by less than a step of the frame where the registers nearly meet, or where
    the over-voltage bound lies lower still. The target is at most register 300, rest at most the target's own bound.
    """
    cells, under_v, full_v = ratings.series_cells, ratings.under_voltage_cell_v, ratings.fully_charged_cell_v
    snapshot = sample(ratings, under_v + share * (full_v - under_v))
    context = make_context(snapshot, ratings, typed, lowest=lowest)

    assert context.decidable
    assert context.floor_v <= context.resting_v <= context.ceiling_v
    assert context.ceiling_v <= context.over_voltage_bound_v <= cells * ratings.over_voltage_cell_v - 0.4 + 2e-6
    assert context.floor_v > min(under_v * cells, context.over_voltage_bound_v) - 0.1
    assert context.resting_v <= full_v * cells
    limits, _ = step(snapshot, typed, Memory(), 100.0)
    assert limits is None or 0.0 < limits.cvl_v <= full_v * cells + 1e-6


@given(ratings=valid_units(), typed=st.none() | st.sampled_from(Chemistry), lowest=st.sampled_from(Chemistry))
@settings(max_examples=300, deadline=None)
def test_a_stop_rests_where_it_is_safe_for_every_chemistry_that_is_possible(
    ratings: Ratings, typed: Chemistry | None, lowest: Chemistry
) -> None:
    """A typed chemistry never lifts floor or rest above what register 300 alone gives, where it contradicts it.

    The resting voltage keeps from charging, the floor from letting a stop charge: both are those of the lowest
    chemistry that may be in the box. Where register 300 leaves a choice, the higher one counts only when the owner or
    the cells have said so.
    """
    fit = fit_to_battery(ratings, LimitSettings(chemistry=typed), lowest)
    by_register = possible_at(ratings.fully_charged_cell_v)
    highest = by_register[-1] if typed is by_register[-1] or lowest is Chemistry.LI_ION else by_register[0]
    most = preset_for(highest, ratings)
    cells = ratings.series_cells

    assert fit.resting_v <= most.resting_v * cells + 0.1, "a floor is rounded up to a step of the frame"
    assert fit.floor_v <= most.floor_v * cells + 0.1
    assert fit.ceiling_v <= most.ceiling_v * cells + 1e-6
    if typed is not None and typed not in by_register:
        assert [conflict.name for conflict in fit.conflicts] == ["chemistry"]
        assert fit.target_v <= most.conservative_v * cells + 1e-6


@given(ratings=valid_units(), typed=typed_settings)
@settings(max_examples=300, deadline=None)
def test_what_is_ignored_never_raises(ratings: Ratings, typed: LimitSettings) -> None:
    """What does not fit gives way to the lower of BMS target, ceiling and a conservative value."""
    fit = fit_to_battery(ratings, typed)
    plain = fit_to_battery(ratings, LimitSettings(chemistry=typed.chemistry))

    if fit.conflicts:
        assert fit.target_v <= fit.preset.conservative_v * ratings.series_cells + 1e-6
    assert fit.target_v <= max(plain.target_v, fit.ceiling_v) + 1e-6
    assert fit.target_v <= fit.bms_target_v
    used = (fit.bulk_v, fit.alarm_v, fit.threshold_v, fit.charge_current_a)
    assert all(value is None or value >= 0.0 or value < 0.0 for value in used), "no NaN passes"


@pytest.mark.parametrize(
    ("chemistry", "target_cell_v", "resting_v"),
    [("lto", 3.45, 53.6), ("li-ion", 3.45, 53.6), ("lfp", 3.65, 53.6)],
)
def test_typed_chemistry_on_a_live_lfp_pack(
    make_ratings: MakeRatings, chemistry: str, target_cell_v: float, resting_v: float
) -> None:
    """``lto`` sent 45.6 V, and 38.4 V on a stop; ``li-ion`` 57.6 V in every stop."""
    fit = fit_to_battery(make_ratings(), LimitSettings(chemistry=Chemistry(chemistry)), Chemistry.LFP)

    assert fit.target_v == pytest.approx(16 * target_cell_v)
    assert (fit.floor_v, fit.resting_v) == pytest.approx((51.2, resting_v))


@pytest.mark.parametrize(
    ("full_v", "over_v", "under_v", "conservative_v"),
    [(3.65, 3.75, 2.5, 3.45), (4.15, 4.25, 3.0, 4.00), (2.70, 2.80, 1.8, 2.50)],
)
def test_conservative_targets(
    make_ratings: MakeRatings, full_v: float, over_v: float, under_v: float, conservative_v: float
) -> None:
    """A value per cell where that of the pack is meant: 3.45, 4.00 and 2.50 V per cell for LFP, Li-ion and LTO."""
    ratings = make_ratings(fully_charged_cell_v=full_v, over_voltage_cell_v=over_v, under_voltage_cell_v=under_v)
    fit = fit_to_battery(ratings, LimitSettings(bulk_voltage_v=3.45))

    assert fit.target_v == pytest.approx(16 * conservative_v)
    assert [conflict.name for conflict in fit.conflicts] == ["bulk_voltage_v"]


def test_presets_rise_from_one_chemistry_to_the_next() -> None:
    """What makes the lowest of several chemistries the one that is safe for all of them."""
    presets = [PRESETS[chemistry] for chemistry in Chemistry]
    for lower, higher in pairwise(presets):
        for name in ("floor_v", "resting_v", "ceiling_v", "near_full_v", "conservative_v"):
            assert getattr(lower, name) < getattr(higher, name)


@given(cvl_v=st.floats(1.0, 70.0), cell_v=st.floats(2.6, 3.6), elapsed_s=st.floats(0.0, 100.0), typed=typed_settings)
@settings(max_examples=200, deadline=None)
def test_a_raised_floor_is_a_ramp(cvl_v: float, cell_v: float, elapsed_s: float, typed: LimitSettings) -> None:
    """The floor in force is at most its own, and above CVL by no more than 0.4 V each 20 s allow.

    Unless CVL stood where it would empty the battery: further below the pack than a stop goes, or below register 316.
    """
    ratings = Ratings(16, 3.65, 2.9, 3.75, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0)
    context = make_context(sample(ratings, cell_v), ratings, typed)
    floor_v = ramp_floor(context, cvl_v, elapsed_s).floor_v
    harmless_v = max(16 * 2.55, 16 * cell_v - 0.6)

    assert floor_v <= context.floor_v
    assert floor_v <= max(cvl_v + 0.02 * elapsed_s, harmless_v) + 1e-6
    assert floor_v >= min(context.floor_v, cvl_v)
    assert ramp_floor(context, None, 0.0) is context


def test_new_settings_do_not_lift_a_stop(make_ratings: MakeRatings, make_snapshot: Callable[..., Snapshot]) -> None:
    """Changing the chemistry while charging is stopped never makes CVL jump up."""
    ratings = make_ratings(fully_charged_cell_v=3.75, over_voltage_cell_v=3.90)
    stopped = LimitSettings(inhibited=Inhibited(charge=True), chemistry=Chemistry.LFP)
    memory, now_s, before_v = Memory(), 100.0, None
    for number in range(1, 400):
        now_s += 1.0
        asked = stopped if number < 60 else replace(stopped, chemistry=Chemistry.LI_ION)
        snapshot = make_snapshot(sequence=number, taken_at_s=now_s, ratings=ratings, max_cell_v=3.30, delta_mv=0.0)
        limits, memory = step(snapshot, asked, memory, now_s)
        if limits is None:
            continue
        assert before_v is None or limits.cvl_v <= before_v + 0.4 + 1e-6
        before_v = limits.cvl_v
    assert before_v == pytest.approx(59.2)
