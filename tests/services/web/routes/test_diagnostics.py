"""``GET /api/diagnostics``: every block that the seed's README looks at, and more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.link.events import FreshnessChanged
from tinybms_bridge.link.state import CanState, MonitoredFrame, TraceLine, UartState
from tinybms_bridge.services.ports import Hearing
from tinybms_bridge.services.web.routes.diagnostics import memory, process
from tinybms_bridge.tinybms.frames import ReadModbus
from tinybms_bridge.words import message


async def test_what_is_down_is_told_in_the_language_that_is_asked_for(visitor: httpx.AsyncClient, core: Any) -> None:
    """The pages show each reason as it comes; who reads no codes has the English text where it was."""
    closed = message("can.closed")
    core.can_figures = CanState(error=closed.text, message=closed)
    core.uart_figures = UartState(reason="of an earlier core")
    found = (await visitor.get("/api/diagnostics?lang=fr")).json()
    outputs = (await visitor.get("/api/outputs?lang=fr")).json()["outputs"]
    (failed,) = [each for each in found["parts"] if each["state"] == "failed"]

    assert (found["can"]["error"], found["can"]["message"]["text"]) == ("closed", "fermé")
    assert outputs["can"]["message"] == {"code": "can.closed", "parameters": {}, "text": "fermé"}
    assert found["uart"]["message"] == {
        "code": "said",
        "parameters": {"text": "of an earlier core"},
        "text": "of an earlier core",
    }
    assert failed["message"]["text"] == "no route"


async def test_blocks_of_the_readme(visitor: httpx.AsyncClient) -> None:
    """``.uart``, ``.heap_free`` and ``.watchdog`` are there."""
    found = (await visitor.get("/api/diagnostics")).json()
    assert found["uart"]["errors"] == 2
    assert "trace" not in found["uart"], "`jq .uart` of the README shows counters, not screens of bytes"
    assert found["uart_trace"][0] == {"age_s": 0.5, "direction": "tx", "text": "AA 03"}
    assert found["heap_free"] == found["memory"]["available"]


async def test_watchdog_figures_are_all_there(visitor: httpx.AsyncClient) -> None:
    """How it is fed, what each part does, the watchdog of the machine, and why the core was started again."""
    found = (await visitor.get("/api/diagnostics")).json()["watchdog"]
    parts, reset = found.pop("parts"), found.pop("last_reset")
    assert found == {
        "enabled": True, "timeout_s": 30.0, "watched": True, "feed_count": 12, "last_feed_ms_ago": 250,
        "intervals": {"last_ms": 500.0, "shortest_ms": 499.5, "longest_ms": 750.0, "mean_ms": 501.2},
        "hardware": {
            "enabled": False, "device": "", "running": False, "timeout_s": None, "feed_count": 0, "message": None,
        },
        "hanging": [],
    }  # fmt: skip
    assert parts == [
        {
            "name": "uart", "attempts": 40, "idle_ms": 250, "last_interval_ms": 500, "longest_interval_ms": 1500,
            "allowed_ms": 40_000, "hangs": False,
        }
    ]  # fmt: skip
    assert reset == {
        "cause": "watchdog", "part": "uart", "error": "", "started_at": "2026-01-01T00:00:00Z", "ended_at": None,
    }  # fmt: skip


async def test_parts_tasks_and_live_clients(visitor: httpx.AsyncClient) -> None:
    """What runs, what failed and who listens is told."""
    found = (await visitor.get("/api/diagnostics")).json()
    assert found["parts"][1] == {
        "name": "mqtt", "state": "failed", "error": "no route", "restarts": 3, "critical": False,
        "message": {"code": "said", "parameters": {"text": "no route"}, "text": "no route"},
    }  # fmt: skip
    assert found["tasks"]
    assert found["websocket"]["clients"] == 0
    assert found["websocket"]["max_clients"] == 32
    assert found["process"]["threads"] >= 1
    assert found["version"] == "1.2.3"


async def test_configuration_in_force(visitor: httpx.AsyncClient, core: Any) -> None:
    """Where it comes from, since when, and what its author should know."""
    core.storage.data = b'{"wifi": {"sta_ssid": "Harbour"}}'
    core.store.load()
    core.unfit = [ConfigProblem("cvl.series_cell_count", 8, message("config.other_cell_count", cells=16))]
    found = (await visitor.get("/api/diagnostics")).json()["configuration"]
    assert (found["file"], found["errors"], found["fell_back"]) == ("memory", [], False)
    (notice,) = found["notices"]
    assert (notice["path"], notice["code"], notice["parameters"]) == ("wifi", "config.no_wifi_yet", {})
    assert notice["message"] == notice["text"]
    assert notice["text"].startswith("no effect yet: ")
    assert found["loaded_at"]
    assert found["misfits"] == [str(each) for each in core.unfit]
    assert [each["code"] for each in found["conflicts"]] == ["config.other_cell_count"]


async def test_configuration_file_that_cannot_be_used(visitor: httpx.AsyncClient, core: Any) -> None:
    """Every mistake of the file is shown, never a secret, and that the last good configuration runs."""
    core.storage.data = (
        b'{"cvl": {"float_soc_threshold": 400, "curves": {"charge_by_soc": []}}, "mqtt": {"password": 5}}'
    )
    core.storage.previous = b"{}"
    core.store.load()
    found = (await visitor.get("/api/diagnostics")).json()["configuration"]
    assert [(each["path"], each["value"]) for each in found["errors"]] == [
        ("cvl.float_soc_threshold", 400),
        ("cvl.curves.charge_by_soc", None),
        ("mqtt.password", None),
    ]
    assert "from 0 to 100 %" in found["errors"][0]["message"]
    assert found["fell_back"] is True
    assert "the last good configuration is in force" in found["notices"][0]["message"]


async def test_last_frames_in_words(
    visitor: httpx.AsyncClient, core: Any, make_frame: Callable[..., MonitoredFrame]
) -> None:
    """The last twenty frames are shown with their names."""
    core.seen_frames.extend(make_frame(number) for number in range(1, 31))
    frames = (await visitor.get("/api/diagnostics")).json()["can"]["last_frames"]
    assert [frame["number"] for frame in frames] == list(range(11, 31))
    assert frames[0]["name"]


async def test_history_of_freshness(visitor: httpx.AsyncClient, core: Any) -> None:
    """Each change of freshness since the start, also before anybody asked, is told with its time."""
    core.bus.publish(FreshnessChanged(Freshness.FRESH, Freshness.HOLD), "test")
    core.bus.publish(FreshnessChanged(Freshness.HOLD, Freshness.FRESH), "test")
    changes = (await visitor.get("/api/diagnostics")).json()["changes"]
    assert [(each["kind"], each["value"]) for each in changes] == [("freshness", "HOLD"), ("freshness", "FRESH")]
    assert changes[0]["at"].startswith("2026-01-01")


def test_memory_of_linux(tmp_path: Path) -> None:
    """The figures of the kernel become bytes."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name:\tpython\nVmHWM:\t  60000 kB\nVmRSS:\t   50000 kB\n")
    (tmp_path / "meminfo").write_text("MemTotal:        1000 kB\nMemAvailable:     500 kB\nHugePages_Total:       0\n")
    found = memory(tmp_path)
    assert (found.resident, found.resident_max) == (51_200_000, 61_440_000)
    assert (found.total, found.available) == (1_024_000, 512_000)


