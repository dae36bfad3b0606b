"""Opening an adapter through python-can, which is any but SocketCAN, and saying what to do when that fails."""

import logging
import sys
from typing import Any

import can

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.hal.can_loopback import LoopbackBus
from tinybms_bridge.hal.system_errors import can_advice
from tinybms_bridge.suggestions import nearest
from tinybms_bridge.words import Message, message

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

_DRIVER_LIBRARIES = {"pcan": "PEAK PCAN-Basic", "kvaser": "Kvaser CANlib"}
"""Libraries of makers without which python-can does not reach an adapter."""

_DRIVER_MISSING = ("library not found", "is not installed", "is unavailable", "could not be imported")


def open_bus(settings: CanSettings) -> can.BusABC:
    """Open the adapter; blocks. Raises LinkError with a hint when that is not possible."""
    _silence_library()
    if settings.interface not in can.VALID_INTERFACES:
        known = sorted(can.VALID_INTERFACES)
        hint = message("can.use_one_of", known=known, meant=nearest(settings.interface, known))
        raise LinkError(message("can.unknown", name=repr(settings.interface)), hint=hint)
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
    told = message("can.cannot_open", what=str(settings), reason=str(error) or type(error).__name__)
    return LinkError(told, hint=_hint(settings, error))


def _hint(settings: CanSettings, error: Exception) -> Message:
    if isinstance(error, NotImplementedError | ImportError) or any(text in str(error) for text in _DRIVER_MISSING):
        return _driver_hint(settings.interface)
    if isinstance(error, TypeError | ValueError):
        return message("can.check_options", interface=settings.interface)
    return can_advice(error, settings) or message("can.check")


def _driver_hint(interface: str) -> Message:
    if interface in _EXTRAS:
        command = f"{sys.executable} -m pip install 'python-can[{_EXTRAS[interface]}]'"
        return message("can.driver_to_install", command=command)
    if interface in _DRIVER_LIBRARIES:
        return message("can.driver_library", library=_DRIVER_LIBRARIES[interface])
    return message("can.no_driver", interface=interface)
