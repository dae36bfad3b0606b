from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    Chemistry,
    Curve,
    LimitSettings,
    ProtectionSettings,
    RateSettings,
    StateSettings,
    fit_to_battery,
)
from tinybms_bridge.battery.limits.charging import Charging, charging_for
from tinybms_bridge.battery.snapshot import Ratings

EPSILON = 1e-6


def made(ratings: Ratings, settings: LimitSettings | None = None, *, feed_in: bool = False) -> Charging:
    """Return the set of a battery."""
    settings = settings or LimitSettings()
    return charging_for(ratings, settings, fit_to_battery(ratings, settings), feed_in=feed_in)


@st.composite
def units(draw: st.DrawFn) -> Ratings:
    """Return any unit that the vendor's own rules allow: 316 + 10 mV <= 301, 301 + 10 <= 300, 300 + 10 <= 315."""
    full_mv = draw(st.integers(1200, 4490))
    over_mv = draw(st.integers(full_mv + 10, 4500))
    empty_mv = draw(st.integers(max(1000, 810), full_mv - 10))
    under_mv = draw(st.integers(800, empty_mv - 10))
    return Ratings(
        series_cells=draw(st.integers(4, 16)),
        fully_charged_cell_v=full_mv / 1000,
        fully_discharged_cell_v=empty_mv / 1000,
        over_voltage_cell_v=over_mv / 1000,
        under_voltage_cell_v=under_mv / 1000,
        charge_over_current_a=draw(st.floats(1.0, 750.0)),
        discharge_over_current_a=100.0,
        discharge_peak_current_a=None,
        over_heat_c=60.0,
        low_temperature_charge_c=draw(st.floats(-20.0, 10.0)),
        capacity_ah=draw(st.floats(0.1, 655.0)),
        charge_finished_current_a=draw(st.floats(0.1, 5.0)),
        least_current_a=draw(st.sampled_from([0.08, 0.8])),
    )


@given(units(), st.none() | st.sampled_from(Chemistry), st.booleans())
def test_distances_hold_for_every_unit(ratings: Ratings, typed: Chemistry | None, feed_in: bool) -> None:
    """Target + 20 mV <= release < protection <= register 300 - 10 mV per cell, and floor <= FLOAT <= target."""
    settings = LimitSettings(chemistry=typed)
    fit = fit_to_battery(ratings, settings)
    charging = charging_for(ratings, settings, fit, feed_in=feed_in)
    cells, full_v = ratings.series_cells, ratings.fully_charged_cell_v
    balancing = charging.balancing
    assert balancing is not None
    if not charging.narrow:
        assert charging.target_cell_v + 0.02 <= charging.release_cell_v + EPSILON
        assert charging.threshold_cell_v <= full_v - 0.01 + EPSILON
        assert balancing.threshold_cell_v <= full_v - 0.01 + EPSILON
    assert charging.release_cell_v < charging.threshold_cell_v or charging.narrow
    assert charging.release_cell_v <= charging.threshold_cell_v <= full_v + EPSILON
    for each in (charging, balancing):
        assert fit.floor_v - EPSILON <= each.float_v <= each.target_v + EPSILON
        assert each.target_v <= max(fit.target_v, fit.floor_v) + EPSILON
        assert each.target_v == pytest.approx(each.target_cell_v * cells)
        assert each.release_cell_v <= each.threshold_cell_v
        assert each.target_cell_v <= each.threshold_cell_v + EPSILON
        fractions = [fraction for _, fraction in each.ccl_by_cell.points]
        assert all(a >= b for a, b in pairwise(fractions))
        assert fractions[-1] == 0.0
        assert each.ccl_by_cell.at(full_v) == 0.0
    assert balancing.target_v >= charging.target_v - EPSILON
    if feed_in and not charging.narrow:
        highest_v = (full_v - 0.03) * cells - 0.4
        assert charging.target_v <= max(highest_v, fit.floor_v) + EPSILON
    assert charging.hold_a <= charging.most_hold_a
    assert charging.tail_a >= ratings.least_current_a


@given(units(), st.booleans())
def test_cold_allows_nothing_in_frost_and_never_falls_with_warmth(ratings: Ratings, feed_in: bool) -> None:
    """Register 320 at -20 and 318 above 1C plate no lithium: 0 at 0 degrees, and no jump where the bound ends."""
    charging = made(ratings, feed_in=feed_in)
    if charging.cold is None:
        return
    assert charging.cold_a(-5.0) == charging.cold_a(0.0) == 0.0
    assert all(charging.charges_at(celsius / 4) is (charging.cold_a(celsius / 4) > 0.0) for celsius in range(-40, 120))
    amperes = [charging.cold_a(celsius / 2) for celsius in range(50)]
    assert all(a <= b for a, b in pairwise(amperes))
    assert charging.cold_a(5.0) == pytest.approx(0.12 * ratings.capacity_ah)
    assert charging.cold_a(24.999) >= 0.99 * min(ratings.charge_over_current_a, charging.cold_full_a)


