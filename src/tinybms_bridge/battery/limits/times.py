"""Times that several stages share, and what of a change counts after some time.

The reasons of its numbers: charge-control.md#overview.
"""

__all__ = ["DAY_S", "SHORTEST_CVL_INTERVAL_S", "lag_share"]

DAY_S = 86_400
"""In seconds of the lifetime counter, which knows no calendar."""

SHORTEST_CVL_INTERVAL_S = 0.5
"""Between two rises of CVL, as in the configuration; 0 would be no ramp."""


def lag_share(elapsed_s: float, lag_s: float) -> float:
    """Return which share of a change an average with this lag takes over in ``elapsed_s``."""
    return elapsed_s / (elapsed_s + lag_s)
