"""``GET /api/limits``: values with their causes in words."""

from dataclasses import replace
from typing import Any

import httpx


async def test_values_and_causes(visitor: httpx.AsyncClient) -> None:
    """Each limit names every cause, and which one binds it."""
    found = (await visitor.get("/api/limits")).json()
    assert (found["state"], found["freshness"], found["may_send"]) == ("FLOAT", "FRESH", True)
    assert (found["cvl"]["value"], found["cvl"]["unit"]) == (54.4, "V")
    causes = found["cvl"]["reasons"]
    assert [(cause["code"], cause["binding"]) for cause in causes] == [("bms_target", False), ("state", True)]
    assert causes[1]["text"] == "CVL 54.4 V: charge state FLOAT"
    assert found["ccl"]["reasons"][0]["threshold"] == 0.1
    assert found["dcl"]["unit"] == "A"


async def test_what_is_out_of_the_ordinary_is_told(visitor: httpx.AsyncClient, face: Any) -> None:
    """Why a window is ignored, and which sensors are lost."""
    before = (await visitor.get("/api/limits")).json()
    picture = face.picture()
    odd = replace(picture.limits, full_charge_due=True, lost_sensors=("external sensor 1",))
    face.now = replace(picture, limits=odd)
    after = (await visitor.get("/api/limits")).json()
    assert (before["full_charge_due"], before["lost_sensors"]) == (False, [])
    assert (after["full_charge_due"], after["lost_sensors"]) == (True, ["external sensor 1"])


async def test_before_the_first_decision(visitor: httpx.AsyncClient, face: Any) -> None:
    """Nothing is claimed before anything was decided."""
    face.now = replace(face.picture(), limits=None)
    answer = await visitor.get("/api/limits")
    assert answer.status_code == 200
    assert answer.json() is None
