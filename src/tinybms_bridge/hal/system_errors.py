"""What a system error at a serial port or at a CAN adapter means, and what to do: one table for log, doctor and API.

Numbers of USB errors: Documentation/driver-api/usb/error-codes.rst of Linux. EPROTO, EILSEQ, EOVERFLOW and ETIME are
what an unplugged, badly supplied or disturbed adapter gives; a CAN socket gives ENOBUFS when its queue is full, which
is when nobody acknowledges.
"""

import errno
from collections.abc import Mapping

from tinybms_bridge.hal.can import CanSettings

__all__ = ["can_advice", "error_number", "error_text", "link_command", "serial_advice"]

_USB_GONE = "the adapter is gone: check its USB plug and its supply; dmesg tells what the kernel saw"
_USB_DISTURBED = (
    "the USB connection is disturbed: take another cable or port, no hub, and keep the cable away from the inverter"
)

_USB: Mapping[int, str] = {
    errno.EIO: "the adapter is gone or does not answer: check its USB plug and its supply, and plug it in again",
    errno.ENODEV: _USB_GONE,
    errno.ENXIO: _USB_GONE,
    errno.ESHUTDOWN: _USB_GONE,
    errno.ENOENT: _USB_GONE,
    errno.EPROTO: _USB_DISTURBED,
    errno.EILSEQ: _USB_DISTURBED,
    errno.EOVERFLOW: _USB_DISTURBED,
    errno.ETIME: _USB_DISTURBED,
    errno.ETIMEDOUT: _USB_DISTURBED,
    errno.EPIPE: _USB_DISTURBED,
    errno.ENOSPC: "the USB bus has no room left: plug the adapter into another port, away from cameras and disks",
    errno.EBUSY: "another program uses the adapter",
    errno.EADDRINUSE: "another program uses the adapter",
    errno.EACCES: "no permission; run as a user that may use the adapter, for example in the group dialout",
    errno.EPERM: "no permission; run as a user that may use the adapter, for example in the group dialout",
}


def error_number(error: BaseException | None) -> int | None:
    """Return the first system error number in a chain of causes; libraries wrap some errors, not all."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def error_text(error: BaseException) -> str:
    """Return an error in the words of the system, without its number; of a library, in its own words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def serial_advice(error: BaseException | None) -> str:
    """Return what to do about a serial port that failed while it was open; there is always something to look at."""
    return _USB.get(error_number(error) or 0, "check the USB plug and the supply of the adapter")


def can_advice(error: BaseException, settings: CanSettings) -> str:
    """Return what to do about a CAN adapter that does not open or fails; empty when the number says nothing."""
    code = error_number(error)
    if code == errno.ENOBUFS:
        return (
            "nobody acknowledges the frames: check that the GX is on, its port set to CAN-bus BMS"
            f" ({settings.bitrate_bps // 1000} kbit/s), CAN-H and CAN-L, and a terminator at each end"
        )
    if code == errno.EAFNOSUPPORT:
        return "this kernel has no CAN support; load it with: sudo modprobe can_raw"
    if code == errno.ENETDOWN:
        return f"the interface is down; bring it up with: {link_command(settings)}"
    if code in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return _missing(settings)
    return "" if code is None else _USB.get(code, "")


def link_command(settings: CanSettings) -> str:
    """Return the command that brings an interface of SocketCAN up at the configured bit rate."""
    name = settings.channel or "can0"
    return f"sudo ip link set {name} up type can bitrate {settings.bitrate_bps} restart-ms 100"


def _missing(settings: CanSettings) -> str:
    if settings.interface == "socketcan":
        command = link_command(settings)
        return f"no such interface: see `ip link show type can`, plug the adapter in, and bring it up with: {command}"
    if settings.interface == "udp_multicast":
        return "the loopback interface is down; bring it up with: sudo ip link set lo up"
    return f"no device {settings.channel or 'found'}; check that the adapter is plugged in"
