"""Network interfaces as the kernel tells of them: its answers put together by hand, cut off, and this machine."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.interfaces import InterfaceAddress, NetworkInterface, network_interfaces, parse_interfaces
from tinybms_bridge.hal.rtnetlink import attribute

UP = 0x1 | 0x40 | 0x1000


def told(kind: int, body: bytes) -> bytes:
    """Return one message of the kernel."""
    return (struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body).ljust((16 + len(body) + 3) & ~3, b"\0")


def link(name: str, index: int, flags: int = UP) -> bytes:
    """Return what the kernel tells of an interface."""
    return told(16, struct.pack("=BxHiII", 0, 1, index, flags, 0) + attribute(3, name.encode() + b"\0"))


def address(
    text: str, index: int, *, prefix: int = 24, flags: int = 0, scope: int = 0, more: bytes = b"", kind: int = 1
) -> bytes:
    """Return what the kernel tells of an address."""
    packed = ipaddress.ip_address(text).packed
    head = struct.pack("=BBBBI", 2 if len(packed) == 4 else 10, prefix, flags, scope, index)
    return told(20, head + attribute(kind, packed) + more)


def test_interfaces_come_with_their_addresses() -> None:
    """Whichever order the kernel tells them in."""
    links = [link("lo", 1, UP | 0x8 & ~0x1000), link("eth0", 2) + link("tun0", 9, UP | 0x10), link("eth1", 3, 0x1001)]
    addresses = [
        address("10.0.0.1", 2) + address("fe80::1", 2, prefix=64, scope=253),
        address("127.0.0.1", 1, prefix=8),
    ]

    lo, eth0, tun0, eth1 = parse_interfaces(links, addresses)
    assert (lo.name, lo.loopback, len(lo.addresses)) == ("lo", True, 1)
    assert eth0 == NetworkInterface(
        "eth0",
        2,
        addresses=(
            InterfaceAddress(ipaddress.ip_address("10.0.0.1"), 24),
            InterfaceAddress(ipaddress.ip_address("fe80::1"), 64, everywhere=False),
        ),
    )
    assert str(eth0.addresses[0].network) == "10.0.0.0/24"
    assert tun0.point_to_point
    assert not eth1.running
    assert eth1.multicast


@pytest.mark.parametrize(
    ("text", "flags", "lasting"),
    [
        ("2001:db8::1", 0x00, True),
        ("2001:db8::1", 0x01, False),  # temporary, for privacy
        ("10.0.0.2", 0x01, True),  # a second address of IPv4
        ("2001:db8::1", 0x40, False),  # still being checked
        ("2001:db8::1", 0x08, False),  # somebody else has it
        ("2001:db8::1", 0x20, False),  # about to go
        ("2001:db8::1", 0x80, True),  # permanent
    ],
)
def test_addresses_that_pass_are_known_as_such(text: str, flags: int, lasting: bool) -> None:
    """By the flags of old and, beyond eight bits, by the attribute that has them all."""
    (of_old,) = parse_interfaces([link("eth0", 2)], [address(text, 2, flags=flags)])
    more = attribute(8, struct.pack("=I", flags | 0x800))
    (of_today,) = parse_interfaces([link("eth0", 2)], [address(text, 2, more=more)])

    assert of_old.addresses[0].lasting is of_today.addresses[0].lasting is lasting


def test_the_own_end_of_a_tunnel_is_its_address() -> None:
    """IFA_ADDRESS is the other end there."""
    more = attribute(2, ipaddress.ip_address("10.8.0.1").packed)
    (found,) = parse_interfaces([link("tun0", 2)], [address("10.8.0.2", 2, more=more)])

    assert str(found.addresses[0].address) == "10.8.0.1"


@given(st.integers(0, 200), st.integers(0, 200), st.binary(max_size=60))
def test_answers_that_are_cut_off_are_read_as_far_as_they_go(links: int, addresses: int, noise: bytes) -> None:
    """Whatever the bytes are, nothing is raised."""
    whole = link("eth0", 2) + link("eth1", 3), address("10.0.0.1", 2) + address("10.0.0.2", 3, prefix=99)
    for found in parse_interfaces([whole[0][:links] + noise], [whole[1][:addresses] + noise]):
        assert all(each.prefix_length <= 128 for each in found.addresses)


def test_this_machine_has_its_loopback() -> None:
    """Read from the kernel, without a right."""
    (found,) = (each for each in network_interfaces() if each.loopback)

    assert found.running
    assert ipaddress.ip_address("127.0.0.1") in [each.address for each in found.addresses]
