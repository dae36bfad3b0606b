"""The web server of the running program, asked as a user would ask it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tinybms_lab.testing.running_bridge import free_port

WAIT_S = 60.0


class Site:
    """A running demo and a client of its web server."""

    def __init__(self, client: httpx.AsyncClient, demo: Any, setup_token: str) -> None:
        self.client = client
        self.demo = demo
        self.setup_token = setup_token

    async def status_until(self, condition: Any) -> dict[str, Any]:
        """Ask for the status until it is as wanted."""
        async with asyncio.timeout(WAIT_S):
            while True:
                status: dict[str, Any] = (await self.client.get("/api/status")).json()
                if condition(status):
                    return status
                await asyncio.sleep(0.2)

    async def log_in(self) -> None:
        """Make the first administrator and begin a session, as the browser does."""
        body = {"token": self.setup_token, "username": "skipper", "password": "a long enough secret"}
        made = await self.client.post("/api/setup", json=body)
        assert made.status_code == 201, made.text
        self.client.headers["X-CSRF-Token"] = made.json()["csrf_token"]


@pytest.fixture
async def site(start: Any, can_group: str) -> AsyncIterator[Site]:
    """Start the demo and wait until it serves."""
    port = await asyncio.to_thread(free_port)
    demo = await start("demo", "--plain", "--web-port", str(port), "--can-channel", can_group)
    token, serves = "", False
    while not (token and serves):
        line = await demo.error_line()
        serves = serves or "web server listens" in line
        if "setup token of the web server" in line:
            token = line.rpartition(" ")[2]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client:
        yield Site(client, demo, token)


async def test_the_reading_lines_of_the_seed_work(site: Site) -> None:
    """Every curl line that reads: status, its parts, diagnostics, settings, logs, registers."""
    status = await site.status_until(lambda s: s["stats"]["can_tx_count"] > 0 and s["stats"]["victron_keepalive_ok"])
    assert status["stats"]["uart_success_count"] > 0
    assert status["stats"]["can"]["tx_count"] > 0
    assert 40 < status["voltage"] < 60
    diagnostics = (await site.client.get("/api/diagnostics")).json()
    assert diagnostics["uart"]
    assert diagnostics["heap_free"] > 0
    assert diagnostics["watchdog"]
    settings = (await site.client.get("/api/settings")).json()
    hardware = settings["hardware"]
    assert hardware["uart"]["device"] == diagnostics["uart"]["device"], "shown is what is in force"
    assert f"{hardware['can']['interface']}:{hardware['can']['channel']}" == diagnostics["can"]["interface"]
    assert settings["web_server"]["port"] == site.client.base_url.port
    logs = await site.client.get("/api/logs")
    assert logs.headers["content-type"].startswith("text/plain")
    assert "BMS answers" in logs.text
    history = (await site.client.get("/api/history/fields")).json()
    assert history["enabled"] is True
    assert {"voltage_v", "soc_percent"} <= {field["name"] for field in history["fields"]}
    assert len((await site.client.get("/api/history", params={"points": 10})).json()["times"]) <= 10
    registers = (await site.client.get("/api/tinybms/registers")).json()
    assert registers["success"] is True


async def test_settings_take_effect_at_once_and_need_a_login(site: Site) -> None:
    """POST /api/settings without a login is refused; with one the limits follow within seconds."""
    patch = {"victron": {"max_discharge_current_a": 33.0}}
    refused = await site.client.post("/api/settings", json=patch)
    assert refused.status_code in (401, 403)
    assert refused.json()["success"] is False
    await site.log_in()
    done = await site.client.post("/api/settings", json=patch)
    assert done.status_code == 200, done.text
    assert done.json() == {"success": True, "message": "Configuration updated"} | {
        key: value for key, value in done.json().items() if key not in ("success", "message")
    }
    status = await site.status_until(lambda s: s["stats"]["cvl"]["dcl_limit_a"] <= 33.0)
    assert status["stats"]["cvl"]["dcl_limit_a"] == 33.0
    assert (await site.client.delete("/api/logs")).status_code == 200


async def test_an_inhibit_holds_until_it_is_over(site: Site) -> None:
    """Charging is stopped by hand for a while, and comes back by itself, with or without the web server."""
    await site.log_in()
    await site.status_until(lambda s: s["stats"]["cvl"]["ccl_limit_a"] > 0)
    stopped = await site.client.put("/api/inhibits/charge", json={"duration_s": 3600, "reason": "first"})
    assert stopped.status_code == 200, stopped.text
    await site.status_until(lambda s: s["stats"]["cvl"]["ccl_limit_a"] == 0)
    stopped = await site.client.put("/api/inhibits/charge", json={"duration_s": 3, "reason": "test"})
    assert stopped.status_code == 200, stopped.text
    await site.status_until(lambda s: s["stats"]["cvl"]["ccl_limit_a"] > 0)
    assert (await site.client.get("/api/inhibits")).json()["inhibits"] == []
    events = (await site.client.get("/api/events?source=bridge")).json()["events"]
    assert [(event["code"], event["text"]) for event in events if event["code"].startswith("inhibit.charge")] == [
        ("inhibit.charge.ended", "The time of the inhibit is over: charge is free again"),
        ("inhibit.charge", "Charging stopped by hand for 3 s: test"),
        ("inhibit.charge", "Charging stopped by hand for 3600 s: first"),
    ]
    logs = (await site.client.get("/api/logs")).text
    assert "PUT /api/inhibits/charge by skipper (session) from 127.0.0.1, duration_s=3.0, reason=test" in logs


async def test_restart_is_a_new_start_of_the_same_process(site: Site) -> None:
    """Also where no service manager would start the program again; ports and adapters are not kept open twice."""

    def open_devices() -> list[str]:
        files = []
        for each in Path(f"/proc/{site.demo.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                files.append(str(each.readlink()))
        return sorted(name.rpartition("/")[0] for name in files if name.startswith("/dev/p"))

    await site.log_in()
    await site.status_until(lambda s: s["stats"]["uart_success_count"] > 0)
    before = await asyncio.to_thread(open_devices)
    answer = await site.client.post("/api/system/restart")
    assert (answer.status_code, answer.json()["message"]) == (200, "Restarting")
    while "web server listens" not in await site.demo.error_line():
        pass
    assert (await site.client.get("/api/session")).json()["setup_required"] is True, "the demo keeps nothing"
    await site.status_until(lambda s: s["stats"]["uart_success_count"] > 0)
    assert await asyncio.to_thread(open_devices) == before
    site.demo.signal(signal.SIGTERM)
    code, _, _ = await site.demo.ended()
    assert code == 0
