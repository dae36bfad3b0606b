"""Decides who makes a request: one object for the whole web server; with one log line for each login and change."""

import contextlib
import logging
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.web.accounts import Account, AccountError, Accounts, Role
from tinybms_bridge.services.web.accounts.credentials import UnknownTokenError, read_token
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.security.origin import Neighbourhood, address_of, forwarded_addresses, origin_of
from tinybms_bridge.services.web.security.rate import DEVICE_COOKIE, LoginLimiter, Try, device_of, new_device
from tinybms_bridge.services.web.security.sessions import Session, Sessions, User, Via
from tinybms_bridge.words import message

__all__ = ["AUDIT", "COOKIE", "Gate", "Seen", "address_of", "audit", "audit_login", "bearer_of"]

AUDIT = "tinybms_bridge.audit"
"""Logger of who did what; its lines are for who is logged in."""

log = logging.getLogger(AUDIT)
log.setLevel(logging.INFO)  # whatever the level of the log: who stopped the charger is always worth a line

_LONGEST_DETAIL = 120
_SECRET_WORDS = ("password", "token", "secret", "psk", "key")


def audit(user: User, action: str, /, *, failure: str = "", **details: object) -> None:
    """Write who did what from where, or as a warning what was refused or failed.

    The line holds no secrets: details whose name sounds secret are masked, long ones are cut.
    """
    shown = f": {_clean(failure)}" if failure else ""
    shown += "".join(f", {_clean(name)}={_shown(name, value)}" for name, value in details.items())
    level = logging.WARNING if failure else logging.INFO
    log.log(level, "%s by %s (%s) from %s%s", _clean(action), _clean(user.name), user.via, _clean(user.address), shown)


def audit_login(name: str, address: str, outcome: str) -> None:
    """Write how a login ended; a failed one as a warning. ``name`` is empty for one that no user has.

    What somebody typed there may be a password.
    """
    level = logging.INFO if outcome == "accepted" else logging.WARNING
    log.log(level, "login of %s from %s %s", _clean(name or "an unknown user"), _clean(address), outcome)


def _shown(name: str, value: object) -> str:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return "********"
    return _clean(str(value))


def _clean(text: str) -> str:
    """Return text of a peer so that it stays one short line."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_DETAIL])
    return f"{shown}..." if len(text) > _LONGEST_DETAIL else shown or "nobody"


COOKIE = "tinybms_session"


_LOOK_AGAIN_S = 0.25
"""Whoever holds a revoked token must not make the file be read at each request."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody who proved who they are, and the session if it is a browser."""

    user: User
    session: Session | None = None


class Gate:
    """Users, sessions, the brake on guessing and the setup token."""

    def __init__(self, accounts: Accounts, clock: Clock, options: WebOptions) -> None:
        self.accounts = accounts
        self.clock = clock
        self.options = options
        self.sessions = Sessions(clock)
        self.near = Neighbourhood()
        self._limiter = LoginLimiter(clock)
        self._looked_s = -_LOOK_AGAIN_S

    @property
    def setup_required(self) -> bool:
        """Whether there is no administrator yet."""
        return not self.accounts.registry.has_admin

    def identify(self, connection: HTTPConnection, query_token: str = "") -> Seen | None:
        """Return who makes a request, or None for nobody. Raises ProblemError 401 for a bad bearer token."""
        bearer = query_token or bearer_of(connection)
        if bearer:
            return Seen(self._token_user(bearer, address_of(connection)))
        if "cookie" not in connection.headers:
            return None
        found = self.sessions.find(connection.cookies.get(COOKIE, ""), self.accounts.registry)
        if found is None:
            return None
        session, account = found
        return Seen(User(account.name, account.role, Via.SESSION, address_of(connection)), session)

    async def see(self, connection: HTTPConnection) -> Seen | None:
        """Do what ``identify`` does, and look at the file again for a token that the command line has just made."""
        try:
            return self.identify(connection)
        except ProblemError as error:
            now_s = self.clock.monotonic()
            if not isinstance(error.__cause__, UnknownTokenError) or now_s - self._looked_s < _LOOK_AGAIN_S:
                raise
            self._looked_s = now_s
            with contextlib.suppress(BridgeError):  # the users known so far stay
                await self.accounts.refresh()
            return self.identify(connection)

    def reading_is_open(self, connection: HTTPConnection) -> bool:
        """Tell whether a request may read without a login; behind a proxy every address on its way counts."""
        if not self.options.open_reading or self.options.reading_from_anywhere:
            return self.options.open_reading
        way = (address_of(connection), *forwarded_addresses(connection.headers))
        return all(self.near.holds(address) for address in way)

    def anonymous(self, connection: HTTPConnection) -> User | None:
        """Return the user who stands for anybody, or None where reading is not open."""
        if not self.reading_is_open(connection):
            return None
        return User("", Role.VIEWER, Via.OPEN, address_of(connection))

    async def login(self, name: str, password: str, connection: HTTPConnection) -> Account:
        """Return the user. Raises ProblemError: 401 wrong, 429 too many tries."""
        address, device = address_of(connection), self._device(connection, name)
        begun = self.begin_try(connection, name, device)
        account = await self.accounts.verify(name, password, known=bool(device))
        if account is None:
            audit_login(name if self.accounts.registry.account(name) else "", address, "refused")
            raise ProblemError(401, "wrong_login", message("account.wrong_login"))
        begun.succeeded()
        audit_login(account.name, address, "accepted")
        return account

    def begin_try(self, connection: HTTPConnection, name: str = "", device: str = "") -> Try:
        """Count a try. Raises ProblemError 429 while machine, network or user have to wait."""
        begun = self._limiter.admit(origin_of(connection), name, device)
        if begun.wait_s > 0.0:
            seconds = int(begun.wait_s) + 1
            headers = {"Retry-After": str(seconds)}
            raise ProblemError(
                429, "too_many_tries", message("account.too_many_tries", seconds=seconds), headers=headers
            )
        return begun

    def device_cookie(self, account: Account) -> str:
        """Return the cookie by which a browser that has logged in is known again."""
        return new_device(account.name, self.accounts.registry.secret)

    def _device(self, connection: HTTPConnection, name: str) -> str:
        """Return what is logged in as ``name`` or has been; empty for a stranger."""
        cookies = connection.cookies
        found = self.sessions.find(cookies.get(COOKIE, ""), self.accounts.registry)
        if found is not None and found[1].name == name.lower():
            return f"session {found[0].csrf}"
        return device_of(cookies.get(DEVICE_COOKIE, ""), name, self.accounts.registry.secret)

    def _token_user(self, text: str, address: str) -> User:
        registry = self.accounts.registry
        try:
            record = read_token(text, registry, self.clock.wall())
        except AccountError as error:
            raise ProblemError(
                401, error.code, error.message, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
            ) from error
        account = registry.expect_account(record.user)
        return User(account.name, account.role.at_most(record.role), Via.TOKEN, address)


def bearer_of(connection: HTTPConnection) -> str:
    """Return the bearer token that a request shows; empty for none."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
