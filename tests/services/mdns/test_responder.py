"""Who has which name: two bridges, an Avahi beside one, strangers, and networks that come and go."""

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSAddress, DNSIncoming, DNSNsec, DNSOutgoing, DNSPointer, DNSQuestion, DNSService, DNSText

from tinybms_bridge.services.mdns.records import AAAA, ANY, OWN_SERVICE, A, address_of
from tinybms_bridge.services.mdns.responder import (
    ANNOUNCEMENTS,
    CONTESTED,
    LEGACY_TTL_S,
    MOST_PACKETS_PER_S,
    RECHECK_S,
    Endpoint,
    MdnsResponder,
)

PTR, TXT, SRV = 12, 16, 33
HOST = "tinybms-bridge.local."
READY_S = 5.0
"""Longer than it takes from the start to the last announcement."""


def address_record(address: str, ttl_s: int = 120, host: str = HOST) -> DNSAddress:
    """Return what somebody else tells of a host."""
    found = ipaddress.ip_address(address)
    return DNSAddress(host, A if found.version == 4 else AAAA, 0x8001, ttl_s, found.packed)


def response(*records: Any) -> DNSOutgoing:
    """Return an answer that nobody has asked for."""
    out = DNSOutgoing(0x8400)
    for record in records:
        out.add_answer_at_time(record, 0)
    return out


def probe(*records: Any) -> DNSOutgoing:
    """Return what somebody says who wants names."""
    out = DNSOutgoing(0)
    for name in dict.fromkeys(record.name for record in records):
        out.add_question(DNSQuestion(name, ANY, 1))
    out.authorities.extend(records)
    return out


# the name


def test_a_free_name_is_taken_within_three_seconds(network: Any) -> None:
    """After it was looked for and asked for: nothing is announced before."""
    bridge = network.bridge("10.0.0.1")
    network.run(1.5)
    assert network.records(bridge) == []
    network.run(1.0)

    assert bridge.responder.announced == tuple(bridge.links)
    assert bridge.responder.host == "tinybms-bridge"
    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}


def test_it_is_announced_three_times_and_then_costs_nothing(network: Any) -> None:
    """One packet may be lost; afterwards nothing is sent and nothing is to be done until somebody asks."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    told = [record for record in network.records(bridge) if isinstance(record, DNSAddress)]
    sent = len(network.log)
    network.run(86_400.0)

    assert len(told) == ANNOUNCEMENTS
    assert len(network.log) == sent
    assert bridge.responder.next_s is None


@pytest.mark.parametrize("later_s", [0.0, 0.1, 0.4, 0.8, 1.1, 1.3, 1.6, 2.0, 3.0, 60.0])
def test_of_two_bridges_one_gets_a_number(network: Any, later_s: float) -> None:
    """Whenever the second one is switched on; both are found then, under names and services of their own."""
    first = network.bridge("10.0.0.1", seed=1)
    network.run(later_s)
    second = network.bridge("10.0.0.2", seed=2)
    network.run(20.0)

    assert {first.responder.host, second.responder.host} == {"tinybms-bridge", "tinybms-bridge-2"}
    for bridge, address in ((first, "10.0.0.1"), (second, "10.0.0.2")):
        assert network.addresses(bridge.responder.host) == {address}
    names = {record.alias for record in network.ask((OWN_SERVICE, PTR)) if isinstance(record, DNSPointer)}
    assert names == {f"TinyBMS bridge (TinyBMS){number}.{OWN_SERVICE}" for number in ("", " (2)")}


@given(st.lists(st.floats(0.0, 3.0), min_size=2, max_size=5), st.integers(0, 1000))
def test_any_number_of_bridges_sort_themselves_out(network_of: Any, starts: list[float], seed: int) -> None:
    """After a power cut all of them are switched on at once."""
    network = network_of()
    bridges = [
        network.bridge(f"10.0.0.{number}", seed=seed + number, begin=False) for number in range(1, len(starts) + 1)
    ]
    for start_s, bridge in sorted(zip(starts, bridges, strict=True), key=lambda each: each[0]):
        network.run(max(0.0, start_s - (network.now_s - 1000.0)))
        bridge.begin()
    network.run(60.0)

    hosts = {bridge.responder.host for bridge in bridges}
    assert hosts == {"tinybms-bridge", *(f"tinybms-bridge-{number}" for number in range(2, len(starts) + 1))}
    for bridge, machine in ((each, each.machines[0]) for each in bridges):
        assert network.addresses(bridge.responder.host) == {str(machine.address)}


def test_who_was_there_first_keeps_the_name(network: Any) -> None:
    """It answers whoever wants it, at once and to all."""
    first = network.bridge("10.0.0.1")
    network.run(READY_S)
    stranger = network.asker("10.0.0.99")
    stranger.tell(probe(address_record("10.0.0.99")))
    network.run(0.1)

    assert address_record("10.0.0.1") in stranger.records()
    assert first.responder.host == "tinybms-bridge"
    assert first.responder.conflicts == 0


def test_the_number_stays_when_the_other_one_goes(network: Any) -> None:
    """A bookmark must not lead to another battery as others come and go."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    second = network.bridge("10.0.0.2")
    network.run(READY_S)
    for bridge in network.bridges[:1]:
        bridge.leave()
    network.run(600.0)

    assert second.responder.host == "tinybms-bridge-2"


