import pytest

from tinybms_bridge.battery.limits.times import lag_share


def test_an_average_takes_over_the_more_the_longer() -> None:
    """Nothing at once, half of a change after the lag, and never more than all of it."""
    assert lag_share(0.0, 60.0) == 0.0
    assert lag_share(60.0, 60.0) == 0.5
    assert lag_share(1e9, 60.0) == pytest.approx(1.0)
    assert lag_share(1.0, 60.0) < lag_share(2.0, 60.0)
