"""What this machine has for a BMS and for a GX: serial ports and CAN interfaces, by what the kernel says of them.

Nothing is opened and nothing is sent, so that no device notices. Every call blocks for moments; none raises OSError.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.hal.serial import find_ports

__all__ = ["CanDevice", "FoundDevices", "SerialDevice", "can_devices", "find_devices", "parse_links"]


@dataclass(frozen=True, slots=True)
class SerialDevice:
    """A serial port."""

    path: str
    """A name that stays the same when the adapter is plugged in again, where there is one."""
    product: str = ""
    """Maker and name of its USB adapter; empty for one that is built in."""


@dataclass(frozen=True, slots=True)
class CanDevice:
    """A CAN interface of the kernel (SocketCAN)."""

    name: str
    """For example ``can0``."""
    up: bool
    """Whether it was brought up."""
    state: str = ""
    """Of its controller: ``error_active`` is good; empty for one without a controller, such as ``vcan0``."""
    bitrate_bps: int | None = None
    """None where none was set."""


@dataclass(frozen=True, slots=True)
class FoundDevices:
    """What was found."""

    serial: tuple[SerialDevice, ...] = ()
    can: tuple[CanDevice, ...] = ()


def find_devices(tty: Path = Path("/sys/class/tty")) -> FoundDevices:
    """Return the serial ports and CAN interfaces of this machine."""
    ports = (SerialDevice(path, _product(tty / os.path.basename(os.path.realpath(path)))) for path in find_ports())
    return FoundDevices(tuple(ports), can_devices())


def _product(port: Path) -> str:
    """Return maker and name of the USB device that a port belongs to, as sysfs has them; empty for none."""
    try:
        device = (port / "device").resolve(strict=True)
    except OSError:
        return ""
    for folder in (device, *device.parents):
        if (folder / "idVendor").is_file():
            return " ".join(text for name in ("manufacturer", "product") if (text := _text(folder / name)))
    return ""


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(errors="replace").strip()[:80]
    return ""


_ROUTE = 0
"""NETLINK_ROUTE: rtnetlink(7); the layout of its messages: netlink(7), linux/if_link.h, linux/can/netlink.h."""
_HEADER, _LINK, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=HH")
_GET_LINK, _NEW_LINK, _DONE, _ERROR = 18, 16, 3, 2
_REQUEST_DUMP = 0x301
_IS_CAN, _IS_UP = 280, 1
"""ARPHRD_CAN, IFF_UP."""
_NAME, _INFO, _INFO_DATA, _BIT_TIMING, _STATE = 3, 18, 2, 1, 4
_STATES = ("error_active", "error_warning", "error_passive", "bus_off", "stopped", "sleeping")
_KIND = 0x3FFF
"""Of an attribute, without its flags."""
_LONGEST = 65_536
_TIMEOUT_S = 2.0


def can_devices() -> tuple[CanDevice, ...]:
    """Return the CAN interfaces; empty where the kernel does not tell."""
    found: list[CanDevice] = []
    with suppress(OSError, struct.error), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        size = _HEADER.size + _LINK.size
        kernel.send(_HEADER.pack(size, _GET_LINK, _REQUEST_DUMP, 1, 0) + _LINK.pack(0, 0, 0, 0, 0))
        more = True
        while more:
            links, more = parse_links(kernel.recv(_LONGEST))
            found += links
    return tuple(found)


def parse_links(data: bytes) -> tuple[list[CanDevice], bool]:
    """Return the CAN interfaces in an answer of the kernel, and whether another answer follows. Raises struct.error."""
    found, more, at = [], True, 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind in (_DONE, _ERROR) or length < _HEADER.size:
            more = False
            break
        if kind == _NEW_LINK:
            body = data[at + _HEADER.size : at + length]
            _, hardware, _, flags, _ = _LINK.unpack_from(body)
            if hardware == _IS_CAN:
                found.append(_can_device(body[_LINK.size :], up=bool(flags & _IS_UP)))
        at += _aligned(length)
    return found, more


def _can_device(attributes: bytes, *, up: bool) -> CanDevice:
    link = dict(_attributes(attributes))
    controller = dict(_attributes(dict(_attributes(link.get(_INFO, b""))).get(_INFO_DATA, b"")))
    (bitrate,) = struct.unpack_from("=I", controller.get(_BIT_TIMING, bytes(4)))
    state = ""
    if _STATE in controller:
        (number,) = struct.unpack_from("=I", controller[_STATE])
        state = _STATES[number] if number < len(_STATES) else str(number)
    return CanDevice(link.get(_NAME, b"").rstrip(b"\0").decode(errors="replace"), up, state, bitrate or None)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
