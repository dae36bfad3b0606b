"""The throttle against the firmware's own test, and its bounds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.live.throttle import Throttle, ThrottleSettings

FIRMWARE = ThrottleSettings(min_interval_s=0.1, burst_window_s=0.5, burst_max=2, max_payload_bytes=128)


def test_figures_of_the_firmware() -> None:
    """Sending at 0, 50, 150 and 160 ms lets the first and the third through (firmware reference, 7.7)."""
    throttle = Throttle(FIRMWARE)
    assert [throttle.allow(at_s, 100) for at_s in (0.0, 0.05, 0.15, 0.16)] == [True, False, True, False]
    assert throttle.dropped == 2


def test_burst_ends_with_the_window() -> None:
    """Within a window only so many go out; the next window starts with the first one after it."""
    throttle = Throttle(FIRMWARE)
    assert [throttle.allow(at_s, 1) for at_s in (0.0, 0.1, 0.2, 0.4, 0.5)] == [True, True, False, False, True]


def test_long_message_is_never_sent() -> None:
    """A message above the limit is dropped, even the first one."""
    throttle = Throttle(FIRMWARE)
    assert not throttle.allow(0.0, 129)
    assert throttle.allow(0.0, 128)


def test_grid_of_the_shortest_interval() -> None:
    """Sums that are not exact do not cost messages: ten a second are ten a second."""
    throttle = Throttle(ThrottleSettings(min_interval_s=0.1, burst_max=100))
    at_s, sent = 1000.0, 0
    for _ in range(100):
        sent += throttle.allow(at_s, 10)
        at_s += 0.1
    assert sent == 100


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_burst(gaps_s: list[float]) -> None:
    """Whatever the times, neighbours keep the interval and no window has more than its burst."""
    throttle = Throttle(FIRMWARE)
    at_s, allowed = 0.0, []
    for gap_s in gaps_s:
        at_s += gap_s
        if throttle.allow(at_s, 1):
            allowed.append(at_s)
    assert allowed
    assert all(b - a >= 0.0999 for a, b in pairwise(allowed))
    assert all(c - a >= 0.1999 for a, c in zip(allowed, allowed[2:], strict=False))