def test_a_name_that_is_long_has_room_for_its_number(network: Any) -> None:
    """A label has 63 bytes."""
    network.bridge("10.0.0.1", host="b" * 63, name="TinyBMS bridge (" + "é" * 40 + ")")
    network.run(READY_S)
    second = network.bridge("10.0.0.2", host="b" * 63, name="TinyBMS bridge (" + "é" * 40 + ")")
    network.run(READY_S)

    assert second.responder.host == "b" * 61 + "-2"
    assert second.responder.instance.endswith(" (2)")
    assert len(second.responder.instance.encode()) <= 63
    assert network.addresses(second.responder.host) == {"10.0.0.2"}


def test_names_do_not_depend_on_capital_letters(network: Any) -> None:
    """BOAT and boat are one name."""
    network.bridge("10.0.0.1", host="BOAT")
    network.run(READY_S)
    second = network.bridge("10.0.0.2", host="boat")
    network.run(READY_S)

    assert second.responder.host == "boat-2"


# names that are contested later


def test_of_two_networks_that_become_one_both_go_on(network: Any, another_network: Any) -> None:
    """Each had the name alone: what the RFC says decides who keeps it, and the other one takes a number."""
    first = network.bridge("10.0.0.1", seed=1)
    second = another_network.bridge("10.0.0.2", seed=2)
    network.run(READY_S)
    another_network.run(READY_S)
    (there,) = second.machines
    second.places = ((network, "10.0.0.2"),)
    network.machines.append(there)
    network.bridges.append(second)
    network.ask((HOST, A))  # both answer, and hear each other
    network.run(20.0)

    assert {first.responder.host, second.responder.host} == {"tinybms-bridge", "tinybms-bridge-2"}
    assert network.addresses(first.responder.host) == {"10.0.0.1"}
    assert network.addresses(second.responder.host) == {"10.0.0.2"}


def test_a_stranger_that_does_not_give_way_gets_the_name(network: Any) -> None:
    """A device that tells its address without asking, and answers: the bridge is found under another name."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    stranger = network.asker("10.0.0.99")
    for _ in range(3):
        stranger.tell(response(address_record("10.0.0.99")))
        network.run(0.4)
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge-2"
    assert bridge.responder.conflicts >= 2


def test_one_stray_packet_does_not_take_the_name_away(network: Any) -> None:
    """It is asked for again, and nobody answers."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    network.asker("10.0.0.99").tell(response(address_record("10.0.0.99")))
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge"
    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}


def test_who_takes_every_name_is_told_and_does_not_make_us_shout(network: Any) -> None:
    """Fifteen conflicts, and there is a pause before each further try (RFC 6762, section 9)."""
    bridge = network.bridge("10.0.0.1")
    greedy = network.asker("10.0.0.99")

    def take(data: bytes, _peer: Endpoint) -> None:
        packet = DNSIncoming(data)
        for question in packet.questions:
            if packet.is_query() and question.name.startswith("tinybms-bridge"):
                greedy.tell(response(address_record("10.0.0.99", host=question.name)))

    greedy.machine.take = take
    network.run(60.0)
    sent = len(
        [at_s for at_s, sender, _, _ in network.log if sender in bridge.machines and at_s > network.now_s - 20.0]
    )

    assert bridge.responder.contested(network.now_s)
    assert bridge.responder.conflicts > CONTESTED
    assert sent <= 12
    greedy.machine.on = False
    network.run(60.0)
    assert not bridge.responder.contested(network.now_s)
    assert bridge.responder.announced


