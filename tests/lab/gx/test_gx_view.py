"""What a simulated GX knows of a battery."""

import math

import pytest

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_lab.gx.dvcc import BatteryLimits
from tinybms_lab.gx.gx_view import Received

LIMITS = CanFrame(0x351, bytes.fromhex("4302E8039E07D001"))
ALARMS = CanFrame(0x35A, bytes(8))


def received(*frames: CanFrame) -> Received:
    """Return what is known after these frames."""
    known = Received()
    for frame in frames:
        known.frames[frame.arbitration_id] = decode_frame(frame)
    return known


@pytest.mark.parametrize(("frames", "recognised"), [((), False), ((LIMITS,), False), ((ALARMS,), False)])
def test_a_battery_needs_both_frames(frames: tuple[CanFrame, ...], recognised: bool) -> None:
    """Limits alone are no battery, and neither are alarms."""
    assert received(*frames).recognised is recognised
    assert received(LIMITS, ALARMS).recognised


def test_the_limits_are_those_of_the_frame() -> None:
    """In volts and amperes."""
    assert received(LIMITS).limits == BatteryLimits(57.9, 100.0, 195.0)


def test_nothing_is_known_before_the_first_frame() -> None:
    """And no limit is promised."""
    known = Received()

    assert (known.limits, known.battery_name, known.active_alarms) == (BatteryLimits(0.0, 0.0, 0.0), "", ())
    assert known.limits_at_s == -math.inf


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ({0x370: b"TinyBMS ", 0x371: b"s516\0\0\0\0", 0x35E: b"ENEPAQ\0\0"}, "TinyBMS s516"),
        ({0x370: b"TinyBMS ", 0x35E: b"ENEPAQ\0\0"}, "ENEPAQ"),
        ({0x35A: bytes(8)}, "CAN-bus BMS battery"),
    ],
)
def test_the_longest_name_wins(texts: dict[int, bytes], name: str) -> None:
    """Both halves of the long name, else the short one, else a general one."""
    assert received(*(CanFrame(number, data) for number, data in texts.items())).battery_name == name
