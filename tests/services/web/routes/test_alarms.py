"""``/api/alarms``: active alarms and acknowledgements."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import httpx

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.words import message


def with_alarms(moment: Moment, alarms: Alarms) -> Moment:
    """Return a moment with these alarms."""
    return replace(moment, battery=replace(moment.battery, alarms=alarms))


def at_cell(cell: int, value: float, threshold: float) -> AlarmCause:
    """Return the cause of an alarm of one cell."""
    told = message("cause.cell_voltage", cell=cell, value=value, threshold=threshold)
    return AlarmCause(told, value, threshold, "V")


async def test_a_script_that_chooses_no_language_reads_english(visitor: httpx.AsyncClient) -> None:
    """Whatever its library accepts; the pages' cookie and, before it, the question choose another one."""
    plain, accepting = await visitor.get("/api/alarms"), {"accept-language": "fr"}
    cookie = {"cookie": "tinybms_language=fr"}
    french = (await visitor.get("/api/alarms?lang=fr")).json()

    assert french != plain.json()
    assert (await visitor.get("/api/alarms", headers=accepting)).json() == plain.json()
    assert (await visitor.get("/api/alarms", headers=cookie)).json() == french
    assert (await visitor.get("/api/alarms?lang=en", headers=cookie)).json() == plain.json()
    assert (await visitor.get("/api/alarms?lang=de", headers=cookie)).status_code == 422


async def test_active_alarms(visitor: httpx.AsyncClient) -> None:
    """Only what is wrong is listed, with level and time."""
    found = (await visitor.get("/api/alarms")).json()
    assert found["unacknowledged"] == 1
    (alarm,) = found["alarms"]
    assert (alarm["name"], alarm["kind"], alarm["level"]) == ("high_voltage", "alarm", "warning")
    assert alarm["since"].startswith("2026-01-01")
    assert alarm["acknowledged_by"] is None


async def test_acknowledging_one(client: httpx.AsyncClient) -> None:
    """An acknowledged alarm stays listed, with the name of who has seen it."""
    assert (await client.post("/api/alarms/high_voltage/acknowledge")).json()["success"] is True
    found = (await client.get("/api/alarms")).json()
    assert found["unacknowledged"] == 0
    assert found["alarms"][0]["acknowledged_by"] == "tester"


async def test_acknowledging_all(client: httpx.AsyncClient) -> None:
    """One request acknowledges everything that is active."""
    assert (await client.post("/api/alarms/acknowledge")).json()["unacknowledged"] == 0


async def test_a_worse_level_is_new(client: httpx.AsyncClient, core: Any) -> None:
    """A warning that somebody has seen and that becomes an alarm has to be seen again."""
    await client.post("/api/alarms/acknowledge")
    worse = Alarms(MappingProxyType({AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM}))
    core.now = with_alarms(core.now, worse)
    found = (await client.get("/api/alarms")).json()
    assert found["unacknowledged"] == 1
    assert found["alarms"][0]["level"] == "alarm"


async def test_alarm_that_is_not_active(client: httpx.AsyncClient) -> None:
    """Nothing can be acknowledged that is not there."""
    answer = await client.post("/api/alarms/low_voltage/acknowledge")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_alarm")


async def test_acknowledging_needs_a_login(visitor: httpx.AsyncClient) -> None:
    """Nobody silences an alarm without a login."""
    assert (await visitor.post("/api/alarms/acknowledge")).status_code == 401
    assert (await visitor.get("/api/alarms")).json()["unacknowledged"] == 1


async def test_an_alarm_says_value_and_threshold(visitor: httpx.AsyncClient, core: Any) -> None:
    """For programs as numbers with their unit, for people in words; null where no number is the cause."""
    causes = {
        AlarmName.LOW_VOLTAGE: AlarmCause(
            message("cause.cell_voltage", cell=1, value=2.42, threshold=2.5), 2.42, 2.5, "V"
        ),
        AlarmName.CONTACTOR: AlarmCause(message("cause.reported", event=message("bms.started"))),
    }
    levels = dict.fromkeys((*causes, AlarmName.BMS_INTERNAL), AlarmLevel.ALARM)
    core.now = with_alarms(core.now, Alarms(MappingProxyType(levels), MappingProxyType(causes)))

    found = {each["name"]: each for each in (await visitor.get("/api/alarms")).json()["alarms"]}

    picked = {name: [each[key] for key in ("cause", "value", "threshold", "unit")] for name, each in found.items()}
    assert picked["low_voltage"] == ["cell 1 at 2.420 V, threshold 2.500 V", 2.42, 2.5, "V"]
    assert picked["contactor"] == ["reported by the BMS: The BMS started", None, None, ""]
    assert picked["bms_internal"] == [None, None, None, ""]


