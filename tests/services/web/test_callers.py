"""Which addresses count as one."""

import pytest

from tinybms_bridge.services.web.callers import Origin, machine_of, network_of


@pytest.mark.parametrize(
    ("address", "machine", "network"),
    [
        ("192.168.1.7", "192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7", "192.168.1.7"),
        ("2001:DB8::1", "2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0::ffff:1", "2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("testclient", "testclient", "testclient"),
        ("", "", ""),
    ],
)
def test_a_machine_is_an_address_and_a_guesser_a_network(address: str, machine: str, network: str) -> None:
    """Whoever has one IPv6 address usually has 2^64 of them; each address is counted in one way of writing."""
    assert Origin.of(address) == Origin(machine, network)


def test_text_that_is_no_address_is_cut() -> None:
    """What a proxy says may be anything of any length."""
    assert len(machine_of("x" * 10_000)) == len(network_of("x" * 10_000)) == 64
