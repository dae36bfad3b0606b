"""Sun and house."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.gx.plant import GxPlan, demo_load_power_w, demo_solar_power_w

DAY = [float(second) for second in range(240)]


def test_demonstration_shows_charging_and_discharging_within_minutes() -> None:
    """A day of four minutes has a long surplus of sun and a long evening without it."""
    plan = GxPlan()
    surplus = [plan.solar_power_w(second) - plan.load_power_w(second) for second in DAY]
    assert sum(power > 500 for power in surplus) > 60
    assert sum(power < -1500 for power in surplus) > 60


def test_day_repeats() -> None:
    """The second day is like the first."""
    assert [demo_solar_power_w(second + 240.0) for second in DAY] == pytest.approx([demo_solar_power_w(s) for s in DAY])
    assert [demo_load_power_w(second + 240.0) for second in DAY] == [demo_load_power_w(second) for second in DAY]


@given(st.floats(0, 1e7))
def test_powers_are_believable(time_s: float) -> None:
    """There is no negative sun, no more than 4 kW of it, and never a house without a load."""
    assert 0.0 <= demo_solar_power_w(time_s) <= 4000.0
    assert 300.0 <= demo_load_power_w(time_s) <= 4000.0
