"""What the doctor of the running program makes of what the core hears."""

from datetime import UTC, datetime

from tinybms_bridge.app.examination import heard_of, interface_of
from tinybms_bridge.config.models.hardware import Can
from tinybms_bridge.doctor.bus import judge_bus
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.link.state import CanState, MonitoredFrame
from tinybms_bridge.victron.can.self_test import LoopbackResult, LoopbackVerdict

BRIDGE = Process(7, ("tinybms-bridge", "run"))


def seen(*frames: tuple[str, int]) -> list[MonitoredFrame]:
    """Return frames by direction and identifier."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [MonitoredFrame(n, at, direction, identifier, b"") for n, (direction, identifier) in enumerate(frames)]  # type: ignore[arg-type]


def judged(frames: list[MonitoredFrame], *, gx: bool) -> dict[str, tuple[Verdict, str]]:
    """Return the findings by code."""
    found = judge_bus(heard_of(frames, 3.0, gx=gx), [BRIDGE])
    return {each.message.code: (each.verdict, each.text) for each in found}


def test_own_frames_and_a_gx_are_as_they_should_be() -> None:
    """What the core sends is no other BMS."""
    found = judged(seen(("tx", 0x351), ("tx", 0x355), ("rx", 0x305), ("rx", 0x307)), gx=True)
    assert {verdict for verdict, _ in found.values()} == {Verdict.OK}
    assert set(found) == {"doctor.gx", "doctor.own_frames"}


def test_a_second_bms_is_a_problem() -> None:
    """It sends what only a BMS sends."""
    found = judged(seen(("tx", 0x351), ("rx", 0x351), ("rx", 0x355)), gx=False)
    assert found["doctor.other_bms"][0] is Verdict.PROBLEM
    assert "0x351, 0x355" in found["doctor.other_bms"][1]


def test_a_bus_without_a_gx_is_a_warning() -> None:
    """The core sends, and nobody answers."""
    assert judged(seen(("tx", 0x351)), gx=False)["doctor.no_gx"][0] is Verdict.WARNING


def test_only_confirmed_faults_of_the_interface_are_told() -> None:
    """The last reading may be a passing one."""
    device = CanDevice("can0", True, "error_passive", 250_000, kind="can", restart_ms=100, tx_queue_frames=10)
    confirmed = CanState(device=device, faults=(CanFault.BIT_RATE,))
    assert [each.message.code for each in interface_of(confirmed, Can())] == ["can_fault.bit_rate"]
    (fine,) = interface_of(CanState(device=device), Can())
    assert fine.verdict is Verdict.OK


def test_an_adapter_without_interface_says_nothing_of_it() -> None:
    """In loopback mode its self-test is told."""
    assert interface_of(CanState(), Can()) == []
    state = CanState(loopback=LoopbackResult(LoopbackVerdict.PASSED, 20, 20))
    told = interface_of(state, Can(mode="loopback"))
    assert [each.message.code for each in told] == ["doctor.loopback_mode", "doctor.loopback_passed"]
