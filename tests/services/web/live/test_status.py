"""The state under the names of the seed, one name for one thing: ``/ws`` held against ``/api/status``."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.snapshot import Cells
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.flat import (
    active_levels,
    balancing_bits,
    battery_numbers,
    cells_mv,
    last_numbers,
    limit_numbers,
    live_registers,
    pack_measured,
    pack_numbers,
)
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.web.live.messages import status_message
from tinybms_bridge.services.web.live.status import LiveStatus, flat_counters, pack_now
from tinybms_bridge.services.web.routes.status import Status
from tinybms_bridge.tinybms.registers import catalogue


def test_no_sensor_and_no_health(moment: Moment) -> None:
    """What the BMS does not know is null, never 0."""
    assert moment.view.measured is not None
    bare = replace(
        moment.view.measured,
        temperatures=type(moment.view.measured.temperatures)(),
        pack=replace(moment.view.measured.pack, soh_percent=None),
    )
    numbers = pack_numbers(bare)
    assert numbers["temperature"] is None
    assert numbers["soh_percent"] is None
    assert numbers["voltage"] == 54.321


def test_a_count_that_is_only_counted_on_is_no_measurement(moment: Moment) -> None:
    """The BMS gave a count that cannot be: no view shows a number, live, per pack, by register, or as last."""
    assert moment.view.measured is not None
    guessed = replace(moment.view.measured, pack=replace(moment.view.measured.pack, soc_known=False))
    view = replace(moment.view, measured=guessed)
    gone = View(Freshness.HOLD, age_s=12.0, last=Last(guessed, 12.0))
    last = last_numbers(replace(moment, view=gone))
    assert last is not None
    seen = (battery_numbers(replace(moment, view=view)), pack_measured(view), pack_numbers(guessed), last)

    assert {(each["soc_percent"], each["bms_soc_percent"]) for each in seen} == {(None, None)}
    assert pack_now("main", replace(moment, packs={"main": view}))["soc_percent"] is None
    assert [each["value"] for each in live_registers(guessed) if each["address"] == 46] == [None]
    assert pack_numbers(guessed)["voltage"] == 54.321


def test_names_are_the_same_without_a_sample(moment: Moment) -> None:
    """A client finds every name before the first sample too."""
    assert pack_numbers(None).keys() == pack_numbers(moment.view.measured).keys()
    assert limit_numbers(None).keys() == limit_numbers(moment.view.limits).keys()
    assert battery_numbers(replace(moment, view=View())).keys() == battery_numbers(moment).keys()


def test_cells_and_balancing(moment: Moment) -> None:
    """Cells are whole millivolts from cell 1 up; the mask has the same order."""
    assert cells_mv(moment.view.measured)[:2] == [3415, 3417]
    assert balancing_bits(moment.view.measured) == (1 << 15) | 1
    assert cells_mv(None) == []
    assert balancing_bits(None) is None


def test_keepalive_is_a_present_gx() -> None:
    """Only a GX that is heard now counts."""
    states = {state: CanState(gx_state=state) for state in ("never_seen", "present", "lost")}
    flat = {state: flat_counters(UartState(), can)["victron_keepalive_ok"] for state, can in states.items()}
    assert flat == {"never_seen": False, "present": True, "lost": False}


def test_active_levels(moment: Moment) -> None:
    """What is OK is left out."""
    assert active_levels(moment) == {"high_voltage": 1}


def test_last_values_are_apart_and_dated(moment: Moment) -> None:
    """Old values are never among the live ones; they have their own object with the time at which they were true."""
    assert moment.view.measured is not None
    last = Last(moment.view.measured, 12.4, moment.view.limits)
    old = replace(moment, view=View(Freshness.SILENT, age_s=12.4, last=last))
    numbers = battery_numbers(old)
    assert {name: numbers[name] for name in ("voltage", "power_w", "age_ms", "freshness")} == {
        "voltage": None,
        "power_w": None,
        "age_ms": 12_400,
        "freshness": "SILENT",
    }
    found = last_numbers(old)
    assert found is not None
    assert (str(found["at"]), found["voltage"]) == ("2026-01-02 03:03:52+00:00", 54.321)
    assert found["cvl"] == limit_numbers(moment.view.limits)
    assert found["alarms"] == {}, "the core is heard, and its alarms are in force"
    assert last_numbers(moment) is None


def test_alarms_of_a_core_that_is_not_heard_are_among_the_last_values(moment: Moment) -> None:
    """In force is only that it is not heard."""
    assert moment.view.measured is not None
    view = View(Freshness.SILENT, age_s=12.4, last=Last(moment.view.measured, 12.4, moment.view.limits))
    away = replace(moment, view=view, hearing=Hearing(connected=False, since_s=12.4))
    found = last_numbers(away)
    assert found is not None
    assert (active_levels(away), found["alarms"]) == ({"core_unreachable": 2}, {"high_voltage": 1})


def test_names_and_units_are_those_of_the_catalogue(moment: Moment) -> None:
    """Each value has the key and the unit that the register catalogue has at its address."""
    for each in live_registers(moment.view.measured):
        found = {register.key: register.unit for register in catalogue().at(each["address"])}
        assert each["name"] in found
        assert each["unit"] == found[each["name"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.floats(1.0, 4.5), min_size=4, max_size=16))
def test_cells_end_at_the_last_pin(moment: Moment, voltages_v: list[float]) -> None:
    """Whatever the number of cells, the last one is register 15 and none is lost."""
    assert moment.view.measured is not None
    cells = Cells(tuple(voltages_v), (True,) * len(voltages_v))
    found = {each["address"]: each["value"] for each in live_registers(replace(moment.view.measured, cells=cells))}
    addresses = sorted(address for address in found if address < 16)
    assert addresses == list(range(16 - len(voltages_v), 16))
    assert [found[address] for address in addresses] == voltages_v
    bits = found[52]
    assert isinstance(bits, int)
    assert bits.bit_count() == len(voltages_v)
    assert bits < 1 << 16


def test_nothing_before_the_first_sample() -> None:
    """Without a sample there are no registers."""
    assert live_registers(None) == []


OLD_NAMES = {"cells": "cells_mv", "balancing": "balancing_bits"}
"""Of the message, with what replaces them; they go with version 1.0."""

OF_STATUS_ONLY = {
    "stats.uart",
    "stats.can",
    "stats.eventbus",
    "stats.energy",
    "packs",
    "outputs",
    "members",
    "lowest_cell",
    "highest_cell",
}
"""Too long for a message that goes out each second."""


def tree(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each key of a document with its path and value; a list is a value."""
    if isinstance(value, dict):
        for key, entry in value.items():
            below = f"{path}.{key}".lstrip(".")
            yield below, entry
            yield from tree(entry, below)


