from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent
from tinybms_bridge.battery.fault_ends import FaultEnds
from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot, Temperatures

MakeSnapshot = Callable[..., Snapshot]
FAULT, DISCHARGED, TOO_COLD = 0x05, 0x31, 0x37


def at(make_snapshot: MakeSnapshot, status: BmsStatus, lifetime_s: int) -> Snapshot:
    """Return a sample at rest with a status at a second of the lifetime counter."""
    snapshot = make_snapshot()
    return replace(snapshot, pack=replace(snapshot.pack, status=status, lifetime_s=lifetime_s))


@pytest.mark.parametrize("status", [s for s in BmsStatus if s not in (BmsStatus.FAULT, BmsStatus.UNKNOWN)])
def test_a_status_without_fault_ends_the_faults_before_it(make_snapshot: MakeSnapshot, status: BmsStatus) -> None:
    """Whatever the log says: the BMS cuts nothing for a fault that it no longer has."""
    ends = FaultEnds().seen(at(make_snapshot, status, 1000))
    assert ends.covers(BmsEvent(10, FAULT))
    assert ends.covers(BmsEvent(998, FAULT))


def test_a_fault_of_this_moment_is_not_over(make_snapshot: MakeSnapshot) -> None:
    """The event may be written before the status follows; a fault that is new must not count as an old one."""
    ends = FaultEnds().seen(at(make_snapshot, BmsStatus.IDLE, 1000))
    assert not ends.covers(BmsEvent(999, FAULT))
    assert not ends.covers(BmsEvent(1001, FAULT))


@pytest.mark.parametrize("status", [BmsStatus.FAULT, BmsStatus.UNKNOWN])
def test_a_fault_or_an_unknown_status_ends_nothing(make_snapshot: MakeSnapshot, status: BmsStatus) -> None:
    """Only what the vendor documents is proof."""
    assert FaultEnds().seen(at(make_snapshot, status, 1000)) == FaultEnds()
    assert not FaultEnds().covers(BmsEvent(-5000, FAULT))


def test_what_was_proven_stays_proven_while_the_next_fault_lasts(make_snapshot: MakeSnapshot) -> None:
    """The old fault must not come back as the cause of the new one."""
    ends = FaultEnds().seen(at(make_snapshot, BmsStatus.DISCHARGING, 1000))
    ends = ends.seen(at(make_snapshot, BmsStatus.FAULT, 2000))
    assert ends.covers(BmsEvent(900, FAULT))
    assert not ends.covers(BmsEvent(2000, FAULT))


def test_a_counter_that_was_set_back_does_not_end_what_comes(make_snapshot: MakeSnapshot) -> None:
    """After a loss of power the counter may begin earlier: faults of then are new, though their time is small."""
    ends = FaultEnds().seen(at(make_snapshot, BmsStatus.IDLE, 9000)).seen(at(make_snapshot, BmsStatus.IDLE, 100))
    assert not ends.covers(BmsEvent(150, FAULT))


@given(st.integers(-(2**24), 2**32 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_only_faults_are_ever_over_by_status(
    make_snapshot: MakeSnapshot, event_s: int, number: int, lifetime_s: int
) -> None:
    """Whether a warning shows in register 50 is not documented, so the status proves nothing about it."""
    event = BmsEvent(event_s, number)
    covered = FaultEnds().seen(at(make_snapshot, BmsStatus.IDLE, lifetime_s)).covers(event)
    assert covered == (event.severity is Severity.FAULT and event_s <= lifetime_s - 2)


@pytest.mark.parametrize(
    ("status", "current_a", "min_cell_v", "over"),
    [
        (BmsStatus.DISCHARGING, -5.0, 3.20, True),
        (BmsStatus.DISCHARGING, -5.0, 2.90, False),
        (BmsStatus.DISCHARGING, -5.0, 2.80, False),
        (BmsStatus.DISCHARGING, 0.0, 3.20, False),
        (BmsStatus.IDLE, -0.5, 3.20, False),
        (BmsStatus.CHARGING, 5.0, 3.20, False),
        (BmsStatus.FAULT, -5.0, 3.20, False),
    ],
)
def test_a_battery_that_discharges_is_not_cut_off_as_discharged(
    make_snapshot: MakeSnapshot, status: BmsStatus, current_a: float, min_cell_v: float, over: bool
) -> None:
    """Only when the BMS says that it discharges, current flows, and every cell is above register 301 (2.9 V)."""
    snapshot = make_snapshot(cells_v=(3.3,) * 15 + (min_cell_v,), current_a=current_a)
    pack = replace(snapshot.pack, status=status, lifetime_s=1000)
    snapshot = replace(snapshot, pack=pack, temperatures=Temperatures())
    ends = FaultEnds().seen(snapshot)
    assert ends.covers(BmsEvent(998, DISCHARGED)) is over
    assert not ends.covers(BmsEvent(999, DISCHARGED))
    assert not ends.covers(BmsEvent(10, TOO_COLD))


@pytest.mark.parametrize(
    ("status", "current_a", "coldest_c", "over"),
    [
        (BmsStatus.CHARGING, 5.0, 8.0, True),
        (BmsStatus.CHARGING, 5.0, 1.0, False),
        (BmsStatus.CHARGING, 5.0, None, False),
        (BmsStatus.CHARGING, 0.0, 8.0, False),
        (BmsStatus.REGENERATION, 5.0, 8.0, False),
        (BmsStatus.IDLE, 0.0, 8.0, False),
    ],
)
def test_a_battery_that_is_charged_is_not_cut_off_as_too_cold(
    make_snapshot: MakeSnapshot, status: BmsStatus, current_a: float, coldest_c: float | None, over: bool
) -> None:
    """Only when the BMS says that it charges, current flows, and every sensor is above register 320 (1 °C)."""
    snapshot = replace(make_snapshot(current_a=current_a), temperatures=Temperatures(internal_c=coldest_c))
    snapshot = replace(snapshot, pack=replace(snapshot.pack, status=status, lifetime_s=1000))
    ends = FaultEnds().seen(snapshot)
    assert ends.covers(BmsEvent(998, TOO_COLD)) is over
    assert not ends.covers(BmsEvent(999, TOO_COLD))
    assert not ends.covers(BmsEvent(10, DISCHARGED))


def test_without_the_settings_of_the_bms_no_warning_is_over(make_snapshot: MakeSnapshot) -> None:
    """Its levels are not known then."""
    snapshot = make_snapshot(current_a=-5.0, ratings=None)
    snapshot = replace(snapshot, pack=replace(snapshot.pack, status=BmsStatus.DISCHARGING, lifetime_s=1000))
    assert not FaultEnds().seen(snapshot).covers(BmsEvent(10, DISCHARGED))
