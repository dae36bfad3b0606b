"""What the version before this one left behind, under the program of today: state, configuration, and its API.

``landed/`` was made by the program as of commit d655b58 (0.1.0) in two starts against its own simulator, with the web
server, users, a change of settings, an inhibit and an acknowledgement. Between the two its state file was given
what a battery learns in months, and a second unit; the second start read and saved both. ``config.json`` has names
and values of the firmware beside those of that version, ``last-good.json`` what its API made of them. ``fields.json``
has the fields of each answer, without names that stand for values (alarms, frames).
"""

import asyncio
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tinybms_bridge.hal.storage import FileStorage, SlotStorage
from tinybms_lab.testing.running_bridge import free_port

LANDED = Path(__file__).parent / "landed"
UNIT, OTHER_UNIT = "53494D554C41544544000001", "36001D000551363235363630"
"""Serial numbers: of the simulator, and of a unit that is not there any more."""

WAIT_S = 60.0

RENAMED = {
    "cvl.minimum_ccl_in_float_a": "cvl.maximum_ccl_in_float_a",
    "cvl.cell_min_float_voltage_v": "cvl.floor_cell_voltage_v",
}
"""Fields of an answer that have another name now; each is in the changelog, and is read under both."""

ANSWERS: dict[str, dict[str, list[str]]] = json.loads((LANDED / "fields.json").read_text(encoding="utf-8"))


