"""What this machine has for a BMS and for a GX: serial ports and CAN interfaces, by what the kernel says of them.

Nothing is opened and nothing is sent, so that no device notices. Every call blocks for moments; none raises OSError.
"""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.hal.can_devices import CanDevice, can_devices
from tinybms_bridge.hal.serial import find_ports

__all__ = ["FoundDevices", "SerialDevice", "find_devices", "has_hardware", "kernel_consoles", "serial_devices"]

_TTY = Path("/sys/class/tty")
_BY_PATH = Path("/dev/serial/by-path")
_NO_PORT = "0"
"""PORT_UNKNOWN of the kernel (include/uapi/linux/serial_core.h)."""


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


def find_devices(tty: Path = _TTY) -> FoundDevices:
    """Return the serial ports and CAN interfaces of this machine."""
    return FoundDevices(serial_devices(tty), can_devices())


def serial_devices(tty: Path = _TTY, by_path: Path = _BY_PATH) -> tuple[SerialDevice, ...]:
    """Return the serial ports of this machine.

    Adapters that cannot be told apart, as several CH340 without a number, would have one name by their kind: whichever
    was found last. They are named by the socket that they are plugged into.
    """
    ports = {path: tty / os.path.basename(os.path.realpath(path)) for path in find_ports()}
    adapters = {path: _adapter(port) for path, port in ports.items()}
    kinds = {path: _kind(folder, ports[path]) for path, folder in adapters.items() if folder is not None}
    alike = Counter(kinds.values())
    places = {os.path.realpath(place): str(place) for place in _entries(by_path)}
    found = []
    for path, folder in adapters.items():
        doubled = path in kinds and alike[kinds[path]] > 1
        device = os.path.realpath(path)
        name = places.get(device, device) if doubled else path
        found.append(SerialDevice(name, "" if folder is None else _product(folder)))
    return tuple(found)


def has_hardware(device: str, tty: Path = _TTY) -> bool:
    """Return whether there is a port behind a device; a PC has four such files whatever is built in."""
    return _text(tty / os.path.basename(os.path.realpath(device)) / "type") != _NO_PORT


def kernel_consoles(tty: Path = _TTY) -> frozenset[str]:
    """Return the ports on which the kernel itself writes its messages, for example ``/dev/ttyS0``."""
    return frozenset(f"/dev/{name}" for name in _text(tty / "console" / "active").split())


def _adapter(port: Path) -> Path | None:
    """Return the folder in sysfs of the USB device that a port belongs to; None for none."""
    try:
        device = (port / "device").resolve(strict=True)
    except OSError:
        return None
    return next((folder for folder in (device, *device.parents) if (folder / "idVendor").is_file()), None)


def _kind(adapter: Path, port: Path) -> tuple[str, ...]:
    """Return all by which a port of a USB adapter can be told from others, wherever it is plugged in."""
    named = (_text(adapter / name) for name in ("idVendor", "idProduct", "serial"))
    device = (port / "device").resolve()
    interface = next((text for folder in (device, *device.parents) if (text := _text(folder / "bInterfaceNumber"))), "")
    return (*named, interface, _text(device / "port_number"))


def _product(adapter: Path) -> str:
    """Return maker and name of a USB device, as sysfs has them."""
    return " ".join(text for name in ("manufacturer", "product") if (text := _text(adapter / name)))


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(errors="replace").strip()[:80]
    return ""
