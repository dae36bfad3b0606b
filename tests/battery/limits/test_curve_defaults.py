import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import CURVE_NAMES, Curve, curves_for
from tinybms_bridge.battery.limits.curve_defaults import head_room_v
from tinybms_bridge.battery.snapshot import Ratings

MakeRatings = Callable[..., Ratings]

CHEMISTRIES = [
    pytest.param(3.65, 2.90, 3.75, id="lfp"),
    pytest.param(3.50, 2.80, 3.65, id="lfp-low"),
    pytest.param(4.15, 3.00, 4.25, id="li-ion"),
    pytest.param(2.65, 1.80, 2.80, id="lto"),
]

per_chemistry = pytest.mark.parametrize(("full_v", "empty_v", "cutoff_v"), CHEMISTRIES)


@per_chemistry
def test_charge_ends_before_the_over_voltage_cutoff(
    make_ratings: MakeRatings, full_v: float, empty_v: float, cutoff_v: float
) -> None:
    """Full current up to half the head room below register 300, 40 % at it, none at four fifths of the way to 315."""
    curve = curves_for(_rated(make_ratings, full_v, empty_v, cutoff_v))["charge_by_cell_voltage"]
    room_v = cutoff_v - full_v

    assert curve.at(full_v - 0.5 * room_v) == 1.0
    assert curve.at(full_v) == pytest.approx(0.4)
    assert curve.at(full_v + 0.4 * room_v) == pytest.approx(0.1)
    assert 0.0 < curve.at(full_v + 0.79 * room_v) < 0.01
    assert curve.at(full_v + 0.8 * room_v) == 0.0 == curve.at(cutoff_v)


@pytest.mark.parametrize(("cold_c", "hot_c"), [(1.0, 60.0), (0.0, 45.0), (-30.0, 60.0), (10.0, 55.0)])
def test_charge_needs_a_temperature_between_registers_320_and_319(
    make_ratings: MakeRatings, cold_c: float, hot_c: float
) -> None:
    """Nothing where the BMS stops charging, full current 14 K above, and nothing again at its heat cutoff."""
    ratings = make_ratings(low_temperature_charge_c=cold_c, over_heat_c=hot_c)
    curve = curves_for(ratings)["charge_by_temperature"]

    assert curve.at(cold_c) == 0.0 == curve.at(cold_c - 20.0)
    assert [curve.at(cold_c + kelvin) for kelvin in (4.0, 9.0, 14.0)] == pytest.approx([0.25, 0.6, 1.0])
    assert [curve.at(hot_c - kelvin) for kelvin in (15.0, 5.0, 0.0, -9.0)] == pytest.approx([1.0, 0.4, 0.0, 0.0])


def test_discharge_needs_less_of_the_weather(make_ratings: MakeRatings) -> None:
    """Cold does not stop the loads before the -40 °C of the BMS; heat does where it cuts both directions."""
    curve = curves_for(make_ratings(over_heat_c=60.0))["discharge_by_temperature"]

    assert [curve.at(c) for c in (-40.0, -30.0, -20.0, 1.0, 50.0, 55.0)] == pytest.approx([0, 0.3, 1, 1, 1, 0.5])
    assert curve.at(60.0) == 0.0
    assert curve.at(59.9) > 0.0
    assert curve.at(-39.0) > 0.0


@pytest.mark.parametrize("name", ["charge_by_soc", "discharge_by_soc"])
def test_soc_bounds_nothing_by_default(make_ratings: MakeRatings, name: str) -> None:
    """A counted SOC drifts; without a curve of the user it does not bound the currents."""
    assert {curves_for(make_ratings())[name].at(soc) for soc in (0.0, 0.1, 50.0, 100.0)} == {1.0}


@pytest.mark.parametrize(("full_v", "room_v"), [(3.65, 0.15), (3.40, 0.15), (4.10, 0.10), (4.19, 0.01)])
def test_a_cutoff_of_another_chemistry_gives_no_head_room(
    make_ratings: MakeRatings, full_v: float, room_v: float
) -> None:
    """With register 315 left at 4.2 V an LFP cell does not charge up to 4.09 V."""
    ratings = make_ratings(fully_charged_cell_v=full_v, over_voltage_cell_v=4.2)

    assert head_room_v(ratings) == pytest.approx(room_v)
    assert curves_for(ratings)["charge_by_cell_voltage"].at(full_v + 0.8 * room_v) == pytest.approx(0.0, abs=1e-9)
    assert curves_for(ratings)["charge_by_cell_voltage"].at(full_v - 0.5 * room_v) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("cold_c", "hot_c", "best_c"), [(10.0, 20.0, 14.8), (1.0, 20.0, 10.2), (10.0, 38.0, 23.3), (-40.0, 90.0, 20.0)]
)
def test_close_temperatures_keep_both_ends(
    make_ratings: MakeRatings, cold_c: float, hot_c: float, best_c: float
) -> None:
    """Cutoffs close together make both slopes steeper; neither end is lost, and there is a place for full current."""
    ratings = make_ratings(low_temperature_charge_c=cold_c, over_heat_c=hot_c)
    curve = curves_for(ratings)["charge_by_temperature"]

    assert (curve.at(cold_c), curve.at(hot_c)) == (0.0, 0.0)
    assert curve.at(best_c) == pytest.approx(1.0, abs=0.02)


