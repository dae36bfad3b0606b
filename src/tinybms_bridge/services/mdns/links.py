"""The links on which the web server is announced, each with its own addresses only."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_bridge.hal.interfaces import Address, InterfaceAddress, NetworkInterface

__all__ = ["NetworkLink", "links_of"]

_EVERYWHERE = {"": (4, 6), "0.0.0.0": (4,), "::": (6,)}  # noqa: S104 -- names what a server listens on
"""IP versions by which a server is reached that listens on all addresses."""


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """One network that this machine is a part of."""

    name: str
    """Of the interface."""
    index: int
    """The kernel's number of it."""
    addresses: tuple[Address, ...]
    """By which the web server is reached there."""
    source: ipaddress.IPv4Address | None = None
    """From which packets are sent by IPv4; None: by IPv6 alone."""
    ipv6: bool = False
    """Whether packets are sent by IPv6."""
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    """Whose machines may ask by unicast."""

    def is_still(self, later: "NetworkLink") -> bool:
        """Tell whether this is the same network at a later time; some addresses may be others."""
        before, now = ({each for each in link.networks if not each.is_link_local} for link in (self, later))
        same = bool(before & now) if before or now else self.addresses == later.addresses
        return self.index == later.index and same

    def is_neighbour(self, address: Address) -> bool:
        """Tell whether an address is on this link."""
        return any(address in network for network in self.networks if network.version == address.version)


def links_of(interfaces: Iterable[NetworkInterface], listen_address: str) -> tuple[NetworkLink, ...]:
    """Return the links by which a server is reached that listens there; none for one of this machine alone."""
    usable = (each for each in interfaces if each.running and each.multicast and not each.point_to_point)
    found = (_link(each, listen_address) for each in usable if not each.loopback)
    return tuple(link for link in found if link.addresses)


def _link(interface: NetworkInterface, listen_address: str) -> NetworkLink:
    """Return the link of an interface; without addresses where the server is not reached by it."""
    lasting = [each for each in interface.addresses if each.lasting]
    v4 = [each.address for each in lasting if isinstance(each.address, ipaddress.IPv4Address)]
    return NetworkLink(
        interface.name,
        interface.index,
        tuple(address for address in _told(lasting) if _reaches(address, listen_address)),
        source=v4[0] if v4 else None,
        ipv6=len(v4) < len(lasting),
        networks=tuple(each.network for each in lasting),
    )


def _told(addresses: list[InterfaceAddress]) -> list[Address]:
    """Return the addresses that others are told: of IPv4 and of IPv6 those of the link alone only without others.

    So does Avahi: where both speak for one name they must say the same.
    """
    told: list[Address] = []
    for version in (4, 6):
        known = [each for each in addresses if each.address.version == version]
        told += [each.address for each in known if each.everywhere] or [each.address for each in known]
    return told


def _reaches(address: Address, listen_address: str) -> bool:
    if listen_address in _EVERYWHERE:
        return address.version in _EVERYWHERE[listen_address]
    return str(address) == str(ipaddress.ip_address(listen_address.partition("%")[0]))
