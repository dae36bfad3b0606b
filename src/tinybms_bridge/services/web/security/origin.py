"""Where a request comes from: its peer, or behind a proxy what the proxy says of its client; and who is near.

Near is what is on this machine, in a private network, or on the same link; reading may be open to those alone.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from tinybms_bridge.hal.on_link import Network, on_link_networks
from tinybms_bridge.services.web.callers import Origin, machine_of, network_of

__all__ = ["Neighbourhood", "address_of", "forwarded_addresses", "last_forwarded", "origin_of"]

_NEAR: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # RFC 3927
        "fe80::/10",  # RFC 4291
        "fc00::/7",  # RFC 4193
    )
)
_PROXY_HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded")
_MOST_KNOWN = 4096
_FORWARDED_FOR = re.compile(r'\bfor\s*=\s*("[^"]*"|[^;,\s]*)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")


class Neighbourhood:
    """Tells who is near; ``refresh`` looks at the interfaces of this machine, which come and go."""

    def __init__(self, read: Callable[[], frozenset[Network]] = on_link_networks) -> None:
        self._read = read
        self._on_link: frozenset[Network] = frozenset()
        self._known: dict[str, bool] = {}

    def refresh(self) -> None:
        """Look at the interfaces again. Blocks."""
        found = self._read()
        if found != self._on_link:
            self._on_link, self._known = found, {}

    def holds(self, address: str) -> bool:
        """Tell whether an address is near; text that is no address is not."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known = {}
            known = self._known[address] = self._is_near(address)
        return known

    def _is_near(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in (*_NEAR, *self._on_link) if network.version == address.version)


def forwarded_addresses(headers: Headers) -> Iterator[str]:
    """Yield what proxies say of the way of a request (X-Forwarded-For, X-Real-IP, RFC 7239); it may be anything.

    Nobody has to be believed who only makes a request come from farther away.
    """
    for name in _PROXY_HEADERS:
        yield from _told_by(name, headers)


def last_forwarded(headers: Headers) -> tuple[str, str] | None:
    """Return what the nearest proxy says of its client, with the header that says so; None without a proxy.

    The last entry is the nearest proxy's own; a client that sends such a header itself can only add before it.
    """
    for name in _PROXY_HEADERS:
        if told := list(_told_by(name, headers)):
            return name, told[-1]
    return None


def _told_by(name: str, headers: Headers) -> Iterator[str]:
    for value in headers.getlist(name):
        each = value.split(",") if name != "forwarded" else _FORWARDED_FOR.findall(value) or [""]
        yield from map(_without_port, each)


def _without_port(text: str) -> str:
    text = text.strip().strip('"').strip()
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2] or "") if found else text


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
