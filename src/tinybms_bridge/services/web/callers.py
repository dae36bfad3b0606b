"""Where requests come from, and who makes them: what places and tries are counted by."""

import ipaddress
from dataclasses import dataclass

__all__ = ["SOMEBODY", "Caller", "Origin", "machine_of", "network_of"]

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
class Caller:
    """Who wants something."""

    origin: Origin
    known: bool = False
    """Whether it is logged in."""


SOMEBODY = Caller(Origin("", ""))
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
