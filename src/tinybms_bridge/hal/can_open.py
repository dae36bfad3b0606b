"""Opening an adapter through python-can, which is any but SocketCAN, and saying what to do when that fails."""

import logging
import sys
from typing import Any

import can

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.can_loopback import LoopbackBus
from tinybms_bridge.hal.system_errors import can_advice
from tinybms_bridge.suggestions import did_you_mean

__all__ = ["open_bus"]

_NO_HARDWARE = ("udp_multicast", "virtual")
_EXTRAS = {
    "canalystii": "canalystii",
    "cantact": "cantact",
    "gs_usb": "gs-usb",
    "neovi": "neovi",
    "nixnet": "nixnet",
    "robotell": "serial",
    "seeedstudio": "seeedstudio",
    "serial": "serial",
    "slcan": "serial",
}
"""Extras of python-can that bring the driver of an interface."""

_DRIVER_HINTS = {
    "pcan": "install PEAK's PCAN-Basic library, or use the adapter through the kernel as interface socketcan",
    "kvaser": "install Kvaser's CANlib, or use the adapter through the kernel as interface socketcan",
}

_DRIVER_MISSING = ("library not found", "is not installed", "is unavailable", "could not be imported")


def open_bus(settings: CanSettings) -> can.BusABC:
    """Open the adapter; blocks. Raises LinkError with a hint when that is not possible."""
    _silence_library()
    if settings.interface not in can.VALID_INTERFACES:
        known = sorted(can.VALID_INTERFACES)
        hint = f"use one of {', '.join(known)}{did_you_mean(settings.interface, known)}"
        raise LinkError(f"unknown CAN interface {settings.interface!r}", hint=hint)
    try:
        return _create(settings)
    except Exception as error:  # whatever the driver's own libraries raise
        raise _explained(settings, error) from error


def _create(settings: CanSettings) -> can.BusABC:
    options: dict[str, Any] = dict(settings.extra)
    if settings.accept_ids:
        options["can_filters"] = [
            {"can_id": identifier, "can_mask": 0x7FF, "extended": False} for identifier in settings.accept_ids
        ]
    if settings.interface == "udp_multicast" and not options.get("hop_limit"):
        options.pop("hop_limit", None)
        return LoopbackBus(settings.channel, **options) if settings.channel else LoopbackBus(**options)
    if settings.interface not in _NO_HARDWARE:
        options.setdefault("bitrate", settings.bitrate_bps)
    channel = int(settings.channel) if settings.channel.isdecimal() else settings.channel or None
    return can.Bus(channel, interface=settings.interface, ignore_config=True, **options)


def _silence_library() -> None:
    """Keep python-can's log lines away from the user's unless somebody asked for them: every failure is raised, too."""
    logger = logging.getLogger("can")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _explained(settings: CanSettings, error: Exception) -> LinkError:
    reason = f"cannot open CAN {settings}: {str(error) or type(error).__name__}"
    return LinkError(reason, hint=_hint(settings, error))


def _hint(settings: CanSettings, error: Exception) -> str:
    if isinstance(error, NotImplementedError | ImportError) or any(text in str(error) for text in _DRIVER_MISSING):
        return _driver_hint(settings.interface)
    if isinstance(error, TypeError | ValueError):
        return f"check channel and extra options of the interface {settings.interface}"
    return can_advice(error, settings) or "check that the adapter is plugged in and not used by another program"


def _driver_hint(interface: str) -> str:
    if interface in _EXTRAS:
        return f"its driver is not installed; try: {sys.executable} -m pip install 'python-can[{_EXTRAS[interface]}]'"
    return _DRIVER_HINTS.get(interface, f"the driver of {interface} is not installed or not made for this system")
