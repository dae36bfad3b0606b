"""Brake on guessing passwords: after some failures each further try has to wait, twice as long as the one before."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock

__all__ = ["LoginLimiter", "network_of"]

_FREE_TRIES = 5
_ADDRESS_MAX_S = 300.0
_USER_MAX_S = 30.0
"""Shorter than for an address: a stranger must not be able to lock a user out for long."""
_FORGET_AFTER_S = 900.0
_MOST_ENTRIES = 2048


@dataclass(slots=True)
class _Entry:
    failures: int = 0
    last_s: float = 0.0
    free_at_s: float = 0.0


class _Counter:
    """Failures by key; a bounded number of keys."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        entry = self._entries.get(key)
        return 0.0 if entry is None else max(0.0, entry.free_at_s - now_s)

    def count(self, key: str, now_s: float) -> None:
        entry = self._entries.setdefault(key, _Entry())
        if now_s - entry.last_s > _FORGET_AFTER_S:
            entry.failures = 0
        entry.failures = min(entry.failures + 1, 64)
        entry.last_s = now_s
        if entry.failures >= _FREE_TRIES:
            entry.free_at_s = now_s + min(self._longest_s, 2.0 ** (entry.failures - _FREE_TRIES))
        self._entries.move_to_end(key)
        while len(self._entries) > _MOST_ENTRIES:
            self._entries.popitem(last=False)

    def take_back(self, key: str) -> None:
        """Undo the last count."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.failures = max(0, entry.failures - 1)
            entry.free_at_s = 0.0

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)


class LoginLimiter:
    """Failures per address and per user name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses = _Counter(_ADDRESS_MAX_S)
        self._users = _Counter(_USER_MAX_S)

    def admit(self, address: str, name: str) -> float:
        """Return 0.0 and count the try as a failure until told otherwise, or the seconds that it has to wait."""
        now_s = self._clock.monotonic()
        network, user = network_of(address), _key(name)
        wait_s = max(self._addresses.wait_s(network, now_s), self._users.wait_s(user, now_s))
        if wait_s == 0.0:
            self._addresses.count(network, now_s)
            self._users.count(user, now_s)
        return wait_s

    def succeeded(self, address: str, name: str) -> None:
        """Tell that the try was right. Earlier failures of the address stay: they may be for other users."""
        self._addresses.take_back(network_of(address))
        self._users.forget(_key(name))


def network_of(address: str) -> str:
    """Return what one guesser holds: an IPv4 address, or the /64 of an IPv6 one; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def _key(name: str) -> str:
    return name.lower()[:32]
