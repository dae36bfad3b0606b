"""``GET /api/limits``: values with their causes in words."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Anchors, BalancingMemory, BalancingPhase, Evidence
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.battery.view import Last, View


async def test_values_and_causes(visitor: httpx.AsyncClient) -> None:
    """Each limit names every cause, and which one binds it."""
    found = (await visitor.get("/api/limits")).json()
    assert (found["state"], found["freshness"], found["may_send"]) == ("FLOAT", "FRESH", True)
    assert (found["cvl"]["value"], found["cvl"]["unit"]) == (54.4, "V")
    causes = found["cvl"]["reasons"]
    assert [(cause["code"], cause["binding"]) for cause in causes] == [("bms_target", False), ("state", True)]
    assert causes[1]["text"] == "CVL 54.4 V: charge state FLOAT"
    assert found["ccl"]["reasons"][0]["threshold"] == 0.1
    assert found["dcl"]["unit"] == "A"


async def test_what_is_out_of_the_ordinary_is_told(visitor: httpx.AsyncClient, core: Any) -> None:
    """Why a window is ignored, and which sensors are lost."""
    before = (await visitor.get("/api/limits")).json()
    moment = core.moment()
    odd = replace(moment.view.limits, full_charge_due=True, lost_sensors=("external sensor 1",), uncontrolled=True)
    core.now = replace(moment, view=replace(moment.view, limits=odd))
    after = (await visitor.get("/api/limits")).json()
    assert (before["full_charge_due"], before["lost_sensors"]) == (False, [])
    assert (after["full_charge_due"], after["lost_sensors"]) == (True, ["external sensor 1"])
    assert (before["uncontrolled"], after["uncontrolled"], after["ccl_ignored"]) == (False, True, False)


async def test_balancing_is_told(visitor: httpx.AsyncClient, core: Any) -> None:
    """How far the cells are apart, in Ah, percent and words, and how long it will take."""
    before = (await visitor.get("/api/limits")).json()["balancing"]
    moment = core.moment()
    ratings = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 280.0)
    apart = BalancingMemory(
        spread_ah=8.4,
        work_ah=2.0,
        bled_ah=1.0,
        bled_from_lifetime_s=0,
        bled_to_lifetime_s=4 * 86400,
        phase=BalancingPhase.CHARGE,
    )
    measured = replace(moment.view.measured, ratings=ratings)
    limits = replace(moment.view.limits, balancing=apart)
    core.now = replace(moment, view=replace(moment.view, measured=measured, limits=limits))
    after = (await visitor.get("/api/limits")).json()["balancing"]
    assert (before["active"], before["spread_ah"], before["days_left"]) == (False, None, None)
    assert (after["active"], after["phase"], after["spread_percent"]) == (True, "charge", 3.0)
    assert (after["day"], after["at_least"], after["days_left"]) == (False, False, 8.0)
    assert after["text"] == "cells are 8.4 Ah (3.0 %) apart: balanced in about 8 days"


async def test_what_was_learned_of_the_count_is_told(visitor: httpx.AsyncClient, core: Any) -> None:
    """How it drifts, how far it was off, and what a person should know of it."""
    before = (await visitor.get("/api/limits")).json()["soc"]
    moment = core.moment()
    ratings = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 280.0)
    learned, held = Anchors(off_percent=-2.54, drift_a=0.25), Evidence(capacity_ah=200.0)
    measured = replace(moment.view.measured, ratings=ratings)
    limits = replace(moment.view.limits, soc=learned, evidence=held)
    core.now = replace(moment, view=replace(moment.view, measured=measured, limits=limits))
    after = (await visitor.get("/api/limits")).json()["soc"]
    assert (before["drift_ah_per_day"], before["off_percent"], before["capacity_ah"]) == (None, None, None)
    assert (after["drift_ah_per_day"], after["off_percent"], after["capacity_ah"]) == (6.0, -2.5, 200.0)
    assert after["remarks"] == [
        "the current is counted +6.0 Ah a day off, which is taken off the state of charge",
        "loads under 0.8 A are not counted",
    ]


async def test_what_use_has_shown_of_the_battery_is_told(visitor: httpx.AsyncClient, core: Any) -> None:
    """Each with its code, its cells and all of it in words; nothing where nothing was found, or nobody knows."""
    before = (await visitor.get("/api/limits")).json()["battery"]
    moment = core.moment()
    ratings = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 280.0)
    found = Evidence(flowing_s=UNLEARNED_S, capacity_ah=200.0, cells=(0.8, *(1.0,) * 15))
    measured = replace(moment.view.measured, ratings=ratings)
    limits = replace(moment.view.limits, evidence=found)
    core.now = replace(moment, view=replace(moment.view, measured=measured, limits=limits))
    after = (await visitor.get("/api/limits")).json()["battery"]
    assert before == []
    assert [(each["code"], each["cells"]) for each in after] == [
        ("resistance_not_learned", []),
        ("weak_cell", [1]),
        ("capacity_wrong", []),
    ]
    assert after[1]["text"].startswith("cell 1 holds about 20 % less than the middle one")


async def test_before_the_first_decision(visitor: httpx.AsyncClient, core: Any) -> None:
    """Nothing is claimed before anything was decided."""
    core.now = replace(core.moment(), view=View())
    answer = await visitor.get("/api/limits")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["may_send"], found["last"]) == (None, False, None)
    assert found["balancing"] is None
    assert found["soc"] is None
    assert found["battery"] == []
    assert found["cvl"] == {"value": None, "unit": "V", "reasons": []}


@pytest.mark.parametrize("freshness", [Freshness.HOLD, Freshness.SILENT])
async def test_old_data(visitor: httpx.AsyncClient, core: Any, freshness: Freshness) -> None:
    """Limits are told as they are sent: lowered in HOLD, none in SILENT; the last good ones are apart and dated."""
    moment = core.moment()
    last = Last(moment.view.measured, 5.0, moment.view.limits)
    held = replace(moment.view.limits, ccl_a=0.0, freshness=freshness)
    sent = held if held.may_send else None
    core.now = replace(moment, view=View(freshness, None, sent, 5.0, last))
    found = (await visitor.get("/api/limits")).json()
    assert (found["freshness"], found["may_send"], found["age_ms"]) == (freshness, sent is not None, 5000)
    assert found["ccl"]["value"] == (0.0 if sent else None)
    assert found["cvl"]["value"] == (54.4 if sent else None)
    assert (found["last"]["ccl_a"], found["last"]["at"]) == (5.0, "2026-01-02T03:04:00Z")
    assert found["remark"]


async def test_reasons_in_french(visitor: httpx.AsyncClient) -> None:
    """The limits are the same, their reasons in another language."""
    english, french = [(await visitor.get(f"/api/limits?lang={each}")).json()["cvl"] for each in ("en", "fr")]

    assert french["reasons"][1]["text"] == "CVL 54,4 V : phase de charge FLOAT"
    assert [each["parameters"] for each in french["reasons"]] == [each["parameters"] for each in english["reasons"]]
    assert english["reasons"][1]["parameters"]["detail"] == "FLOAT"


async def test_sensors_and_wires_are_named_in_a_language(visitor: httpx.AsyncClient, core: Any) -> None:
    """The state holds names and numbers, the answer words."""
    moment = core.moment()
    limits = replace(
        moment.view.limits,
        lost_sensors=("external sensor 1", "board sensor"),
        loose_wires=((7, 8), (3,)),
        full_voltage_refused="single_port",
    )
    core.now = replace(moment, view=replace(moment.view, limits=limits))

    english, french = [(await visitor.get(f"/api/limits?lang={each}")).json() for each in ("en", "fr")]

    assert english["lost_sensors"] == ["external sensor 1", "board sensor"]
    assert french["lost_sensors"] == ["capteur externe 1", "capteur de la carte"]
    assert english["loose_wires"] == ["the wire between cells 7 and 8", "cell 3"]
    assert french["loose_wires"] == ["le fil entre les cellules 7 et 8", "cellule 3"]
    assert english["balancing"]["full_voltage_refused"].startswith("a single port: its switch opens")
    assert french["balancing"]["full_voltage_refused_code"] == "single_port"
