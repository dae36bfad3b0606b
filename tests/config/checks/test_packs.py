import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.serial import port_id

Complaints = Callable[[object], dict[str, str]]

SAME_PORT = "is the same port as that of pack a: each pack needs one of its own"
UNIT = "00FF" * 6


def packs(**devices: str) -> dict[str, Any]:
    """Return a document with a pack at each device."""
    return {"packs": {name: {"uart": {"device": device}} for name, device in devices.items()}}


@pytest.fixture
def terminal() -> Iterator[str]:
    """The path of a serial port that exists."""
    master, slave = pty.openpty()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def test_two_packs_cannot_be_at_one_port(complaints: Complaints) -> None:
    """Both would read one BMS, and the other battery would be charged unseen; both packs are named."""
    assert complaints(packs(a="/dev/ttyUSB0", b="/dev/ttyUSB1", c="/dev/ttyUSB0")) == {"packs.c.uart.device": SAME_PORT}


def test_another_name_of_a_port_is_the_same_port(complaints: Complaints, tmp_path: Path, terminal: str) -> None:
    """Names below by-id are links: what counts is where they lead."""
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    by_id.symlink_to(terminal)
    by_path.symlink_to(by_id)

    assert complaints(packs(a=str(by_id), b=str(by_path))) == {"packs.b.uart.device": SAME_PORT}
    assert complaints(packs(a=terminal, b=f"{tmp_path}/../{tmp_path.name}/by-id")) == {"packs.b.uart.device": SAME_PORT}
    assert port_id(terminal) == port_id(str(by_path)) != port_id("/dev/null")


def test_ports_that_do_not_exist_are_compared_by_their_text(complaints: Complaints, tmp_path: Path) -> None:
    """An adapter may be plugged in later; a link that leads nowhere yet still says where it leads."""
    later = tmp_path / "later"
    later.symlink_to("/dev/does-not-exist")

    assert complaints(packs(a="/dev/does-not-exist", b="/dev/does-not-exist-2")) == {}
    assert complaints(packs(a="/dev/does-not-exist", b="/dev//does-not-exist")) == {"packs.b.uart.device": SAME_PORT}
    assert complaints(packs(a="/dev/does-not-exist", b=str(later))) == {"packs.b.uart.device": SAME_PORT}


def test_links_that_lead_to_themselves_are_ports_like_others(complaints: Complaints, tmp_path: Path) -> None:
    """A check must end, whatever a path is."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to(other)
    other.symlink_to(one)

    assert complaints(packs(a=str(one), b="/dev/ttyUSB0", c="x" * 200)) == {}


def test_a_port_counts_for_a_pack_out_of_service_too(complaints: Complaints) -> None:
    """Putting it back into service must not be what fails."""
    document = packs(a="/dev/ttyUSB0", b="/dev/ttyUSB0")
    document["packs"]["a"]["enabled"] = False

    assert complaints(document) == {"packs.b.uart.device": SAME_PORT}


def test_every_pack_needs_a_port(complaints: Complaints) -> None:
    """A change under a name that is mistyped must not make another pack."""
    assert complaints({"packs": {"a": {"uart": {"device": "/dev/ttyUSB0"}}, "b": {"enabled": False}}}) == {
        "packs.b.uart.device": "must be given: the port of this pack"
    }


def test_only_one_pack_is_searched_for(complaints: Complaints) -> None:
    """Two searches would find one BMS, or take each other's."""
    auto = 'must be the path of a serial port: "auto" finds one BMS, so it is for one pack'

    assert complaints(packs(a="auto")) == {}
    assert complaints(packs(a="auto", b="auto")) == {"packs.a.uart.device": auto, "packs.b.uart.device": auto}
    assert complaints(packs(a="/dev/ttyUSB0", b="auto")) == {"packs.b.uart.device": auto}


def test_the_only_pack_stays_in_service(complaints: Complaints) -> None:
    """Whether it is that of the short form or the only one with a name; nothing else is said of it."""
    told = "must be true: it is the only pack, and without it there is no battery"

    assert complaints({"packs": {"main": {"enabled": False}}}) == {"packs.main.enabled": told}
    assert complaints({"packs": {"a": {"uart": {"device": "/dev/ttyUSB0"}, "enabled": False}}}) == {
        "packs.a.enabled": told
    }


def test_the_last_pack_in_service_stays_in_service(complaints: Complaints) -> None:
    """Somebody has to feed the loads, and a GX that hears of no battery alarms."""
    document = packs(a="/dev/ttyUSB0", b="/dev/ttyUSB1")
    document["packs"]["a"]["enabled"] = False
    assert complaints(document) == {}

    document["packs"]["b"]["enabled"] = False
    assert complaints(document) == {
        "packs.b.enabled": "must be true for at least one pack: without any there is no battery"
    }


def test_one_unit_is_one_pack(complaints: Complaints) -> None:
    """Pinned to two names it would be missing at one of them for ever; packs that are not pinned are no twins."""
    document = packs(a="/dev/ttyUSB0", b="/dev/ttyUSB1", c="/dev/ttyUSB2")
    assert complaints(document) == {}
    document["packs"]["a"]["serial_number"] = UNIT
    document["packs"]["b"]["serial_number"] = UNIT.lower()

    assert complaints(document) == {
        "packs.b.serial_number": "is the serial number of pack a, too: one BMS cannot be two packs"
    }


def test_names_differ_by_more_than_capitals(complaints: Complaints) -> None:
    """They become file names and entries that some systems take for one."""
    assert complaints(packs(Front="/dev/ttyUSB0", front="/dev/ttyUSB1")) == {
        "packs.front": "has the name of pack Front but for capitals, which do not tell packs apart"
    }


def test_every_mistake_is_told_at_once(complaints: Complaints) -> None:
    """A wrong entry hides no mistake of the others."""
    document = packs(a="/dev/ttyUSB0", b="/dev/ttyUSB0")
    document["packs"]["c d"] = {"uart": {"device": 7}}
    document["packs"]["e"] = {"uart": {"device": "auto", "timeout_ms": 1}, "enabled": "no"}

    assert list(complaints(document)) == [
        "packs.b.uart.device",
        "packs.c d",
        "packs.e.uart.device",
        "packs.e.uart.timeout_ms",
        "packs.e.enabled",
    ]
