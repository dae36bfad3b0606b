import pytest
from starlette.requests import HTTPConnection

from tinybms_bridge.services.web.callers import Origin
from tinybms_bridge.services.web.security.origin import origin_of


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
