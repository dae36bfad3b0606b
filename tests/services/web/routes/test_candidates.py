"""What answers on which serial port, for whoever may choose one."""

from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import LinkError
from tinybms_bridge.tinybms.found_units import Candidate, FoundUnit
from tinybms_bridge.words import message

WHO = Identity("2.1", 3, 254, 1, 1, "0123456789ABCDEF01234567")


@pytest.fixture(autouse=True)
def found(core: Any) -> None:
    """A port with a BMS, and one that another program has."""
    core.at_ports = [
        Candidate("/dev/tinybms-A1", "FTDI", "/dev/ttyUSB0", "a", asked=False, unit=FoundUnit(WHO, 16, 100.0, 53.2141)),
        Candidate(
            "/dev/ttyUSB1",
            device="/dev/ttyUSB1",
            held_by="minicom",
            message=message("serial.held", port="/dev/ttyUSB1", holders=["minicom"]),
        ),
    ]


async def test_ports_with_what_answers_there(client: httpx.AsyncClient) -> None:
    """Name, place, pack or program, and who the BMS is: all that tells one from another."""
    answer = await client.get("/api/packs/candidates")
    mine, other = answer.json()["candidates"]

    assert answer.status_code == 200
    assert (mine["path"], mine["device"], mine["product"], mine["pack"], mine["held_by"]) == (
        "/dev/tinybms-A1",
        "/dev/ttyUSB0",
        "FTDI",
        "a",
        "",
    )
    unit = mine["unit"]
    assert (unit["identity"]["serial_number"], unit["identity"]["firmware"]) == (WHO.serial_number, "2.3.254")
    assert unit["identity"]["hardware_version"] == "2.1"
    assert (unit["series_cells"], unit["capacity_ah"], unit["voltage_v"]) == (16, 100.0, 53.214)
    assert mine["message"] is None
    assert (other["unit"], other["held_by"], other["message"]["code"]) == (None, "minicom", "serial.held")


async def test_the_reason_is_told_in_the_language_that_is_asked_for(client: httpx.AsyncClient) -> None:
    """As everything else that people read."""
    answer = await client.get("/api/packs/candidates", params={"lang": "fr"})
    assert answer.json()["candidates"][1]["message"]["text"] == "/dev/ttyUSB1 est utilisé par minicom"


async def test_who_may_not_choose_a_port_has_nothing_asked(visitor: httpx.AsyncClient, core: Any) -> None:
    """Asking sends to devices that are none of the bridge's."""
    asked = False

    async def candidates() -> list[Candidate]:
        nonlocal asked
        asked = True
        return []

    core.candidates = candidates
    assert (await visitor.get("/api/packs/candidates")).status_code == 401
    assert not asked


async def test_without_the_core_nobody_can_ask(client: httpx.AsyncClient, core: Any) -> None:
    """The answer says that it is the core, not that nothing answers."""

    async def away() -> list[Candidate]:
        raise LinkError(message("core.not_connected"))

    core.candidates = away
    assert (await client.get("/api/packs/candidates")).json()["error"] == "core_unreachable"


async def test_no_pack_is_hidden_by_the_route(client: httpx.AsyncClient) -> None:
    """``candidates`` is no name of a pack, so that the other one stays reachable by any name."""
    refused = await client.post("/api/settings", json={"packs": {"candidates": {"uart": {"device": "/dev/a"}}}})
    assert refused.json()["errors"][0]["code"] == "must_be.pack_name"
    assert (await client.get("/api/packs/main")).json()["name"] == "main"
