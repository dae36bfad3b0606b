"""What the settings layer raises, as problems; what people do through the API, on the bus for log and event list."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import Noted
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import config_problem, device_failures, plain
from tinybms_bridge.tinybms.settings import (
    ActionName,
    Caution,
    ConfirmationError,
    SettingProblem,
    SettingsError,
    StaleSettingsError,
    all_settings,
)
from tinybms_lab.testing.words import said


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SettingsError([SettingProblem("a", said("wrong"), 5)]), 422, "invalid_settings"),
        (
            ConfirmationError([Caution("", said("cuts power"), needs_confirmation=True)]),
            409,
            "confirmation_required",
        ),
        (StaleSettingsError(["a"]), 409, "settings_changed"),
        (DeviceRefused(0x10, 0), 502, "bms_refused"),
        (LinkError("no answer"), 503, "bms_unreachable"),
    ],
)
def test_each_refusal_has_its_status(error: BridgeError, status: int, code: str) -> None:
    """Clients can tell what to do by status and code, and people by the text of the error."""
    with pytest.raises(ProblemError) as told, device_failures():
        raise error
    assert (told.value.status_code, told.value.code, str(told.value.message)) == (status, code, str(error))


def test_mistakes_of_the_program_pass() -> None:
    """Anything else is not dressed up as a refusal of the BMS."""
    with pytest.raises(ZeroDivisionError), device_failures():
        raise ZeroDivisionError


def test_every_mistake_of_a_configuration() -> None:
    """All problems are in the document, with values that JSON can carry."""
    problems = [
        ConfigProblem("a.b", 5, said("too large")),
        ConfigProblem("c", float("nan"), said("no number")),
    ]
    told = config_problem(ConfigError(problems), "reload_failed")
    assert (told.status_code, told.code) == (422, "reload_failed")
    assert told.extra["errors"] == [
        {"path": "a.b", "value": 5, "message": "too large", **said("too large").document()},
        {"path": "c", "value": None, "message": "no number", **said("no number").document()},
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(1, 1), (1.5, 1.5), ("a", "a"), (True, True), (float("inf"), None), ([1], None), (None, None)]
)
def test_plain_values(value: object, shown: object) -> None:
    """Only what JSON can carry is repeated to the client."""
    assert plain(value) == shown


@pytest.fixture(autouse=True)
def catalogue() -> None:
    """Read the register table before an event loop runs, as the bridge does at its start."""
    assert all_settings()


@pytest.fixture
def noted(core: Any) -> list[Noted]:
    """What was published."""
    found: list[Noted] = []
    publish = core.bus.publish

    def remember(event: Any, source: str) -> Any:
        if isinstance(event, Noted):
            found.append(event)
        return publish(event, source)

    core.bus.publish = remember
    return found


async def test_inhibits(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Who stopped charging, for how long and why, and who released it; a release of nothing is no event."""
    await client.put("/api/inhibits/charge", json={"duration_s": 3600, "reason": "work"})
    await client.put("/api/inhibits/discharge")
    for _ in range(2):
        await client.delete("/api/inhibits/charge")
    assert [(each.severity, each.code, each.text, each.by) for each in noted] == [
        (Severity.WARNING, "inhibit.charge", "Charging stopped by hand for 3600 s: work", "tester"),
        (Severity.WARNING, "inhibit.discharge", "Discharging stopped by hand", "tester"),
        (Severity.INFO, "inhibit.charge.released", "Charging released by hand", "tester"),
    ]


async def test_written_settings_of_the_bms(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Old and new value with the unit; a dry run and values that it holds already write nothing."""
    body = {"key": "over_voltage_cutoff_v", "value": 3.7}
    await client.post("/api/tinybms/write", json={**body, "dry_run": True})
    for _ in range(2):
        assert (await client.post("/api/tinybms/write", json=body)).status_code == 200
    assert [(each.severity, each.code, each.text, each.by) for each in noted] == [
        (Severity.INFO, "write.settings", "Settings of the BMS written: over_voltage_cutoff_v 3.75 -> 3.7 V", "tester")
    ]


async def test_settings_that_the_bms_refused(client: httpx.AsyncClient, core: Any, noted: list[Noted]) -> None:
    """What was tried and not taken is told too."""
    core.bms.refuses_writes = True
    answer = await client.post("/api/tinybms/write", json={"key": "over_voltage_cutoff_v", "value": 3.7})
    assert answer.status_code == 502
    (found,) = noted
    assert found.severity is Severity.WARNING
    assert found.text.endswith("over_voltage_cutoff_v 3.75 -> 3.7 V (refused)")


async def test_actions_of_the_bms(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """What cannot be undone is told with who did it."""
    body = {"action": "clear_statistics", "confirm": True}
    assert (await client.post("/api/tinybms/action", json=body)).status_code == 200
    assert [(each.code, each.text, each.by) for each in noted] == [
        ("action.done", f"{ActionName.CLEAR_STATISTICS.info.title}: done", "tester")
    ]


async def test_acknowledgements(client: httpx.AsyncClient, noted: list[Noted]) -> None:
    """Who has seen an alarm is kept in the event list, once."""
    for _ in range(2):
        await client.post("/api/alarms/acknowledge")
    assert [(each.code, each.text, each.by) for each in noted] == [
        ("acknowledged", "High voltage: acknowledged", "tester")
    ]


async def test_who_did_it_is_told_to_nobody_without_a_login(app: FastAPI, client: httpx.AsyncClient) -> None:
    """That somebody did is: a stop or an acknowledgement must not look like none."""
    await client.put("/api/inhibits/charge", json={"reason": "work"})
    await client.post("/api/alarms/acknowledge")
    app.dependency_overrides.clear()

    stops, alarms = [await client.get(path) for path in ("/api/inhibits", "/api/alarms")]

    assert (stops.json()["inhibits"][0]["reason"], stops.json()["inhibits"][0]["by"]) == ("work", "somebody")
    assert alarms.json()["alarms"][0]["acknowledged_by"] == "somebody"
    assert alarms.json()["unacknowledged"] == 0


async def test_no_route_that_everybody_reads_names_a_user(app: FastAPI, client: httpx.AsyncClient, core: Any) -> None:
    """Whatever was done before, and whatever route comes later."""
    await client.put("/api/inhibits/charge", json={"duration_s": 3600, "reason": "work"})
    await client.post("/api/alarms/acknowledge")
    await client.post("/api/tinybms/write", json={"key": "over_voltage_cutoff_v", "value": 3.7})
    core.event_list.append(
        EventRecord(9, None, EventSource.BRIDGE, Severity.WARNING, "inhibit.charge", "Charging stopped", by="tester")
    )
    core.logs.write("INFO", "PUT /api/inhibits/charge by tester (token) from 10.0.0.1", "tinybms_bridge.audit")
    paths = [path for path, each in app.openapi()["paths"].items() if "get" in each and "{" not in path]
    app.dependency_overrides.clear()

    answers = [await client.get(path) for path in paths]

    assert [answer.url.path for answer in answers if "tester" in answer.text] == []
    assert sum(answer.status_code == 200 for answer in answers) > 15
