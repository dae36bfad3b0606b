"""``GET /api/tinybms/advice``."""

from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.tinybms.settings import all_settings

DISBALANCE = Advice(308, Weight.ADVISED, "so it is", "allowed_disbalance_v", 0.015, 0.05, "V")
PORT = Advice(340, Weight.NOTE, "a single port has one switch")


@pytest.fixture(autouse=True)
def catalogue() -> None:
    """Read the register table before an event loop runs, as the bridge does at its start."""
    assert all_settings()


async def test_advice_comes_with_its_command_and_its_request(visitor: httpx.AsyncClient, face: Any) -> None:
    """A person takes the command, a page the body; a note has neither."""
    face.advised = [DISBALANCE, PORT]
    found = (await visitor.get("/api/tinybms/advice")).json()
    disbalance, port = found["advice"]
    assert found["count"] == 2
    assert disbalance["command"] == "tinybms-bridge settings set allowed_disbalance_v=0.05"
    assert disbalance["write"] == {"key": "allowed_disbalance_v", "value": 0.05}
    assert (disbalance["address"], disbalance["weight"], disbalance["value"]) == (308, "advised", 0.015)
    assert (port["key"], port["command"], port["write"]) == (None, None, None)
    assert port["text"] == "register 340: a single port has one switch"


async def test_the_request_is_one_that_the_api_takes(client: httpx.AsyncClient, face: Any) -> None:
    """Sent back as it is, it changes the BMS, and the advice is gone."""
    face.advised = [DISBALANCE]
    (advice,) = (await client.get("/api/tinybms/advice")).json()["advice"]
    assert (await client.post("/api/tinybms/write", json=advice["write"])).json()["success"] is True
    assert face.bms.words[308 - 300] == 50
    assert (await client.get("/api/tinybms/advice")).json()["count"] == 0


async def test_a_silent_bms_leaves_the_advice(visitor: httpx.AsyncClient, face: Any) -> None:
    """What was advised from its settings as last read is still true."""
    face.advised, face.bms.silent = [DISBALANCE], True
    assert (await visitor.get("/api/tinybms/advice")).json()["count"] == 1


async def test_before_anything_was_read(visitor: httpx.AsyncClient, face: Any) -> None:
    """No advice about a BMS that nobody knows, and its line is left alone."""
    reads = face.bms.reads
    assert (await visitor.get("/api/tinybms/advice")).json() == {"success": True, "count": 0, "advice": []}
    assert face.bms.reads == reads
