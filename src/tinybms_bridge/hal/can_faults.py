"""What is wrong with a CAN interface of the kernel, and the one command that mends it.

Controllers and their states: ISO 11898-1; what the kernel has of them: linux/can/netlink.h.
"""

import shlex
from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.words import Message, message

__all__ = [
    "RESTART_MS",
    "TX_QUEUE_FRAMES",
    "CanFault",
    "FoundFault",
    "judge_device",
    "up_command",
]

RESTART_MS = 100
"""Pause after which the kernel restarts a controller that went bus-off: short beside the 3 s after which a GX gives a
battery up, and long enough that a lasting short circuit costs nothing."""

TX_QUEUE_FRAMES = 10
"""Frames that may wait for the bus, as the kernel has it: the transmitter gives two at a time. While nobody
acknowledges, the queue keeps the oldest and refuses new ones, and all of it goes out at once when somebody does again:
the longer it is, the more old values a GX gets in one go (victron-can.md, 1)."""
_LEAST_QUEUE_FRAMES, _MOST_QUEUE_FRAMES = 5, 100

_SAMPLE_POINT_PERCENT = (70.0, 90.0)
"""CiA recommends 87.5 %, and an MCP2515 with a crystal of 8 MHz gives 75; outside, long cables and other nodes fail."""


class CanFault(StrEnum):
    """One thing that is wrong."""

    DOWN = "can_down"
    NO_BIT_RATE = "can_no_bit_rate"
    BIT_RATE = "can_bit_rate"
    LISTEN_ONLY = "can_listen_only"
    LOOPBACK = "can_loopback"
    BUS_OFF = "can_bus_off"
    ERROR_PASSIVE = "can_error_passive"
    NO_RESTART = "can_no_restart"
    QUEUE = "can_queue"
    SAMPLE_POINT = "can_sample_point"
    ONE_SHOT = "can_one_shot"


@dataclass(frozen=True, slots=True)
class FoundFault:
    """A fault with its words."""

    fault: CanFault
    stops: bool
    """Whether no frame reaches a GX like that."""
    message: Message
    """What is wrong; the catalogue has what to do about it beside."""


def up_command(name: str, bitrate_bps: int, program: str = "tinybms-bridge") -> str:
    """Return the command that brings an interface up as the bridge needs it, and makes that last."""
    return f"sudo {shlex.quote(program)} can up {shlex.quote(name)} --bitrate {bitrate_bps}"


def judge_device(device: CanDevice, bitrate_bps: int, program: str = "tinybms-bridge") -> tuple[FoundFault, ...]:
    """Return what is wrong with an interface, the worst first; nothing for one that is software and up.

    Args:
        device: As the kernel has it.
        bitrate_bps: The bit rate that is configured.
        program: How this program is called here.

    """
    command = up_command(device.name, bitrate_bps, program)
    if not device.has_controller:
        soft = f"sudo ip link set {shlex.quote(device.name)} up"
        return () if device.up else (_fault(CanFault.DOWN, True, name=device.name, command=soft),)
    if not device.up:
        return (_fault(CanFault.DOWN, True, name=device.name, command=command),)
    found = []
    for fault, stops, applies in _checks(device, bitrate_bps):
        if applies:
            found.append(_fault(fault, stops, **_parameters(fault, device, bitrate_bps), command=command))
    return tuple(found)


def _checks(device: CanDevice, bitrate_bps: int) -> tuple[tuple[CanFault, bool, bool], ...]:
    """Return each fault, whether no frame gets out with it, and whether it is there."""
    sample, queue = device.sample_point_percent, device.tx_queue_frames
    low, high = _SAMPLE_POINT_PERCENT
    return (
        (CanFault.BUS_OFF, True, device.state == "bus_off"),
        (CanFault.NO_BIT_RATE, False, device.bitrate_bps is None),
        (CanFault.BIT_RATE, True, device.bitrate_bps not in (None, bitrate_bps)),
        (CanFault.LISTEN_ONLY, True, "listen_only" in device.modes),
        (CanFault.LOOPBACK, True, "loopback" in device.modes),
        (CanFault.ERROR_PASSIVE, False, device.state == "error_passive"),
        (CanFault.NO_RESTART, False, device.restart_ms == 0),
        (CanFault.QUEUE, False, queue is not None and not _LEAST_QUEUE_FRAMES <= queue <= _MOST_QUEUE_FRAMES),
        (CanFault.SAMPLE_POINT, False, sample is not None and not low <= sample <= high),
        (CanFault.ONE_SHOT, False, "one_shot" in device.modes),
    )


def _parameters(fault: CanFault, device: CanDevice, bitrate_bps: int) -> dict[str, object]:
    rate_kbit_s = bitrate_bps / 1000.0
    match fault:
        case CanFault.BIT_RATE:
            return {"name": device.name, "found_kbit_s": (device.bitrate_bps or 0) / 1000.0, "rate_kbit_s": rate_kbit_s}
        case CanFault.BUS_OFF | CanFault.ERROR_PASSIVE:
            return {"name": device.name, "rate_kbit_s": rate_kbit_s}
        case CanFault.QUEUE:
            return {"name": device.name, "frames": device.tx_queue_frames, "wanted": TX_QUEUE_FRAMES}
        case CanFault.SAMPLE_POINT:
            return {"name": device.name, "found_percent": device.sample_point_percent}
        case _:
            return {"name": device.name}


def _fault(fault: CanFault, stops: bool, **parameters: object) -> FoundFault:
    return FoundFault(fault, stops, message(f"can_fault.{fault.removeprefix('can_')}", **parameters))
