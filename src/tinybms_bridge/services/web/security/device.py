"""The cookie by which a browser that has logged in before is known again, so that strangers cannot keep it out.

It is no login: it only gives its holder tries of its own for one user name. It is signed, so nothing has to be kept.
"""

import hashlib
import hmac
import secrets

__all__ = ["DEVICE_COOKIE", "DEVICE_S", "device_of", "new_device"]

DEVICE_COOKIE = "tinybms_device"
DEVICE_S = 365 * 86_400
"""How long a browser keeps it."""

_NONCE_BYTES = 16
_LONGEST = 128


def new_device(name: str, secret: bytes) -> str:
    """Return the text of a cookie for who has just logged in as ``name``."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return f"{nonce}.{_signature(nonce, name, secret)}"


def device_of(text: str, name: str, secret: bytes) -> str:
    """Return the name of the device, or an empty text for one that has not logged in as ``name``."""
    nonce, _, signature = text[:_LONGEST].partition(".")
    good = hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), _signature(nonce, name, secret).encode())
    return nonce if good else ""


def _signature(nonce: str, name: str, secret: bytes) -> str:
    told = f"device\0{name.lower()}\0{nonce}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, told, hashlib.sha256).hexdigest()
