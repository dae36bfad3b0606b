from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import CURVE_NAMES, Curve
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.curves import Curves
from tinybms_bridge.core.settings import battery_settings

Complaints = Callable[[object], dict[str, str]]

RULE = "must be points [x, fraction] with rising x and fractions from 0 to 1, for example [[0, 0], [10, 1]], or null"

xs, shares = st.floats(-50.0, 100.0), st.floats(0.0, 1.0)


def curve(points: object, name: str = "charge_by_soc") -> dict[str, Any]:
    """Make a document with one curve."""
    return {"cvl": {"curves": {name: points}}}


@pytest.mark.parametrize("name", CURVE_NAMES)
@pytest.mark.parametrize(
    "points",
    [
        None,
        [[0, 1]],
        [[0, 0], [10, 1]],
        [[-40, 0], [-20.5, 0.25], [0, 1.0], [60, 0]],
        [[n, n / 20] for n in range(20)],
    ],
)
def test_curves_are_accepted(name: str, points: object, complaints: Complaints) -> None:
    """One to twenty points with rising x, whole numbers or not, for each of the six curves; or null."""
    assert complaints(curve(points, name)) == {}


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([], id="no point"),
        pytest.param([[n, 0.5] for n in range(21)], id="21 points"),
        pytest.param([[0, 0], [0, 1]], id="x twice"),
        pytest.param([[10, 0], [0, 1]], id="x falls"),
        pytest.param([[0, 0], [5, 1], [3, 0]], id="thresholds that cross"),
        pytest.param([[0, 1.01]], id="more than everything"),
        pytest.param([[0, -0.1]], id="less than nothing"),
        pytest.param([[0, 50]], id="a percent"),
        pytest.param([[0]], id="half a point"),
        pytest.param([[0, 1, 2]], id="too much of a point"),
        pytest.param([0, 1], id="no points but numbers"),
        pytest.param([["0", "1"]], id="texts"),
        pytest.param([[True, False]], id="switches"),
        pytest.param([[0, None]], id="null in a point"),
        pytest.param([[1e7, 1]], id="an x that nothing has"),
        pytest.param([{"x": 0, "fraction": 1}], id="objects"),
    ],
)
def test_what_is_no_curve_is_refused_with_the_rule(points: object, complaints: Complaints) -> None:
    """The refusal says what a curve looks like."""
    assert complaints(curve(points)) == {"cvl.curves.charge_by_soc": RULE}


@pytest.mark.parametrize("points", ["[[0, 1]]", 5, True, {"0": 1}])
def test_what_is_no_list_is_refused(points: object, complaints: Complaints) -> None:
    """Another type is no curve either."""
    assert list(complaints(curve(points))) == ["cvl.curves.charge_by_soc"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str, problems: Callable[[str | bytes], list[Any]]) -> None:
    """Not a number, or beyond all numbers, in x or in the fraction."""
    for point in (f"[{number}, 1]", f"[0, {number}]"):
        assert problems(f'{{"cvl": {{"curves": {{"charge_by_soc": [{point}]}}}}}}')


def test_a_misspelt_curve_is_reported_with_its_name(complaints: Complaints) -> None:
    """A curve under a wrong name would silently be no curve."""
    (message,) = complaints({"cvl": {"curves": {"charge_by_temprature": [[0, 1]]}}}).values()

    assert "charge_by_temperature" in message


def test_every_curve_of_the_engine_has_its_key() -> None:
    """Engine and configuration know the same six names."""
    assert tuple(keys_of(Curves)) == CURVE_NAMES


@given(
    st.lists(st.tuples(st.floats(-50.0, 100.0), st.floats(0.0, 1.0)), min_size=1, max_size=20, unique_by=lambda p: p[0])
)
def test_every_accepted_curve_is_one_for_the_engine(points: list[tuple[float, float]]) -> None:
    """What the configuration accepts never fails later: it arrives point by point."""
    points.sort()
    config = interpret(curve([list(point) for point in points], "discharge_by_temperature"), "test").configuration

    assert battery_settings(config).limits.curves == (("discharge_by_temperature", Curve(tuple(points))),)
