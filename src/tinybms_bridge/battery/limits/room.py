"""How much more than CCL may flow in before CCL counts as not obeyed."""

from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["charges_past_ccl", "room_above_ccl_a"]

_ROOM_RATIO, _ROOM_A, _ROOM_C_RATE = 0.1, 2.0, 0.005
"""Room above CCL, the largest counts: loads that change, a GX that rounds up, and the offset of a current sensor."""


def room_above_ccl_a(ccl_a: float, ratings: Ratings) -> float:
    """Return how much more than ``ccl_a`` may flow in before CCL counts as not obeyed."""
    return max(_ROOM_RATIO * ccl_a, _ROOM_A, _ROOM_C_RATE * ratings.capacity_ah)


def charges_past_ccl(current_a: float, ccl_a: float | None, ratings: Ratings) -> bool:
    """Return whether clearly more flows in than the CCL that was sent: then chargers feed in and heed none."""
    return ccl_a is not None and current_a > ccl_a and current_a > ccl_a + room_above_ccl_a(ccl_a, ratings)
