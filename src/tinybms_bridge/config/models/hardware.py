"""Section ``hardware``: the serial port and the CAN adapter."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tinybms_bridge.config.models.base import Section, flag, listed, number, text
from tinybms_bridge.words import message

__all__ = ["BAUD_RATE", "CAN_BITRATES", "FIRMWARE_BAUD_RATES", "Can", "CanInterface", "Hardware", "Uart"]

BAUD_RATE = 115_200
"""The vendor fixes the line of a TinyBMS at 115200 8N1 (tinybms-protocol.md, 1)."""

FIRMWARE_BAUD_RATES = (9_600, 19_200, 38_400, 57_600)
"""Other rates of the firmware's page and samples, with which no TinyBMS would ever answer; read as ``BAUD_RATE``."""

CAN_BITRATES = (25_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000)

CanInterface = Literal[
    "socketcan",
    "slcan",
    "gs_usb",
    "pcan",
    "socketcand",
    "udp_multicast",
    "virtual",
    "kvaser",
    "ixxat",
    "usb2can",
    "seeedstudio",
    "robotell",
    "cantact",
    "canalystii",
    "neovi",
    "systec",
    "serial",
]

_PIN = message("no_effect.pin")
_TERMINATION = message("no_effect.termination")


@dataclass(frozen=True, kw_only=True, slots=True)
class Uart(Section):
    """Serial line to the TinyBMS."""

    device: Annotated[
        str,
        text(
            "Serial port",
            'Path of the serial port, or "auto" to search for the BMS.',
            rule=message("must_be.serial_port"),
            pattern=r"^[^\x00-\x1F\x7F]{1,200}$",
        ),
    ] = "/dev/ttyUSB0"
    rx_pin: Annotated[int | None, number(-1, 48, "", "RX pin", "Receive pin of the firmware.", no_effect=_PIN)] = None
    tx_pin: Annotated[int | None, number(-1, 48, "", "TX pin", "Transmit pin of the firmware.", no_effect=_PIN)] = None
    baudrate: Annotated[
        int,
        listed(
            (BAUD_RATE,),
            "bit/s",
            "Line speed",
            "Speed of the serial line, fixed by the vendor; 9600, 19200 (the README), 38400 and 57600 are read as it.",
        ),
    ] = BAUD_RATE
    timeout_ms: Annotated[
        int,
        number(
            20,
            5000,
            "ms",
            "Reply timeout",
            "Longest wait for a reply; the README's 100 is short for a USB adapter,"
            " the firmware's 1000 delays retries.",
        ),
    ] = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Can(Section):
    """CAN adapter towards the GX device."""

    interface: Annotated[CanInterface, text("CAN interface", "Kind of adapter, as python-can names it.")] = "socketcan"
    channel: Annotated[
        str,
        text(
            "CAN channel",
            "Network interface, serial port or number of the adapter; empty = its default (can0 for socketcan).",
            rule=message("must_be.channel"),
            pattern=r"^[^\x00-\x1F\x7F]{0,200}$",
        ),
    ] = ""
    options: Annotated[
        dict[str, str | int | float | bool],
        text(
            "CAN options",
            "Further options of the adapter, as python-can names them; not all of them are for socketcan.",
            rule=message("must_be.options"),
        ),
    ] = field(default_factory=dict)
    tx_pin: Annotated[int | None, number(-1, 48, "", "TX pin", "Transmit pin of the firmware.", no_effect=_PIN)] = None
    rx_pin: Annotated[int | None, number(-1, 48, "", "RX pin", "Receive pin of the firmware.", no_effect=_PIN)] = None
    bitrate: Annotated[
        int,
        listed(
            CAN_BITRATES,
            "bit/s",
            "CAN bit rate",
            "Speed of the bus; Victron prefers 500000 and has 250000 on some ports.",
        ),
    ] = 500_000
    mode: Annotated[
        Literal["normal", "loopback"],
        text("CAN mode", "Use the bus as it is, or, as a test, receive the own frames too (loopback)."),
    ] = "normal"
    termination: Annotated[
        bool, flag("CAN termination", "Terminate the bus at the bridge.", no_effect=_TERMINATION)
    ] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware(Section):
    """Ports of the machine."""

    uart: Uart = field(default_factory=Uart)
    can: Can = field(default_factory=Can)
