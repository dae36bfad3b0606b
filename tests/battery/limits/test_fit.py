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
    LimitSettings,
    ManualInhibits,
    Memory,
    ProtectionSettings,
    fit_to_battery,
    step,
)
from tinybms_bridge.battery.limits.context import make_context, ramp_floor
from tinybms_bridge.battery.limits.presets import possible_at, preset_for
from tinybms_bridge.battery.snapshot import Cells, PackState, Ratings, Snapshot

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
    return Snapshot(1, 100.0, PackState(sum(cells), 0.0, 50.0), Cells(cells), ratings=ratings)


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
        assert [misfit.name for misfit in fit.misfits] == ["chemistry"]
        assert fit.target_v <= most.conservative_v * cells + 1e-6


@given(ratings=valid_units(), typed=typed_settings)
@settings(max_examples=300, deadline=None)
def test_what_is_ignored_never_raises(ratings: Ratings, typed: LimitSettings) -> None:
    """What does not fit gives way to the lower of BMS target, ceiling and a conservative value."""
    fit = fit_to_battery(ratings, typed)
    plain = fit_to_battery(ratings, LimitSettings(chemistry=typed.chemistry))

    if fit.misfits:
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
    assert [misfit.name for misfit in fit.misfits] == ["bulk_voltage_v"]


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
    stopped = LimitSettings(manual=ManualInhibits(stop_charge=True), chemistry=Chemistry.LFP)
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
