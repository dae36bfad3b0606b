"""``GET /api/status`` against the sample of the seed's README."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.web.live.messages import status_message

README_KEYS = {
    "voltage", "current", "soc_percent", "bms_soc_percent", "soh_percent", "temperature", "min_cell_mv", "max_cell_mv",
    "cell_imbalance_mv", "online_status", "uptime_ms", "stats", "registers",
}  # fmt: skip


async def test_shape_of_the_readme(visitor: httpx.AsyncClient) -> None:
    """Every name of the README is there, with its unit and type."""
    status = (await visitor.get("/api/status")).json()
    assert status.keys() >= README_KEYS
    assert status["voltage"] == 54.32
    assert status["current"] == -12.5
    assert status["soc_percent"] == 87.3
    assert status["temperature"] == 24.1
    assert (status["min_cell_mv"], status["max_cell_mv"], status["cell_imbalance_mv"]) == (3415, 3435, 20)
    assert status["online_status"] == 147
    assert status["status"] == "DISCHARGING"
    assert status["uptime_ms"] == 3_600_000


async def test_stats_of_the_readme(visitor: httpx.AsyncClient) -> None:
    """The counters are there by part, the same that the diagnostics have."""
    stats = (await visitor.get("/api/status")).json()["stats"]
    assert stats["uart"].items() >= {
        "polls": 100, "success": 98, "errors": 2, "timeouts": 0, "crc_errors": 0, "latency_avg_ms": 15.5,
    }.items()  # fmt: skip
    assert stats["can"].items() >= {"tx_count": 50, "tx_errors": 1, "keepalive_ok": True}.items()
    assert stats["cvl"] == {"state": "FLOAT", "cvl_voltage_v": 54.4, "ccl_limit_a": 5.0, "dcl_limit_a": 50.0}
    assert stats["eventbus"].keys() >= {"total_published", "queue_overruns"}
    diagnostics = (await visitor.get("/api/diagnostics")).json()
    assert (stats["uart"], stats["eventbus"]) == (diagnostics["uart"], diagnostics["eventbus"])
    del diagnostics["can"]["last_frames"]
    assert stats["can"] == diagnostics["can"]


async def test_flat_counters(visitor: httpx.AsyncClient) -> None:
    """The health indicators that the README reads by flat names are there too."""
    stats = (await visitor.get("/api/status")).json()["stats"]
    assert stats["uart_success_count"] == 98
    assert stats["uart_errors"] == 2
    assert stats["can_tx_count"] == 50
    assert stats["can_tx_errors"] == 1
    assert stats["victron_keepalive_ok"] is True


async def test_registers_by_connector_pin(visitor: httpx.AsyncClient, core: Any, moment: Moment) -> None:
    """Cells of a short pack sit at the highest registers, as the BMS numbers them."""
    assert moment.view.measured is not None
    cells = replace(moment.view.measured.cells, voltages_v=(3.1, 3.2), balancing=(True, False))
    core.now = replace(moment, view=replace(moment.view, measured=replace(moment.view.measured, cells=cells)))
    registers = {each["address"]: each for each in (await visitor.get("/api/status")).json()["registers"]}
    assert registers[14] == {"address": 14, "name": "cell_15_voltage", "value": 3.1, "unit": "V"}
    assert registers[15]["value"] == 3.2
    assert 13 not in registers
    assert registers[52]["value"] == 1 << 14
    assert registers[43]["value"] is None
    assert registers[46]["value"] == 87.345


async def test_before_the_first_sample(visitor: httpx.AsyncClient, core: Any) -> None:
    """Without a sample the measurements are null, and the counters still answer."""
    core.now = Moment.of(BatteryState(), core.clock)
    answer = await visitor.get("/api/status")
    status = answer.json()
    assert answer.status_code == 200
    assert status["voltage"] is None
    assert status["registers"] == []
    assert status["stats"]["cvl"]["state"] is None
    assert status["stats"]["uart"]["polls"] == 100


@pytest.mark.parametrize("freshness", [Freshness.HOLD, Freshness.SILENT])
async def test_old_data_is_not_shown_as_live(visitor: httpx.AsyncClient, core: Any, freshness: Freshness) -> None:
    """Every flat field of the seed that is measured is null, and the last values have their time."""
    fresh = (await visitor.get("/api/status")).json()
    moment = core.moment()
    last = Last(moment.view.measured, 60.0, moment.view.limits)
    core.now = replace(moment, view=View(freshness, age_s=60.0, last=last))
    old = (await visitor.get("/api/status")).json()
    measured = README_KEYS - {"uptime_ms", "stats", "registers"}
    assert {old[name] for name in measured | {"status", "power_w", "balancing_bits", "time_left_s"}} == {None}
    assert (old["registers"], old["cells_mv"]) == ([], [])
    assert old["stats"]["cvl"] == dict.fromkeys(fresh["stats"]["cvl"])
    assert {name: old["last"][name] for name in measured} == {name: fresh[name] for name in measured}
    assert old["last"]["cvl"] == fresh["stats"]["cvl"]
    assert (old["last"]["at"], old["age_ms"]) == ("2026-01-02T03:03:05Z", 60_000)
    assert (fresh["last"], fresh["remark"]) == (None, "")


async def test_health_that_the_firmware_does_not_report(visitor: httpx.AsyncClient, core: Any, moment: Moment) -> None:
    """The 100 % that a frame has to carry then is shown nowhere: it is no measurement."""
    assert moment.view.measured is not None
    pack = replace(moment.view.measured.pack, soh_percent=None)
    core.now = replace(moment, view=replace(moment.view, measured=replace(moment.view.measured, pack=pack)))
    status = (await visitor.get("/api/status")).json()
    assert status["soh_percent"] is None
    assert [each["value"] for each in status["registers"] if each["name"] == "state_of_health"] == [None]
    assert json.loads(status_message(core))["soh_percent"] is None


async def test_alarms_and_balancing(visitor: httpx.AsyncClient) -> None:
    """Only active alarms are listed, and balancing is a mask from cell 1 up."""
    status = (await visitor.get("/api/status")).json()
    assert status["alarms"] == {"high_voltage": 1}
    assert status["balancing_bits"] == 0x8001
    assert len(status["cells_mv"]) == 16


async def test_packs_and_outputs_in_short(visitor: httpx.AsyncClient, core: Any, moment: Moment) -> None:
    """Each by its name, with null for what is not live, and whether the core is heard at all."""
    status = (await visitor.get("/api/status")).json()
    assert status["packs"] == {
        "main": {
            "condition": "in_use", "charge_share": None, "discharge_share": None,
            "freshness": "FRESH", "age_ms": 50, "voltage": 54.32, "current": -12.5, "soc_percent": 87.3,
            "min_cell_mv": 3415, "max_cell_mv": 3435, "temperature": 24.1,
        }
    }  # fmt: skip
    assert status["outputs"] == {"can": {"up": True, "gx_state": "present"}}
    assert status["core"] == {"connected": True, "since_s": 3600.0}
    core.now = replace(moment, packs={"main": View(Freshness.SILENT, age_s=60.0)})
    core.heard = Hearing(connected=False, since_s=57.25)
    old = (await visitor.get("/api/status")).json()
    assert old["packs"]["main"] == dict.fromkeys(status["packs"]["main"]) | {"freshness": "SILENT", "age_ms": 60_000}
    assert old["core"] == {"connected": False, "since_s": 57.25}
    assert old["alarms"] == {"core_unreachable": 2}
