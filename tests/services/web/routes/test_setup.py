"""What a bridge still lacks after its first start, and what the machine has to choose from."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.view import View
from tinybms_bridge.errors import ConfigProblem, LinkError
from tinybms_bridge.hal.clock import EARLIEST_WALL
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import Noted
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.ports import HistoryState
from tinybms_bridge.services.web.checklist import Facts, Standing, checklist
from tinybms_bridge.tinybms.live import decode_ratings
from tinybms_bridge.words import message

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DISK_FULL = message("history.failed", path="history.db", reason="disk full")
GOOD = Facts(setup_required=False, history=HistoryState(written_batches=3), now=NOW, synchronised=True)
KEPT = EventRecord(7, NOW, EventSource.BRIDGE, Severity.INFO, "backup.settings", "")
WRITTEN = replace(KEPT, number=8, code="write.settings")


def found(core: Any, facts: Facts = GOOD) -> dict[str, tuple[Standing, str]]:
    """Return standing and code of each item."""
    return {each.name: (each.standing, each.message.code) for each in checklist(core, facts)}


@pytest.fixture
def finished(core: Any) -> Any:
    """A bridge that lacks nothing."""
    core.event_list = [KEPT]
    measured = replace(core.now.view.measured, ratings=decode_ratings(core.bms.words))
    core.now = replace(core.now, view=replace(core.now.view, measured=measured))
    return core


def test_a_finished_bridge_lacks_nothing(finished: Any) -> None:
    """Everything is green, and each item names a page."""
    items = checklist(finished, GOOD)
    assert {each.standing for each in items} == {Standing.DONE}
    assert all(each.page.startswith("/") and each.advice_message is None for each in items)


URGENT = Advice(308, Weight.URGENT, message("advice.disbalance"), "x", 1, 2)


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("bms", {"uart_figures": UartState(up=False, reason="no reply")}, "checklist.no_bms"),
        (
            "settings",
            {"unfit": [ConfigProblem("hardware", None, message("said", text="too many cells"))]},
            "checklist.conflicts",
        ),
        ("settings", {"advised": [URGENT]}, "checklist.urgent"),
        ("can", {"can_figures": CanState(up=False, error="gone")}, "checklist.no_can"),
        ("limits", {"can_figures": CanState(up=False, error="gone")}, "checklist.no_limits"),
        ("gx", {"can_figures": CanState(up=True)}, "checklist.no_gx"),
        ("gx", {"can_figures": CanState(up=True, gx_state="lost", gx_silent_for_s=12.0)}, "checklist.gx_lost"),
        ("backup", {"event_list": []}, "checklist.no_backup"),
        ("backup", {"event_list": [KEPT, WRITTEN]}, "checklist.backup_old"),
    ],
)
def test_what_the_core_lacks_is_open(finished: Any, name: str, changes: dict[str, Any], code: str) -> None:
    """Each item by itself: who mends the one thing that is named sees it turn green."""
    for attribute, value in changes.items():
        setattr(finished, attribute, value)
    assert found(finished)[name] == (Standing.OPEN, code)


def test_a_backup_after_the_last_change_is_good(finished: Any) -> None:
    """Only what was written after it makes a backup old."""
    finished.event_list = [replace(WRITTEN, number=6), KEPT]
    assert found(finished)["backup"] == (Standing.DONE, "checklist.backup")


def test_without_live_data_limits_and_settings_are_open(finished: Any) -> None:
    """Nothing is called good that nobody knows now."""
    finished.now = replace(finished.now, view=View())
    items = found(finished)
    assert (items["limits"][0], items["settings"]) == (Standing.OPEN, (Standing.OPEN, "checklist.settings_unread"))


@pytest.mark.parametrize(
    ("name", "change", "standing", "code"),
    [
        ("administrator", {"setup_required": True}, Standing.OPEN, "checklist.no_administrator"),
        ("history", {"history": HistoryState(enabled=False)}, Standing.OFF, "checklist.history_off"),
        ("history", {"history": HistoryState(message=DISK_FULL)}, Standing.OPEN, "checklist.history_failed"),
        ("history", {"history": HistoryState(waits_for_clock=True)}, Standing.OPEN, "checklist.history_waits"),
        ("history", {"history": HistoryState()}, Standing.OPEN, "checklist.history_begins"),
        ("clock", {"now": EARLIEST_WALL.replace(year=1970)}, Standing.OPEN, "checklist.clock_old"),
        ("clock", {"synchronised": False}, Standing.OPEN, "checklist.clock_unsynchronised"),
        ("clock", {"synchronised": None}, Standing.DONE, "checklist.clock"),
    ],
)
def test_what_the_services_know(
    finished: Any, name: str, change: dict[str, Any], standing: Standing, code: str
) -> None:
    """Administrator, history and clock; what the owner has turned off is no fault."""
    assert found(finished, replace(GOOD, **change))[name] == (standing, code)


async def test_the_checklist_in_words(visitor: httpx.AsyncClient, core: Any) -> None:
    """In the language that is asked for, with advice and the page that mends it; reading needs no login."""
    core.can_figures = CanState(up=True)
    answer = (await visitor.get("/api/setup/checklist", params={"lang": "fr"})).json()
    items = {each["name"]: each for each in answer["items"]}

    assert answer["done"] is False
    assert items["administrator"]["standing"] == "open"
    assert items["gx"] == {
        "name": "gx",
        "standing": "open",
        "code": "checklist.no_gx",
        "parameters": {},
        "text": "Aucun GX n’a encore été entendu",
        "advice": items["gx"]["advice"],
        "page": "/setup?step=gx",
    }
    assert "500 kbit/s" in items["gx"]["advice"]


async def test_what_the_machine_has(client: httpx.AsyncClient) -> None:
    """What can be chosen, beside what is chosen."""
    answer = (await client.get("/api/setup/devices")).json()
    assert answer["serial"] == [{"path": "/dev/ttyUSB0", "product": "FTDI"}]
    (can0,) = answer["can"]
    chosen_by = {"name": "can0", "up": True, "state": "error_active", "bitrate_bps": 500_000}
    assert chosen_by.items() <= can0.items()
    assert can0["counters"]["bus_offs"] == 0
    assert (answer["serial_in_use"], answer["can_interface"], answer["can_bitrate_bps"]) == (
        "/dev/ttyUSB0",
        "socketcan",
        500_000,
    )


async def test_without_the_core_nobody_knows_the_devices(client: httpx.AsyncClient, core: Any) -> None:
    """The answer says that it is the core, not that there are none."""

    async def away() -> None:
        raise LinkError(message("core.not_connected"))

    core.devices = away
    assert (await client.get("/api/setup/devices")).json()["error"] == "core_unreachable"


async def test_a_backup_is_remembered(client: httpx.AsyncClient, core: Any) -> None:
    """Whoever is logged in and takes one finds it in the event list, and on the checklist."""
    noted = core.bus.subscribe(Noted)
    assert (await client.get("/api/tinybms/backup")).status_code == 200
    assert (await noted.next()).event.code == "backup.settings"
