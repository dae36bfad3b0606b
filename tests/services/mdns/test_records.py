"""The records of one link: names, texts, lives."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSAddress, DNSIncoming, DNSOutgoing, DNSPointer, DNSService, DNSText

from tinybms_bridge.services.mdns.records import Records, Subject, names_of, numbered, rdata_of

ADDRESSES = (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fe80::1"))


def records(subject: Subject | None = None, longest_s: int = 4500) -> Records:
    """Return the records of a link with two addresses."""
    subject = subject or Subject("boat", "TinyBMS bridge (House)", 8080, version="1.2")
    return Records(subject, names_of(subject), ADDRESSES, longest_s)


@pytest.mark.parametrize(("encrypted", "service"), [(False, "_http._tcp.local."), (True, "_https._tcp.local.")])
def test_the_service_says_how_the_pages_are_spoken_to(encrypted: bool, service: str) -> None:
    """A browser that opens the one by the other shows an error."""
    found = records(Subject("boat", "x", 8443, encrypted=encrypted))

    assert [each.name for each in found.lists if isinstance(each, DNSPointer)][::2] == [
        service,
        "_tinybms-bridge._tcp.local.",
    ]


def test_nothing_is_told_that_names_the_unit_or_its_owner() -> None:
    """Path and version: no serial number, no address of hardware."""
    texts = [each.text for each in records().instances if isinstance(each, DNSText)]

    assert texts == [b"\x06path=/", b"\x0bversion=1.2\x06path=/"]


@pytest.mark.parametrize(("longest_s", "lives"), [(4500, {120, 4500}), (10, {10}), (0, {0})])
def test_no_record_outlives_what_it_may(longest_s: int, lives: set[int]) -> None:
    """Two minutes for what follows from an address, ten seconds for who asks once, none at the end."""
    assert {each.ttl for each in records(longest_s=longest_s).all} == lives


@given(st.text(min_size=1, max_size=200), st.integers(1, 10_000))
def test_any_name_becomes_one_label(name: str, number: int) -> None:
    """Whatever a person has called the battery, a packet with it can be written and read."""
    subject = Subject("boat", f"TinyBMS bridge ({name})", 1)
    names = names_of(subject, number, number)
    out = DNSOutgoing(0x8400)
    for record in Records(subject, names, ADDRESSES).all:
        out.add_answer_at_time(record, 0)
    (data,) = out.packets()
    packet = DNSIncoming(data)

    assert len(names.instance.encode()) <= 63
    assert packet.valid
    assert len(packet.answers()) == len(Records(subject, names, ADDRESSES).all)
    (server,) = {each.server for each in packet.answers() if isinstance(each, DNSService)}
    assert server == f"{names.host}.local."


@pytest.mark.parametrize(
    ("label", "number", "expected"),
    [("boat", 1, "boat"), ("boat", 2, "boat-2"), ("b" * 63, 10, "b" * 60 + "-10"), ("é" * 32, 1, "é" * 31)],
)
def test_a_number_is_put_behind(label: str, number: int, expected: str) -> None:
    """From the second one on, within 63 bytes."""
    assert numbered(label, number) == expected


def test_what_records_say_is_compared_as_the_standard_compares_it() -> None:
    """RFC 6762, section 8.2.1: class, type, then the bytes; its own example."""
    ours = DNSAddress("x.local.", 1, 0x8001, 120, bytes([169, 254, 99, 200]))
    theirs = DNSAddress("x.local.", 1, 0x8001, 9, bytes([169, 254, 200, 50]))

    assert rdata_of(ours) < rdata_of(theirs)
    assert rdata_of(DNSPointer("x", 12, 1, 1, "y")) == b""
