"""Inhibits, counters, reload, restart."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.services.web.live.broadcaster import BroadcasterStatistics


async def test_stop_for_an_hour(client: httpx.AsyncClient, core: Any) -> None:
    """A stop with a duration names its end and reaches the bridge."""
    answer = await client.put("/api/inhibits/charge", json={"duration_s": 3600, "reason": "work"})
    assert answer.status_code == 200
    assert answer.json()["expires_at"] == "2026-01-01T01:00:00Z"
    assert core.inhibits()[0].direction is Direction.CHARGE
    listed = (await client.get("/api/inhibits")).json()["inhibits"]
    assert [(each["direction"], each["reason"], each["by"]) for each in listed] == [("charge", "work", "tester")]


async def test_stop_without_an_end(client: httpx.AsyncClient) -> None:
    """Without a body the stop lasts until somebody releases it."""
    answer = await client.put("/api/inhibits/discharge")
    assert answer.json()["expires_at"] is None


async def test_release(client: httpx.AsyncClient, core: Any) -> None:
    """A release ends the stop; a second one is no error."""
    await client.put("/api/inhibits/charge")
    assert (await client.delete("/api/inhibits/charge")).json()["message"] == "charge released"
    assert core.inhibits() == []
    assert (await client.delete("/api/inhibits/charge")).json()["message"] == "charge was not stopped"


async def test_stop_that_could_not_be_saved_is_no_success(client: httpx.AsyncClient, core: Any) -> None:
    """It is in force, but the user has to know that a restart would end it; a release likewise."""
    core.disk_full = True
    answer = await client.put("/api/inhibits/charge")
    assert (answer.status_code, answer.json()["error"]) == (500, "stop_not_saved")
    assert answer.json()["detail"].endswith("would be lost by a restart: No space left on device")
    assert core.inhibits()[0].direction is Direction.CHARGE
    answer = await client.delete("/api/inhibits/charge")
    assert (answer.status_code, answer.json()["error"]) == (500, "release_not_saved")
    assert core.inhibits() == []


@pytest.mark.parametrize(
    "body",
    [{"duration_s": 0}, {"duration_s": 604_801}, {"duration_s": "60"}, {"reason": 5}, {"forever": True}, []],
)
async def test_stops_that_cannot_be(client: httpx.AsyncClient, core: Any, body: object) -> None:
    """A stop must be of a known kind, for at most a week."""
    assert (await client.put("/api/inhibits/charge", json=body)).status_code == 422
    assert core.inhibits() == []


async def test_unknown_direction(client: httpx.AsyncClient) -> None:
    """Only charge and discharge can be stopped."""
    assert (await client.put("/api/inhibits/everything")).status_code == 422


async def test_reset_of_the_counters(client: httpx.AsyncClient, core: Any, app: FastAPI) -> None:
    """The request reaches the bridge once, and the live data counts anew, also for those who listen."""
    broadcaster = app.state.watch.broadcaster
    follower = broadcaster.join()
    follower.sent = follower.throttle.dropped = 5
    assert (await client.post("/api/stats/reset")).json()["success"] is True
    assert core.resets == 1
    assert broadcaster.totals() == BroadcasterStatistics(clients=1, max_clients=broadcaster.settings.max_clients)
    broadcaster.leave(follower)


async def test_reload_after_a_change_by_hand(client: httpx.AsyncClient, core: Any) -> None:
    """A file changed by hand comes into force; an unchanged one changes nothing."""
    await client.post("/api/settings", json={"cvl": {"float_soc_threshold": 96.0}})
    unchanged = (await client.post("/api/config/reload")).json()
    assert (unchanged["message"], unchanged["changed"]) == ("Configuration unchanged", [])
    core.storage.write(b'{"cvl": {"float_soc_threshold": 94.0}}')
    changed = (await client.post("/api/config/reload")).json()
    assert (changed["message"], changed["changed"]) == ("Configuration reloaded", ["cvl.float_soc_threshold"])
    assert core.store.configuration.cvl.float_soc_threshold == 94.0


async def test_reload_of_a_bad_file(client: httpx.AsyncClient, core: Any) -> None:
    """A bad file leaves the configuration in force and says what is wrong."""
    core.storage.write(b'{"cvl": {"float_soc_threshold": 400}}')
    answer = await client.post("/api/config/reload")
    assert (answer.status_code, answer.json()["error"]) == (422, "reload_failed")
    assert answer.json()["errors"][0]["path"] == "cvl.float_soc_threshold"
    assert core.store.configuration.cvl.float_soc_threshold is None


async def test_restart(client: httpx.AsyncClient, core: Any) -> None:
    """The whole program or one part is restarted; an unknown part is named."""
    assert (await client.post("/api/system/restart")).json()["message"] == "Restarting"
    assert (await client.post("/api/system/restart", json={"part": "mqtt"})).json()["message"] == "Restarting mqtt"
    assert (await client.post("/api/system/restart", json={"part": "sun"})).status_code == 404
    assert core.restarts == [None, "mqtt"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/inhibits/charge"),
        ("DELETE", "/api/inhibits/charge"),
        ("POST", "/api/stats/reset"),
        ("POST", "/api/config/reload"),
        ("POST", "/api/system/restart"),
        ("POST", "/api/tinybms/write"),
        ("POST", "/api/tinybms/action"),
        ("POST", "/api/tinybms/restore"),
    ],
)
async def test_everything_that_writes_needs_a_login(visitor: httpx.AsyncClient, method: str, path: str) -> None:
    """Open reading opens no writing."""
    assert (await visitor.request(method, path)).status_code == 401
