"""What the doctor of the running program makes of what the core hears."""

from datetime import UTC, datetime

from tinybms_bridge.app.examination import heard_of
from tinybms_bridge.doctor.bus import judge_bus
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.link.state import MonitoredFrame

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
