import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from tinybms_bridge.hal.on_link import Network
from tinybms_bridge.services.web.callers import Origin
from tinybms_bridge.services.web.security.origin import Neighbourhood, forwarded_addresses, origin_of

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


def from_peer(peer: str, **headers: str) -> Origin:
    """Return where a request of a peer comes from, with headers whose underscores are hyphens."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return origin_of(HTTPConnection({"type": "http", "client": (peer, 4711), "headers": named}))


def test_clients_of_one_proxy_are_machines_of_its_network() -> None:
    """Behind a proxy each of its clients counts by itself, by what the proxy has added last."""
    first = from_peer("10.0.0.2", x_forwarded_for="203.0.113.9, 10.0.0.7")
    second = from_peer("10.0.0.2", x_forwarded_for="203.0.113.9, 10.0.0.8")
    assert first.machine != second.machine
    assert first.network == second.network == "10.0.0.2"


@pytest.mark.parametrize("header", ["x_forwarded_for", "x_real_ip", "forwarded"])
def test_nobody_can_pretend_to_be_another_peer(header: str) -> None:
    """A header that names the owner's address counts against the sender's own network, and not against the owner."""
    told = "for=192.168.1.7" if header == "forwarded" else "192.168.1.7"
    forged = from_peer("192.168.1.66", **{header: told})
    assert forged.machine != from_peer("192.168.1.7").machine
    assert forged.network == "192.168.1.66"


def test_a_header_sent_through_a_proxy_does_not_reach_its_other_clients() -> None:
    """What an attacker puts before the proxy's own entry, or into another header, changes nothing for the others."""
    owner = from_peer("10.0.0.2", x_real_ip="10.0.0.7")
    assert from_peer("10.0.0.2", x_forwarded_for="10.0.0.7", x_real_ip="10.0.0.66").machine != owner.machine
    behind = from_peer("10.0.0.2", x_forwarded_for="10.0.0.66")
    assert from_peer("10.0.0.2", x_forwarded_for="10.0.0.7, 10.0.0.66", forwarded="for=10.0.0.7") == behind
