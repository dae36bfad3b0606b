"""The network interfaces of this machine with their addresses, as the kernel tells them (Linux). Blocks for moments."""

import ipaddress
import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_bridge.hal.rtnetlink import GET_ADDRESS, GET_LINK, NEW_ADDRESS, NEW_LINK, answers, ask_all, attributes

__all__ = ["Address", "InterfaceAddress", "NetworkInterface", "network_interfaces", "parse_interfaces"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of an interface."""

    address: Address
    prefix_length: int
    everywhere: bool = True
    """Whether others than the neighbours on the link may know it; private networks count. False for 169.254.x.y and
    fe80::."""
    lasting: bool = True
    """False for one that is still being checked, is taken by somebody else, is about to go, or changes for privacy."""

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """Return the network that it is a part of."""
        return ipaddress.ip_network((self.address, self.prefix_length), strict=False)


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """One interface."""

    name: str
    """For example ``eth0``."""
    index: int
    """The kernel's number; one that comes back has another."""
    running: bool = True
    """Whether it is up, with a cable or a network."""
    multicast: bool = True
    loopback: bool = False
    point_to_point: bool = False
    """Whether it is a tunnel to one other machine."""
    addresses: tuple[InterfaceAddress, ...] = ()


_LINK, _ADDRESS = struct.Struct("=BxHiII"), struct.Struct("=BBBBI")
_IFNAME = 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_UP, _LOOPBACK, _POINT_TO_POINT, _RUNNING, _MULTICAST = 0x1, 0x8, 0x10, 0x40, 0x1000
"""Flags of netdevice(7)."""
_TEMPORARY, _DAD_FAILED, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
"""Flags of an address in linux/if_addr.h; for IPv4 the first one means a second address, which is as good."""
_SITE_SCOPE = 200
"""RT_SCOPE_SITE: what has a smaller one is known beyond the link."""
_LENGTHS = (4, 16)


def network_interfaces() -> tuple[NetworkInterface, ...]:
    """Return the interfaces in the order of the kernel. Blocks; raises OSError where the kernel does not tell."""
    links, addresses = _LINK.pack(0, 0, 0, 0, 0), _ADDRESS.pack(0, 0, 0, 0, 0)
    return parse_interfaces(ask_all(GET_LINK, links), ask_all(GET_ADDRESS, addresses))


def parse_interfaces(links: Iterable[bytes], addresses: Iterable[bytes]) -> tuple[NetworkInterface, ...]:
    """Return the interfaces in the kernel's answers; what is cut off or unknown in them is left out."""
    found: dict[int, list[InterfaceAddress]] = defaultdict(list)
    for data in addresses:
        for kind, body in answers(data)[0]:
            if kind == NEW_ADDRESS and len(body) >= _ADDRESS.size:
                index = _ADDRESS.unpack_from(body)[4]
                found[index] += _address(body)
    return tuple(
        _interface(body, found)
        for data in links
        for kind, body in answers(data)[0]
        if kind == NEW_LINK and len(body) >= _LINK.size
    )


def _interface(body: bytes, addresses: dict[int, list[InterfaceAddress]]) -> NetworkInterface:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    name = dict(attributes(body[_LINK.size :])).get(_IFNAME, b"")
    return NetworkInterface(
        name=name.partition(b"\0")[0].decode(errors="replace"),
        index=index,
        running=flags & (_UP | _RUNNING) == _UP | _RUNNING,
        multicast=bool(flags & _MULTICAST),
        loopback=bool(flags & _LOOPBACK),
        point_to_point=bool(flags & _POINT_TO_POINT),
        addresses=tuple(addresses.get(index, ())),
    )


def _address(body: bytes) -> list[InterfaceAddress]:
    _, prefix_length, flags, scope, _ = _ADDRESS.unpack_from(body)
    told = dict(attributes(body[_ADDRESS.size :]))
    value = told.get(_IFA_LOCAL, told.get(_IFA_ADDRESS, b""))
    if len(value) not in _LENGTHS or prefix_length > 8 * len(value):
        return []
    if len(told.get(_IFA_FLAGS, b"")) == 4:
        (flags,) = struct.unpack("=I", told[_IFA_FLAGS])
    passing = _DAD_FAILED | _DEPRECATED | _TENTATIVE | (_TEMPORARY if len(value) == 16 else 0)
    address = ipaddress.ip_address(value)
    return [InterfaceAddress(address, prefix_length, scope <= _SITE_SCOPE, not flags & passing)]
