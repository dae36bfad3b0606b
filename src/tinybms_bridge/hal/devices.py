"""What this machine has for a BMS and for a GX: serial ports and CAN interfaces, by what the kernel says of them.

Nothing is opened and nothing is sent, so that no device notices. Every call blocks for moments; none raises OSError.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.hal.can_devices import CanDevice, can_devices
from tinybms_bridge.hal.serial import find_ports

__all__ = ["FoundDevices", "SerialDevice", "find_devices"]


@dataclass(frozen=True, slots=True)
class SerialDevice:
    """A serial port."""

    path: str
    """A name that stays the same when the adapter is plugged in again, where there is one."""
    product: str = ""
    """Maker and name of its USB adapter; empty for one that is built in."""


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
