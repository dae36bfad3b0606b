import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.gauge import FuelGauge


def test_an_hour_at_ten_amperes_is_ten_percent_of_a_hundred_ampere_hours() -> None:
    """Plain current counting against register 306."""
    gauge = FuelGauge(50.0)

    gauge.count(10.0, 3600.0, 100.0, 1000)

    assert gauge.soc_percent == pytest.approx(60.0)
    assert gauge.left_ah(100.0) == pytest.approx(60.0)


@given(
    st.lists(st.tuples(st.floats(min_value=-500, max_value=500), st.floats(min_value=0, max_value=1e5)), max_size=30)
)
def test_the_count_stays_within_0_and_100(steps: list[tuple[float, float]]) -> None:
    """It stops at the ends like the real one."""
    gauge = FuelGauge(50.0)
    for current_a, dt_s in steps:
        gauge.count(current_a, dt_s, 10.0, 10)

    assert 0.0 <= gauge.soc_percent <= 100.0
    assert 0.0 <= gauge.soh_percent <= 100.0


def test_health_follows_the_manuals_example() -> None:
    """1 Ah, 10 cycles: one cycle takes 100 % to 90 %; charging takes nothing."""
    gauge = FuelGauge(100.0)

    gauge.count(-1.0, 3600.0, 1.0, 10)
    gauge.count(1.0, 3600.0, 1.0, 10)

    assert gauge.soh_percent == pytest.approx(90.0)


def test_health_falls_at_the_usual_rate_where_the_register_is_missing() -> None:
    """Firmware 242 reads 0 in register 322."""
    gauge = FuelGauge(100.0)

    gauge.count(-1.0, 3600.0, 1.0, 0)

    assert gauge.soh_percent == pytest.approx(99.9)
