import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tinybms_bridge.hal.on_link import Network
from tinybms_bridge.services.web.security.near import Neighbourhood, forwarded_addresses

HOME: frozenset[Network] = frozenset(map(ipaddress.ip_network, ("203.0.113.0/24", "2001:db8:1::/64")))


def test_what_is_on_the_link_is_near() -> None:
    """A home network with IPv6 has addresses of the Internet; so have some with IPv4."""
    near = Neighbourhood(lambda: HOME)
    addresses = ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8:1::5", "2001:db8:1::5%eth0")
    assert not any(near.holds(address) for address in addresses), "before the interfaces are known"

    near.refresh()

    assert all(near.holds(address) for address in addresses)
    assert not near.holds("203.0.114.9")
    assert not near.holds("2001:db8:2::5")


def test_a_network_that_is_left_is_not_near_any_more() -> None:
    """A boat that changes its harbour."""
    networks = [HOME, frozenset[Network]()]
    near = Neighbourhood(lambda: networks.pop(0))
    near.refresh()
    assert near.holds("203.0.113.9")

    near.refresh()

    assert not near.holds("203.0.113.9")


@given(st.ip_addresses())
def test_only_private_and_link_addresses_are_near_without_a_link(address: ipaddress.IPv4Address) -> None:
    """Nothing that the Internet routes."""
    assert not (address.is_global and Neighbourhood().holds(str(address)))


@given(st.text(max_size=60))
def test_any_header_gives_texts(value: str) -> None:
    """An attacker writes it; nothing fails."""
    raw = [(name, value.encode("utf-8", "replace")) for name in (b"x-forwarded-for", b"x-real-ip", b"forwarded")]
    near = Neighbourhood()
    for address in forwarded_addresses(Headers(raw=raw)):
        near.holds(address)


def test_many_addresses_cost_no_memory() -> None:
    """A stranger has 2^64 of them."""
    near = Neighbourhood()
    for number in range(10_000):
        near.holds(f"2001:db8::{number:x}")

    assert len(near._known) <= 4096
