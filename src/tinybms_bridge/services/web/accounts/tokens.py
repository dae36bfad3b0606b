"""Bearer tokens for scripts: signed (RFC 7519, HS256), named in the book, and revoked by taking them out of it."""

import secrets
from datetime import datetime, timedelta

from tinybms_bridge.services.web.accounts.book import AccountError, Book, Role, TokenRecord

__all__ = ["LONGEST_DAYS", "UnknownTokenError", "new_record", "read_token", "write_token"]

LONGEST_DAYS = 3650

_ISSUER = "tinybms-bridge"
_LONGEST_TEXT = 2048


class UnknownTokenError(AccountError):
    """A token was signed here and is not in the book: it was revoked, or made since the book was read."""

    def __init__(self) -> None:
        super().__init__("invalid_token", "the token has been revoked")


def new_record(user: str, label: str, role: Role, now: datetime, days: int) -> TokenRecord:
    """Return the record of a new token. Raises AccountError for a lifetime out of range."""
    if not 1 <= days <= LONGEST_DAYS:
        raise AccountError("bad_lifetime", f"a token lives 1 to {LONGEST_DAYS} days, not {days}")
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


def read_token(text: str, book: Book, now: datetime) -> TokenRecord:
    """Return the record of a token. Raises AccountError with ``invalid_token`` or ``expired_token``.

    The time is compared with ``now`` alone: a machine without a clock of its own may start in the past.
    """
    import jwt

    if len(text) > _LONGEST_TEXT:
        raise AccountError("invalid_token", "the token is not valid")
    rules = {"require": ["sub", "jti", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        claims = jwt.decode(text, book.secret, algorithms=["HS256"], issuer=_ISSUER, options=rules)  # type: ignore[arg-type]  # a plain dict is a jwt Options
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise AccountError("invalid_token", "the token is not valid") from error
    record = book.token(str(claims["jti"]))
    if record is None or record.user != claims["sub"] or book.account(record.user) is None:
        raise UnknownTokenError
    if record.expires_at <= now:
        raise AccountError("expired_token", f"the token has expired on {record.expires_at:%Y-%m-%d}")
    return record