def test_crossed_settings_never_charge(make_ratings: MakeRatings) -> None:
    """A cutoff below full charge, or heat below cold, leaves no place to charge instead of a curve that rises."""
    crossed = curves_for(make_ratings(fully_charged_cell_v=3.7, over_voltage_cell_v=3.6))["charge_by_cell_voltage"]
    hot = curves_for(make_ratings(low_temperature_charge_c=10.0, over_heat_c=-5.0))["charge_by_temperature"]

    assert {crossed.at(v) for v in (2.0, 3.3, 3.6, 3.7)} == {0.0}
    assert {hot.at(c) for c in (-30.0, 0.0, 25.0)} == {0.0}


def test_values_that_are_no_numbers_leave_their_points_out(make_ratings: MakeRatings) -> None:
    """Settings that cannot be read as numbers cost their own end of a curve, not the program."""
    curves = curves_for(make_ratings(over_heat_c=math.nan, low_temperature_charge_c=1.0))
    assert curves["charge_by_temperature"].at(1.0) == 0.0
    assert curves["charge_by_temperature"].at(80.0) == 1.0
    nothing = curves_for(make_ratings(fully_charged_cell_v=math.inf))
    assert nothing["charge_by_cell_voltage"].at(3.0) == 1.0


def test_curve_of_the_user_replaces_its_default_alone(make_ratings: MakeRatings) -> None:
    """A curve is replaced by its name; the five others stay."""
    chosen = Curve(((0.0, 0.0), (100.0, 1.0)))
    curves, defaults = curves_for(make_ratings(), (("charge_by_soc", chosen),)), curves_for(make_ratings())

    assert curves["charge_by_soc"] is chosen
    assert {name for name in CURVE_NAMES if curves[name] != defaults[name]} == {"charge_by_soc"}


def test_every_curve_has_its_name(make_ratings: MakeRatings) -> None:
    """There are three curves for each direction, under the names that the configuration knows."""
    assert tuple(curves_for(make_ratings())) == CURVE_NAMES
    assert len([name for name in CURVE_NAMES if name.startswith("charge_by_")]) == 3
    assert len([name for name in CURVE_NAMES if name.startswith("discharge_by_")]) == 3


@st.composite
def legal_ratings(draw: st.DrawFn) -> dict[str, float]:
    """Return settings within the ranges of registers 300, 301, 315, 316, 319 and 320 (registers.csv)."""
    mv = sorted(draw(st.lists(st.integers(90, 450), min_size=4, max_size=4, unique=True)))
    names = ("under_voltage_cell_v", "fully_discharged_cell_v", "fully_charged_cell_v", "over_voltage_cell_v")
    volts = {name: value / 100.0 for name, value in zip(names, mv, strict=True)}
    return volts | {
        "low_temperature_charge_c": float(draw(st.integers(-40, 10))),
        "over_heat_c": float(draw(st.integers(20, 90))),
    }


@given(legal_ratings(), st.floats(0.5, 5.0), st.floats(-60.0, 100.0))
def test_any_legal_settings_give_safe_curves(
    make_ratings: MakeRatings, legal: dict[str, float], cell_v: float, celsius: float
) -> None:
    """For all settings that a BMS accepts: nothing beyond its cutoffs; near empty no curve lowers DCL."""
    ratings = make_ratings(**legal)
    curves = curves_for(ratings)

    if cell_v >= ratings.over_voltage_cell_v:
        assert curves["charge_by_cell_voltage"].at(cell_v) == 0.0
    assert curves["discharge_by_cell_voltage"].at(cell_v) == 1.0
    if not ratings.low_temperature_charge_c < celsius < ratings.over_heat_c:
        assert curves["charge_by_temperature"].at(celsius) == 0.0
    assert (curves["discharge_by_temperature"].at(celsius) == 0.0) == (not -40.0 < celsius < ratings.over_heat_c)


@given(legal_ratings(), st.floats(0.5, 5.0), st.floats(0.0, 1.0))
def test_higher_cells_never_charge_faster(
    make_ratings: MakeRatings, legal: dict[str, float], cell_v: float, more_v: float
) -> None:
    """Charge current only falls with the highest cell."""
    curves = curves_for(make_ratings(**legal))

    assert curves["charge_by_cell_voltage"].at(cell_v + more_v) <= curves["charge_by_cell_voltage"].at(cell_v) + 1e-9


def _rated(make_ratings: MakeRatings, full_v: float, empty_v: float, cutoff_v: float) -> Ratings:
    return make_ratings(fully_charged_cell_v=full_v, fully_discharged_cell_v=empty_v, over_voltage_cell_v=cutoff_v)
