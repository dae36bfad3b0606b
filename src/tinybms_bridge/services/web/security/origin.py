"""Where a request comes from: its peer, or behind a proxy what the proxy says of its client."""

from starlette.requests import HTTPConnection

from tinybms_bridge.services.web.callers import Origin, machine_of, network_of
from tinybms_bridge.services.web.security.near import last_forwarded

__all__ = ["address_of", "origin_of"]


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
