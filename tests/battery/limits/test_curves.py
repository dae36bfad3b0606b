import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import Curve

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
