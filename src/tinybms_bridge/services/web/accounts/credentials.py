"""Passwords and bearer tokens: what is accepted, and what is kept of them.

A password is kept as a salted scrypt hash; hashing takes about 30 ms: use a thread. A token, for scripts, is signed
(RFC 7519, HS256), named in the registry, and revoked by taking it out of the registry.
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from datetime import datetime, timedelta

from tinybms_bridge.services.web.accounts.registry import AccountError, AccountRegistry, Role, TokenRecord
from tinybms_bridge.words import Message, message

__all__ = [
    "LONGEST_DAYS",
    "PASSWORD_RULE",
    "UnknownTokenError",
    "check_password",
    "hash_password",
    "judge_password",
    "matches",
    "new_record",
    "read_token",
    "waste_time",
    "write_token",
]


_SHORTEST, _LONGEST = 10, 256
_FEWEST_DIFFERENT = 3
_COST_LOG2, _BLOCK, _LANES = 14, 8, 1
"""RFC 7914: N = 2^14, r = 8, p = 1; 16 MiB."""

PASSWORD_RULE = message("account.password_rule", shortest=_SHORTEST, longest=_LONGEST)


def check_password(password: str, user: str) -> None:
    """Raise AccountError for a password that is too weak or too long."""
    if judge_password(password, user) is not None:
        raise AccountError("weak_password", PASSWORD_RULE)


def judge_password(password: str, user: str) -> Message | None:
    """Return what is wrong with a password that somebody thinks of; None for one that may be taken."""
    plain = _normal(password)
    if plain.lower() in (user.lower(), user.lower() * 2):
        return message("password.is_name")
    if len(plain) < _SHORTEST:
        return message("password.short", shortest=_SHORTEST, missing=_SHORTEST - len(plain))
    if len(plain) > _LONGEST:
        return message("password.long", longest=_LONGEST)
    if len(set(plain)) < _FEWEST_DIFFERENT or not _encodable(plain):
        return message("password.simple", fewest=_FEWEST_DIFFERENT)
    return None


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


LONGEST_DAYS = 3650

_ISSUER = "tinybms-bridge"
_LONGEST_TEXT = 2048


class UnknownTokenError(AccountError):
    """A token was signed here and is not in the registry: it was revoked, or made since the registry was read."""

    def __init__(self) -> None:
        super().__init__("invalid_token", message("account.token_revoked"))


def new_record(user: str, label: str, role: Role, now: datetime, days: int) -> TokenRecord:
    """Return the record of a new token. Raises AccountError for a lifetime out of range."""
    if not 1 <= days <= LONGEST_DAYS:
        raise AccountError("bad_lifetime", message("account.token_days", most=LONGEST_DAYS, days=days))
    now = now.replace(microsecond=0)
    return TokenRecord(secrets.token_hex(8), user.lower(), label.strip(), role, now, now + timedelta(days=days))


def write_token(record: TokenRecord, secret: bytes) -> str:
    """Return the token of a record."""
    import jwt

    claims = {
        "iss": _ISSUER,
        "sub": record.user,
        "jti": record.id,
        "iat": int(record.created_at.timestamp()),
        "exp": int(record.expires_at.timestamp()),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def read_token(text: str, registry: AccountRegistry, now: datetime) -> TokenRecord:
    """Return the record of a token. Raises AccountError with ``invalid_token`` or ``expired_token``.

    The time is compared with ``now`` alone: a machine without a clock of its own may start in the past.
    """
    import jwt

    if len(text) > _LONGEST_TEXT:
        raise AccountError("invalid_token", message("account.invalid_token"))
    rules = {"require": ["sub", "jti", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        claims = jwt.decode(text, registry.secret, algorithms=["HS256"], issuer=_ISSUER, options=rules)  # type: ignore[arg-type]  # a plain dict is a jwt Options
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise AccountError("invalid_token", message("account.invalid_token")) from error
    record = registry.token(str(claims["jti"]))
    if record is None or record.user != claims["sub"] or registry.account(record.user) is None:
        raise UnknownTokenError
    if record.expires_at <= now:
        raise AccountError("expired_token", message("account.token_expired", day=f"{record.expires_at:%Y-%m-%d}"))
    return record