# this machine


def test_an_avahi_of_this_machine_keeps_the_host_and_we_add_the_services(network: Any) -> None:
    """A machine that is called tinybms-bridge: nothing of what Avahi says is contradicted, or said twice."""
    avahi = network.asker("10.0.0.1")
    avahi.machine.take = lambda data, _peer: _answer_for_host(avahi, data, "10.0.0.1")
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge"
    assert bridge.responder.conflicts == 0
    told = network.records(bridge)
    assert not [record for record in told if isinstance(record, DNSAddress | DNSNsec)]
    assert {record.server for record in told if isinstance(record, DNSService)} == {HOST}


@pytest.mark.parametrize("goodbye", [True, False])
def test_the_host_is_answered_for_again_when_avahi_ends(network: Any, goodbye: bool) -> None:
    """At once when it says so, within two minutes when it was killed."""
    avahi = network.asker("10.0.0.1")
    avahi.machine.take = lambda data, _peer: _answer_for_host(avahi, data, "10.0.0.1")
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S + 5 * RECHECK_S)
    assert not [record for record in network.records(bridge) if isinstance(record, DNSAddress)]
    if goodbye:
        avahi.tell(response(address_record("10.0.0.1", ttl_s=0)))
    avahi.machine.take = lambda _data, _peer: None
    network.run(READY_S if goodbye else RECHECK_S + READY_S + 5.0)

    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}
    assert bridge.responder.host == "tinybms-bridge"


def test_an_avahi_that_starts_later_gets_its_name(network: Any) -> None:
    """It would take the number otherwise, and the machine were called by another name in the whole network."""
    bridge = network.bridge("10.0.0.1", begin=False)
    bridge.begin("fe80::1")
    network.run(READY_S)
    avahi = network.asker("10.0.0.1")
    for _ in range(3):
        avahi.tell(probe(address_record("10.0.0.1"), address_record("fe80::1")))
        network.run(0.25)
    assert not [record for record in avahi.records() if isinstance(record, DNSAddress)]
    avahi.machine.take = lambda data, _peer: _answer_for_host(avahi, data, "10.0.0.1")
    network.run(3 * RECHECK_S)

    assert bridge.responder.host == "tinybms-bridge"
    assert bridge.responder.conflicts == 0


def test_two_bridges_on_one_machine_share_the_host(network: Any) -> None:
    """Each has a port of its own, and the services tell them apart; the name outlives either of them."""
    first = network.bridge("10.0.0.1", seed=1)
    network.run(READY_S)
    second = network.bridge("10.0.0.1", seed=2, port=8081)
    network.run(READY_S)
    assert [each.responder.host for each in (first, second)] == ["tinybms-bridge"] * 2
    assert second.responder.instance == "TinyBMS bridge (TinyBMS) (2)"
    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}
    first.leave()
    network.run(READY_S)

    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}
    assert second.responder.host == "tinybms-bridge"


@pytest.mark.parametrize("later_s", [0.0, 0.05, 0.5, 1.0, 1.2])
def test_two_bridges_on_one_machine_start_together(network: Any, later_s: float) -> None:
    """At the start of the machine: the host has its name, and goes on having it."""
    first = network.bridge("10.0.0.1", seed=1)
    network.run(later_s)
    second = network.bridge("10.0.0.1", seed=2, port=8081)
    network.run(5 * RECHECK_S)

    assert [each.responder.host for each in (first, second)] == ["tinybms-bridge"] * 2
    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}


