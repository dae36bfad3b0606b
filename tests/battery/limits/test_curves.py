import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import CURVE_NAMES, Curve, curves_for
from tinybms_bridge.battery.limits.curves import head_room_v
from tinybms_bridge.battery.snapshot import Ratings

RAMP = Curve(((0.0, 0.0), (10.0, 0.5), (20.0, 1.0), (40.0, 1.0), (50.0, 0.2)))

fractions = st.floats(0.0, 1.0)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Return a curve of a few points in the range of voltages, temperatures and percents."""
    xs = sorted(draw(st.sets(st.integers(-4000, 10_000), min_size=1, max_size=8)))
    return Curve(tuple((x / 100.0, draw(fractions)) for x in xs))


@pytest.mark.parametrize(
    ("x", "fraction"),
    [
        (0.0, 0.0),
        (5.0, 0.25),
        (10.0, 0.5),
        (15.0, 0.75),
        (20.0, 1.0),
        (30.0, 1.0),
        (45.0, 0.6),
        (50.0, 0.2),
        (-1.0, 0.0),
        (51.0, 0.2),
        (math.inf, 0.2),
        (-math.inf, 0.0),
    ],
)
def test_straight_lines_between_points_and_level_outside(x: float, fraction: float) -> None:
    """A curve is what its points say, halfway between them the mean, and outside what the end says."""
    assert RAMP.at(x) == pytest.approx(fraction)


def test_no_number_leaves_nothing() -> None:
    """What is not a number is nothing to charge or discharge by."""
    assert RAMP.at(math.nan) == 0.0
    assert Curve(((20.0, 1.0),)).at(math.nan) == 0.0


@pytest.mark.parametrize("x", [-300.0, 20.0, 1e9])
def test_a_single_point_is_a_level(x: float) -> None:
    """One point says the same everywhere."""
    assert Curve(((20.0, 0.7),)).at(x) == 0.7


@pytest.mark.parametrize(
    "points",
    [
        (),
        ((1.0, 0.0), (1.0, 1.0)),
        ((2.0, 0.0), (1.0, 1.0)),
        ((0.0, 0.0), (2.0, 0.5), (1.0, 1.0)),
        ((math.nan, 0.0),),
        ((0.0, 0.0), (math.nan, 1.0)),
        ((-math.inf, 0.0), (1.0, 1.0)),
        ((0.0, 1.0), (math.inf, 0.0)),
    ],
)
def test_points_that_do_not_rise_are_no_curve(points: tuple[tuple[float, float], ...]) -> None:
    """Crossing, equal, endless or missing points are refused, and the refusal shows them."""
    with pytest.raises(ValueError, match="ascending x, got") as caught:
        Curve(points)
    assert str(points) in str(caught.value)


@pytest.mark.parametrize("fraction", [-0.01, 1.01, math.nan, math.inf, 50.0])
def test_fractions_are_shares(fraction: float) -> None:
    """A fraction outside 0 to 1 would raise a limit, or is a percent by mistake."""
    with pytest.raises(ValueError, match="fractions of a curve are 0 to 1"):
        Curve(((0.0, 1.0), (1.0, fraction)))


@given(curves())
def test_every_point_lies_on_its_curve(curve: Curve) -> None:
    """A curve goes through each of its points."""
    for x, fraction in curve.points:
        assert curve.at(x) == pytest.approx(fraction, abs=1e-12)


@given(curves(), st.floats(-1e3, 1e3))
def test_values_stay_between_their_neighbours(curve: Curve, x: float) -> None:
    """Between two points nothing lies above the higher or below the lower one; so nothing leaves 0 to 1."""
    around = [curve.points[0], *curve.points, curve.points[-1]]
    left = max((i for i, (x0, _) in enumerate(curve.points, start=1) if x0 <= x), default=0)
    low, high = sorted((around[left][1], around[left + 1][1]))
    assert low - 1e-9 <= curve.at(x) <= high + 1e-9


@given(curves(), st.floats(0.0, 1.0))
def test_halfway_is_the_mean(curve: Curve, share: float) -> None:
    """A share of the way between two points is the same share of the way between their fractions."""
    for (x0, y0), (x1, y1) in pairwise(curve.points):
        assert curve.at(x0 + share * (x1 - x0)) == pytest.approx(y0 + share * (y1 - y0), abs=1e-6)


@given(
    points=st.lists(
        st.tuples(st.integers(-50, 50), st.sampled_from([0.0, 0.25, 1.0])), min_size=1, unique_by=lambda point: point[0]
    ),
    x=st.floats(-60.0, 60.0) | st.integers(-50, 50).map(float) | st.sampled_from([-math.inf, math.inf]),
)
@example(points=[(0, 1.0), (-1, 0.0)], x=-5.02294672250623e-22)  # so near that the exact fraction rounds to 1
def test_the_whole_stretch_is_no_shortcut_to_more(points: list[tuple[int, float]], x: float) -> None:
    """Everywhere the fraction is that of the straight line; 1 between two points of 1, at each point that point's."""
    curve = Curve(tuple((float(at), fraction) for at, fraction in sorted(points)))
    below = [point for point in curve.points if point[0] <= x][-1:] or [curve.points[0]]
    above = [point for point in curve.points if point[0] >= x][:1] or [curve.points[-1]]
    ((x0, y0),), ((x1, y1),) = below, above

    assert curve.at(x) == pytest.approx(_on_the_line(x0, y0, x1, y1, x), rel=0.0, abs=1e-12)
    assert 0.0 <= curve.at(x) <= 1.0
    assert y0 < 1.0 or y1 < 1.0 or curve.at(x) == 1.0
    assert all(curve.at(at) == fraction for at, fraction in curve.points)


def _on_the_line(x0: float, y0: float, x1: float, y1: float, x: float) -> float:
    """Return the fraction at ``x`` without any rounding but the last."""
    if x0 == x1 or not x0 <= x <= x1:
        return y0
    share = (Fraction(x) - Fraction(x0)) / (Fraction(x1) - Fraction(x0))
    return float(Fraction(y0) + (Fraction(y1) - Fraction(y0)) * share)


def test_a_stretch_lowers_where_any_of_it_does() -> None:
    """Asked for a stretch, a curve tells whether it is whole at both ends and between; no number is never whole."""
    curve = Curve(((0.0, 0.0), (10.0, 1.0), (40.0, 1.0), (50.0, 0.0)))

    assert not curve.lowers_within(10.0, 40.0)
    assert curve.lowers_within(9.9, 40.0)
    assert curve.lowers_within(10.0, 40.1)
    assert curve.lowers_within(math.nan, 20.0)
    assert curve.lowers_within(20.0, math.nan)


@given(
    curves(),
    st.lists(st.floats(-50.0, 120.0) | st.just(math.nan) | st.just(math.inf), max_size=5),
    st.floats(-1.0, 1.0),
)
def test_many_questions_are_answered_as_one_by_one(curve: Curve, xs: list[float], less: float) -> None:
    """To the last bit, at the points, outside and for what is no number."""
    xs += [x for x, _ in curve.points]

    assert curve.at_each(xs) == [curve.at(x) for x in xs]
    assert curve.at_each(xs, less=less) == [curve.at(x - less) for x in xs]


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
