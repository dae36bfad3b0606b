"""What goes wrong in a run, and when."""

import math
from collections.abc import Sequence

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.scenario import Fault, FaultKind, FaultPlayer, Scenario


def player(*faults: Fault, each_state: bool = False) -> FaultPlayer:
    """Return a player of these faults."""
    return FaultPlayer(Scenario("faulty", "", faults=faults, restart_in_each_state=each_state))


@pytest.mark.parametrize(
    ("kind", "silent", "gx_down", "bridge_down"),
    [
        (FaultKind.BMS_SILENT, True, False, False),
        (FaultKind.GX_RESTART, False, True, False),
        (FaultKind.BRIDGE_RESTART, False, False, True),
    ],
)
def test_a_fault_lasts_for_its_time(kind: FaultKind, silent: bool, gx_down: bool, bridge_down: bool) -> None:
    """From its first second up to, and not including, its end."""
    faults = player(Fault(kind, 100.0, 10.0))
    seen = []
    for time_s in (99.0, 100.0, 109.0, 110.0):
        faults.advance(time_s, ChargeState.BULK)
        seen.append((faults.bms_silent, faults.gx_down, faults.bridge_down))

    nothing, fault = (False, False, False), (silent, gx_down, bridge_down)
    assert seen == [nothing, fault, fault, nothing]


def test_several_faults_may_overlap() -> None:
    """A GX that restarts while the BMS is silent."""
    faults = player(Fault(FaultKind.BMS_SILENT, 0.0, 20.0), Fault(FaultKind.GX_RESTART, 10.0, 20.0))
    faults.advance(15.0, None)

    assert faults.bms_silent
    assert faults.gx_down
    assert faults.active


def test_a_restart_begins_once() -> None:
    """The controller forgets at the first second of the restart, not at each."""
    faults = player(Fault(FaultKind.BRIDGE_RESTART, 5.0, 3.0))
    begun = []
    for time_s in range(10):
        faults.advance(float(time_s), ChargeState.BULK)
        begun.append(faults.bridge_restarts)

    assert begun == [False] * 5 + [True] + [False] * 4


def test_the_next_change_is_a_begin_or_an_end() -> None:
    """A long step ends there."""
    faults = player(Fault(FaultKind.BMS_SILENT, 100.0, 10.0), Fault(FaultKind.GX_RESTART, 300.0, 90.0))

    assert [faults.next_change_s(t) for t in (0.0, 100.0, 110.0, 300.0)] == [100.0, 110.0, 300.0, 390.0]
    assert math.isinf(faults.next_change_s(390.0))


def restarts_of(states: Sequence[ChargeState | None]) -> list[int]:
    """Return the seconds at which the bridge restarted, with one state a second."""
    faults = player(each_state=True)
    begun = []
    for second, state in enumerate(states):
        faults.advance(float(second), state)
        if faults.bridge_restarts:
            begun.append(second)
    return begun


def test_the_bridge_restarts_once_in_every_state() -> None:
    """A minute after the state was entered, and never again in it."""
    states = [ChargeState.BULK] * 200 + [ChargeState.FLOAT] * 200 + [ChargeState.BULK] * 200

    assert restarts_of(states) == [60, 260]


def test_a_short_state_is_left_alone() -> None:
    """A state that is passed within a minute is no place for a restart."""
    states = [ChargeState.BULK] * 30 + [ChargeState.TRANSITION] * 30

    assert restarts_of(states) == []


def test_time_without_frames_is_no_new_state() -> None:
    """The restart itself does not begin another."""
    states: list[ChargeState | None] = [ChargeState.BULK] * 61 + [None] * 8 + [ChargeState.BULK] * 100

    assert restarts_of(states) == [60]


def test_without_the_wish_there_is_no_restart() -> None:
    """Only scenarios that ask for it have the bridge restart."""
    faults = player()
    for second in range(300):
        faults.advance(float(second), ChargeState.BULK)
        assert not faults.bridge_down


@pytest.mark.parametrize(
    ("kind", "expected"), [(FaultKind.CAN_DEAD, (True, False)), (FaultKind.SUSPENDED, (False, True))]
)
def test_a_dead_bus_and_sleep_are_told_apart(kind: FaultKind, expected: tuple[bool, bool]) -> None:
    """On a dead bus the bridge goes on deciding; asleep it does not."""
    faults = player(Fault(kind, 100.0, 10.0))
    faults.advance(105.0, None)

    assert (faults.can_dead, faults.suspended) == expected
