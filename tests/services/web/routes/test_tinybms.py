"""``/api/tinybms``: which BMS it is, advice, and its settings through the layer that judges and verifies."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.errors import LinkError
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.tinybms.device_statistics import decode_statistics
from tinybms_bridge.tinybms.settings import all_settings
from tinybms_bridge.words import message
from tinybms_bridge.words import message as told
from tinybms_lab.testing.fake_clock import FakeClock

RATINGS = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 100.0)
DISBALANCE = Advice(308, Weight.ADVISED, message("advice.disbalance"), "allowed_disbalance_v", 0.015, 0.05, "V")
PORT = Advice(340, Weight.NOTE, message("advice.single_port"))
FIRST = 300


@pytest.fixture(autouse=True)
def catalogue() -> None:
    """Read the register table before an event loop runs, as the bridge does at its start."""
    assert all_settings()


async def test_who_it_is(visitor: httpx.AsyncClient, core: Any) -> None:
    """Identity, ratings and statistics are told with units in the names and causes as words."""
    words = [0, 0, 1234, 987, 150, 1, 2, 3, 4, 5, 0, 60, 40, 0x28FB, 0x0104, 0, 7, 0]
    core.statistics = decode_statistics(words)
    moment = core.moment()
    snapshot = moment.view.measured
    core.now = replace(moment, view=replace(moment.view, measured=replace(snapshot, ratings=RATINGS)))
    found = (await visitor.get("/api/tinybms/info")).json()
    assert found["identity"]["firmware_internal"] == 254
    assert found["identity"]["firmware"] == "2.3.254"
    assert found["ratings"]["over_voltage_cell_v"] == 3.75
    assert found["ratings"]["discharge_peak_current_a"] is None
    assert found["lifetime_s"] == 123_456
    assert found["statistics"]["max_discharge_current_a"] == 123.4
    assert found["statistics"]["min_temperature_c"] == -5
    assert found["statistics"]["reset_cause"] == "SOFTWARE"


async def test_nothing_is_told_before_anything_was_read(visitor: httpx.AsyncClient, core: Any) -> None:
    """Nothing is claimed of a BMS that has not answered yet."""
    core.now = Moment.of(BatteryState(), core.clock)
    found = (await visitor.get("/api/tinybms/info")).json()
    assert set(found.values()) == {None}


async def test_advice_comes_with_its_command_and_its_request(visitor: httpx.AsyncClient, core: Any) -> None:
    """A person takes the command, a page the body; a note has neither."""
    core.advised = [DISBALANCE, PORT]
    found = (await visitor.get("/api/tinybms/advice")).json()
    disbalance, port = found["advice"]
    assert found["count"] == 2
    assert disbalance["command"] == "tinybms-bridge settings set allowed_disbalance_v=0.05"
    assert disbalance["write"] == {"key": "allowed_disbalance_v", "value": 0.05}
    assert (disbalance["address"], disbalance["weight"], disbalance["value"]) == (308, "advised", 0.015)
    assert (port["key"], port["command"], port["write"]) == (None, None, None)
    assert port["text"].startswith("register 340: a single port has one switch")
    french = (await visitor.get("/api/tinybms/advice?lang=fr")).json()["advice"]
    assert french[0]["text"].startswith(
        "registre 308 (allowed_disbalance_v) : 0,015 V, mieux 0,05 V : des cellules LFP"
    )
    assert (french[0]["code"], french[0]["command"]) == ("advice.disbalance", disbalance["command"])


async def test_the_request_is_one_that_the_api_takes(client: httpx.AsyncClient, core: Any) -> None:
    """Sent back as it is, it changes the BMS, and the advice is gone."""
    core.advised = [DISBALANCE]
    (advice,) = (await client.get("/api/tinybms/advice")).json()["advice"]
    assert (await client.post("/api/tinybms/write", json=advice["write"])).json()["success"] is True
    assert core.bms.words[308 - 300] == 50
    assert (await client.get("/api/tinybms/advice")).json()["count"] == 0


async def test_a_silent_bms_leaves_the_advice(visitor: httpx.AsyncClient, core: Any) -> None:
    """What was advised from its settings as last read is still true."""
    core.advised, core.bms.silent = [DISBALANCE], True
    assert (await visitor.get("/api/tinybms/advice")).json()["count"] == 1


async def test_no_advice_before_anything_was_read(visitor: httpx.AsyncClient, core: Any) -> None:
    """No advice about a BMS that nobody knows, and its line is left alone."""
    reads = core.bms.reads
    assert (await visitor.get("/api/tinybms/advice")).json() == {"success": True, "count": 0, "advice": []}
    assert core.bms.reads == reads


@pytest.fixture
def bms(core: Any) -> Any:
    """The BMS behind the bridge."""
    return core.bms


async def test_catalogue_with_values(visitor: httpx.AsyncClient) -> None:
    """Each setting has the firmware's fields, its value in units and its range."""
    found = (await visitor.get("/api/tinybms/registers")).json()
    assert found["success"] is True
    assert found["count"] == len(found["registers"]) == len(all_settings())
    by_key = {each["key"]: each for each in found["registers"]}
    cutoff = by_key["over_voltage_cutoff_v"]
    assert (cutoff["address"], cutoff["value"], cutoff["raw_value"], cutoff["unit"]) == (315, 3.75, 3750, "V")
    assert cutoff["min"] < 3.75 < cutoff["max"]
    assert cutoff["is_enum"] is False
    mode = by_key["operation_mode"]
    assert mode["is_enum"] is True
    assert mode["value"] in [each["label"] for each in mode["enum_values"]]
    assert found["read_at"].startswith("2026-01-01")


