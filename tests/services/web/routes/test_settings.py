"""``/api/settings``: shown without secrets, changed in part or as a whole, saved."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.limits import LimitCode, Quantity, Reason
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.words import message, say

PART = {
    "cvl": {"enabled": True, "float_soc_threshold": 96.0},
    "victron": {"thresholds": {"overvoltage_v": 59.0}},
}
"""The sample of the seed's README."""


RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.6,
    fully_discharged_cell_v=2.8,
    over_voltage_cell_v=3.7,
    under_voltage_cell_v=2.7,
    charge_over_current_a=100.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=100.0,
)


def saved(core: Any) -> dict[str, Any]:
    """Return what the file holds."""
    data = core.storage.read()
    document: dict[str, Any] = {} if data is None else json.loads(data)
    return document


async def test_sample_of_the_readme(client: httpx.AsyncClient, core: Any) -> None:
    """The README's body is answered as the README says, is in force at once and saved."""
    answer = await client.post("/api/settings", json=PART)
    body = answer.json()
    assert answer.status_code == 200
    assert body["success"] is True
    assert body["message"] == "Configuration updated"
    assert body["changed"] == ["victron.thresholds.overvoltage_v", "cvl.float_soc_threshold"]
    assert core.store.configuration.cvl.float_soc_threshold == 96.0
    assert saved(core)["cvl"]["float_soc_threshold"] == 96.0
    shown = (await client.get("/api/settings")).json()
    assert shown["victron"]["thresholds"]["overvoltage_v"] == 59.0
    assert shown["hardware"]["uart"]["baudrate"] > 0


async def test_null_takes_a_key_back(client: httpx.AsyncClient, core: Any) -> None:
    """A key set to null has its default again and is not in the file."""
    await client.post("/api/settings", json=PART)
    await client.post("/api/settings", json={"cvl": {"float_soc_threshold": None}})
    assert core.store.configuration.cvl.float_soc_threshold is None
    assert "float_soc_threshold" not in saved(core)["cvl"]


async def test_passwords_are_write_only(client: httpx.AsyncClient, core: Any) -> None:
    """A password is never shown, and sending back what was shown keeps it."""
    secret = {"mqtt": {"username": "u", "password": "hunter2hunter2"}}
    assert (await client.post("/api/settings", json=secret)).status_code == 200
    answer = await client.get("/api/settings")
    assert "hunter2" not in answer.text
    assert answer.json()["mqtt"]["password"] == "********"
    assert (await client.put("/api/settings", json=answer.json())).status_code == 200
    assert core.store.configuration.mqtt.password.value == "hunter2hunter2"


