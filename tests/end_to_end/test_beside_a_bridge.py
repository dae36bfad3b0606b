"""Every command that talks to a BMS, beside a bridge that has its port: it asks the bridge, and frames go on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def ask(start: Any, tmp_path: Path) -> Ask:
    """Return a function that runs a command beside a core on a simulated BMS; gives its status and its outputs."""
    link, configuration = tmp_path / "bms", tmp_path / "config.json"
    simulator = await start("simulate", "--link", str(link), "--profile", "idle", "--soc", "60")
    await simulator.line()
    uart = {"device": str(link), "timeout_ms": 5000}  # a write is sent once, also where the simulator gets no turn
    document = {"hardware": {"uart": uart, "can": {"interface": "virtual"}}}
    await asyncio.to_thread(configuration.write_text, json.dumps(document))
    core = await start("run-core", "-c", str(configuration))
    while "data is fresh" not in await core.error_line():
        pass

    async def run(*words: str) -> tuple[int, str, str]:
        process = await start(*words)
        ended: tuple[int, str, str] = await process.ended()
        return ended

    return run


async def test_what_reads_and_what_writes(ask: Ask) -> None:
    """With and without naming the port; the answers are those of the BMS, and a write is judged by the bridge."""
    status, out, _ = await ask("registers", "--live", "--group", "live", "--json")
    assert status == 0
    assert {row["key"]: row["value"] for row in json.loads(out)}["state_of_charge"] == pytest.approx(60.0, abs=2.0)

    for words in (("events", "--json"), ("stats", "--json"), ("settings", "show", "--json")):
        status, out, err = await ask(*words)
        assert (status, err) == (0, ""), words
        assert json.loads(out)

    status, out, _ = await ask("settings", "set", "allowed_disbalance_v=0.02", "--yes", "--confirm", "--json")
    assert status == 0
    assert [each["outcome"] for each in json.loads(out)["results"]] == ["written"]
    status, out, err = await ask("settings", "set", "allowed_disbalance_v=9", "--yes", "--json")
    assert (status, out) == (2, "")
    assert "allowed_disbalance_v" in json.loads(err.splitlines()[-1])["error"]

    status, out, _ = await ask("reset", "statistics", "--yes", "--json")
    assert (status, json.loads(out)["reset"]) == (0, "statistics")
    status, out, _ = await ask("doctor", "--json")
    findings = {each["check"]: each for each in json.loads(out)["findings"]}
    assert (findings["serial port"]["verdict"], findings["identity"]["verdict"]) == ("ok", "ok")


async def test_a_direction_is_stopped_and_released(ask: Ask) -> None:
    """In force at once, told by the state with who and why, and gone when it is released."""
    status, out, _ = await ask("inhibit", "charge", "--for", "2h", "--reason", "cables", "--json")
    assert status == 0
    assert json.loads(out)["expires_at"]

    status, out, _ = await ask("status", "--json")
    state = json.loads(out)
    assert state["battery"]["decided"]["ccl_a"] == 0.0
    (inhibit,) = state["inhibits"]
    assert (inhibit["direction"], inhibit["reason"]) == ("charge", "cables")
    assert inhibit["by"].endswith("(command line)")
    assert "values" not in state["configuration"], "it holds passwords"

    status, out, _ = await ask("release", "charge")
    assert (status, out) == (0, "charge released\n")
    status, out, _ = await ask("release", "charge")
    assert (status, out) == (0, "charge was not inhibited\n")
    status, out, _ = await ask("status")
    assert status == 0
    assert "CVL" in out


async def test_without_a_bridge(start: Any) -> None:
    """One clear line that says where a bridge was looked for."""
    process = await start("status")
    status, out, err = await process.ended()
    assert (status, out) == (1, "")
    assert err.startswith("error: no bridge runs here (tried ")
