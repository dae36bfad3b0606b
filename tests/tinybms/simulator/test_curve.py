from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.curve import MonotoneCurve

_STEPS = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=10.0), st.floats(min_value=0.0, max_value=10.0)),
    min_size=1,
    max_size=12,
)


def _points(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    points = [(0.0, 0.0)]
    for dx, dy in steps:
        x, y = points[-1]
        points.append((x + dx, y + dy))
    return points


@given(_STEPS)
def test_the_curve_goes_through_its_points(steps: list[tuple[float, float]]) -> None:
    """Interpolation keeps what was measured."""
    points = _points(steps)
    curve = MonotoneCurve(points)

    assert [curve(x) for x, _ in points] == pytest.approx([y for _, y in points], abs=1e-9)


@given(_STEPS, st.lists(st.floats(min_value=-0.5, max_value=1.5), min_size=2, max_size=40))
def test_the_curve_never_falls(steps: list[tuple[float, float]], places: list[float]) -> None:
    """Between and beyond rising points the curve does not turn back."""
    points = _points(steps)
    curve = MonotoneCurve(points)
    width = points[-1][0]

    values = [curve(place * width) for place in sorted(places)]

    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(values))


def test_two_points_make_a_straight_line() -> None:
    """The smallest curve is linear, inside and beyond."""
    curve = MonotoneCurve([(0.0, 1.0), (2.0, 3.0)])

    assert [curve(x) for x in (-1.0, 0.5, 1.0, 4.0)] == pytest.approx([0.0, 1.5, 2.0, 5.0])


def test_a_flat_stretch_stays_flat() -> None:
    """Equal neighbours give no bump between them."""
    curve = MonotoneCurve([(0.0, 0.0), (1.0, 1.0), (2.0, 1.0), (3.0, 2.0)])

    assert [curve(1.0 + i / 10) for i in range(11)] == pytest.approx([1.0] * 11)


def test_the_ends_go_on_straight() -> None:
    """Beyond the ends the slope of the outermost interval holds."""
    curve = MonotoneCurve([(0.0, 0.0), (1.0, 1.0), (2.0, 4.0)])

    assert curve(3.0) == pytest.approx(7.0)
    assert curve(-2.0) == pytest.approx(-2.0)


def test_one_point_is_no_curve() -> None:
    """The smallest number of points is told."""
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        MonotoneCurve([(0.0, 0.0)])


@pytest.mark.parametrize("second", [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1)])
def test_points_out_of_order_are_refused(second: tuple[float, float]) -> None:
    """A table with a typing mistake does not become a curve."""
    with pytest.raises(ValueError, match="does not continue the rise"):
        MonotoneCurve([(0.0, 0.0), second])