@pytest.mark.parametrize(
    ("full_v", "target_v", "float_v", "threshold_v", "release_v"),
    [
        pytest.param(3.65, 3.50, 3.375, 3.62, 3.59, id="LFP"),
        pytest.param(3.55, 3.47, 3.375, 3.52, 3.49, id="LFP, careful"),
        pytest.param(3.70, 3.50, 3.375, 3.62, 3.59, id="more than LFP bears"),
        pytest.param(3.40, 3.36, 3.36, 3.39, 3.38, id="LFP with no room"),
        pytest.param(4.15, 4.11, 4.08, 4.14, 4.13, id="Li-ion"),
        pytest.param(2.70, 2.64, 2.61, 2.68, 2.66, id="LTO"),
    ],
)
def test_values_by_chemistry(
    make_ratings: Callable[..., Ratings],
    full_v: float,
    target_v: float,
    float_v: float,
    threshold_v: float,
    release_v: float,
) -> None:
    """The table of the reference, volts per cell."""
    charging = made(
        make_ratings(fully_charged_cell_v=full_v, over_voltage_cell_v=full_v + 0.1, under_voltage_cell_v=1.5)
    )

    assert (charging.target_cell_v, charging.float_cell_v) == pytest.approx((target_v, float_v))
    assert (charging.threshold_cell_v, charging.release_cell_v) == pytest.approx((threshold_v, release_v))
    assert charging.follows_full


@pytest.mark.parametrize(
    ("capacity_ah", "least_a", "hold_a"),
    [(280.0, 0.8, 1.4), (100.0, 0.8, 1.2), (20.0, 0.8, 1.2), (20.0, 0.08, 0.12), (655.0, 0.8, 3.275)],
)
def test_hold_current_is_read_by_the_bms(
    make_ratings: Callable[..., Ratings], capacity_ah: float, least_a: float, hold_a: float
) -> None:
    """A TinyBMS bleeds only while it reads a charge current."""
    assert made(make_ratings(capacity_ah=capacity_ah, least_current_a=least_a)).hold_a == pytest.approx(hold_a)


@pytest.mark.parametrize(
    ("capacity_ah", "finished_a", "tail_a"),
    [(280.0, 1.0, 8.4), (20.0, 5.0, 1.0), (100.0, 4.0, 4.0), (10.0, 0.1, 0.8)],
)
def test_tail_is_bounded(
    make_ratings: Callable[..., Ratings], capacity_ah: float, finished_a: float, tail_a: float
) -> None:
    """Register 304, at least 0.03C, at most 0.05C, and never less than the board can read."""
    ratings = make_ratings(capacity_ah=capacity_ah, charge_finished_current_a=finished_a)
    assert made(ratings).tail_a == pytest.approx(tail_a)


@pytest.mark.parametrize(
    "settings",
    [
        LimitSettings(bulk_voltage_v=58.0),
        LimitSettings(states=StateSettings(float_offset_v=0.2)),
        LimitSettings(states=StateSettings(float_soc_percent=96.0)),
        LimitSettings(states=StateSettings(float_exit_soc_percent=90.0)),
        LimitSettings(defaults=ChargeDefaults.BEFORE),
    ],
)
def test_one_of_the_set_keeps_the_others(make_ratings: Callable[..., Ratings], settings: LimitSettings) -> None:
    """Target, FLOAT voltage and FLOAT rule each keep the values that all others had before."""
    charging = made(make_ratings(), settings)

    assert not charging.by_chemistry
    assert not charging.follows_full
    assert (charging.threshold_cell_v, charging.release_cell_v, charging.hold_a) == pytest.approx((3.67, 3.65, 5.0))
    assert charging.target_v == pytest.approx(settings.bulk_voltage_v or 58.4)
    assert charging.ccl_by_cell.at(3.65) == pytest.approx(0.4)


def test_typed_values_count_beside_the_set(make_ratings: Callable[..., Ratings]) -> None:
    """Protection, hold current, steps and curves that are typed are used as they are, in the set by chemistry."""
    curve = Curve(((-10.0, 0.5), (0.0, 1.0)))
    settings = LimitSettings(
        protection=ProtectionSettings(threshold_v=3.6, release_v=3.58),
        states=StateSettings(maximum_ccl_in_float_a=7.0, sustain_ccl_a=3.0),
        rates=RateSettings(cvl_step_v=0.3),
        curves=(("charge_by_temperature", curve),),
    )
    charging = made(make_ratings(), settings)

    assert charging.by_chemistry
    assert (charging.threshold_cell_v, charging.release_cell_v) == (3.6, 3.58)
    assert (charging.hold_a, charging.most_hold_a, charging.sustain_ccl_a, charging.cvl_step_v) == (7.0, 7.0, 3.0, 0.3)
    assert charging.cold is None


@pytest.mark.parametrize(("cells", "step_v"), [(16, 0.4), (8, 0.2), (4, 0.1)])
def test_steps_scale_with_the_cells(make_ratings: Callable[..., Ratings], cells: int, step_v: float) -> None:
    """A step moves the cells of any pack by the same, at least one step of the frame; recovery likewise."""
    charging = made(make_ratings(series_cells=cells))
    assert (charging.cvl_step_v, charging.recovery_v_per_s) == pytest.approx((step_v, step_v / 20.0))


def test_feed_in_lowers_and_never_raises(make_ratings: Callable[..., Ratings]) -> None:
    """Where solar chargers stand above CVL nothing becomes higher, and FLOAT + 0.4 V is at most the target."""
    for cells in range(4, 17):
        ratings = replace(make_ratings(), series_cells=cells)
        without, seen = made(ratings), made(ratings, feed_in=True)
        assert seen.target_v <= without.target_v
        assert seen.float_v <= without.float_v
        assert seen.float_v + 0.4 <= without.target_v + EPSILON
