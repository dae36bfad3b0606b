"""``/api/packs`` and ``/api/outputs``."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.link.state import CanState
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.words import message


async def test_a_pack_tells_what_the_battery_tells(visitor: httpx.AsyncClient) -> None:
    """While there is one pack its values are those of the flat answer, under the same names."""
    status = (await visitor.get("/api/status")).json()
    packs = (await visitor.get("/api/packs")).json()["packs"]
    assert list(packs) == ["main"]
    shared = packs["main"].keys() & status.keys()
    assert {"voltage", "cells_mv", "soc_percent", "temperatures", "balancing_bits", "status", "age_ms"} <= shared
    assert {name: packs["main"][name] for name in shared} == {name: status[name] for name in shared}
    assert (await visitor.get("/api/packs/main")).json() == packs["main"]


async def test_a_pack_has_its_bms_its_line_and_what_does_not_fit(visitor: httpx.AsyncClient, core: Any) -> None:
    """Identity, counters, advice and conflicts are of the pack."""
    core.unfit = [ConfigProblem("cvl.series_cell_count", 8, message("config.other_cell_count", cells=16))]
    pack = (await visitor.get("/api/packs/main")).json()
    info = (await visitor.get("/api/tinybms/info")).json()
    diagnostics = (await visitor.get("/api/diagnostics")).json()
    assert (pack["name"], pack["identity"], pack["statistics"]) == ("main", info["identity"], info["statistics"])
    assert pack["uart"] == diagnostics["uart"]
    assert pack["conflicts"] == diagnostics["configuration"]["conflicts"]
    (conflict,) = pack["conflicts"]
    assert (conflict["path"], conflict["value"]) == ("cvl.series_cell_count", 8)
    assert (conflict["code"], conflict["parameters"]) == ("config.other_cell_count", {"cells": 16})
    assert conflict["text"] == conflict["message"] == "the BMS is set to 16 cells in series (register 307)"
    assert diagnostics["configuration"]["misfits"] == [f"cvl.series_cell_count = 8: {conflict['text']}"], "until 1.0"
    assert pack["advice"] == []


async def test_an_old_pack_shows_its_last_values_apart(visitor: httpx.AsyncClient, core: Any, moment: Moment) -> None:
    """Nothing measured looks live, and what was is dated."""
    assert moment.view.measured is not None
    last = Last(moment.view.measured, 60.0)
    core.now = replace(moment, packs={"main": View(Freshness.HOLD, age_s=60.0, last=last)})
    pack = (await visitor.get("/api/packs/main")).json()
    assert (pack["voltage"], pack["cells_mv"], pack["temperatures"], pack["freshness"]) == (None, [], [], "HOLD")
    assert (pack["last"]["voltage"], pack["last"]["at"]) == (54.32, "2026-01-02T03:03:05Z")
    assert len(pack["last"]["cells_mv"]) == 16


async def test_a_pack_of_which_nothing_is_known(visitor: httpx.AsyncClient, core: Any, moment: Moment) -> None:
    """Before the first sample it is there with its line, and without a value."""
    core.now = replace(moment, packs={}, battery=replace(moment.battery, packs={}))
    pack = (await visitor.get("/api/packs/main")).json()
    assert (pack["voltage"], pack["identity"], pack["last"], pack["freshness"]) == (None, None, None, "STARTING")
    assert pack["uart"]["polls"] == 100


@pytest.mark.parametrize(
    "path",
    [
        *("/api/packs/mian", "/api/packs/mian/registers", "/api/tinybms/info?pack=mian"),
        *("/api/tinybms/registers?pack=mian", "/api/doctor?pack=mian", "/api/uart/traffic?pack=mian"),
    ],
)
async def test_an_unknown_pack_is_a_problem_with_the_nearest_name(visitor: httpx.AsyncClient, path: str) -> None:
    """Never the answer of another pack."""
    answer = await visitor.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_pack")
    assert answer.json()["message"] == "there is no pack called 'mian'; did you mean main?"


async def test_registers_of_a_pack(visitor: httpx.AsyncClient) -> None:
    """The same as of the only BMS, with and without its name."""
    flat = (await visitor.get("/api/tinybms/registers")).json()
    assert (await visitor.get("/api/packs/main/registers")).json() == flat
    assert (await visitor.get("/api/tinybms/registers?pack=main")).json() == flat
    some = (await visitor.get("/api/packs/main/registers?group=settings.cell")).json()
    assert 0 < some["count"] < flat["count"]


async def test_outputs_by_name(visitor: httpx.AsyncClient, core: Any) -> None:
    """Kind, state and counters of each, and whether a GX is heard."""
    core.can_figures = CanState(up=True, tx_count=50, gx_state="present", interface="can0")
    output = (await visitor.get("/api/outputs")).json()["outputs"]["can"]
    assert (output["name"], output["kind"], output["up"], output["keepalive_ok"]) == ("can", "can", True, True)
    can = (await visitor.get("/api/diagnostics")).json()["can"]
    assert {name: can[name] for name in output.keys() & can.keys()} == {
        name: output[name] for name in output.keys() & can.keys()
    }
    assert can.keys() - output.keys() == {"last_frames"}