async def both(visitor: httpx.AsyncClient, core: Any) -> tuple[dict[str, object], dict[str, object]]:
    """Return the trees of both documents at one moment."""
    return dict(tree((await visitor.get("/api/status")).json())), dict(tree(json.loads(status_message(core))))


@pytest.fixture(params=["fresh", "old", "nothing yet"])
async def situation(request: pytest.FixtureRequest, core: Any, moment: Moment) -> str:
    """A bridge in one of the states in which the documents differ most."""
    await core.inhibit(Direction.CHARGE, None, "test", "boss")
    assert moment.view.measured is not None
    last = Last(moment.view.measured, 60.0, moment.view.limits)
    moments = {
        "fresh": moment,
        "old": replace(moment, view=View(Freshness.SILENT, age_s=60.0, last=last)),
        "nothing yet": replace(moment, view=View()),
    }
    core.now = moments[request.param]
    return str(request.param)


async def test_both_documents_name_and_tell_the_same(visitor: httpx.AsyncClient, core: Any, situation: str) -> None:
    """A client written for the one reads the other; neither may gain a name that the other has under another one."""
    status, live = await both(visitor, core)
    only_live = {path: value for path, value in live.items() if path not in status}
    only_status = {path for path in status if path not in live and not path.startswith(tuple(OF_STATUS_ONLY))}
    assert {path.partition(".")[0] for path in only_live} == OLD_NAMES.keys(), situation
    assert only_status == set()
    shared = status.keys() & live.keys()
    assert {path: live[path] for path in shared if path != "stats"} == {
        path: status[path] for path in shared if path != "stats"
    }


async def test_old_names_tell_the_same_as_the_new_ones(visitor: httpx.AsyncClient, core: Any, situation: str) -> None:
    """Until 1.0 nobody has to change anything."""
    status, live = await both(visitor, core)
    assert {old: live[old] for old in OLD_NAMES} == {old: status[new] for old, new in OLD_NAMES.items()}, situation


def test_old_names_are_marked_as_such() -> None:
    """And no new name is: a field of the message alone is either old, or belongs into both documents."""
    of_message_only = LiveStatus.model_fields.keys() - Status.model_fields.keys()
    deprecated = {name for name, field in LiveStatus.model_fields.items() if field.deprecated}
    assert of_message_only == deprecated == OLD_NAMES.keys()
    for old, new in OLD_NAMES.items():
        assert f"``{new}``" in str(LiveStatus.model_fields[old].description)