async def test_looking_does_not_load_the_line(visitor: httpx.AsyncClient, bms: Any, clock: FakeClock) -> None:
    """The reading is kept; a refresh reads again, but not twice within seconds."""
    await visitor.get("/api/tinybms/registers")
    reads = bms.reads
    for query in ("", "?refresh=true"):
        await visitor.get(f"/api/tinybms/registers{query}")
    assert bms.reads == reads
    await clock.advance(6.0)
    await visitor.get("/api/tinybms/registers")
    assert bms.reads == reads
    await visitor.get("/api/tinybms/registers?refresh=true")
    assert bms.reads > reads


async def test_catalogue_without_the_bms(visitor: httpx.AsyncClient, bms: Any, clock: FakeClock) -> None:
    """A BMS that does not answer leaves a catalogue without values and the reason; later it is tried again."""
    bms.silent = True
    found = (await visitor.get("/api/tinybms/registers")).json()
    assert found["read_at"] is None
    assert "did not answer" in found["error"]
    assert {each["value"] for each in found["registers"]} == {None}
    bms.silent = False
    await clock.advance(6.0)
    again = (await visitor.get("/api/tinybms/registers")).json()
    assert again["error"] == ""
    assert again["read_at"] is not None


async def test_one_group(visitor: httpx.AsyncClient) -> None:
    """A group narrows the list; an unknown one is empty."""
    everything = (await visitor.get("/api/tinybms/registers")).json()["registers"]
    group = everything[0]["group"]
    some = (await visitor.get("/api/tinybms/registers", params={"group": group})).json()["registers"]
    assert 0 < len(some) < len(everything)
    assert {each["group"] for each in some} == {group}
    assert (await visitor.get("/api/tinybms/registers", params={"group": "none"})).json()["count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"key": "over_voltage_cutoff_v", "value": 3.7},
        {"address": 315, "value": 3.7},
        {"values": {"over_voltage_cutoff_v": 3.7}},
    ],
)
async def test_writing_one_setting(client: httpx.AsyncClient, bms: Any, body: dict[str, Any]) -> None:
    """By key, address or in a batch: the value is written, read back and reported."""
    answer = await client.post("/api/tinybms/write", json=body)
    found = answer.json()
    assert answer.status_code == 200
    assert found["success"] is True
    assert bms.words[315 - FIRST] == 3700
    assert found["changes"] == [
        {"name": "over_voltage_cutoff_v", "register": 315, "unit": "V", "old": 3.75, "new": 3.7}
    ]
    assert found["results"][0]["outcome"] == "written"


