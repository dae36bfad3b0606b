"""What people do through the API is told on the bus, for log and event list."""

from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.events import Noted
from tinybms_bridge.tinybms.settings import ActionName, all_settings


@pytest.fixture(autouse=True)
def catalogue() -> None:
    """Read the register table before an event loop runs, as the bridge does at its start."""
    assert all_settings()


@pytest.fixture
def noted(face: Any) -> list[Noted]:
    """What was published."""
    found: list[Noted] = []
    publish = face.bus.publish

    def remember(event: Any, source: str) -> Any:
        if isinstance(event, Noted):
            found.append(event)
        return publish(event, source)

    face.bus.publish = remember
    return found


async def test_manual_stops(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Who stopped charging, for how long and why, and who released it; a release of nothing is no event."""
    await client.put("/api/inhibits/charge", json={"duration_s": 3600, "reason": "work"})
    await client.put("/api/inhibits/discharge")
    for _ in range(2):
        await client.delete("/api/inhibits/charge")
    assert [(each.severity, each.code, each.text) for each in noted] == [
        (Severity.WARNING, "stop.charge", "Charging stopped by tester for 3600 s: work"),
        (Severity.WARNING, "stop.discharge", "Discharging stopped by tester"),
        (Severity.INFO, "stop.charge", "Charging released by tester"),
    ]


async def test_written_settings_of_the_bms(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Old and new value with the unit; a dry run and values that it holds already write nothing."""
    body = {"key": "over_voltage_cutoff_v", "value": 3.7}
    await client.post("/api/tinybms/write", json={**body, "dry_run": True})
    for _ in range(2):
        assert (await client.post("/api/tinybms/write", json=body)).status_code == 200
    assert [(each.severity, each.code, each.text) for each in noted] == [
        (Severity.INFO, "write.settings", "Settings of the BMS written by tester: over_voltage_cutoff_v 3.75 -> 3.7 V")
    ]


async def test_settings_that_the_bms_refused(client: httpx.AsyncClient, face: Any, noted: list[Noted]) -> None:
    """What was tried and not taken is told too."""
    face.bms.refuses_writes = True
    answer = await client.post("/api/tinybms/write", json={"key": "over_voltage_cutoff_v", "value": 3.7})
    assert answer.status_code == 502
    (found,) = noted
    assert found.severity is Severity.WARNING
    assert found.text.endswith("over_voltage_cutoff_v 3.75 -> 3.7 V (refused)")


async def test_actions_of_the_bms(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """What cannot be undone is told with who did it."""
    body = {"action": "clear_statistics", "confirm": True}
    assert (await client.post("/api/tinybms/action", json=body)).status_code == 200
    assert [(each.code, each.text) for each in noted] == [
        ("action.clear_statistics", f"{ActionName.CLEAR_STATISTICS.info.title}: done by tester")
    ]


async def test_acknowledgements(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Who has seen an alarm is kept in the event list, once."""
    for _ in range(2):
        await client.post("/api/alarms/acknowledge")
    assert [(each.code, each.text) for each in noted] == [
        ("acknowledged.high_voltage", "High voltage: acknowledged by tester")
    ]