async def test_every_mistake_at_once(client: httpx.AsyncClient, core: Any) -> None:
    """A refused change names every mistake with path, value and range, and changes nothing."""
    wrong = {"cvl": {"float_soc_threshold": 400, "unknown": 1}, "victron": {"battery_name": 5}}
    answer = await client.post("/api/settings", json=wrong)
    body = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["success"] is False
    assert body["error"] == "invalid_settings"
    errors = {each["path"]: each for each in body["errors"]}
    assert errors.keys() == {"cvl.float_soc_threshold", "cvl.unknown", "victron.battery_name"}
    assert errors["cvl.float_soc_threshold"]["value"] == 400
    assert "100" in errors["cvl.float_soc_threshold"]["message"]
    assert saved(core) == {}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "missing_body"),
        (b"{", 400, "invalid_json"),
        (b"[1]", 422, "invalid_payload"),
        (b'{"cvl": {"float_soc_threshold": NaN}}', 422, "invalid_settings"),
        (b'{"wifi": {"sta_ssid": "\\ud800"}}', 422, "invalid_settings"),
        (b'{"cvl": {"enabled": true, "enabled": false}}', 422, "invalid_settings"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, 422, "invalid_settings"),
    ],
)
async def test_bodies_that_are_no_settings(client: httpx.AsyncClient, content: bytes, status: int, code: str) -> None:
    """Whatever the body is, the answer is a problem with the seed's codes and never a server error."""
    answer = await client.post("/api/settings", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_key_that_is_given_twice_is_named(client: httpx.AsyncClient, core: Any) -> None:
    """As `check` does with a file: nobody can know which of the two was meant."""
    twice = message("file.given_twice")
    for method in ("POST", "PUT"):
        content = b'{"cvl": {"enabled": true, "enabled": false}}'
        answer = await client.request(
            method, "/api/settings", content=content, headers={"content-type": "application/json"}
        )
        assert answer.json()["errors"] == [
            {"path": "cvl.enabled", "value": None, "message": twice.text, **twice.document()}
        ]
    assert saved(core) == {}


async def test_restored_backup_tells_its_missing_secrets(client: httpx.AsyncClient) -> None:
    """What the download had masked has to be entered again."""
    answer = await client.put("/api/settings", json={"mqtt": {"username": "boat", "password": "********"}})
    assert answer.status_code == 200
    assert "mqtt.password" in [notice["path"] for notice in answer.json()["notices"]]


async def test_whole_configuration_is_replaced(client: httpx.AsyncClient, core: Any) -> None:
    """PUT forgets the keys that the new document lacks."""
    await client.post("/api/settings", json=PART)
    answer = await client.put("/api/settings", json={"cvl": {"float_soc_threshold": 94.0}})
    assert answer.status_code == 200
    assert saved(core) == {"cvl": {"float_soc_threshold": 94.0}}


async def test_names_of_the_firmware(client: httpx.AsyncClient, core: Any) -> None:
    """The firmware's section names are understood."""
    answer = await client.post("/api/settings", json={"cvl_algorithm": {"float_soc_threshold": 94.0}})
    assert answer.status_code == 200
    assert core.store.configuration.cvl.float_soc_threshold == 94.0


async def test_what_the_command_line_says_is_shown(client: httpx.AsyncClient, core: Any) -> None:
    """The page shows the port that is used, and sends it back without making it that of the file."""

    def laid_over(config: Configuration) -> Configuration:
        uart = replace(config.hardware.uart, device="/dev/ttyUSB3")
        return replace(config, hardware=replace(config.hardware, uart=uart))

    core.store.adjust = laid_over
    shown = (await client.get("/api/settings")).json()
    assert shown["hardware"]["uart"]["device"] == "/dev/ttyUSB3"
    answer = await client.put("/api/settings", json=shown)
    assert (answer.status_code, answer.json()["changed"], saved(core)) == (200, [], {})
    assert [notice["path"] for notice in answer.json()["notices"]] == ["hardware.uart.device"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("patch", [{"uart": {"baudrate": 19_200}}, {"uart_baudrate": 19_200}])
async def test_line_speed_of_the_readme(client: httpx.AsyncClient, core: Any, method: str, patch: Any) -> None:
    """A person who follows the seed's sample gets the only speed of a TinyBMS, and is told."""
    answer = await client.request(method, "/api/settings", json={"hardware": patch})
    assert answer.status_code == 200
    told = [notice["message"] for notice in answer.json()["notices"]]
    assert any("19200 is read as 115200" in message for message in told)
    assert (await client.get("/api/settings")).json()["hardware"]["uart"]["baudrate"] == 115_200
    assert core.store.configuration.hardware.uart.baudrate == 115_200


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("document", "path", "value", "message"),
    [
        ('{"hardware": {"uart": {"baudrate": 19200.5}}}', "hardware.uart.baudrate", 19200.5, "must be 115200"),
        ('{"hardware": {"uart": {"baudrate": "19200"}}}', "hardware.uart.baudrate", "19200", "must be 115200"),
        ('{"hardware": {"uart": {"baudrate": -1}}}', "hardware.uart.baudrate", -1, "must be 115200"),
        ('{"hardware": {"uart_baudrate": 250000}}', "hardware.uart.baudrate", 250000, "must be 115200"),
        (
            '{"victron": {"installed_capacity_bytes": "8"}}',
            "victron.installed_capacity_bytes",
            "8",
            "must be one of 2, 8",
        ),
        (
            '{"victron": {"installed_capacity_bytes": 4}}',
            "victron.installed_capacity_bytes",
            4,
            "must be one of 2, 8",
        ),
    ],
)
async def test_formats_that_are_none(
    client: httpx.AsyncClient, core: Any, method: str, document: str, path: str, value: object, message: str
) -> None:
    """Each with its path, its value and what is allowed; nothing changes."""
    headers = {"content-type": "application/json"}
    answer = await client.request(method, "/api/settings", content=document, headers=headers)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["path"], error["value"], error["message"], error["text"]) == (path, value, message, message)
    assert say(error["code"], error["parameters"]) == message
    assert saved(core) == {}


