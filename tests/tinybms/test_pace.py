"""Moments that packs share, and an interval that is bounded by what the machine bears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.adaptive import AdaptiveInterval, AdaptiveSettings
from tinybms_bridge.tinybms.pace import TOGETHER, Pace, pace_of

STARTS = st.floats(0.0, 1e6)
INTERVALS = st.floats(0.02, 5.0)


def test_the_only_pack_is_read_as_ever() -> None:
    """With one pack nothing moves a poll: the next one is an interval after the last."""
    assert pace_of(0, 1) == Pace()
    assert Pace().next_s(1000.013, 0.1) == 1000.013 + 0.1


def test_packs_are_spread_over_the_interval() -> None:
    """They never fall on one moment, and no moment has more than four of them."""
    for packs in range(2, 17):
        phases = [pace_of(index, packs).phase for index in range(packs)]
        assert all(phase is not None and 0.0 <= phase < 1.0 for phase in phases)
        assert 1 < len(set(phases)) <= 4
        assert max(phases.count(phase) for phase in phases) <= TOGETHER


@given(STARTS, INTERVALS, st.integers(0, 15))
def test_a_poll_comes_to_its_moment_and_is_never_late(start_s: float, interval_s: float, index: int) -> None:
    """Wherever it began, after a few polls it is at its moment, and stays; none is later than the interval says.

    None comes so soon that the BMS has no new data: at 100 ms that is after 85 ms.
    """
    pace = pace_of(index, 16)
    assert pace.phase is not None
    due_s = start_s
    for _ in range(12):
        next_s = pace.next_s(due_s, interval_s)
        assert 0.8499 * interval_s <= next_s - due_s <= interval_s + 0.002
        due_s = next_s
    off_s = (due_s - pace.phase * interval_s) % interval_s

    assert min(off_s, interval_s - off_s) < 1e-6 * max(1.0, due_s)
    assert pace.next_s(due_s, interval_s) == pytest.approx(due_s + interval_s, abs=1e-6)


def test_packs_of_one_moment_are_due_together() -> None:
    """Packs 0, 4, 8 and 12 share their turns of the event loop, whenever their adapters came."""
    due_s = [1000.0 + 0.0071 * index for index in range(16)]
    for _ in range(12):
        due_s = [pace_of(index, 16).next_s(each_s, 0.1) for index, each_s in enumerate(due_s)]
    moments = {round(each_s % 0.1, 6) % 0.1 for each_s in due_s}

    assert moments == {0.0, 0.025, 0.05, 0.075}


def test_what_is_borne_bounds_the_interval() -> None:
    """A line that is quick and sound is read no oftener, and one with failures backs off as ever."""
    configured = AdaptiveSettings()
    bound = Pace(least_ms=300.0).bound(configured)
    interval = AdaptiveInterval(bound)
    for _ in range(100):
        interval.success(12.0)
    assert interval.interval_ms == 300.0
    for _ in range(100):
        interval.timeout()

    assert interval.interval_ms == 1000.0
    assert Pace().bound(configured) is configured
    assert Pace(least_ms=300.0).bound(AdaptiveSettings(base_ms=500.0, min_ms=400.0)).min_ms == 400.0