def test_cable_and_radio_into_one_network_are_no_conflict(network: Any, on_both: Any) -> None:
    """Each interface hears what the other one tells; a machine must not rename itself for that (avahi issue 117)."""
    bridge = on_both((network, "10.0.0.1"), (network, "10.0.0.2"))
    network.run(READY_S + 3600.0)

    assert bridge.responder.host == "tinybms-bridge"
    assert bridge.responder.conflicts == 0
    assert network.addresses("tinybms-bridge") == {"10.0.0.1", "10.0.0.2"}


def test_an_echo_of_old_packets_is_no_conflict(network: Any) -> None:
    """Some switches and access points send back what they were sent, also after the port has changed."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    old = [data for _, _, data, _ in network.log]
    bridge.responder.leave()
    bridge.begin()
    for data in old:
        network.send(bridge.machines[0], data, None)
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge"
    assert bridge.responder.conflicts == 0


def _answer_for_host(who: Any, data: bytes, address: str) -> None:
    packet = DNSIncoming(data)
    if packet.is_query() and any(each.name == HOST and each.type in (A, ANY) for each in packet.questions):
        who.tell(response(address_record(address)))


# links


def test_each_network_is_told_its_own_address_only(network: Any, another_network: Any, on_both: Any) -> None:
    """The address of a cable leads nowhere from the access point, and a browser that tries it waits for long."""
    on_both((network, "10.0.0.1"), (another_network, "10.9.0.1"))
    for _ in range(50):
        network.run(0.1)
        another_network.run(0.1)

    assert network.addresses("tinybms-bridge") == {"10.0.0.1"}
    assert another_network.addresses("tinybms-bridge") == {"10.9.0.1"}


def test_a_conflict_on_one_network_renames_the_bridge_on_all(network: Any, another_network: Any, on_both: Any) -> None:
    """One bridge has one name."""
    bridge = on_both((network, "10.0.0.1"), (another_network, "10.9.0.1"))
    for _ in range(50):
        network.run(0.1)
        another_network.run(0.1)
    stranger = another_network.asker("10.9.0.99")
    stranger.machine.take = lambda data, _peer: _answer_for_host(stranger, data, "10.9.0.99")
    stranger.tell(response(address_record("10.9.0.99")))
    for _ in range(100):
        network.run(0.1)
        another_network.run(0.1)

    assert bridge.responder.host == "tinybms-bridge-2"
    assert network.addresses("tinybms-bridge-2") == {"10.0.0.1"}
    assert network.addresses("tinybms-bridge") == set()
    assert another_network.addresses("tinybms-bridge-2") == {"10.9.0.1"}


def test_an_address_that_changes_is_taken_back(network: Any) -> None:
    """DHCP gives another one in the same network: the old one is taken back, and the name is defended all the time."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    old, since_s = bridge.links[0], network.now_s
    address = ipaddress.ip_address("10.0.0.7")
    bridge.links = [replace(old, addresses=(address,), source=address)]
    bridge.machines[0].address = address
    bridge.begin()
    assert bridge.responder.announced
    network.run(READY_S)

    gone = [record for record in network.records(bridge, since_s) if record.ttl == 0]
    assert [str(address_of(record)) for record in gone] == ["10.0.0.1"]
    assert network.addresses("tinybms-bridge") == {"10.0.0.7"}


def test_another_network_at_the_same_interface_is_asked_for_the_name(network: Any) -> None:
    """A telephone's hotspot in place of the harbour's Wi-Fi: somebody else may have the name there."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    address = ipaddress.ip_address("172.16.0.1")
    there = (ipaddress.ip_network("172.16.0.0/24"), ipaddress.ip_network("fe80::/64"))
    bridge.links = [replace(bridge.links[0], addresses=(address,), source=address, networks=there)]
    bridge.begin()

    assert bridge.responder.announced == ()


def test_without_any_network_nothing_happens_until_there_is_one(network: Any) -> None:
    """And then under the wanted name again, whatever the number was in the network before."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    bridge = network.bridge("10.0.0.2")
    network.run(READY_S)
    assert bridge.responder.host == "tinybms-bridge-2"
    links, bridge.links = bridge.links, []
    bridge.begin()
    assert bridge.responder.next_s is None
    assert bridge.responder.announced == ()
    network.machines.remove(network.bridges[0].machines[0])
    network.bridges[0].die()
    bridge.links = links
    bridge.begin()
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge"
    assert network.addresses("tinybms-bridge") == {"10.0.0.2"}


