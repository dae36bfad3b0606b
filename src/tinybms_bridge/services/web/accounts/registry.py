"""The list of users and tokens: an immutable document, the changes that it allows, and its file as JSON."""

import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import Message, message

__all__ = ["NAME_RULE", "Account", "AccountError", "AccountRegistry", "Role", "TokenRecord", "from_json", "to_json"]

NAME_RULE = message("account.name_rule")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_MOST_USERS = 50
_MOST_TOKENS = 100
_LONGEST_LABEL = 64
_SETUP_GROUPS, _SETUP_GROUP_BYTES = 4, 3


class AccountError(BridgeError):
    """A change of the users cannot be made."""

    def __init__(self, code: str, told: Message) -> None:
        super().__init__(code, told)
        self.code = code
        """For programs, for example ``last_admin``."""
        self.message = told

    @property
    def description(self) -> Message:
        """What cannot be done, and why."""
        return self.message

    def __str__(self) -> str:
        return self.message.text


class Role(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    """Read."""
    ADMIN = "admin"
    """Read and change."""

    def at_most(self, other: "Role | None") -> "Role":
        """Return the lesser of two roles; with None this one."""
        return self if other in (self, None) else Role.VIEWER


@dataclass(frozen=True, slots=True)
class Account:
    """One user."""

    name: str
    role: Role
    password: str = field(repr=False)
    """Salted hash; see ``credentials.hash_password``."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One bearer token that is valid; the token itself is not kept."""

    id: str
    user: str
    label: str
    role: Role
    created_at: datetime
    expires_at: datetime

    def describe(self) -> str:
        """Say what the token may do and how long, for whoever made it."""
        return f"token {self.id} of {self.user} with the role {self.role}, valid until {self.expires_at:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class AccountRegistry:
    """Every user and token. Each change returns a new registry or raises AccountError."""

    accounts: tuple[Account, ...] = ()
    tokens: tuple[TokenRecord, ...] = ()
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Signs the tokens."""
    setup_token: str = field(default="", repr=False)
    """Proves that whoever makes the first administrator can read this machine's own output; empty once there is one."""

    def account(self, name: str) -> Account | None:
        """Return a user, or None; capitals do not matter."""
        wanted = name.lower()
        return next((account for account in self.accounts if account.name == wanted), None)

    def token(self, token_id: str) -> TokenRecord | None:
        """Return a token that has not been revoked, or None."""
        return next((token for token in self.tokens if token.id == token_id), None)

    @property
    def has_admin(self) -> bool:
        """Whether anybody can change something."""
        return any(account.role is Role.ADMIN for account in self.accounts)

    def with_account(self, account: Account) -> Self:
        """Add a user."""
        if not _NAME.fullmatch(account.name):
            raise AccountError("bad_name", NAME_RULE)
        if self.account(account.name) is not None:
            raise AccountError("user_exists", message("account.user_exists", name=account.name))
        if len(self.accounts) >= _MOST_USERS:
            raise AccountError("too_many_users", message("account.too_many_users", most=_MOST_USERS))
        return self._checked(replace(self, accounts=(*self.accounts, account)))

    def without_account(self, name: str) -> Self:
        """Remove a user and the user's tokens."""
        gone = self.expect_account(name)
        accounts = tuple(account for account in self.accounts if account is not gone)
        tokens = tuple(token for token in self.tokens if token.user != gone.name)
        return self._checked(replace(self, accounts=accounts, tokens=tokens))

    def with_changes(self, name: str, *, password: str | None = None, role: Role | None = None) -> Self:
        """Give a user another password hash, which ends the sessions and every token of the user, or another role."""
        old = self.expect_account(name)
        new = replace(old, password=password or old.password, role=role or old.role)
        accounts = tuple(new if each is old else each for each in self.accounts)
        tokens = tuple(token for token in self.tokens if password is None or token.user != old.name)
        return self._checked(replace(self, accounts=accounts, tokens=tokens))

    def with_setup_token(self) -> Self:
        """Return the registry with a setup token, 96 bits in groups of hexadecimal digits; one that is there stays."""
        if self.has_admin:
            raise AccountError("setup_done", message("account.setup_done"))
        if self.setup_token:
            return self
        groups = [secrets.token_hex(_SETUP_GROUP_BYTES) for _ in range(_SETUP_GROUPS)]
        return replace(self, setup_token="-".join(groups))

    def opens_setup(self, text: str) -> bool:
        """Tell whether a text is the setup token; hyphens, blanks and capitals do not matter."""
        wanted = "" if self.has_admin else _digits(self.setup_token)
        return bool(wanted) and hmac.compare_digest(_digits(text).encode("utf-8", "surrogatepass"), wanted.encode())

    def with_token(self, token: TokenRecord, now: datetime) -> Self:
        """Add a token, and forget those that have expired."""
        self.expect_account(token.user)
        if not token.label.isprintable() or not 1 <= len(token.label) <= _LONGEST_LABEL:
            raise AccountError("bad_label", message("account.label_rule", longest=_LONGEST_LABEL))
        kept = tuple(each for each in self.tokens if each.expires_at > now)
        if len(kept) >= _MOST_TOKENS:
            raise AccountError("too_many_tokens", message("account.too_many_tokens", most=_MOST_TOKENS))
        return replace(self, tokens=(*kept, token))

    def without_token(self, token_id: str) -> Self:
        """Revoke a token."""
        kept = tuple(self._other_tokens(token_id))
        if len(kept) == len(self.tokens):
            raise AccountError("unknown_token", message("account.unknown_token"))
        return replace(self, tokens=kept)

    def expect_account(self, name: str) -> Account:
        """Return a user. Raises AccountError when there is none of that name."""
        account = self.account(name)
        if account is None:
            raise AccountError("unknown_user", message("account.unknown_user", name=name[:32]))
        return account

    def _other_tokens(self, token_id: str) -> Iterator[TokenRecord]:
        return (token for token in self.tokens if token.id != token_id)

    def _checked(self, new: Self) -> Self:
        if self.has_admin and not new.has_admin:
            raise AccountError("last_admin", message("account.last_admin"))
        return replace(new, setup_token="") if new.has_admin else new


def _digits(text: str) -> str:
    return text.replace("-", "").replace(" ", "").lower()


_VERSION = 1


def to_json(registry: AccountRegistry) -> bytes:
    """Return the document of a registry."""
    document = {
        "version": _VERSION,
        "secret": registry.secret.hex(),
        **({"setup_token": registry.setup_token} if registry.setup_token else {}),
        "users": [
            {"name": account.name, "role": account.role, "password": account.password} for account in registry.accounts
        ],
        "tokens": [_token_out(token) for token in registry.tokens],
    }
    return json.dumps(document, indent=1).encode()


def from_json(data: bytes) -> AccountRegistry:
    """Return the registry of a document. Raises ValueError when it is not one."""
    try:
        document = json.loads(data)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not known here")
        secret = bytes.fromhex(document["secret"])
        if len(secret) < 32:
            raise ValueError("the secret is too short")
        return AccountRegistry(
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
