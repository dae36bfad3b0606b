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


async def test_before_the_first_decision(visitor: httpx.AsyncClient, face: Any) -> None:
    """Nothing is claimed before anything was decided."""
    face.now = replace(face.picture(), limits=None)
    answer = await visitor.get("/api/limits")
    assert answer.status_code == 200
    assert answer.json() is None
