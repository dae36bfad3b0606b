"""Where a request comes from: the machine, and the network that may hold many of them."""

import ipaddress
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from tinybms_bridge.services.web.security.near import last_forwarded

__all__ = ["Origin", "address_of", "machine_of", "network_of", "origin_of"]

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """Two names for where something comes from, one inside the other."""

    machine: str
    """One address; behind a proxy what the proxy says of its client."""
    network: str
    """What one person can hold: an IPv4 address, the /64 of an IPv6 one; for a proxy all who are behind it."""


def origin_of(connection: HTTPConnection) -> Origin:
    """Return where a request comes from.

    Anybody may send the headers of a proxy. So a machine that they name is one of the peer's, never another peer's.
    """
    peer = address_of(connection)
    told = last_forwarded(connection.headers)
    machine = machine_of(peer) if told is None else f"{machine_of(peer)} {told[0]} {machine_of(told[1])}"
    return Origin(machine, network_of(peer))


def address_of(connection: HTTPConnection) -> str:
    """Return the address of the peer; an IPv4 one as such, also on a socket for both."""
    host = connection.client.host if connection.client else ""
    return host.removeprefix("::ffff:") if "." in host else host


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
