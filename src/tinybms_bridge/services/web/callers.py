"""Where requests come from and who makes them, and the places that many of them want.

While some places are free everybody gets one; then whoever has most gives way. So one machine cannot lock everybody
out, and nobody has fewer places than there are while nobody else wants them.
"""

import ipaddress
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["SOMEBODY", "HttpCaller", "Origin", "Shares", "machine_of", "network_of"]

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """Two names for where something comes from, one inside the other."""

    machine: str
    """One address; behind a proxy what the proxy says of its client."""
    network: str
    """What one person can hold: an IPv4 address, the /64 of an IPv6 one; for a proxy all who are behind it."""

    @classmethod
    def of(cls, address: str) -> "Origin":
        """Return that of an address without a proxy."""
        return cls(machine_of(address), network_of(address))


@dataclass(frozen=True, slots=True)
class HttpCaller:
    """Who wants something."""

    origin: Origin
    known: bool = False
    """Whether it is logged in."""


SOMEBODY = HttpCaller(Origin("", ""))
"""Where it does not matter who it is."""


def machine_of(address: str) -> str:
    """Return an address in its one way of writing; other text as it is."""
    parsed = _parsed(address)
    return address[:_LONGEST] if parsed is None else str(parsed)


def network_of(address: str) -> str:
    """Return what one guesser holds: an IPv4 address, or the /64 of an IPv6 one; other text as it is."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return address[:_LONGEST] if parsed is None else str(parsed)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


M = TypeVar("M", bound=Hashable)


class Shares(Generic[M]):
    """Who has a place."""

    def __init__(self) -> None:
        self._callers: dict[M, HttpCaller] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def add(self, member: M, caller: HttpCaller) -> None:
        """Give a place."""
        self._callers[member] = caller

    def remove(self, member: M) -> None:
        """Take it back; safe to call twice."""
        self._callers.pop(member, None)

    def gives_way(self, newcomer: HttpCaller) -> M | None:
        """Return who has to leave so that a newcomer gets a place; None: it is the newcomer.

        Strangers give way to who is logged in. Among equals a network gives way to one that has at least two places
        less, and within a network a machine to another; of its places the last one taken.
        """
        strangers = {member: caller for member, caller in self._callers.items() if not caller.known}
        if newcomer.known and strangers:
            return _last_of_most(strangers, strangers)
        equals = {member: caller for member, caller in self._callers.items() if caller.known == newcomer.known}
        networks = Counter(caller.origin.network for caller in equals.values())
        if networks and max(networks.values()) >= networks[newcomer.origin.network] + 2:
            return _last_of_most(equals, equals)
        near = [member for member, caller in equals.items() if caller.origin.network == newcomer.origin.network]
        machines = Counter(equals[member].origin.machine for member in near)
        if machines and max(machines.values()) >= machines[newcomer.origin.machine] + 2:
            return _last_of_most(equals, near)
        return None


def _last_of_most(callers: dict[M, HttpCaller], members: Iterable[M]) -> M:
    """Return the last member of the machine with most places, of the network with most."""
    members = list(members)
    networks = Counter(callers[member].origin.network for member in members)
    machines = Counter(callers[member].origin for member in members)

    def places(member: M) -> tuple[int, int]:
        origin = callers[member].origin
        return networks[origin.network], machines[origin]

    return max(reversed(members), key=places)
