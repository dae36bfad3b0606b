"""Numbers of answers: as many decimals as their unit is worth, by one rule for all."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.answers import Answer, rounded


class Inner(Answer):
    """An answer within an answer."""

    spread_percent: float


class Example(Answer):
    """Every place in which a fraction can be."""

    voltage: float
    cvl_v: float | None
    highest_cell_v: float
    latency_avg_ms: float
    temperatures: list[float | None]
    statistics: dict[str, float | int | str] | None
    raw: list[dict[str, Any]]
    inner: Inner
    count: int
    name: str = "x"


def test_decimals_by_the_unit_in_the_name() -> None:
    """Whoever reads 17.11222555101757 ms learns nothing from the last ten digits."""
    found = Example(
        voltage=54.3217,
        cvl_v=53.690000000000005,
        highest_cell_v=3.41526,
        latency_avg_ms=17.11222555101757,
        temperatures=[25.449, None],
        statistics={"charged_wh": 0.04404851, "name": "a", "over_ah": 1.23456, "count": 3},
        raw=[{"value": 26.29450089899956}],
        inner=Inner(spread_percent=2.9217),
        count=7,
    )
    assert found.model_dump() == {
        "voltage": 54.32,
        "cvl_v": 53.69,
        "highest_cell_v": 3.4153,
        "latency_avg_ms": 17.1,
        "temperatures": [25.4, None],
        "statistics": {"charged_wh": 0.0, "name": "a", "over_ah": 1.23, "count": 3},
        "raw": [{"value": 26.2945}],
        "inner": {"spread_percent": 2.9},
        "count": 7,
        "name": "x",
    }


@pytest.mark.parametrize("value", [3, True, None, "3.14159", b"x"])
def test_what_is_no_fraction_stays(value: object) -> None:
    """Counters, switches and texts are not touched."""
    assert rounded("voltage", value) is value


def test_nothing_is_less_than_nothing() -> None:
    """A current of -0.001 A is shown as 0.0, not as -0.0."""
    assert math.copysign(1.0, rounded("current", -0.001)) == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(value: float) -> None:
    """JSON has no word for it, and a browser fails on one."""
    assert json.loads(Inner(spread_percent=value).model_dump_json()) == {"spread_percent": None}


@given(st.text(max_size=30), st.floats(-1e9, 1e9))
def test_no_name_makes_a_number_another_one(name: str, value: float) -> None:
    """Whatever a field is called, at least the tenths are right."""
    shown = rounded(name, value)
    assert isinstance(shown, float)
    assert abs(shown - value) <= 0.05 + 1e-6