def leaves_of(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value of a document that is no object, with its path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves_of(part, f"{path}.{name}" if path else name)
    else:
        yield path, value


def paths_of(value: object, path: str = "") -> Iterator[str]:
    """Yield the path of each field of an answer; [] stands for the entries of a list."""
    if isinstance(value, dict):
        for name, part in value.items():
            inner = f"{path}.{name}" if path else name
            yield inner
            yield from paths_of(part, inner)
    elif isinstance(value, list):
        for part in value:
            yield from paths_of(part, f"{path}[]" if path else "")


class Upgraded:
    """Today's program on a copy of what was left behind."""

    def __init__(self, folder: Path, can_group: str) -> None:
        self.config = folder / "config.json"
        self.state = folder / ".local" / "state" / "tinybms-bridge"
        self.device = folder / "bms"
        self.port = free_port()
        shutil.copytree(LANDED / "state", self.state, ignore=shutil.ignore_patterns("last-good.json"))
        os.chmod(self.state / "users.json", 0o600)
        places = {"/tmp/tinybms-landed": str(self.device), "239.74.13.13": can_group, "8123": str(self.port)}
        stem = f"last-good-{hashlib.sha256(os.fsencode(self.config)).hexdigest()[:16]}"  # as that version names it
        for source, target in (
            (LANDED / "config.json", self.config),
            (LANDED / "state" / "last-good.json", self.state / f"{stem}.json"),
        ):
            text = source.read_text(encoding="utf-8")
            for before, now in places.items():
                text = text.replace(before, now)
            target.write_text(text, encoding="utf-8")
        note = {"file": str(self.config), "folder": str(self.state)}
        (self.state / f"{stem}.where").write_text(json.dumps(note), encoding="utf-8")

    def found_by_the_landed_version(self) -> list[dict[str, Any]]:
        """Return what that version reads of the state: the file, and where that cannot be used the one beside it."""
        file = FileStorage(self.state / "state.json")
        return [json.loads(data or b"") for data in (file.read(), file.read_previous())]

    def saved(self) -> dict[str, Any]:
        """Return the state file as it is now."""
        document: dict[str, Any] = json.loads(SlotStorage(self.state / "state.json").read() or b"")
        return document


@pytest.fixture
async def upgraded(tmp_path: Path, can_group: str) -> Upgraded:
    """A home with a configuration and a state directory of the landed version."""
    return await asyncio.to_thread(Upgraded, tmp_path, can_group)


class Running:
    """The program on that home, with the simulated unit that it knows."""

    def __init__(self, process: Any, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def get(self, path: str) -> Any:
        """Return an answer."""
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def log_in(self, name: str, password: str) -> int:
        """Begin a session; returns the status of the answer."""
        made = await self.client.post("/api/login", json={"username": name, "password": password})
        self.client.headers["X-CSRF-Token"] = made.json().get("csrf_token", "")
        return made.status_code

    async def end(self) -> None:
        """End it in order, with everything saved."""
        self.process.signal(signal.SIGTERM)
        code, _, err = await self.process.ended()
        assert code == 0, err
        assert "Traceback" not in err


@pytest.fixture
async def running(start: Any, upgraded: Upgraded) -> AsyncIterator[Running]:
    """Start the simulated unit and the program, and wait until limits are sent from fresh data."""
    arguments = ("--capacity-ah", "100", "--soc", "97", "--profile", "600:+35,240:-45", "--quiet")
    simulator = await start("simulate", "--link", str(upgraded.device), *arguments)
    await simulator.line()
    process = await start("run", "-c", str(upgraded.config), "--plain")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{upgraded.port}", timeout=WAIT_S) as client:
        await answered(client, "/readyz")
        yield Running(process, client)


async def answered(client: httpx.AsyncClient, route: str) -> None:
    """Wait until a route says that it is so."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                if (await client.get(route)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def test_counters_memory_lists_and_users_are_all_there(upgraded: Upgraded, running: Running) -> None:
    """Nothing that was counted, learned, told, stopped or allowed is lost, and it is saved again at the end."""
    before = json.loads((LANDED / "state" / "state.json").read_text(encoding="utf-8"))["units"]

    status = await running.get("/api/status")
    for name, counted in before[UNIT]["energy"].items():
        assert counted - 0.1 <= status["stats"]["energy"][name] < counted + 100.0, name
    assert status["stats"]["cvl"]["ccl_limit_a"] == 0.0, "charging is stopped by hand"
    limits = await running.get("/api/limits")
    assert limits["balancing"]["spread_ah"] == 3.25
    assert limits["soc"]["drift_ah_per_day"] == pytest.approx(-0.125 * 24)

    assert await running.log_in("guest", "another long secret") == 200
    assert await running.log_in("skipper", "a long enough secret") == 200
    (stop,) = (await running.get("/api/inhibits"))["inhibits"]
    assert (stop["direction"], stop["reason"], stop["by"]) == ("charge", "work on the cables", "skipper")
    assert stop["since"].startswith("2026-11-30T11:41:17")

    told = [json.loads(line) for line in (LANDED / "state" / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    events = {event["number"]: event for event in (await running.get("/api/events?limit=500"))["events"]}
    assert all(events[each["number"]]["code"] == each["code"] for each in told)
    assert all(events[each["number"]]["text"] == each["text"] for each in told)

    when = {"from": "2026-11-30T11:30:00Z", "to": "2026-11-30T11:50:00Z", "step": "10m"}
    history = (await running.client.get("/api/history", params=when)).json()["fields"]
    assert sum(each or 0 for each in history["samples"]["sum"]) > 500
    assert sum(each or 0.0 for each in history["charged_wh"]["sum"]) > 20.0

    await running.end()
    for found in await asyncio.to_thread(upgraded.found_by_the_landed_version):
        assert found["units"].keys() == before.keys(), "who goes back finds what was saved last, or just before"
    after = (await asyncio.to_thread(upgraded.saved))["units"]
    assert dict(leaves_of(before[OTHER_UNIT])).items() <= dict(leaves_of(after[OTHER_UNIT])).items()
    for part in ("evidence", "resistance", "feed_in", "rebulk", "told", "chemistry"):
        was, now = dict(leaves_of(before[UNIT][part])), dict(leaves_of(after[UNIT][part]))
        for moving in ("flowing_s", "since_full_ah", "low_ah", "low_s"):
            was.pop(moving, None)
        assert was.items() <= now.items(), part
    assert [after[UNIT]["soc"][name] for name in ("off_percent", "drift_a", "full_at_s")] == [-1.5, -0.125, 2580000]
    assert after[UNIT]["policy"]["full_at_lifetime_s"] == 2580000
    assert after[UNIT]["energy"]["discharged_wh"] >= before[UNIT]["energy"]["discharged_wh"]


async def test_a_configuration_with_old_names_counts(running: Running) -> None:
    """Names of the firmware and of the landed version give the values that they gave then."""
    settings = dict(leaves_of(await running.get("/api/settings")))
    settings |= {old: settings[new] for old, new in RENAMED.items() if new in settings}

    wanted = {
        "wifi.sta_ssid": "boat",
        "hardware.uart.baudrate": 115200,
        "tinybms.poll_interval_ms": 200,
        "victron.manufacturer_name": "BOAT",
        "victron.pgn_update_interval_ms": 900,
        "victron.max_charge_current_a": 40.0,
        "victron.thresholds.soc_low_percent": 12.0,
        "cvl.bulk_soc_threshold": 81.0,
        "cvl.transition_soc_threshold": 86.0,
        "cvl.float_approach_offset_mv": 40.0,
        "cvl.float_offset_mv": 300.0,
        "cvl.minimum_ccl_in_float_a": 12.0,
        "cvl.cell_min_float_voltage_v": 3.1,
        "cvl.imbalance_hold_threshold_mv": 60.0,
        "web_server.max_ws_clients": 12,
        "advanced.watchdog_timeout_s": 40,
        "advanced.history_days_10s": 3,
    }
    assert {key: settings.get(key) for key in wanted} == wanted


async def test_a_broken_file_gives_way_to_the_last_good_copy(start: Any, upgraded: Upgraded) -> None:
    """The copy that the landed version left is found by its note, and its values are in force."""
    text = await asyncio.to_thread(upgraded.config.read_text)
    await asyncio.to_thread(upgraded.config.write_text, text[: len(text) // 2])
    process = await start("run", "-c", str(upgraded.config), "--plain", "--device", "/dev/none")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{upgraded.port}", timeout=WAIT_S) as client:
        running = Running(process, client)
        await answered(client, "/healthz")
        settings = dict(leaves_of(await running.get("/api/settings")))
        assert (settings["cvl.float_soc_threshold"], settings["cvl.float_exit_soc"]) == (96.0, 91.5)
        assert settings["victron.manufacturer_name"] == "BOAT"
        assert (await running.get("/api/diagnostics"))["configuration"]["fell_back"]
        await running.end()


async def test_no_field_of_the_landed_api_is_missing(running: Running, upgraded: Upgraded) -> None:
    """Each field that an answer or a live message had is there under its name; most come within seconds."""
    missing: dict[str, list[str]] = {}
    assert await running.log_in("skipper", "a long enough secret") == 200

    async def answers() -> dict[str, object]:
        found: dict[str, object] = {route: await running.get(route) for route in ANSWERS if route.startswith("/")}
        async with connect(f"ws://127.0.0.1:{upgraded.port}/ws") as live:
            found["ws"] = json.loads(await live.recv())
        return found

    changed = await running.client.post("/api/settings", json={"cvl": {"enabled": False}})
    assert changed.status_code == 200, changed.text  # the charge state moves, so that there is a change to be told
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                for route, answer in (await answers()).items():
                    now = {path.removeprefix("[].") for path in paths_of(answer)}
                    gone = [path for path in ANSWERS[route] if path not in now and RENAMED.get(path) not in now]
                    missing[route] = gone
                if not any(missing.values()):
                    break
                await asyncio.sleep(1.0)
    except TimeoutError:
        assert {route: gone for route, gone in missing.items() if gone} == {}
    await running.end()
    assert len(missing) == len(ANSWERS)
