"""What is wrong with a CAN interface, and the command that mends it."""

from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault, judge_device, up_command

FINE = CanDevice(
    "can0", True, "error_active", 500_000, kind="can", sample_point_percent=87.5, restart_ms=100, tx_queue_frames=10
)


def test_an_interface_that_is_set_up_right_has_no_fault() -> None:
    """Nor one that is software, which has no controller that could be wrong."""
    assert judge_device(FINE, 500_000) == ()
    assert judge_device(CanDevice("vcan0", True, kind="vcan", tx_queue_frames=1000), 500_000) == ()
    assert judge_device(replace(FINE, state="error_warning", sample_point_percent=75.0), 500_000) == ()


@pytest.mark.parametrize(
    ("change", "fault", "stops"),
    [
        ({"up": False, "state": "stopped"}, CanFault.DOWN, True),
        ({"bitrate_bps": None}, CanFault.NO_BIT_RATE, False),
        ({"bitrate_bps": 250_000}, CanFault.BIT_RATE, True),
        ({"modes": ("listen_only",)}, CanFault.LISTEN_ONLY, True),
        ({"modes": ("loopback",)}, CanFault.LOOPBACK, True),
        ({"modes": ("one_shot",)}, CanFault.ONE_SHOT, False),
        ({"state": "bus_off"}, CanFault.BUS_OFF, True),
        ({"state": "error_passive"}, CanFault.ERROR_PASSIVE, False),
        ({"restart_ms": 0}, CanFault.NO_RESTART, False),
        ({"tx_queue_frames": 1000}, CanFault.QUEUE, False),
        ({"tx_queue_frames": 2}, CanFault.QUEUE, False),
        ({"sample_point_percent": 62.5}, CanFault.SAMPLE_POINT, False),
    ],
)
def test_each_fault_is_found_by_itself(change: dict[str, Any], fault: CanFault, stops: bool) -> None:
    """With its severity, and with what to do about it in both languages."""
    (found,) = judge_device(replace(FINE, **change), 500_000)

    assert (found.fault, found.stops) == (fault, stops)
    assert found.message.say("fr") != found.message.text
    assert "?" not in found.message.text + found.message.advice() + found.message.advice("fr")


def test_the_worst_comes_first() -> None:
    """Who mends one thing at a time begins with what keeps frames from the GX."""
    wrong = replace(FINE, bitrate_bps=250_000, restart_ms=0, state="bus_off")
    assert [each.fault for each in judge_device(wrong, 500_000)] == [
        CanFault.BUS_OFF,
        CanFault.BIT_RATE,
        CanFault.NO_RESTART,
    ]


def test_the_command_that_mends_is_in_the_advice() -> None:
    """In full, to be copied: interface, bit rate, and the program as it is called here."""
    command = "sudo /opt/bridge/tinybms-bridge can up can0 --bitrate 250000"
    (found,) = judge_device(replace(FINE, bitrate_bps=250_000, restart_ms=0), 250_000, "/opt/bridge/tinybms-bridge")

    assert found.message.advice() == f"Let the kernel restart it by itself with: {command}"
    assert up_command("can0", 250_000, "/opt/bridge/tinybms-bridge") == command


def test_software_that_is_down_is_brought_up_by_hand() -> None:
    """``can up`` sets a bit rate, which it has none of."""
    (found,) = judge_device(CanDevice("vcan0", False, kind="vcan"), 500_000)
    assert found.message.advice() == "Bring it up with: sudo ip link set vcan0 up"