def test_after_a_sleep_it_begins_again_without_taking_anything_back(network: Any) -> None:
    """The lid was closed: another network, or one in which somebody else has the name now."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    since_s = network.now_s
    other = network.asker("10.0.0.99")
    other.machine.take = lambda data, _peer: _answer_for_host(other, data, "10.0.0.99")
    own = [machine.address for machine in bridge.machines]
    bridge.responder.follow(bridge.links, own, network.now_s, afresh=True)
    network.run(READY_S)

    assert bridge.responder.host == "tinybms-bridge-2"
    assert not [record for record in network.records(bridge, since_s) if record.ttl == 0 and record.name == HOST]


def test_it_is_taken_back_at_the_end(network: Any) -> None:
    """All that was announced, but for that there are such services: others may have some."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    told = set(network.records(bridge))
    since_s = network.now_s
    bridge.responder.leave()
    back = network.records(bridge, since_s)

    assert {record.ttl for record in back} == {0}
    assert set(back) == {record for record in told if record.name != "_services._dns-sd._udp.local."}
    bridge.responder.leave()
    assert network.records(bridge, since_s) == back


# answers


def test_services_are_found_with_all_that_is_asked_next(network: Any) -> None:
    """One question, one answer: name, port, path, address."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    heard = network.ask(("_http._tcp.local.", PTR))

    (service,) = (record for record in heard if isinstance(record, DNSService))
    (text,) = (record for record in heard if isinstance(record, DNSText))
    assert (service.name, service.port, service.server) == (
        "TinyBMS bridge (TinyBMS)._http._tcp.local.",
        8080,
        HOST,
    )
    assert text.text == b"\x06path=/"
    assert {str(address_of(record)) for record in heard if address_of(record)} == {"10.0.0.1"}


def test_kinds_of_services_are_listed(network: Any) -> None:
    """For programs that show all there is in a network."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    heard = network.ask(("_services._dns-sd._udp.local.", PTR))

    assert {record.alias for record in heard if isinstance(record, DNSPointer)} == {
        "_http._tcp.local.",
        OWN_SERVICE,
    }


def test_who_asks_for_ipv6_is_told_that_there_is_none(network: Any) -> None:
    """Instead of waiting for an answer that does not come."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    heard = network.ask((HOST, AAAA))

    assert [record.rdtypes for record in heard if isinstance(record, DNSNsec)] == [[A]]


def test_what_the_asker_knows_is_not_told_again(network: Any) -> None:
    """RFC 6762, section 7.1."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    asker = network.asker()
    out = DNSOutgoing(0)
    out.add_question(DNSQuestion(HOST, A, 1))
    out.add_answer_at_time(address_record("10.0.0.1"), 0)
    asker.tell(out)
    network.run(1.0)

    assert asker.records() == []


def test_nothing_is_told_to_all_more_than_once_a_second(network: Any) -> None:
    """However many ask; all of them hear the one answer."""
    bridge = network.bridge("10.0.0.1")
    network.run(READY_S)
    askers = [network.asker(f"10.0.0.{100 + number}") for number in range(50)]
    since_s = network.now_s
    for asker in askers:
        out = DNSOutgoing(0)
        out.add_question(DNSQuestion(HOST, A, 1))
        asker.tell(out)
        network.run(0.01)
    network.run(1.0)

    assert len([record for record in network.records(bridge, since_s) if record == address_record("10.0.0.1")]) == 2


