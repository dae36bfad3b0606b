"""Sun, house and the charger's voltage control."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.victron.plant import GxPlan, VoltageRegulator, demo_load_power_w, demo_solar_power_w

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


def settle(resistance_ohm: float, step_s: float, ccl_a: float = 100.0) -> list[float]:
    """Return the terminal voltages while charging a battery of 52.8 V at rest towards a CVL of 53.6 V."""
    regulator, current_a, voltages = VoltageRegulator(), 0.0, []
    for _ in range(int(120.0 / step_s)):
        voltage_v = 52.8 + current_a * resistance_ohm
        voltages.append(voltage_v)
        current_a = regulator.step(53.6 - voltage_v, ccl_a, current_a, step_s)
    return voltages


@pytest.mark.parametrize("step_s", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("resistance_ohm", [0.01, 0.02, 0.05, 0.1])
def test_regulator_reaches_the_voltage_limit_and_stays(resistance_ohm: float, step_s: float) -> None:
    """The current tapers until the terminals are at CVL, without swinging about it."""
    voltages = settle(resistance_ohm, step_s)
    assert voltages[-10:] == pytest.approx([53.6] * 10, abs=0.02)
    assert max(voltages) <= 53.6 + 0.5


def test_current_limit_binds_before_the_voltage() -> None:
    """A battery far below CVL takes CCL and not more."""
    regulator, current_a = VoltageRegulator(), 0.0
    for _ in range(100):
        current_a = regulator.step(5.0, 40.0, current_a, 0.25)
    assert current_a == 40.0
    assert not regulator.limiting


def test_charge_stops_at_once_when_the_target_falls_below_the_battery() -> None:
    """A CVL under the battery's voltage is no reason to charge any further."""
    regulator, current_a = VoltageRegulator(), 0.0
    for _ in range(100):
        current_a = regulator.step(5.0, 40.0, current_a, 0.25)
    assert regulator.step(-0.5, 40.0, current_a, 0.25) == 0.0


def test_charge_starts_gently_after_a_pause() -> None:
    """When the sun returns, CVL is not overrun by all the current that was allowed before."""
    regulator, current_a = VoltageRegulator(), 0.0
    for _ in range(100):
        current_a = regulator.step(5.0, 100.0, current_a, 0.25)
    assert regulator.step(5.0, 100.0, 0.0, 0.25) <= 5.0


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 200), st.floats(-200, 200)), max_size=50))
def test_allowed_current_is_between_zero_and_the_limit(story: list[tuple[float, float, float]]) -> None:
    """Whatever happens, the regulator allows no negative current and no more than CCL."""
    regulator = VoltageRegulator()
    for room_v, ccl_a, flowing_a in story:
        assert 0.0 <= regulator.step(room_v, ccl_a, flowing_a, 0.25) <= ccl_a


def test_reset_forgets() -> None:
    """After a reset the current begins from nothing."""
    regulator = VoltageRegulator()
    for _ in range(20):
        regulator.step(5.0, 100.0, 90.0, 0.25)
    regulator.reset()
    assert regulator.step(0.0, 100.0, 90.0, 0.25) == 0.0
