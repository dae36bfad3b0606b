"""``/api/packs`` and ``/api/outputs``."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import CanState
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.packs import four_packs


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


@pytest.fixture
def four(core: Any, clock: FakeClock) -> Any:
    """A battery of four packs: one blocked, one silent, one joining."""
    core.now = Moment.of(four_packs(), clock)
    return core


async def test_each_of_four_packs_has_its_part(visitor: httpx.AsyncClient, four: Any) -> None:
    """Condition, share, what it bears and why, alarms and energy of its own; null for what is not live."""
    del four
    packs = (await visitor.get("/api/packs")).json()["packs"]
    assert list(packs) == ["a", "b", "c", "d"]
    assert [each["condition"] for each in packs.values()] == ["in_use", "in_use", "silent", "joining"]
    assert (packs["a"]["charge_share"], packs["a"]["discharge_share"]) == (0.6, 0.4)
    assert (packs["b"]["charge_blocked"], packs["b"]["discharge_blocked"]) == (True, False)
    assert packs["b"]["bears"]["ccl"] == {"value": 0.0, "code": "cell_voltage", "text": "cell 3 at 3.62 V"}
    (alarm,) = packs["b"]["active_alarms"]
    assert (alarm["level"], alarm["text"]) == (
        "alarm",
        "High voltage: alarm (cell 3 at 3.620 V, threshold 3.600 V)",
    )
    assert (packs["c"]["charge_share"], packs["c"]["charge_blocked"], packs["c"]["bears"]) == (None, None, None)
    assert (packs["c"]["voltage"], packs["c"]["last"]["voltage"]) == (None, 13.3)
    assert packs["c"]["condition_text"] == "silent"
    assert packs["c"]["condition_advice"].startswith("Check its cable")
    assert [each["energy"]["charged_wh"] for each in packs.values()] == [1000.0, 2000.0, 3000.0, 4000.0]
    french = (await visitor.get("/api/packs/d?lang=fr")).json()
    assert french["condition_text"] == "rejoint les autres"


async def test_the_flat_answers_are_of_the_battery(visitor: httpx.AsyncClient, four: Any) -> None:
    """All cells of the members one after the other, and which pack has the extremes; a mask of them all is none."""
    del four
    status = (await visitor.get("/api/status")).json()
    assert (len(status["cells_mv"]), status["members"], status["current"]) == (12, ["a", "b", "d"], 40.0)
    assert status["lowest_cell"] == {"pack": "d", "cell": 1, "cell_mv": 3200}
    assert status["highest_cell"] == {"pack": "b", "cell": 3, "cell_mv": 3620}
    assert (status["balancing_bits"], status["registers"]) == (None, [])
    assert status["packs"]["c"]["condition"] == "silent"
    assert status["stats"]["energy"]["charged_wh"] == 123_400.0
    limits = (await visitor.get("/api/limits")).json()
    (share,) = limits["ccl"]["reasons"]
    assert (share["code"], share["pack"]) == ("pack_share", "a")
    assert share["text"] == "CCL 158.3 A: pack a: 60 % of the current is its own, and it bears 95.0 A"


async def test_while_the_core_is_away_no_pack_has_a_condition(visitor: httpx.AsyncClient, four: Any) -> None:
    """Nobody knows whether it is still in use."""
    four.heard = Hearing(connected=False, since_s=60.0)
    pack = (await visitor.get("/api/packs/a")).json()
    assert (pack["condition"], pack["condition_text"], pack["active_alarms"]) == (None, "", [])


DEVICE_ROUTES = ("registers", "info", "advice", "backup")


@pytest.mark.parametrize("route", DEVICE_ROUTES)
async def test_of_several_packs_one_has_to_be_named(visitor: httpx.AsyncClient, four: Any, route: str) -> None:
    """A device is never guessed; the problem lists the names. Path and ``pack=`` are the same."""
    answer = await visitor.get(f"/api/tinybms/{route}")
    assert (answer.status_code, answer.json()["error"], answer.json()["packs"]) == (
        422,
        "pack_needed",
        ["a", "b", "c", "d"],
    )
    assert answer.json()["message"] == "there are several packs; say which with pack= and one of a, b, c or d"
    by_query = await visitor.get(f"/api/tinybms/{route}?pack=b")
    by_path = await visitor.get(f"/api/packs/b/{route}")
    assert (by_query.status_code, by_path.status_code) == (200, 200)
    assert by_query.json() == by_path.json()
    assert set(four.packs_asked) <= {"b"}


async def test_a_setting_of_one_pack_is_written_to_that_pack(client: httpx.AsyncClient, four: Any) -> None:
    """Plan and writing go to the named one, and the event list says to which."""
    notes = four.bus.subscribe(Noted)
    body = {"key": "charger_startup_delay_s", "value": 33, "confirm": True}
    answer = await client.post("/api/packs/b/write", json=body)
    assert answer.status_code == 200, answer.text
    assert set(four.packs_asked) == {"b"}
    noted = notes.take()
    assert noted is not None
    assert noted.event.pack == "b"
    refused = await client.post("/api/tinybms/write", json=body)
    assert (refused.status_code, refused.json()["error"]) == (422, "pack_needed")


async def test_traffic_and_events_of_one_pack(visitor: httpx.AsyncClient, four: Any) -> None:
    """The line of the named one, and the entries that are about it."""
    assert (await visitor.get("/api/uart/traffic")).json()["error"] == "pack_needed"
    assert (await visitor.get("/api/packs/d/traffic")).json()["lines"]
    assert four.packs_asked == ["d"]
    at = datetime(2026, 7, 1, tzinfo=UTC)
    four.event_list = [
        EventRecord(
            number, at, EventSource.BRIDGE, Severity.INFO, "link.up", "The BMS answers", parameters={}, pack=pack
        )
        for number, pack in enumerate(("", "a", "b"), start=1)
    ]
    every = (await visitor.get("/api/events")).json()["events"]
    assert [each["text"] for each in every] == ["Pack b: The BMS answers", "Pack a: The BMS answers", "The BMS answers"]
    for path in ("/api/events?pack=a", "/api/packs/a/events"):
        assert [each["number"] for each in (await visitor.get(path)).json()["events"]] == [2]
    assert (await visitor.get("/api/events?pack=gone")).json()["events"] == []