def test_a_question_for_one_is_answered_to_one_when_all_have_heard_it(network: Any) -> None:
    """The first questions of a telephone; in between all hear the answer, so that they need not ask."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    asker = network.asker()
    soon = asker.ask((HOST, A), unicast=True)
    to_one = network.log[-1][3]
    network.run(40.0)
    later = asker.ask((HOST, A), unicast=True)
    to_all = network.log[-1][3]

    assert address_record("10.0.0.1") in soon
    assert to_one == Endpoint(asker.machine.address)
    assert address_record("10.0.0.1") in later
    assert to_all is None


def test_a_program_that_asks_once_is_answered_as_by_dns(network: Any) -> None:
    """From another port than 5353 (dig, nslookup): to it alone, with its number and question, for ten seconds."""
    network.bridge("10.0.0.1")
    network.run(READY_S)
    asker = network.asker(port=40_000)
    out = DNSOutgoing(0, multicast=False, id_=4711)
    out.add_question(DNSQuestion(HOST, A, 1))
    asker.tell(out)
    network.run(1.0)

    (data,) = asker.heard[1:]  # beside its own question
    packet = DNSIncoming(data)
    (record,) = packet.answers()[:1]
    assert (packet.id, [question.name for question in packet.questions]) == (4711, [HOST])
    assert (record, record.ttl, record.unique) == (address_record("10.0.0.1"), LEGACY_TTL_S, False)
    assert network.log[-1][3] == Endpoint(asker.machine.address, 40_000)


# whatever comes in


@given(st.data())
def test_no_packet_does_harm(data: Any) -> None:
    """Noise, and real packets that were cut, bent and put together: no exception, and a bounded number of answers."""
    sent: list[bytes] = []
    real = _real_packets()
    chosen = random.Random(data.draw(st.integers(0, 2**32)))
    noise = data.draw(st.binary(max_size=200))
    packets = [_bent(chosen, real, noise) for _ in range(20)]
    responder = _ready(sent)
    del sent[:]
    for number, packet in enumerate(packets):
        peer = Endpoint(ipaddress.ip_address(chosen.choice(["10.0.0.1", "10.0.0.9"])), chosen.choice([5353, 1, 65535]))
        responder.receive(2, packet, peer, 1010.0 + number / 10)
        responder.act(1010.0 + number / 10)
    responder.receive(7, packets[0], Endpoint(ipaddress.ip_address("10.0.0.9")), 1020.0)

    assert len(sent) < 100


def test_a_flood_costs_a_bounded_number_of_packets() -> None:
    """Only so many are read in a second."""
    sent: list[bytes] = []
    responder = _ready(sent)
    out = DNSOutgoing(0, multicast=False, id_=1)
    out.add_question(DNSQuestion(HOST, A, 1))
    (question,) = out.packets()
    del sent[:]
    taken = sum(
        responder.receive(2, question, Endpoint(ipaddress.ip_address("10.0.0.9"), 999), 1010.5) for _ in range(5000)
    )

    assert taken == len(sent) == MOST_PACKETS_PER_S


def test_packets_of_others_are_not_even_read() -> None:
    """Most of what is told in a network is about televisions."""
    responder = _ready([])
    out = DNSOutgoing(0)
    out.add_question(DNSQuestion("_googlecast._tcp.local.", PTR, 1))
    (question,) = out.packets()

    assert not responder.receive(2, question, Endpoint(ipaddress.ip_address("10.0.0.9")), 1010.0)


def _ready(sent: list[bytes]) -> MdnsResponder:
    """Return a responder that has announced everything."""
    from tinybms_bridge.services.mdns.links import NetworkLink
    from tinybms_bridge.services.mdns.records import Subject

    subject = Subject("tinybms-bridge", "TinyBMS bridge (TinyBMS)", 8080)
    responder = MdnsResponder(subject, lambda _link, data, _peer: sent.append(data), random.Random(1).uniform)
    address = ipaddress.IPv4Address("10.0.0.1")
    responder.follow([NetworkLink("eth0", 2, (address,), address)], [address], 1000.0)
    while responder.next_s is not None:
        responder.act(responder.next_s)
    return responder


def _real_packets() -> list[bytes]:
    sent: list[bytes] = []
    _ready(sent)
    for out in (
        response(address_record("10.0.0.9")),
        response(address_record("10.0.0.1", ttl_s=0), address_record("fe80::9")),
        probe(address_record("10.0.0.9"), address_record("10.0.0.1")),
    ):
        sent += out.packets()
    return sent


def _bent(chosen: random.Random, real: list[bytes], noise: bytes) -> bytes:
    packet = bytearray(chosen.choice(real))
    for _ in range(chosen.randrange(4)):
        packet[chosen.randrange(len(packet))] = chosen.randrange(256)
    cut = chosen.randrange(len(packet) + 1) if chosen.random() < 0.3 else len(packet)
    return bytes(packet[:cut]) + (noise if chosen.random() < 0.3 else b"")