async def test_an_alarm_is_explained_in_a_language(visitor: httpx.AsyncClient, core: Any) -> None:
    """What it is, what it means and what to do, beside code and parameters for programs."""
    causes = {AlarmName.LOW_VOLTAGE: at_cell(1, 2.42, 2.5)}
    levels = {AlarmName.LOW_VOLTAGE: AlarmLevel.ALARM}
    core.now = with_alarms(core.now, Alarms(MappingProxyType(levels), MappingProxyType(causes)))

    (english,) = [each for each in (await visitor.get("/api/alarms")).json()["alarms"] if each["kind"] == "alarm"]
    (french,) = [
        each for each in (await visitor.get("/api/alarms?lang=fr")).json()["alarms"] if each["kind"] == "alarm"
    ]

    assert english["text"] == "Low voltage: alarm (cell 1 at 2.420 V, threshold 2.500 V)"
    assert french["text"] == "Tension basse : alarme (cellule 1 à 2,420 V, seuil 2,500 V)"
    assert (french["cause"], english["advice"]) == (
        "cellule 1 à 2,420 V, seuil 2,500 V",
        "Charge the battery, and reduce the loads until it is charged.",
    )
    assert french["explanation"].startswith("Une cellule, ou le pack, est sous sa tension minimale")
    assert english["code"] == french["code"] == "alarm.low_voltage"
    assert english["parameters"] == french["parameters"]


async def test_a_core_that_is_not_heard_is_the_only_alarm(client: httpx.AsyncClient, core: Any) -> None:
    """What was known last is not shown as in force, nor lost; seen once, the alarm is seen until the core is back."""
    await client.post("/api/alarms/acknowledge")
    core.heard = Hearing(connected=False, since_s=75.0)
    found = (await client.get("/api/alarms")).json()
    (alarm,) = found["alarms"]
    assert (alarm["name"], alarm["kind"], alarm["level"]) == ("core_unreachable", "notice", "alarm")
    assert alarm["text"] == "Core unreachable: alarm (no answer for 75 s)"
    assert (alarm["value"], alarm["threshold"], alarm["unit"]) == (75.0, None, "s")
    assert alarm["explanation"]
    assert alarm["advice"]
    assert alarm["since"] == (core.clock.wall() - timedelta(seconds=75)).isoformat().replace("+00:00", "Z")
    assert [(each["name"], each["acknowledged_by"]) for each in found["last"]] == [("high_voltage", "tester")]
    assert found["unacknowledged"] == 1
    assert (await client.post("/api/alarms/high_voltage/acknowledge")).status_code == 404, "it is not in force"
    assert (await client.post("/api/alarms/core_unreachable/acknowledge")).status_code == 200
    await core.clock.advance(5.0)
    core.heard = Hearing(connected=False, since_s=80.0)
    (alarm,) = (await client.get("/api/alarms?lang=fr")).json()["alarms"]
    assert (alarm["acknowledged_by"], alarm["text"]) == (
        "tester",
        "Noyau injoignable : alarme (sans réponse depuis 80 s)",
    )
    core.heard = Hearing(connected=True, since_s=1.0)
    found = (await client.get("/api/alarms")).json()
    assert ([each["name"] for each in found["alarms"]], found["last"]) == (["high_voltage"], [])


async def test_a_further_outage_of_the_core_has_to_be_seen_again(client: httpx.AsyncClient, core: Any) -> None:
    """Also where nobody looked between the two."""
    core.heard = Hearing(connected=False, since_s=75.0)
    await client.post("/api/alarms/acknowledge")
    core.heard = Hearing(connected=False, since_s=2.0)
    assert (await client.get("/api/alarms")).json()["unacknowledged"] == 1
