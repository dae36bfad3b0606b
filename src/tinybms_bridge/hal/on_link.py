"""The networks that this machine is a part of, by the addresses of its interfaces (Linux). Blocks for moments."""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["Network", "on_link_networks"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B
"""netdevice(7)."""
_IF_INET6 = Path("/proc/net/if_inet6")
_SHORTEST_V4, _SHORTEST_V6 = 8, 32
"""An interface with a shorter prefix is a tunnel to everywhere, not a network on which one is a neighbour."""


def on_link_networks(if_inet6: Path = _IF_INET6) -> frozenset[Network]:
    """Return the networks on the link of any interface; what cannot be told is left out. Never raises OSError."""
    return frozenset([*_networks_v4(), *_networks_v6(if_inet6)])


def _networks_v4() -> Iterator[Network]:
    """Yield the network of the first IPv4 address of each interface."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError, ValueError):  # without an address
                request = struct.pack("256s", name.encode()[:15])
                address, mask = (
                    socket.inet_ntoa(fcntl.ioctl(probe.fileno(), what, request)[20:24])
                    for what in (_SIOCGIFADDR, _SIOCGIFNETMASK)
                )
                network = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
                if network.prefixlen >= _SHORTEST_V4:
                    yield network


def _networks_v6(path: Path) -> Iterator[Network]:
    """Yield the network of each IPv6 address: 32 hexadecimal digits, index, prefix length, scope, flags, name."""
    text = ""
    with suppress(OSError):  # a kernel without IPv6
        text = path.read_text(errors="replace")
    for line in text.splitlines():
        with suppress(ValueError, IndexError):
            digits, _, length, *_ = line.split()
            network = ipaddress.IPv6Network((int(digits, 16), int(length, 16)), strict=False)
            if network.prefixlen >= _SHORTEST_V6:
                yield network
