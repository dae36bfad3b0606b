"""What the doctor makes of what was heard on the bus."""

from collections import Counter

import pytest

from tinybms_bridge.doctor.bus import Heard, judge_bus
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.hal.can import LOCAL
from tinybms_bridge.hal.processes import Process
from tinybms_lab.testing.words import said

BRIDGE = Process(7, ("tinybms-bridge", "run"))


def judged(heard: Heard, *bridges: Process) -> list[tuple[Verdict, str]]:
    """Return verdicts and texts."""
    return [(finding.verdict, finding.text) for finding in judge_bus(heard, bridges)]


def test_a_gx_that_did_not_name_itself_counts() -> None:
    """0x305 alone is what an old GX sends."""
    ((verdict, text),) = judged(Heard(3.0, gx_frames=3, ids=Counter({0x305: 3})))
    assert verdict is Verdict.OK
    assert "did not name itself" in text


def test_traffic_without_a_gx_points_to_the_setting_of_the_port() -> None:
    """The cable is good: something is heard."""
    (finding,) = judge_bus(Heard(3.0, ids=Counter({0x1F0: 12})), ())
    assert finding.verdict is Verdict.WARNING
    assert finding.text == "12 frames of other devices in 3 s, but none of a GX"
    assert finding.advice.startswith("Set the port of the GX")


def test_the_frames_of_the_own_bridge_prove_no_cable() -> None:
    """The kernel hands them back on the same machine."""
    found = judged(Heard(3.0, ids=Counter({0x351: 3, 0x355: 3, 0x35E: 3, 0x382: 3})), BRIDGE)
    assert found == [
        (Verdict.WARNING, "no GX was heard in 3 s"),
        (Verdict.OK, "the frames of the running bridge are on the bus (process 7)"),
    ]


def test_another_bms_is_a_problem() -> None:
    """Two that send limits contradict each other, and the GX obeys whoever spoke last."""
    found = judged(Heard(3.0, gx_frames=3, is_victron=True, ids=Counter({0x305: 3, 0x351: 3})))
    assert found[1] == (Verdict.PROBLEM, "another BMS sends on this bus (0x351)")


BESIDE = (Verdict.PROBLEM, "beside the running bridge (process 7) another BMS sends on this bus (0x351, 0x356)")
OURS = Counter({0x351: 3, 0x355: 3, 0x356: 3, 0x35A: 3})
THEIRS = Counter({0x351: 3, 0x356: 2})


def test_another_bms_beside_the_bridge_is_a_problem() -> None:
    """An adapter that names its senders tells the two apart, whoever of them speaks more often."""
    found = judged(Heard(3.0, ids=OURS + THEIRS, senders={"port 1": THEIRS, "port 2": OURS}), BRIDGE)
    assert found[1] == BESIDE


def test_another_bms_is_known_where_the_adapter_marks_what_is_local() -> None:
    """On SocketCAN what is not of this machine came over the wire, also while the bridge itself is silent."""
    both = {f"can0{LOCAL}": OURS, "can0": THEIRS}
    assert judged(Heard(3.0, ids=OURS + THEIRS, senders=both, tells_local=True), BRIDGE)[1] == BESIDE
    alone = {"can0": THEIRS}
    assert judged(Heard(3.0, ids=THEIRS, senders=alone, tells_local=True), BRIDGE)[1] == BESIDE
    ours = {f"can0{LOCAL}": OURS}
    assert judged(Heard(3.0, ids=OURS, senders=ours, tells_local=True), BRIDGE)[1][0] is Verdict.OK


def test_another_bms_shows_by_the_number_of_frames() -> None:
    """Where nothing tells the senders apart; limits are left out, since they may come more often."""
    doubled = Counter({0x351: 12, 0x355: 6, 0x356: 6})
    found = judged(Heard(3.0, ids=doubled, senders={"": doubled}), BRIDGE)
    assert found[1][1] == "beside the running bridge (process 7) another BMS sends on this bus (0x355, 0x356)"
    falling = Counter({0x351: 33, 0x355: 5})
    assert judged(Heard(3.0, ids=falling, senders={"": falling}), BRIDGE)[1][0] is Verdict.OK


def test_error_frames_are_a_problem() -> None:
    """Bit rate or termination, although frames may still get through."""
    found = judge_bus(Heard(3.0, gx_frames=3, is_victron=True, errors=5), ())
    assert found[1].verdict is Verdict.PROBLEM
    assert found[1].text == "5 error frames in 3 s"
    assert "60 Ω" in found[1].advice


@pytest.mark.parametrize(
    ("bitrate_bps", "words"),
    [(500_000, "CAN-bus BMS (500 kbit/s)"), (250_000, "The bridge speaks 250 kbit/s (hardware.can.bitrate)")],
)
def test_the_configured_bit_rate_is_advised(bitrate_bps: int, words: str) -> None:
    """A GX has one rate for a BMS: where another one is configured, that is the first thing to look at."""
    silent, disturbed = Heard(3.0, bitrate_bps=bitrate_bps), Heard(3.0, bitrate_bps=bitrate_bps, errors=5)

    assert words in judge_bus(silent, ())[0].advice
    assert f"the bit rate ({bitrate_bps // 1000} kbit/s is configured)" in judge_bus(disturbed, ())[1].advice


def test_what_the_adapter_tells_of_itself_comes_first() -> None:
    """An interface that is down hears nothing, and no terminator helps."""
    trouble = (
        "lost: Network is down (the interface is down; bring it up with: sudo ip link set can0 up); opening it again"
    )

    found = judge_bus(Heard(3.0, trouble=said(trouble)), ())

    assert (found[0].check, found[0].verdict, found[0].text) == ("CAN", Verdict.PROBLEM, trouble)
