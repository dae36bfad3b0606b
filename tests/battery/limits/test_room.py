from collections.abc import Callable

import pytest

from tinybms_bridge.battery.limits.room import charges_past_ccl, room_above_ccl_a
from tinybms_bridge.battery.snapshot import Ratings


@pytest.mark.parametrize(
    ("ccl_a", "capacity_ah", "room_a"), [(100.0, 280.0, 10.0), (5.0, 280.0, 2.0), (5.0, 1000.0, 5.0), (0.0, 20.0, 2.0)]
)
def test_ccl_is_passed_by_clearly_more_only(
    make_ratings: Callable[..., Ratings], ccl_a: float, capacity_ah: float, room_a: float
) -> None:
    """A tenth, 2 A or 0.005C, whichever is most, is what loads, rounding and a sensor make of any CCL."""
    ratings = make_ratings(capacity_ah=capacity_ah)

    assert room_above_ccl_a(ccl_a, ratings) == pytest.approx(room_a)
    assert not charges_past_ccl(ccl_a + room_a - 0.01, ccl_a, ratings)
    assert charges_past_ccl(ccl_a + room_a + 0.01, ccl_a, ratings)


def test_no_ccl_is_passed_before_one_was_sent(make_ratings: Callable[..., Ratings]) -> None:
    """What flows before the first limit heeds none, and that shows nothing."""
    assert not charges_past_ccl(1000.0, None, make_ratings())
