"""On which networks a web server is announced, and by which of its addresses."""

import ipaddress
from typing import Any

import pytest

from tinybms_bridge.hal.interfaces import InterfaceAddress, NetworkInterface
from tinybms_bridge.services.mdns.links import links_of


def address(text: str, **options: Any) -> InterfaceAddress:
    """Return an address with its prefix."""
    found = ipaddress.ip_interface(text)
    own = str(found.ip).startswith(("fe80", "169.254"))
    return InterfaceAddress(found.ip, found.network.prefixlen, **{"everywhere": not own, **options})


LO = NetworkInterface("lo", 1, multicast=False, loopback=True, addresses=(address("127.0.0.1/8"), address("::1/128")))
ETH = NetworkInterface("eth0", 2, addresses=(address("10.0.0.1/24"), address("2001:db8::1/64"), address("fe80::1/64")))
WLAN = NetworkInterface("wlan0", 3, addresses=(address("192.168.4.1/24"), address("fe80::2/64")))


def told(*interfaces: NetworkInterface, at: str = "") -> dict[str, list[str]]:
    """Return the addresses that are announced on each interface."""
    return {link.name: [str(each) for each in link.addresses] for link in links_of(interfaces, at)}


@pytest.mark.parametrize(
    ("listen_address", "expected"),
    [
        ("", {"eth0": ["10.0.0.1", "2001:db8::1"], "wlan0": ["192.168.4.1", "fe80::2"]}),
        ("0.0.0.0", {"eth0": ["10.0.0.1"], "wlan0": ["192.168.4.1"]}),
        ("::", {"eth0": ["2001:db8::1"], "wlan0": ["fe80::2"]}),
        ("192.168.4.1", {"wlan0": ["192.168.4.1"]}),
        ("2001:DB8:0::1", {"eth0": ["2001:db8::1"]}),
        ("fe80::2%wlan0", {"wlan0": ["fe80::2"]}),
        ("127.0.0.1", {}),
        ("::1", {}),
        ("10.9.9.9", {}),
    ],
)
def test_only_what_the_server_listens_on_is_announced(listen_address: str, expected: dict[str, list[str]]) -> None:
    """An address that leads nowhere would be tried first, and this machine alone is told nothing."""
    assert told(LO, ETH, WLAN, at=listen_address) == expected


@pytest.mark.parametrize(
    "change",
    [{"running": False}, {"multicast": False}, {"point_to_point": True}, {"loopback": True}, {"addresses": ()}],
)
def test_interfaces_that_lead_to_no_neighbours_are_left_out(change: dict[str, Any]) -> None:
    """Down, a tunnel, a CAN interface, without an address."""
    from dataclasses import replace

    assert told(replace(ETH, **change)) == {}


def test_an_address_of_the_link_alone_is_told_where_there_is_no_other() -> None:
    """A cable between two machines, without anybody who gives addresses."""
    alone = NetworkInterface("eth0", 2, addresses=(address("169.254.7.7/16"), address("fe80::1/64")))

    assert told(alone) == {"eth0": ["169.254.7.7", "fe80::1"]}


def test_addresses_that_pass_are_not_told() -> None:
    """Those of privacy extensions, or still in doubt: the name would have to be probed for again and again."""
    doubtful = NetworkInterface("eth0", 2, addresses=(address("10.0.0.1/24"), address("2001:db8::9/64", lasting=False)))
    (link,) = links_of([doubtful], "")

    assert [str(each) for each in link.addresses] == ["10.0.0.1"]
    assert not link.ipv6


def test_neighbours_are_known_by_their_network() -> None:
    """Who asks from elsewhere by unicast gets no answer: port 5353 must not be a reflector for the Internet."""
    (link,) = links_of([ETH], "")

    assert link.is_neighbour(ipaddress.ip_address("10.0.0.77"))
    assert link.is_neighbour(ipaddress.ip_address("fe80::77"))
    assert not link.is_neighbour(ipaddress.ip_address("192.0.2.1"))
    assert not link.is_neighbour(ipaddress.ip_address("2001:db9::1"))
