import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits.resistance import cell_resistance_ohm, current_adds_v, rested_v
from tinybms_bridge.battery.snapshot import Ratings, Snapshot


@pytest.mark.parametrize(
    ("celsius", "millivolts"),
    [(25.0, 2.0), (45.0, 2.0), (12.5, 4.0), (0.0, 6.0), (-20.0, 6.0), (None, 2.0), (math.nan, 2.0)],
)
def test_the_estimate_by_temperature(celsius: float | None, millivolts: float) -> None:
    """2 mV for each 0.01C at 25 °C, three times as much at 0 °C, a line between, level outside."""
    assert cell_resistance_ohm(280.0, celsius) * 2.8 == pytest.approx(millivolts / 1000.0)


@pytest.mark.parametrize("capacity_ah", [0.0, -5.0, math.nan, math.inf])
def test_without_a_capacity_the_voltage_is_taken_as_it_is(capacity_ah: float) -> None:
    """A register that makes no sense invents no voltage."""
    assert rested_v(3.3, 50.0, capacity_ah) == 3.3


def test_what_the_current_adds_is_taken_away() -> None:
    """A charge lifts a cell above its rested voltage, a load pulls it below."""
    assert rested_v(3.40, 50.0, 100.0, 25.0) == pytest.approx(3.30)
    assert rested_v(3.10, -50.0, 100.0, 25.0) == pytest.approx(3.20)
    assert rested_v(3.30, 0.0, 100.0, 25.0) == 3.30


def test_the_coldest_sensor_counts(sample: Callable[..., Snapshot], make_ratings: Callable[..., Ratings]) -> None:
    """The current of a sample and its coldest reading decide what is added."""
    snapshot: Any = sample(current_a=10.0, temperatures_c=(25.0, 0.0, 20.0))

    assert current_adds_v(snapshot, make_ratings(capacity_ah=100.0)) == pytest.approx(0.06)


@given(st.floats(5.0, 1000.0), st.none() | st.floats(-40.0, 80.0))
def test_colder_is_never_less(capacity_ah: float, celsius: float | None) -> None:
    """The estimate stays between its two ends at any temperature."""
    warm, cold = cell_resistance_ohm(capacity_ah, 25.0), cell_resistance_ohm(capacity_ah, 0.0)

    assert warm <= cell_resistance_ohm(capacity_ah, celsius) <= cold