def test_memory_elsewhere(tmp_path: Path) -> None:
    """Where the system tells nothing, nothing is claimed."""
    assert memory(tmp_path / "nowhere").model_dump() == dict.fromkeys(
        ("resident", "resident_max", "available", "total")
    )


def test_process() -> None:
    """The process names itself."""
    found = process()
    assert found.pid > 0
    assert found.python.startswith("3.")
    assert found.cpu_s > 0


async def test_the_process_of_the_core(visitor: httpx.AsyncClient, core: Any) -> None:
    """Whether it is heard, what it uses and which scheduling it has, beside the services that answer."""
    found = (await visitor.get("/api/diagnostics")).json()
    assert found["core"]["connected"] is True
    assert found["core"]["pid"] == found["process"]["pid"], "the test is both"
    assert found["core"]["real_time"] == "SCHED_FIFO 20"
    assert found["core"]["resident"] == pytest.approx(found["memory"]["resident"], rel=0.5)
    assert found["core"]["threads"] >= 1
    assert found["core"]["cpu_s"] > 0

    core.heard = Hearing(connected=False, since_s=7.5)
    found = (await visitor.get("/api/diagnostics")).json()
    assert (found["core"]["connected"], found["core"]["since_s"]) == (False, 7.5)


async def test_traffic_with_its_meaning(visitor: httpx.AsyncClient, core: Any) -> None:
    """What was asked and answered, when, in the chosen language; remarks stay as they are."""
    core.traffic = [
        TraceLine(2.0, "note", "opened"),
        TraceLine(0.5, "tx", ReadModbus(0, 56).encode().hex(" ").upper()),
        TraceLine(0.4, "rx", "AA 01"),
    ]
    opened, asked, answered = (await visitor.get("/api/uart/traffic?lang=fr")).json()["lines"]
    assert (opened["direction"], opened["text"], opened["meaning"]) == ("note", "opened", "")
    assert (asked["direction"], asked["meaning"]) == ("tx", "lecture des registres 0 à 55")
    assert answered["text"] == "AA 01"
    assert asked["at"] < answered["at"]
