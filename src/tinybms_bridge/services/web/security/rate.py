"""Brake on guessing passwords: after some failures each further try has to wait, twice as long as the one before.

Failures are counted by machine, by network and by user name, and each of them counts only so many from the one within
it: one machine cannot stop its network, one network cannot stop a user who comes from elsewhere. A device that has
logged in before is counted by itself, and by nothing that others do: so strangers cannot keep it out. It is known again
by a cookie, which is no login: it only gives its holder tries of its own for one user name. The cookie is signed, so
nothing has to be kept.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.web.callers import Origin

__all__ = ["DEVICE_COOKIE", "DEVICE_S", "LoginLimiter", "Try", "device_of", "new_device"]

_FREE_OF_MACHINE = 5
_FREE_OF_NETWORK = 20
"""More than three machines of one network can fail for nothing."""
_FREE_OF_USER = 50
"""More than two networks can."""
_LONGEST_S = 300.0
_LONGEST_OF_USER_S = 30.0
"""Shorter: many strangers together must not be able to lock a user out for long."""
_FORGET_AFTER_S = 900.0
_MOST_ENTRIES = 2048
"""Of each kind; the one that failed longest ago is forgotten first."""


@dataclass(slots=True)
class _Entry:
    failures: int = 0
    last_s: float = 0.0
    free_at_s: float = 0.0


class _Counter:
    """Failures by key; a bounded number of keys."""

    def __init__(self, free: int, longest_s: float = _LONGEST_S) -> None:
        self._free = free
        self._longest_s = longest_s
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def wait_s(self, key: str, now_s: float) -> float:
        entry = self._entries.get(key)
        return 0.0 if entry is None else max(0.0, entry.free_at_s - now_s)

    def count(self, key: str, now_s: float) -> bool:
        """Count a failure; return whether it was one of the first, which count for what is around it too."""
        entry = self._entries.setdefault(key, _Entry())
        if now_s - entry.last_s > _FORGET_AFTER_S:
            entry.failures = 0
        entry.failures = min(entry.failures + 1, self._free + 64)
        entry.last_s = now_s
        if entry.failures >= self._free:
            entry.free_at_s = now_s + min(self._longest_s, 2.0 ** (entry.failures - self._free))
        self._entries.move_to_end(key)
        while len(self._entries) > _MOST_ENTRIES:
            self._entries.popitem(last=False)
        return entry.failures <= self._free

    def take_back(self, key: str) -> None:
        """Undo the last count."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.failures = max(0, entry.failures - 1)
            entry.free_at_s = 0.0

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)


@dataclass(frozen=True, slots=True)
class Try:
    """One try to log in. It counts as a failure from its beginning, so that a thousand at once are not free."""

    wait_s: float
    """How long it has to wait; 0.0: it may go on."""
    _counted: tuple[tuple[_Counter, str], ...] = ()
    _user: tuple[_Counter, str] | None = None

    def succeeded(self) -> None:
        """Tell that it was right. Earlier failures of the machine stay: they may be for other users."""
        for counter, key in self._counted:
            counter.take_back(key)
        if self._user is not None:
            counter, key = self._user
            counter.forget(key)


class LoginLimiter:
    """Failures per machine, network, user name and remembered device."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._machines = _Counter(_FREE_OF_MACHINE)
        self._networks = _Counter(_FREE_OF_NETWORK)
        self._users = _Counter(_FREE_OF_USER, _LONGEST_OF_USER_S)
        self._devices = _Counter(_FREE_OF_MACHINE)

    @property
    def entries(self) -> int:
        """How much is remembered."""
        return sum(map(len, (self._machines, self._networks, self._users, self._devices)))

    def admit(self, origin: Origin, name: str = "", device: str = "") -> Try:
        """Begin a try; one that has to wait counts nothing.

        Args:
            origin: where it comes from.
            name: the user; empty for a secret that is too long to be guessed by many.
            device: what has logged in as this user before; empty for a stranger.

        """
        if device:
            return self._begin([(self._devices, device)], None)
        user = (self._users, name.lower()[:32])
        levels = [(self._machines, origin.machine), (self._networks, origin.network)]
        return self._begin([*levels, user] if name else levels, user if name else None)

    def _begin(self, levels: list[tuple[_Counter, str]], user: tuple[_Counter, str] | None) -> Try:
        """Count at each level, from the inside out, as long as the one within passes it on."""
        now_s = self._clock.monotonic()
        wait_s = max(counter.wait_s(key, now_s) for counter, key in levels)
        if wait_s > 0.0:
            return Try(wait_s)
        counted = []
        for counter, key in levels:
            counted.append((counter, key))
            if not counter.count(key, now_s):
                break
        return Try(0.0, tuple(counted), user)


DEVICE_COOKIE = "tinybms_device"
DEVICE_S = 365 * 86_400
"""How long a browser keeps it."""

_NONCE_BYTES = 16
_LONGEST_COOKIE = 128


def new_device(name: str, secret: bytes) -> str:
    """Return the text of a cookie for who has just logged in as ``name``."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return f"{nonce}.{_signature(nonce, name, secret)}"


def device_of(text: str, name: str, secret: bytes) -> str:
    """Return the name of the device, or an empty text for one that has not logged in as ``name``."""
    nonce, _, signature = text[:_LONGEST_COOKIE].partition(".")
    good = hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), _signature(nonce, name, secret).encode())
    return nonce if good else ""


def _signature(nonce: str, name: str, secret: bytes) -> str:
    told = f"device\0{name.lower()}\0{nonce}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, told, hashlib.sha256).hexdigest()