async def test_disk_that_cannot_be_written(
    client: httpx.AsyncClient, core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When saving fails nothing changes, and the seed's code says so."""

    def full(_data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(core.storage, "write", full)
    answer = await client.post("/api/settings", json=PART)
    assert (answer.status_code, answer.json()["error"]) == (500, "config_save_failed")
    assert "No space left" in answer.json()["message"]
    assert core.store.configuration.cvl.float_soc_threshold is None


async def test_writing_needs_a_login(visitor: httpx.AsyncClient, core: Any) -> None:
    """Reading is open, changing is not."""
    assert (await visitor.get("/api/settings")).status_code == 200
    for method in ("POST", "PUT"):
        assert (await visitor.request(method, "/api/settings", json=PART)).status_code == 401
    assert saved(core) == {}


async def test_download(visitor: httpx.AsyncClient) -> None:
    """A browser can save the configuration as a file."""
    answer = await visitor.get("/api/settings", params={"download": True})
    assert "tinybms-bridge.json" in answer.headers["content-disposition"]
    assert answer.json()["cvl"]["enabled"] is True


async def test_schema(visitor: httpx.AsyncClient) -> None:
    """The schema of the configuration has units and ranges for forms."""
    schema = (await visitor.get("/api/settings/schema")).json()
    key = schema["$defs"]["Cvl"]["properties"]["float_soc_threshold"]
    assert key["unit"] == "%"
    assert key["anyOf"][0]["maximum"] == 100


@pytest.mark.parametrize("document", [{}, {"cvl": {}}, {"hardware": {}, "web_server": {}}, {"hardware": {"can": {}}}])
async def test_a_document_that_lacks_the_connections_cuts_nobody_off(
    client: httpx.AsyncClient, core: Any, document: dict[str, Any]
) -> None:
    """Neither the BMS nor whoever sends it: what is not named of `hardware` and `web_server` stays; the rest resets."""
    connections = {
        "hardware": {"uart": {"device": "/dev/ttyUSB7"}, "can": {"channel": "can1"}},
        "web_server": {"port": 8123, "enable_auth": True},
    }
    await client.post("/api/settings", json={**connections, **PART})

    answer = await client.put("/api/settings", json=document)

    assert answer.json()["changed"] == ["victron.thresholds.overvoltage_v", "cvl.float_soc_threshold"]
    assert {name: saved(core)[name] for name in connections} == connections


async def test_what_a_document_names_of_the_connections_is_taken(client: httpx.AsyncClient, core: Any) -> None:
    """A list or a table is a value: it is replaced, not mixed."""
    both = {"enable_cors": True, "cors_origins": ["http://a.example", "http://b.example"]}
    await client.post("/api/settings", json={"web_server": both, "hardware": {"can": {"options": {"a": 1, "b": 2}}}})

    wanted = {"web_server": {"cors_origins": ["http://c.example"]}, "hardware": {"can": {"options": {"b": 3}}}}
    answer = await client.put("/api/settings", json=wanted)

    assert answer.status_code == 200, answer.text
    assert saved(core)["web_server"] == {"enable_cors": True, "cors_origins": ["http://c.example"]}
    assert saved(core)["hardware"]["can"]["options"] == {"b": 3}


@pytest.mark.parametrize("document", [{"hardware": None}, {"web_server": 5}, {"hardware": {"uart": []}}])
async def test_connections_that_are_no_section_are_refused(
    client: httpx.AsyncClient, core: Any, document: dict[str, Any]
) -> None:
    """With the path of the mistake; nothing changes."""
    before = saved(core)

    answer = await client.put("/api/settings", json=document)

    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_settings")
    assert saved(core) == before


async def test_a_dry_run_tells_the_difference_and_saves_nothing(client: httpx.AsyncClient, core: Any) -> None:
    """Before saving, a person sees old and new values, secrets masked, and what the change makes start again."""
    wanted = {**PART, "web_server": {"port": 8123}, "mqtt": {"username": "boat", "password": "hunter2hunter2"}}
    answer = await client.post("/api/settings", params={"dry_run": True}, json=wanted)
    body = answer.json()

    assert (answer.status_code, body["message"]) == (200, "Nothing was saved")
    differences = {each["path"]: (each["old"], each["new"]) for each in body["differences"]}
    assert differences["cvl.float_soc_threshold"] == (None, 96.0)
    assert differences["mqtt.password"] == ("", "********")
    assert "hunter2" not in answer.text
    assert body["restarts_web_server"] is True
    assert (saved(core), core.store.configuration) == ({}, Configuration())


async def test_a_change_that_leaves_the_web_server_alone(client: httpx.AsyncClient) -> None:
    """Charging is changed without a gap for those who watch."""
    answer = await client.post("/api/settings", json=PART)
    assert answer.json()["restarts_web_server"] is False


async def test_a_dry_run_refuses_what_saving_would(client: httpx.AsyncClient) -> None:
    """With the same mistakes, so that the difference is never shown of what cannot be saved."""
    wrong = {"cvl": {"float_soc_threshold": 400}}
    dry = await client.post("/api/settings", params={"dry_run": True}, json=wrong)
    wet = await client.post("/api/settings", json=wrong)
    assert (dry.status_code, dry.json()) == (422, wet.json())


async def test_a_dry_run_of_a_backup(client: httpx.AsyncClient, core: Any) -> None:
    """An imported file is shown as a difference first, defaults of what it lacks included."""
    await client.post("/api/settings", json=PART)
    before = saved(core)
    answer = await client.put("/api/settings", params={"dry_run": True}, json={"cvl": {"float_soc_threshold": 94.0}})
    differences = {each["path"]: (each["old"], each["new"]) for each in answer.json()["differences"]}
    assert differences == {
        "cvl.float_soc_threshold": (96.0, 94.0),
        "victron.thresholds.overvoltage_v": (59.0, None),
    }
    assert saved(core) == before


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_who_edits_what_another_one_has_changed_is_told(
    client: httpx.AsyncClient, core: Any, method: str
) -> None:
    """Two people with the page open do not overwrite each other: the second reads again first."""
    seen = (await client.get("/api/settings")).headers["etag"]
    first = await client.request(method, "/api/settings", json=PART, headers={"If-Match": seen})
    second = await client.request(method, "/api/settings", json={"cvl": {}}, headers={"If-Match": seen})
    newer = (await client.get("/api/settings")).headers["etag"]

    assert (first.status_code, first.headers["etag"]) == (200, newer)
    assert (second.status_code, second.json()["error"]) == (412, "configuration_changed")
    assert saved(core)["cvl"]["float_soc_threshold"] == 96.0
    third = await client.request(method, "/api/settings", json=PART, headers={"If-Match": f"W/{newer}"})
    assert third.status_code == 200


async def test_schema_in_french(visitor: httpx.AsyncClient) -> None:
    """The form speaks the language of who fills it in."""
    schema = (await visitor.get("/api/settings/schema", params={"lang": "fr"})).json()
    key = schema["$defs"]["Victron"]["properties"]["max_charge_current_a"]
    assert key["title"] == "Courant de charge maximal"
    assert key["rule"] == "doit être un nombre de 0 à 750 A, ou null"
    assert schema["$defs"]["Can"]["description"] == "Adaptateur CAN vers le GX."
    assert schema["$defs"]["Can"]["properties"]["tx_pin"]["no_effect"].startswith("sans objet")


async def test_refusals_and_notices_in_french(client: httpx.AsyncClient) -> None:
    """The words at the field are those of the form; the English ones stay where they were."""
    browser = {"accept-language": "fr"}
    wrong = await client.post("/api/settings", headers=browser, json={"cvl": {"float_soc_threshold": 400}})
    noted = await client.post("/api/settings", params={"lang": "fr"}, json={"hardware": {"can": {"bitrate": 125000}}})

    assert wrong.json()["errors"][0]["message"].startswith("doit être un nombre")
    notice = next(each for each in noted.json()["notices"] if each["path"] == "hardware.can.bitrate")
    assert notice["message"].startswith("a GX device offers")
    assert notice["text"] != notice["message"]


async def test_nothing_is_effective_before_the_bms_has_told_its_settings(visitor: httpx.AsyncClient) -> None:
    """Nobody knows yet what automatic values come to."""
    found = (await visitor.get("/api/settings/effective")).json()
    assert (found["values"], found["cell_marks_v"], found["curves"]) == ({}, {}, [])


async def test_what_the_settings_come_to(client: httpx.AsyncClient, core: Any) -> None:
    """Automatic values by key, voltages in their order, curves with the present reading and what it leaves."""
    view = core.now.view
    core.now = replace(core.now, view=replace(view, measured=replace(view.measured, ratings=RATINGS)))
    own = {"curves": {"charge_by_soc": [[0, 1], [100, 0]]}, "cell_safety_threshold_v": 3.55}
    assert (await client.post("/api/settings", json={"cvl": own})).status_code == 200
    body = (await client.get("/api/settings/effective")).json()

    assert body["values"]["victron.max_charge_current_a"] == 90.0
    assert body["values"]["cvl.chemistry"] == "lfp"
    assert "cvl.cell_safety_threshold_v" not in body["values"]
    marks = body["cell_marks_v"]
    names = ["under_voltage", "floor", "resting", "float", "target", "release", "protection", "over_voltage"]
    assert [marks[name] for name in names] == sorted(marks[name] for name in names)
    assert marks["protection"] == 3.55
    assert body["lowest_cell_v"] < body["highest_cell_v"]
    found = {each["name"]: each for each in body["curves"]}
    assert len(found) == 6
    soc, cold = found["charge_by_soc"], found["charge_by_temperature"]
    assert (soc["automatic"], soc["points"], soc["unit"]) == (False, [[0.0, 1.0], [100.0, 0.0]], "%")
    assert soc["now_fraction"] == pytest.approx(1.0 - soc["now"] / 100.0, abs=1e-3)
    assert (cold["automatic"], cold["points"][0][1]) == (True, 0.0)


async def test_effective_values_are_those_of_the_engine(client: httpx.AsyncClient, core: Any) -> None:
    """It has recognised the chemistry where the BMS leaves it open: its reasons say so."""
    view = core.now.view
    either = replace(RATINGS, fully_charged_cell_v=3.7, over_voltage_cell_v=3.8)
    plain = replace(view, measured=replace(view.measured, ratings=either))
    core.now = replace(core.now, view=plain)
    careful = (await client.get("/api/settings/effective")).json()
    told = Reason(Quantity.CVL, LimitCode.CHEMISTRY, 58.4, 3.65, detail="li-ion")
    core.now = replace(core.now, view=replace(plain, limits=replace(view.limits, reasons=(told,))))
    known = (await client.get("/api/settings/effective")).json()

    assert "cvl.chemistry" not in careful["values"]
    assert known["values"]["cvl.chemistry"] == "li-ion"
    assert known["cell_marks_v"]["target"] > careful["cell_marks_v"]["target"]


PACKS = {"packs": {name: {"uart": {"device": f"/dev/{name}"}} for name in ("a", "b")}}


async def test_a_pack_is_taken_out_of_service_by_its_name(client: httpx.AsyncClient, core: Any) -> None:
    """What the button sends; the answer tells the one key, and null takes a whole pack away."""
    assert (await client.post("/api/settings", json=PACKS)).json()["changed"] == ["packs.a", "packs.b"]

    body = (await client.post("/api/settings", json={"packs": {"a": {"enabled": False}}})).json()
    assert body["changed"] == ["packs.a.enabled"]
    assert body["differences"] == [{"path": "packs.a.enabled", "old": True, "new": False}]
    assert core.store.configuration.packs["a"].enabled is False
    assert core.store.configuration.packs["b"].enabled is True

    body = (await client.post("/api/settings", json={"packs": {"a": None}})).json()
    assert body["changed"] == ["packs.a"]
    assert body["differences"][0]["new"] is None
    assert saved(core) == {"packs": {"b": PACKS["packs"]["b"]}}


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_the_only_pack_stays_in_service(client: httpx.AsyncClient, core: Any, language: str) -> None:
    """Also where it has no entry of its own, in the reader's language."""
    body = {"packs": {"main": {"enabled": False}}}
    answer = await client.post("/api/settings", json=body, params={"lang": language})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["path"], error["code"]) == (422, "packs.main.enabled", "config.only_pack")
    assert saved(core) == {}


async def test_names_of_packs_are_no_way_in(client: httpx.AsyncClient, core: Any) -> None:
    """Whatever is sent as a name is refused at its path, and nothing is saved."""
    for name in ("__proto__", "../../etc", "a b", "<script>", "é", "", "x" * 4000):
        answer = await client.post("/api/settings", json={"packs": {name: {"uart": {"device": "/dev/a"}}}})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == (422, "must_be.pack_name"), name
        assert len(error["path"]) < 100
    assert saved(core) == {}
