"""The file of users: a Book to JSON and back."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tinybms_bridge.services.web.accounts.book import Account, Book, Role, TokenRecord

__all__ = ["from_json", "to_json"]

_VERSION = 1


def to_json(book: Book) -> bytes:
    """Return the document of a book."""
    document = {
        "version": _VERSION,
        "secret": book.secret.hex(),
        **({"setup_token": book.setup_token} if book.setup_token else {}),
        "users": [
            {"name": account.name, "role": account.role, "password": account.password} for account in book.accounts
        ],
        "tokens": [_token_out(token) for token in book.tokens],
    }
    return json.dumps(document, indent=1).encode()


def from_json(data: bytes) -> Book:
    """Return the book of a document. Raises ValueError when it is not one."""
    try:
        document = json.loads(data)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not known here")
        secret = bytes.fromhex(document["secret"])
        if len(secret) < 32:
            raise ValueError("the secret is too short")
        return Book(
            tuple(_account_in(entry) for entry in document["users"]),
            tuple(_token_in(entry) for entry in document["tokens"]),
            secret,
            _text(document.get("setup_token", "")),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is not a list of users ({type(error).__name__})") from error


def _account_in(entry: Mapping[str, Any]) -> Account:
    return Account(_text(entry["name"]), Role(entry["role"]), _text(entry["password"]))


def _token_in(entry: Mapping[str, Any]) -> TokenRecord:
    return TokenRecord(
        id=_text(entry["id"]),
        user=_text(entry["user"]),
        label=_text(entry["label"]),
        role=Role(entry["role"]),
        created_at=_time(entry["created_at"]),
        expires_at=_time(entry["expires_at"]),
    )


def _token_out(token: TokenRecord) -> dict[str, str]:
    return {
        "id": token.id,
        "user": token.user,
        "label": token.label,
        "role": token.role,
        "created_at": token.created_at.isoformat(),
        "expires_at": token.expires_at.isoformat(),
    }


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
