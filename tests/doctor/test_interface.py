"""What the doctor makes of the CAN interface, of adapters beside it, and of the self-test."""

from dataclasses import replace

import pytest

from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.doctor.interface import is_unusable, judge_adapters, judge_interface, judge_loopback
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_usb import CanAdapter
from tinybms_bridge.victron.can.self_test import LoopbackResult, LoopbackVerdict

FINE = CanDevice("can0", True, "error_active", 500_000, kind="can", restart_ms=100, tx_queue_frames=10)
CAN0 = CanSettings("socketcan", "can0")


def test_an_interface_that_is_right_is_told_with_its_rate() -> None:
    """Also one that is software, which has neither rate nor state."""
    (found,) = judge_interface(CAN0, [FINE])
    assert (found.verdict, found.text) == (Verdict.OK, "can0 is set up right: 500 kbit/s, error-active")
    (found,) = judge_interface(replace(CAN0, channel="vcan0"), [FINE, CanDevice("vcan0", True, kind="vcan")])
    assert found.text == "vcan0 is set up right"


def test_what_stops_frames_is_a_problem_and_the_rest_a_warning() -> None:
    """The advice is one command."""
    rate, restart = judge_interface(CAN0, [replace(FINE, bitrate_bps=250_000, restart_ms=0)])
    assert (rate.verdict, rate.text) == (
        Verdict.PROBLEM,
        "can0 has 250 kbit/s, hardware.can.bitrate is 500 kbit/s",
    )
    assert restart.verdict is Verdict.WARNING
    assert rate.advice.endswith("sudo tinybms-bridge can up can0 --bitrate 500000")


def test_a_missing_interface_is_told_with_the_nearest_name() -> None:
    """It need not be opened to find that out, nor one that is down."""
    missing = judge_interface(replace(CAN0, channel="cann0"), [FINE])
    assert [each.text for each in missing] == ["there is no interface cann0; did you mean can0?"]
    assert is_unusable(missing)
    assert is_unusable(judge_interface(CAN0, [replace(FINE, up=False, state="stopped")]))
    assert not is_unusable(judge_interface(CAN0, [replace(FINE, restart_ms=0)]))


def test_other_adapters_have_no_interface_to_look_at() -> None:
    """Slcan on a serial port sets its bit rate itself."""
    assert judge_interface(CanSettings("slcan", "/dev/ttyACM0"), [FINE]) == []


def test_an_adapter_that_is_plugged_in_but_not_used_is_told() -> None:
    """With what to do: load the driver, or name the port; one that works says nothing."""
    candle = CanAdapter("gs_usb", "candleLight", "1d50:606f")
    canable = CanAdapter("slcan", "CANable", "ad50:60c4", port="/dev/ttyACM0")
    driver, port = judge_adapters(CAN0, [candle, canable])
    assert driver.advice == "Load it with: sudo modprobe gs_usb"
    assert port.advice == "Use it with hardware.can.interface slcan and hardware.can.channel /dev/ttyACM0."
    assert judge_adapters(CanSettings("slcan", "/dev/ttyACM0"), [canable]) == []
    assert judge_adapters(CAN0, [replace(candle, interface="can0")]) == []


@pytest.mark.parametrize(
    ("result", "verdicts"),
    [
        (None, [Verdict.WARNING]),
        (LoopbackResult(), [Verdict.WARNING, Verdict.WARNING]),
        (LoopbackResult(LoopbackVerdict.PASSED, 20, 20), [Verdict.WARNING, Verdict.OK]),
        (LoopbackResult(LoopbackVerdict.FAILED, 20, 3), [Verdict.WARNING, Verdict.PROBLEM]),
    ],
)
def test_the_self_test_is_told_in_loopback_mode(result: LoopbackResult | None, verdicts: list[Verdict]) -> None:
    """And that it is a test, so that nobody leaves it on."""
    assert [each.verdict for each in judge_loopback(result)] == verdicts
