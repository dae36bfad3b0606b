"""Why a message could not be sent, by code.

Never in the words of a server or a library: they may repeat an address, a topic or a password, which are secrets here.
"""

import errno
import os
import socket
import ssl

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import Message, message

__all__ = ["DeliveryError", "delivery_error"]


class DeliveryError(BridgeError):
    """A message was not taken.

    Args:
        reason: Why not.
        refused: Whether the server wants it never; otherwise it is tried again.
        wait_s: For how long the server asks to wait.

    """

    def __init__(self, reason: Message, *, refused: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.why = reason
        self.refused = refused
        self.wait_s = wait_s

    def __str__(self) -> str:
        return self.why.text


_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})

_EXPIRED, _EARLY, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""Codes of X509_V_ERR of OpenSSL; nearly all others mean that nobody who is trusted has signed."""


def delivery_error(error: BaseException, limit_s: float) -> DeliveryError:
    """Return what a failure means; ``limit_s`` is how long was waited at most.

    What the system says may pass; anything else would come again with the same message.
    """
    if isinstance(error, DeliveryError):
        return error
    return DeliveryError(_reason(error, limit_s), refused=not isinstance(error, OSError | EOFError))


def _reason(error: BaseException, limit_s: float) -> Message:
    match error:
        case TimeoutError():
            return message("notify.no_answer", limit_s=limit_s)
        case socket.gaierror():
            return message("notify.no_name")
        case ssl.SSLCertVerificationError():
            return _certificate(error.verify_code)
        case ssl.SSLError():
            return message("notify.no_tls")
        case ConnectionRefusedError():
            return message("notify.connection_refused")
        case ConnectionError() | EOFError():
            return message("notify.connection_ended")
        case OSError(errno=errno.EMSGSIZE):
            return message("notify.too_much")
        case OSError(errno=number) if number in _NO_NETWORK:
            return message("notify.no_network")
        case OSError(errno=int() as number):
            return message("notify.system", said=error_words(OSError(number, os.strerror(number))))
    return message("notify.unexpected", kind=type(error).__name__)


def _certificate(code: int) -> Message:
    if code == _EXPIRED:
        return message("notify.certificate_expired")
    if code == _EARLY:
        return message("notify.certificate_early")
    return message("notify.certificate_name" if code in (_OTHER_NAME, _OTHER_ADDRESS) else "notify.certificate_unknown")
