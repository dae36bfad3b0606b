"""CAN interfaces as the kernel tells of them: recorded answers, answers that are cut off, and this machine."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.can_devices import CanCounters, CanDevice, can_devices, parse_links, read_can_device


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute of netlink, padded."""
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def link(name: str, *, hardware: int = 280, flags: int = 1, controller: bytes = b"", info: bytes = b"") -> bytes:
    """Return the message of one interface."""
    if controller:
        info = attribute(1, b"can\0") + attribute(2 | 0x8000, controller) + info
    body = struct.pack("=BxHiII", 0, hardware, 3, flags, 0) + attribute(3, name.encode() + b"\0")
    body += attribute(18 | 0x8000, info) if info else b""
    return (struct.pack("=IHHII", 16 + len(body), 16, 2, 1, 0) + body).ljust((16 + len(body) + 3) & ~3, b"\0")


DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)

TIMING = struct.pack("=8I", 500_000, 875, 125, 6, 7, 2, 1, 1)

FULL = link(
    "can0",
    controller=attribute(1, TIMING)
    + attribute(4, struct.pack("=I", 2))
    + attribute(5, struct.pack("=II", 0xFFFF, 0x0B))
    + attribute(6, struct.pack("=I", 100))
    + attribute(8, struct.pack("=HH", 128, 7)),
    info=attribute(3, struct.pack("=6I", 11, 12, 13, 14, 15, 16)),
)
"""Everything that a driver may tell, put together by hand from linux/can/netlink.h."""


RECORDED = {
    name: bytes.fromhex(text)
    for name, text in json.loads(Path(__file__).with_name("can_links.json").read_text(encoding="utf-8")).items()
    if name != "note"
}


def test_recorded_answers_of_a_kernel_are_read() -> None:
    """An SJA1000 as the kernel tells of it: before it was set up, set up for a GX, and set up wrong."""
    found = {name: parse_links(data)[0] for name, data in RECORDED.items()}
    silent = CanDevice("can0", False, "stopped", kind="can", restart_ms=0, tx_queue_frames=10)
    silent = replace(silent, tx_error_count=0, rx_error_count=0)
    up = replace(silent, up=True, state="error_active", bitrate_bps=500_000, sample_point_percent=87.5, restart_ms=100)

    assert found["fresh"] == [silent]
    assert found["up"] == [up]
    assert found["listen"] == [
        replace(
            up,
            bitrate_bps=250_000,
            restart_ms=0,
            tx_queue_frames=1000,
            modes=("listen_only",),
            counters=CanCounters(tx_frames=65),
        )
    ]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_answer_that_is_cut_never_tells_something_else(name: str) -> None:
    """At each byte: what is missing is left out."""
    (whole,), _ = parse_links(RECORDED[name])
    for length in range(len(RECORDED[name])):
        for found in parse_links(RECORDED[name][:length])[0]:
            assert found.bitrate_bps in (whole.bitrate_bps, None)
            assert found.state in (whole.state, "")
            assert found.name in (whole.name, "")


def test_a_can_interface_tells_bit_rate_and_state() -> None:
    """What a person has to know of it: whether it is up, how fast, and how its controller is."""
    controller = attribute(1, TIMING) + attribute(4, struct.pack("=I", 3))

    found, more = parse_links(link("lo", hardware=772) + link("can0", controller=controller) + link("vcan0", flags=0))

    shown = [(each.name, each.up, each.state, each.bitrate_bps, each.sample_point_percent) for each in found]
    assert shown == [("can0", True, "bus_off", 500_000, 87.5), ("vcan0", False, "", None, None)]
    assert more


def test_error_counts_modes_and_restart_are_read() -> None:
    """What decides whether a controller comes back from bus-off, and whether it sends at all."""
    (found,), _ = parse_links(FULL)

    assert found == CanDevice(
        "can0",
        True,
        "error_passive",
        500_000,
        kind="can",
        sample_point_percent=87.5,
        restart_ms=100,
        modes=("loopback", "listen_only", "one_shot"),
        tx_error_count=128,
        rx_error_count=7,
        counters=CanCounters(11, 12, 13, 14, 15, 16),
    )


def test_a_bit_rate_that_the_kernel_does_not_know_is_none() -> None:
    """An slcan interface of the kernel has all ones there, a controller that was never set 0."""
    rates = [
        parse_links(link("can0", controller=attribute(1, struct.pack("=2I", rate, 875))))[0][0].bitrate_bps
        for rate in (0, 0xFFFF_FFFF, 250_000)
    ]

    assert rates == [None, None, 250_000]


@pytest.mark.parametrize("end", [DONE, struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1), bytes(16)])
def test_the_last_answer_ends_the_reading(end: bytes) -> None:
    """Also an error of the kernel, and a message without a length: nobody waits for what never comes."""
    assert parse_links(link("can1") + end) == ([CanDevice("can1", True)], False)


def test_no_answer_ends_the_reading() -> None:
    """An empty one would be asked for again for ever."""
    assert parse_links(b"") == ([], False)


def test_a_state_of_a_later_kernel_is_shown_as_its_number() -> None:
    """An unknown state is not taken for a known one, and an attribute without a length ends the list."""
    controller = attribute(4, struct.pack("=I", 9)) + struct.pack("=HH", 0, 1)
    assert parse_links(link("can0", controller=controller))[0] == [CanDevice("can0", True, "9", kind="can")]


@given(st.integers(0, len(FULL)))
def test_a_cut_answer_never_tells_something_else(length: int) -> None:
    """What is missing is left out: nothing raises, and no value is half of another."""
    whole = parse_links(FULL)[0][0]
    for found in parse_links(FULL[:length])[0]:
        for name in ("state", "bitrate_bps", "restart_ms", "modes", "tx_error_count", "counters"):
            value = getattr(found, name)
            assert value in (getattr(whole, name), getattr(CanDevice("", True), name))


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_read_without_an_error(noise: bytes, place: int) -> None:
    """A driver that tells nonsense costs the core nothing."""
    parse_links(noise)
    parse_links(FULL[:place] + noise + FULL[place:])


def test_this_machine_answers() -> None:
    """The kernel is asked for real; whatever it has, the question ends, and one by one says the same as all at once."""
    found = can_devices()
    assert all(each.name for each in found)
    for each in found:
        again = read_can_device(each.name)
        assert again is not None
        assert replace(again, counters=each.counters) == each


@pytest.mark.parametrize("name", ["", "lo", "no_such", "a" * 40, "can\0x"])
def test_what_is_no_can_interface_is_none(name: str) -> None:
    """Nor a name that cannot be one."""
    assert read_can_device(name) is None
