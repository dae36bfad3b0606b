"""Who makes a request, and the sessions of browsers."""

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role

__all__ = ["IDLE_S", "LONGEST_S", "Session", "Sessions", "User", "Via"]


class Via(StrEnum):
    """How somebody proved who they are."""

    OPEN = "open"
    """Not at all: reading is open."""
    SESSION = "session"
    """Cookie of a browser."""
    TOKEN = "token"  # noqa: S105 - a word, no secret
    """Bearer token of a script."""


@dataclass(frozen=True, slots=True)
class User:
    """The user of one request; ``name`` is empty for somebody without a login."""

    name: str
    role: Role
    via: Via
    address: str = ""
    """Address of the machine that asks."""

    @property
    def is_known(self) -> bool:
        """Whether somebody has logged in: names of users and what they did are for nobody else."""
        return self.via is not Via.OPEN

    def shown(self, name: str) -> str:
        """Return the name of a user as this one may see it."""
        return name if self.is_known else "somebody"

    @property
    def is_admin(self) -> bool:
        """Whether this user may change something."""
        return self.role is Role.ADMIN and self.via is not Via.OPEN


IDLE_S = 24 * 3600.0
"""A session that is not used this long ends."""
LONGEST_S = 7 * 24 * 3600.0
"""A session ends after this time at the latest."""

_MOST_SESSIONS = 64


@dataclass(slots=True)
class Session:
    """One browser that is logged in."""

    user: str
    csrf: str = field(repr=False)
    """Has to come back in the header X-CSRF-Token with whatever changes something."""
    password: str = field(repr=False)
    """Hash of the password at the login: another password ends the session."""
    begun_s: float
    used_s: float


class Sessions:
    """Every session. Keys are random and kept in memory, as digests; a restart of the bridge ends them all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}

    def begin(self, account: Account) -> tuple[str, Session]:
        """Return the key for the cookie, and the session. The one unused for longest gives way."""
        now_s = self._clock.monotonic()
        self._tidy(now_s)
        key = secrets.token_urlsafe(32)
        session = Session(account.name, secrets.token_urlsafe(24), account.password, now_s, now_s)
        self._sessions[_digest(key)] = session
        return key, session

    def find(self, key: str, registry: AccountRegistry) -> tuple[Session, Account] | None:
        """Return the session of a cookie with its user as of now, or None."""
        digest = _digest(key)
        session = self._sessions.get(digest)
        if session is None:
            return None
        now_s = self._clock.monotonic()
        account = registry.account(session.user)
        if account is None or account.password != session.password or _is_over(session, now_s):
            del self._sessions[digest]
            return None
        session.used_s = now_s
        return session, account

    def end(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(key), None)

    def _tidy(self, now_s: float) -> None:
        for digest in [digest for digest, session in self._sessions.items() if _is_over(session, now_s)]:
            del self._sessions[digest]
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda digest: self._sessions[digest].used_s)]


def _is_over(session: Session, now_s: float) -> bool:
    return now_s - session.used_s > IDLE_S or now_s - session.begun_s > LONGEST_S


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
