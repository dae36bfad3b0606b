"""Passwords: what is accepted, and the salted scrypt hash that is kept. Hashing takes about 30 ms: use a thread."""

import base64
import hashlib
import hmac
import secrets
import unicodedata

from tinybms_bridge.services.web.accounts.book import AccountError

__all__ = ["PASSWORD_RULE", "check_password", "hash_password", "matches", "waste_time"]

_SHORTEST, _LONGEST = 10, 256
_COST_LOG2, _BLOCK, _LANES = 14, 8, 1
"""RFC 7914: N = 2^14, r = 8, p = 1; 16 MiB."""

PASSWORD_RULE = f"a password is {_SHORTEST} to {_LONGEST} characters, not the user name and not one character repeated"


def check_password(password: str, user: str) -> None:
    """Raise AccountError for a password that is too weak or too long."""
    plain = _normal(password)
    weak = len(set(plain)) < 3 or plain.lower() in (user.lower(), user.lower() * 2)
    if weak or not _SHORTEST <= len(plain) <= _LONGEST or not _encodable(plain):
        raise AccountError("weak_password", PASSWORD_RULE)


def hash_password(password: str) -> str:
    """Return ``scrypt$14$8$1$SALT$HASH`` with a new salt."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST_LOG2, _BLOCK, _LANES)
    return f"scrypt${_COST_LOG2}${_BLOCK}${_LANES}${_text(salt)}${_text(digest)}"


def matches(password: str, stored: str) -> bool:
    """Tell whether a password belongs to a hash; a hash that cannot be read matches nothing."""
    try:
        kind, cost, block, lanes, salt, digest = stored.split("$")
        wanted = base64.b64decode(digest, validate=True)
        found = _scrypt(password, base64.b64decode(salt, validate=True), int(cost), int(block), int(lanes))
    except (ValueError, MemoryError):
        return False
    return kind == "scrypt" and hmac.compare_digest(found, wanted)


def waste_time(password: str) -> None:
    """Take as long as ``matches``, so that the answer's delay does not tell which users exist."""
    _scrypt(password, b"0123456789abcdef", _COST_LOG2, _BLOCK, _LANES)


def _scrypt(password: str, salt: bytes, cost_log2: int, block: int, lanes: int) -> bytes:
    data = _normal(password)[: _LONGEST + 1].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=1 << cost_log2, r=block, p=lanes, dklen=32)


def _normal(password: str) -> str:
    """Return one form for texts that look the same: keyboards differ in how they write an accent."""
    return unicodedata.normalize("NFKC", password)


def _encodable(password: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in password)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