async def test_new_value_is_shown_at_once(client: httpx.AsyncClient) -> None:
    """After a write the kept reading is forgotten."""
    await client.get("/api/tinybms/registers")
    await client.post("/api/tinybms/write", json={"address": 315, "value": 3.7})
    registers = (await client.get("/api/tinybms/registers")).json()["registers"]
    assert next(each["value"] for each in registers if each["address"] == 315) == 3.7


async def test_same_value_is_not_written(client: httpx.AsyncClient) -> None:
    """A value that the BMS holds already costs no wear and is no failure."""
    found = (await client.post("/api/tinybms/write", json={"address": 315, "value": 3.75})).json()
    assert found["success"] is True
    assert found["message"] == "The BMS holds these values already"
    assert found["changes"] == []


async def test_settings_in_words(visitor: httpx.AsyncClient) -> None:
    """Each setting and each choice is called what a person understands, in the language of the page."""
    for language, title, choice in (
        ("en", "Charging is cut when a cell reaches", "transistors of the BMS"),
        ("fr", "La charge est coupée quand une cellule atteint", "transistors du BMS"),
    ):
        found = (await visitor.get("/api/tinybms/registers", params={"lang": language})).json()["registers"]
        by_key = {each["key"]: each for each in found}
        assert by_key["over_voltage_cutoff_v"]["title"] == title
        assert by_key["over_voltage_cutoff_v"]["label"] == "Over-voltage cutoff"
        assert by_key["load_switch_type"]["enum_values"][0] == {"value": 0, "label": "fet", "title": choice}
        assert all(each["help"] for each in found)


async def test_nothing_is_written_over_what_somebody_else_has_set(client: httpx.AsyncClient, bms: Any) -> None:
    """The values that the plan showed must still be there: 409 with the names, and the new plan can be made."""
    body = {"values": {"over_voltage_cutoff_v": 3.7}}
    plan = (await client.post("/api/tinybms/write", json={**body, "dry_run": True})).json()
    expected = {each["name"]: each["old"] for each in plan["changes"]}
    bms.words[315 - FIRST] = 3720

    answer = await client.post("/api/tinybms/write", json={**body, "expected": expected})

    assert (answer.status_code, answer.json()["error"]) == (409, "settings_changed")
    assert answer.json()["names"] == ["over_voltage_cutoff_v"]
    assert bms.words[315 - FIRST] == 3720
    expected = {"over_voltage_cutoff_v": 3.72}
    assert (await client.post("/api/tinybms/write", json={**body, "expected": expected})).status_code == 200
    assert bms.words[315 - FIRST] == 3700


async def test_what_was_not_looked_at_is_not_written(client: httpx.AsyncClient, bms: Any) -> None:
    """A backup that would change more than the plan showed is not brought back."""
    backup = (await client.get("/api/tinybms/backup")).json()
    bms.words[315 - FIRST] = 3720

    answer = await client.post("/api/tinybms/restore", json={"backup": backup, "expected": {}})

    assert (answer.status_code, answer.json()["names"]) == (409, ["over_voltage_cutoff_v"])
    assert bms.words[315 - FIRST] == 3720


async def test_a_plan_in_french(client: httpx.AsyncClient) -> None:
    """What to know before, and what is confirmed, in the language of the page."""
    body = {"key": "series_cells", "value": 15, "dry_run": True}
    found = (await client.post("/api/tinybms/write?lang=fr", json=body)).json()
    (caution,) = (each for each in found["coded_cautions"] if each["needs_confirmation"])
    assert "broches du connecteur" in caution["text"]
    del body["dry_run"]
    refused = await client.post("/api/tinybms/write", json=body, headers={"Accept-Language": "fr"})
    assert "broches du connecteur" in refused.json()["coded_consequences"][0]["text"]


