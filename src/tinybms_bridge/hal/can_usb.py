"""USB adapters for CAN by what sysfs says of them: those of the kernel's driver gs_usb, and those on a serial port.

CANable, candleLight and others are an STM32 with one of two programs. With candleLight (gs_usb) the kernel makes a
SocketCAN interface; with slcan the adapter is a serial port that speaks text. Nothing is opened. Every call blocks for
moments; none raises OSError.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinybms_bridge.hal.serial import find_ports

__all__ = ["CanAdapter", "driver_of", "find_can_adapters"]

_USB = Path("/sys/bus/usb/devices")
_NET = Path("/sys/class/net")

_GS_USB = frozenset(
    {
        "1d50:606f",  # candleLight, CANable and most others
        "1209:2323",  # candleLight
        "1209:ca01",  # CANnectivity
        "1cd2:606f",  # CES CANext FD
        "16d0:10b8",  # ABE CANdebugger FD
        "16d0:0f30",  # Xylanta SAINT3
    }
)
"""Vendor and product that the kernel's gs_usb driver takes (drivers/net/can/usb/gs_usb.c)."""

_SLCAN = frozenset(
    {
        "ad50:60c4",  # CANable with slcan
        "16d0:117e",  # CANable 2.0 with slcan
        "0403:ffa8",  # Lawicel CANUSB
    }
)
_SLCAN_NAMES = re.compile(r"\b(slcan|canable|cantact|canusb|usbtin)", re.IGNORECASE)
"""Names that such an adapter has where its number is that of its chip's maker."""


@dataclass(frozen=True, slots=True)
class CanAdapter:
    """A USB adapter for CAN."""

    kind: Literal["gs_usb", "slcan"]
    """``gs_usb``: an interface of the kernel; ``slcan``: text on a serial port."""
    product: str
    """Maker and name."""
    usb_id: str
    """Vendor and product, for example ``1d50:606f``."""
    interface: str = ""
    """Of the kernel; empty where there is none."""
    port: str = ""
    """Serial port, by a name that stays where there is one; empty where there is none."""


def find_can_adapters(usb: Path = _USB) -> tuple[CanAdapter, ...]:
    """Return the USB adapters for CAN that are plugged in."""
    with suppress(OSError):
        folders = sorted(folder for folder in usb.iterdir() if ":" not in folder.name)
        return tuple(found for folder in folders if (found := _adapter(folder)) is not None)
    return ()


def driver_of(name: str, net: Path = _NET) -> str:
    """Return the driver of a CAN interface with the name of its USB adapter; empty for one that is software."""
    device = net / name / "device"
    try:
        driver = (device / "driver").resolve(strict=True).name
        folder = device.resolve(strict=True)
    except OSError:
        return ""
    product = next((_product(each) for each in (folder, *folder.parents) if (each / "idVendor").is_file()), "")
    return f"{product} ({driver})" if product else driver


def _adapter(folder: Path) -> CanAdapter | None:
    usb_id = f"{_text(folder / 'idVendor')}:{_text(folder / 'idProduct')}"
    product = _product(folder)
    if usb_id in _GS_USB:
        return CanAdapter("gs_usb", product or usb_id, usb_id, interface=next(_children(folder, "net"), ""))
    if usb_id not in _SLCAN and not _SLCAN_NAMES.search(product):
        return None
    tty = next(_children(folder, "tty"), "")
    return CanAdapter("slcan", product or usb_id, usb_id, port=_stable(tty)) if tty else None


def _children(folder: Path, kind: str) -> Iterator[str]:
    """Yield the names that the interfaces of a USB device have in a class: ``can0`` in net, ``ttyACM0`` in tty."""
    for pattern in (f"*:*/{kind}/*", f"*:*/ttyUSB*/{kind}/*"):
        for found in sorted(folder.glob(pattern)):
            yield found.name


def _stable(tty: str) -> str:
    """Return the path of a serial port by a name that stays, where there is one."""
    plain = f"/dev/{tty}"
    return next((port for port in find_ports() if os.path.realpath(port) == plain), plain)


def _product(folder: Path) -> str:
    return " ".join(text for name in ("manufacturer", "product") if (text := _text(folder / name)))


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(errors="replace").strip()[:80]
    return ""
