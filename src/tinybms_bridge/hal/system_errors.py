"""What a system error at a serial port or at a CAN adapter means, and what to do: one table for log, doctor and API.

Numbers of USB errors: Documentation/driver-api/usb/error-codes.rst of Linux. EPROTO, EILSEQ, EOVERFLOW and ETIME are
what an unplugged, badly supplied or disturbed adapter gives; a CAN socket gives ENOBUFS when its queue is full, which
is when nobody acknowledges.
"""

import errno
from collections.abc import Mapping

from tinybms_bridge.hal.can import CanSettings
from tinybms_bridge.words import Message, message

__all__ = [
    "SYSTEM_CODES",
    "USB_ADVICE",
    "can_advice",
    "error_number",
    "error_text",
    "error_words",
    "link_command",
    "serial_advice",
]

USB_ADVICE: Mapping[int, str] = {
    errno.EIO: "usb.silent",
    errno.ENODEV: "usb.gone",
    errno.ENXIO: "usb.gone",
    errno.ESHUTDOWN: "usb.gone",
    errno.ENOENT: "usb.gone",
    errno.EPROTO: "usb.disturbed",
    errno.EILSEQ: "usb.disturbed",
    errno.EOVERFLOW: "usb.disturbed",
    errno.ETIME: "usb.disturbed",
    errno.ETIMEDOUT: "usb.disturbed",
    errno.EPIPE: "usb.disturbed",
    errno.ENOSPC: "usb.full",
    errno.EBUSY: "usb.busy",
    errno.EADDRINUSE: "usb.busy",
    errno.EACCES: "usb.forbidden",
    errno.EPERM: "usb.forbidden",
}
"""Codes of what to do."""

_NUMBERS = (
    *(errno.EPERM, errno.ENOENT, errno.EIO, errno.ENXIO, errno.EBADF, errno.ENOMEM, errno.EACCES, errno.EBUSY),
    *(errno.ENODEV, errno.EINVAL, errno.EMFILE, errno.ENOSPC, errno.EROFS, errno.EPIPE, errno.ETIME, errno.EPROTO),
    *(errno.EOVERFLOW, errno.EILSEQ, errno.EADDRINUSE, errno.EAFNOSUPPORT, errno.ENETDOWN, errno.ENOBUFS),
    *(errno.ESHUTDOWN, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH),
)

SYSTEM_CODES: Mapping[int, str] = {number: f"system.{errno.errorcode[number].lower()}" for number in _NUMBERS}
"""Codes of what the system says of an error, for languages that it does not speak."""


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


def error_words(error: BaseException) -> Message:
    """Return ``error_text``, with a code where it is an error of the system that serial ports or adapters give."""
    text = error_text(error)
    code = SYSTEM_CODES.get(error.errno or 0) if isinstance(error, OSError) else None
    return Message(code or "said", {} if code else {"text": text}, text)


def serial_advice(error: BaseException | None) -> Message:
    """Return what to do about a serial port that failed while it was open; there is always something to look at."""
    return message(USB_ADVICE.get(error_number(error) or 0, "usb.check"))


def can_advice(error: BaseException, settings: CanSettings) -> Message | None:
    """Return what to do about a CAN adapter that does not open or fails; None when the number says nothing."""
    code = error_number(error)
    if code == errno.ENOBUFS:
        return message("can.no_acknowledge", rate_kbit_s=settings.bitrate_bps // 1000)
    if code == errno.EAFNOSUPPORT:
        return message("can.no_kernel_support")
    if code == errno.ENETDOWN:
        return message("can.down", command=link_command(settings))
    if code in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return _missing(settings)
    return None if code is None or code not in USB_ADVICE else message(USB_ADVICE[code])


def link_command(settings: CanSettings) -> str:
    """Return the command that brings an interface of SocketCAN up at the configured bit rate."""
    name = settings.channel or "can0"
    return f"sudo ip link set {name} up type can bitrate {settings.bitrate_bps} restart-ms 100"


def _missing(settings: CanSettings) -> Message:
    if settings.interface == "socketcan":
        return message("can.no_interface", command=link_command(settings))
    if settings.interface == "udp_multicast":
        return message("can.loopback_down")
    return message("can.no_device", channel=settings.channel) if settings.channel else message("can.none_found")