async def test_dry_run(client: httpx.AsyncClient, bms: Any) -> None:
    """A dry run tells what would be written and writes nothing."""
    body = {"address": 315, "value": 3.7, "dry_run": True}
    found = (await client.post("/api/tinybms/write", json=body)).json()
    assert found["dry_run"] is True
    assert found["changes"][0]["new"] == 3.7
    assert bms.words[315 - FIRST] == 3750


async def test_choice_by_text_or_number(client: httpx.AsyncClient) -> None:
    """The firmware's clients send the number of a choice, ours the text."""
    registers = (await client.get("/api/tinybms/registers")).json()["registers"]
    choice = next(each for each in registers if each["key"] == "broadcast_time")["enum_values"][1]
    results = []
    for value in (choice["label"], choice["value"]):
        body = {"key": "broadcast_time", "value": value, "dry_run": True}
        results.append((await client.post("/api/tinybms/write", json=body)).json()["changes"][0]["new"])
    assert results == [choice["label"], choice["label"]]


async def test_consequences_need_consent(client: httpx.AsyncClient, bms: Any) -> None:
    """What cuts power is refused with its consequences until it is confirmed."""
    body = {"key": "series_cells", "value": 15}
    refused = await client.post("/api/tinybms/write", json=body)
    assert (refused.status_code, refused.json()["error"]) == (409, "confirmation_required")
    assert "connector pins" in refused.json()["consequences"][0]
    assert bms.words[307 - FIRST] == 16
    assert (await client.post("/api/tinybms/write", json={**body, "confirm": True})).status_code == 200
    assert bms.words[307 - FIRST] == 15


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "missing_fields"),
        ({"key": "over_voltage_cutoff_v"}, 422, "missing_fields"),
        ({"key": "a", "address": 315, "value": 1}, 422, "missing_fields"),
        ({"values": {}, "value": 1}, 422, "missing_fields"),
        ({"address": 1, "value": 1}, 404, "unknown_key"),
        ({"address": 328, "value": 1}, 404, "unknown_key"),
        ({"key": "nothing", "value": 1}, 422, "invalid_settings"),
        ({"address": 315, "value": 9}, 422, "invalid_settings"),
        ({"address": 315, "value": 1e300}, 422, "invalid_settings"),
        ({"address": 315, "value": "much"}, 422, "invalid_settings"),
        ({"address": 315, "value": True}, 422, "invalid_payload"),
        ({"address": "315", "value": 1}, 422, "invalid_payload"),
        ({"address": 315, "value": 1, "force": True}, 422, "invalid_payload"),
    ],
)
async def test_requests_that_cannot_be(
    client: httpx.AsyncClient, bms: Any, body: dict[str, Any], status: int, code: str
) -> None:
    """Each mistake has its code, and nothing is written."""
    before = list(bms.words)
    answer = await client.post("/api/tinybms/write", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert bms.words == before


async def test_register_with_several_settings(client: httpx.AsyncClient) -> None:
    """An address that holds several settings is refused with their names."""
    shared = [each for each in all_settings().values() if each.register.width < 16]
    address = next(each.address for each in shared if sum(other.address == each.address for other in shared) > 1)
    answer = await client.post("/api/tinybms/write", json={"address": address, "value": 1})
    assert answer.json()["error"] == "ambiguous_address"
    assert "," in answer.json()["message"]


async def test_bms_that_does_not_answer(client: httpx.AsyncClient, bms: Any) -> None:
    """A silent BMS is told as such."""
    bms.silent = True
    answer = await client.post("/api/tinybms/write", json={"address": 315, "value": 3.7})
    assert (answer.status_code, answer.json()["error"]) == (503, "bms_unreachable")
    assert (await client.get("/api/tinybms/backup")).status_code == 503


async def test_bms_that_refuses(client: httpx.AsyncClient, bms: Any) -> None:
    """A refused write is no success, and the results say which setting it was."""
    bms.refuses_writes = True
    answer = await client.post("/api/tinybms/write", json={"address": 315, "value": 3.7})
    assert (answer.status_code, answer.json()["error"]) == (502, "write_failed")
    assert answer.json()["results"][0]["outcome"] == "refused"


async def test_backup_and_restore(client: httpx.AsyncClient, bms: Any) -> None:
    """A backup is a file that brings back every setting."""
    backup = await client.get("/api/tinybms/backup")
    assert "attachment" in backup.headers["content-disposition"]
    before = list(bms.words)
    await client.post("/api/tinybms/write", json={"values": {"over_voltage_cutoff_v": 3.7, "battery_capacity_ah": 90}})
    assert bms.words != before
    body = {"backup": backup.json(), "dry_run": True}
    dry = (await client.post("/api/tinybms/restore", json=body)).json()
    assert {each["name"] for each in dry["changes"]} == {"over_voltage_cutoff_v", "battery_capacity_ah"}
    done = await client.post("/api/tinybms/restore", json={"backup": backup.json(), "confirm": True})
    assert done.status_code == 200
    assert bms.words == before


async def test_backup_of_a_bms_that_does_not_tell_its_firmware(client: httpx.AsyncClient, bms: Any) -> None:
    """It would lack settings: refused with the reason, unless that is accepted."""
    bms.nameless = True
    refused = await client.get("/api/tinybms/backup")
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_settings")
    assert "does not tell its firmware" in refused.text
    forced = await client.get("/api/tinybms/backup", params={"force": True})
    assert forced.status_code == 200
    assert len(forced.json()["settings"]) == 29


@pytest.mark.parametrize("text", ["{}", '{"format": "tinybms-settings"}', '{"a":' * 300 + "1" + "}" * 300])
async def test_restoring_something_else(client: httpx.AsyncClient, bms: Any, text: str) -> None:
    """What is no backup is refused and writes nothing."""
    before = list(bms.words)
    answer = await client.post("/api/tinybms/restore", json={"backup": json.loads(text)})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_settings")
    assert bms.words == before


async def test_action_needs_consent(client: httpx.AsyncClient, bms: Any) -> None:
    """An action says what it does and is carried out only when that is accepted."""
    refused = await client.post("/api/tinybms/action", json={"action": "clear_events"})
    assert (refused.status_code, refused.json()["error"]) == (409, "confirmation_required")
    assert bms.actions == []
    done = await client.post("/api/tinybms/action", json={"action": "clear_events", "confirm": True})
    assert done.json() == {"success": True, "message": "Clear the event log: done"}
    assert len(bms.actions) == 1


async def test_action_with_a_wrong_value(client: httpx.AsyncClient) -> None:
    """A value that an action cannot have is refused."""
    body = {"action": "set_state_of_charge", "value": 101, "confirm": True}
    answer = await client.post("/api/tinybms/action", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_settings")


@pytest.mark.parametrize("value", [True, [3.65], {"volts": 3.65}, "x" * 201])
@pytest.mark.parametrize("several", [False, True])
async def test_value_of_no_usable_kind_is_one_mistake(client: httpx.AsyncClient, value: object, several: bool) -> None:
    """Not one for each type that it is not."""
    name = "over_voltage_cutoff_v"
    body = {"values": {name: value}} if several else {"key": name, "value": value}
    answer = await client.post("/api/tinybms/write", json=body)
    assert answer.status_code == 422
    (mistake,) = answer.json()["errors"]
    assert mistake["path"] == (f"body.values.{name}" if several else "body.value")
    assert mistake["message"] == "must be a number, or a text of at most 200 characters"


async def test_a_core_that_is_away_is_not_a_bms_that_is_silent(client: httpx.AsyncClient, core: Any) -> None:
    """Who reads the code looks at the right end of the line."""

    async def away(_values: Any) -> None:
        raise LinkError(told("core.not_connected"))

    core.device_settings.plan = away
    body = {"key": "allowed_disbalance_v", "value": 0.05, "dry_run": True}
    answer = await client.post("/api/tinybms/write", json=body)
    assert (answer.status_code, answer.json()["error"]) == (503, "core_unreachable")

    async def no_release(_direction: Any) -> None:
        raise LinkError(told("core.not_connected"))

    core.release = no_release
    answer = await client.delete("/api/inhibits/charge")
    assert (answer.status_code, answer.json()["error"]) == (503, "core_unreachable")
