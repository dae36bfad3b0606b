"""Which addresses count as one, and who gives way when all places are taken."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.callers import HttpCaller, Origin, Shares, machine_of, network_of


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


PREFIX = "2001:db8::/64"


def at(machine: str, network: str = "", *, known: bool = False) -> HttpCaller:
    """Return a caller; an IPv4 address is a network of its own."""
    return HttpCaller(Origin(machine, network or machine), known)


def shared(*callers: HttpCaller) -> Shares[int]:
    """Return places that are taken, numbered from 0."""
    shares: Shares[int] = Shares()
    for number, caller in enumerate(callers):
        shares.add(number, caller)
    return shares


def test_a_machine_with_all_places_gives_way() -> None:
    """The last one that it took goes first."""
    assert shared(*[at("10.0.0.66")] * 4).gives_way(at("10.0.0.7")) == 3


def test_equal_shares_stay() -> None:
    """Nobody is thrown out for somebody who would then have as many: two never take turns with one place."""
    assert shared(at("10.0.0.1"), at("10.0.0.2")).gives_way(at("10.0.0.3")) is None
    assert shared(at("10.0.0.1"), at("10.0.0.1"), at("10.0.0.2")).gives_way(at("10.0.0.2")) is None


def test_a_machine_does_not_give_way_to_itself() -> None:
    """A flood from one address is turned away, and throws nobody out."""
    assert shared(*[at("10.0.0.66")] * 4).gives_way(at("10.0.0.66")) is None


def test_all_addresses_of_a_network_count_together() -> None:
    """Whoever has a /64 gives way to somebody elsewhere, however many addresses it uses."""
    taken = [at(f"2001:db8::{number:x}", PREFIX) for number in range(8)]
    assert shared(*taken).gives_way(at("192.168.1.7")) == 7


def test_many_addresses_take_nothing_from_others() -> None:
    """A new address in a network that has its share gets a place of that network, or none."""
    others = [at("192.168.1.7")] * 3
    attacker = [at(f"2001:db8::{number:x}", PREFIX) for number in range(3)]
    assert shared(*others, *attacker).gives_way(at("2001:db8::99", PREFIX)) is None


def test_within_a_network_machines_share() -> None:
    """One machine of a home network does not lock its neighbours out."""
    taken = [at("2001:db8::66", PREFIX)] * 4
    assert shared(*taken).gives_way(at("2001:db8::7", PREFIX)) == 3


def test_strangers_give_way_to_who_is_logged_in() -> None:
    """Always, also those who have one place each; first the one with most."""
    strangers = [at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.2"), at("10.0.0.3")]
    assert shared(*strangers).gives_way(at("10.0.0.2", known=True)) == 2
    assert shared(at("10.0.0.1"), at("10.0.0.5", known=True)).gives_way(at("10.0.0.5", known=True)) == 0


def test_who_is_logged_in_does_not_give_way_to_strangers() -> None:
    """However many places it has."""
    assert shared(*[at("10.0.0.5", known=True)] * 4).gives_way(at("10.0.0.1")) is None


def test_who_is_logged_in_shares_with_others() -> None:
    """A script that opens all places does not lock the owner out."""
    assert shared(*[at("10.0.0.5", known=True)] * 4).gives_way(at("10.0.0.1", known=True)) == 3


def test_nobody_there() -> None:
    """Without any place there is none."""
    assert Shares[int]().gives_way(at("10.0.0.1")) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60))
def test_shares_never_become_less_even(arrivals: list[tuple[int, bool]]) -> None:
    """Whoever comes in whatever order: places are bounded, and nobody loses one to a network that has as many."""
    shares: Shares[int] = Shares()
    callers: dict[int, HttpCaller] = {}
    for number, (machine, known) in enumerate(arrivals):
        newcomer = at(f"10.0.0.{machine}", known=known)
        if len(shares) >= 8:
            loser = shares.gives_way(newcomer)
            if loser is None:
                continue
            gone = callers.pop(loser)
            shares.remove(loser)
            assert known or not gone.known
            if known == gone.known:
                counts = Counter(each.origin.network for each in callers.values() if each.known == known)
                assert counts[gone.origin.network] >= counts[newcomer.origin.network] + 1
        callers[number] = newcomer
        shares.add(number, newcomer)
    assert len(shares) == len(callers) <= 8
