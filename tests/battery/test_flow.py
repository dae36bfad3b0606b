"""What the current of a minute tells: a time left only where it is known, and what flows although it may not."""

from collections.abc import Sequence

import pytest

from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot

LIMITS = Limits(54.0, 50.0, 80.0, 44.0, ChargeState.BULK, Freshness.FRESH)


def sample(at_s: float, current_a: float, soc_percent: float = 50.0, *, known: bool = True) -> Snapshot:
    """Return a sample."""
    pack = PackValues(voltage_v=53.0, current_a=current_a, soc_percent=soc_percent, soc_known=known)
    return Snapshot(sequence=int(at_s * 10) + 1, taken_at_s=at_s, pack=pack, cells=Cells((3.3,) * 16))


def flow_of(currents_a: Sequence[float], *, soc_percent: float = 50.0, known: bool = True) -> Flow:
    """Return what is known after one sample each half second."""
    flow = Flow()
    for number, current_a in enumerate(currents_a):
        at_s = 100.0 + number / 2.0
        flow.add(sample(at_s, current_a, soc_percent, known=known), LIMITS, at_s)
    return flow


@pytest.mark.parametrize(
    ("currents_a", "soc_percent", "hours"),
    [
        ([25.0] * 121, 50.0, 2.0),
        ([-25.0] * 121, 50.0, 2.0),
        ([-25.0] * 121, 10.0, 0.4),
        ([24.0, 26.0] * 60, 50.0, 2.0),
        ([25.0] * 60, 50.0, None),
        ([10.0] * 60 + [40.0] * 60, 50.0, None),
        ([25.0, -25.0] * 60, 50.0, None),
        ([5.0, 45.0] * 60, 50.0, None),
        ([0.0] * 121, 50.0, None),
        ([0.2] * 121, 50.0, None),
        ([25.0] * 121, 100.0, None),
        ([-25.0] * 121, 0.0, None),
    ],
)
def test_time_left_only_with_a_steady_current(currents_a: list[float], soc_percent: float, hours: float | None) -> None:
    """A minute of it, at 100 Ah; not after a step, to and fro, too little, or where there is nothing left."""
    assert flow_of(currents_a, soc_percent=soc_percent).hours(100.0) == (
        None if hours is None else pytest.approx(hours)
    )


def test_time_left_needs_a_capacity_and_a_state_of_charge() -> None:
    """Neither is guessed."""
    steady = [25.0] * 121
    assert flow_of(steady).hours(None) is None
    assert flow_of(steady).hours(0.0) is None
    assert flow_of(steady, known=False).hours(100.0) is None


def test_time_left_is_forgotten_without_measurements() -> None:
    """After HOLD the minute begins anew."""
    flow = flow_of([25.0] * 121)
    flow.add(None, None, 161.0)
    assert flow.hours(100.0) is None
    flow.add(sample(162.0, 25.0), LIMITS, 162.0)
    assert flow.hours(100.0) is None


def test_the_same_sample_counts_once() -> None:
    """The view looks more often than a slow link brings samples."""
    flow = Flow()
    for _ in range(1000):
        flow.add(sample(100.0, 25.0), LIMITS, 100.0)
    assert flow.hours(100.0) is None


def test_excess_is_told_once_it_lasts() -> None:
    """A GX takes up new limits every three seconds; the steps of inverters are no disobedience."""
    flow = Flow()
    for at_s in range(10):
        flow.add(sample(at_s, 90.0), LIMITS, float(at_s))
        assert flow.excess is None
    flow.add(sample(10.0, 90.0), LIMITS, 10.0)
    assert str(flow.excess) == "90 A flow in where 50 A may"
    flow.add(sample(11.0, 54.0), LIMITS, 11.0)
    assert flow.excess is None
    for at_s in range(12, 30):
        flow.add(sample(at_s, -120.0), LIMITS, float(at_s))
    assert str(flow.excess) == "120 A flow out where 80 A may"
    flow.add(sample(30.0, -120.0), None, 30.0)
    assert flow.excess is None
