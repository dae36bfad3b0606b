"""Places of a demonstration that no other one on this machine has: a CAN bus and a web port of its own.

Two of them on one bus would steer each other: each simulated GX would obey both bridges. What is taken is marked by a
name in the kernel's abstract socket namespace, which is seen by every user of this machine and goes with the process,
however that ends.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.errors import LinkError

__all__ = ["DEFAULT_WEB_PORT", "DemoPlaces", "claim_places"]

DEFAULT_WEB_PORT = 8080
_LISTEN_ADDRESS = "127.0.0.1"
_NAMES = "tinybms-bridge-demo"
_GROUPS = ("", *(f"239.74.163.{number}" for number in range(3, 99)))
"""Multicast groups of udp_multicast; the empty one is its default, 239.74.163.2, which ``decode --live`` watches."""
_PORTS_TRIED = 100


@dataclass(frozen=True, slots=True)
class DemoPlaces:
    """What one demonstration has for itself."""

    can_channel: str
    """Channel of udp_multicast; empty for the default."""
    web_port: int


@contextlib.contextmanager
def claim_places(
    *,
    can_channel: str | None = None,
    web_port: int | None = None,
    first_port: int = DEFAULT_WEB_PORT,
    names: str = _NAMES,
) -> Iterator[DemoPlaces]:
    """Keep a CAN channel and a web port for this process until the block ends.

    Args:
        can_channel: The one that the user wants, which is not looked at; None: the first that is free.
        web_port: The same for the port of the web server.
        first_port: Where the search for a port begins.
        names: Begins the names by which the demonstrations of this machine see each other.

    Raises:
        LinkError: all are taken.

    """
    with contextlib.ExitStack() as claims:
        if can_channel is None:
            can_channel = _claim_channel(claims, names)
        if web_port is None:
            web_port = _claim_port(claims, names, first_port)
        yield DemoPlaces(can_channel, web_port)


def _claim_channel(claims: contextlib.ExitStack, names: str) -> str:
    for group in _GROUPS:
        claim = _claim(f"{names}/can/{group}")
        if claim is not None:
            claims.enter_context(claim)
            return group
    raise LinkError(f"{len(_GROUPS)} demonstrations run on this machine", hint="choose a bus with --can-channel")


def _claim_port(claims: contextlib.ExitStack, names: str, first: int) -> int:
    """Return the first port from ``first`` up that nobody listens on and no other demonstration is about to use."""
    last = min(first + _PORTS_TRIED - 1, 65535)
    for port in range(first, last + 1):
        claim = _claim(f"{names}/port/{port}")
        if claim is None:
            continue
        if _is_free(port):
            claims.enter_context(claim)
            return port
        claim.close()
    raise LinkError(f"the ports {first} to {last} are in use", hint="choose one with --web-port")


def _claim(name: str) -> socket.socket | None:
    """Return what holds a name until it is closed, or None where another process holds it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0{name}")
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return claim


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_LISTEN_ADDRESS, port)).close()
    except OSError:
        return False
    return True
