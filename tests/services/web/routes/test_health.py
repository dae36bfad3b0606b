"""``/healthz`` and ``/readyz``."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState
from tinybms_bridge.services.ports import Hearing
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.options import WebOptions


async def test_alive(visitor: httpx.AsyncClient) -> None:
    """A program that answers is alive."""
    answer = await visitor.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": "1.2.3", "uptime_s": 3600.0}


async def test_ready(visitor: httpx.AsyncClient) -> None:
    """Fresh data and an open adapter are ready."""
    answer = await visitor.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "bms": True, "can": True, "core": True, "gx": True}


@pytest.mark.parametrize("freshness", [Freshness.STARTING, Freshness.HOLD, Freshness.SILENT])
async def test_not_ready_without_fresh_data(visitor: httpx.AsyncClient, core: Any, freshness: Freshness) -> None:
    """Old data is not ready, and the answer says that it is the BMS."""
    core.now = replace(core.moment(), view=View(freshness))
    answer = await visitor.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "bms": False, "can": True, "core": True, "gx": True}


async def test_not_ready_without_can(visitor: httpx.AsyncClient, core: Any) -> None:
    """A lost adapter is not ready; a GX that is not heard alone does not matter."""
    core.can_figures = CanState(up=False, error="gone")
    assert (await visitor.get("/readyz")).json()["can"] is False
    core.can_figures = CanState(up=True, gx_state="lost")
    assert (await visitor.get("/readyz")).status_code == 200


async def test_neither_alive_nor_ready_without_the_core(visitor: httpx.AsyncClient, core: Any) -> None:
    """Whatever was heard last: while the core is away nobody knows what is sent, and no monitor may be content."""
    core.heard = Hearing(connected=False, since_s=12.0)
    alive, ready = await visitor.get("/healthz"), await visitor.get("/readyz")
    assert (alive.status_code, alive.json()["status"]) == (503, "core_unreachable")
    assert (ready.status_code, ready.json()["core"], ready.json()["ready"]) == (503, False, False)


async def test_open_to_monitors(core: Any) -> None:
    """Monitors need no login even where reading does."""
    transport = httpx.ASGITransport(create_app(core, WebOptions(open_reading=False)))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge.test") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/api/status")).status_code == 401
