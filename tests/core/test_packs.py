"""Which unit is at which line, and what belongs to it; in virtual time."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.core.pack_rig import PackRig, Unit, serial_of

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Evidence, Memory
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits, key_by_name
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.core.persistence import load_state

pytestmark = pytest.mark.virtual_time

ONE = {"hardware": {"uart": {"device": "/dev/a"}}}
"""Today's configuration."""


@pytest.fixture
async def rig() -> AsyncIterator[PackRig]:
    """Four packs with everything plugged in; what runs on them ends with the test."""
    rig = PackRig(4)
    yield rig
    await rig.end()


def serials(rig: PackRig) -> dict[str, str]:
    """Return which unit each pack shows."""
    found = {}
    for name, pack in rig.bridge.state().packs.items():
        found[name] = "" if pack.identity is None else pack.identity.serial_number
    return found


def charged_ah(rig: PackRig) -> dict[str, float]:
    """Return what was charged into each pack, and into the battery."""
    state = rig.bridge.state()
    return {name: pack.energy.charged_ah for name, pack in state.packs.items()} | {"": state.energy.charged_ah}


def kept_ah(rig: PackRig) -> dict[str, float]:
    """Return the counters that are kept, by the key of the unit."""
    return {key: state.energy.charged_ah for key, state in rig.bridge.saved_units().units.items()}


async def count_apart(rig: PackRig, seconds: float = 40.0) -> dict[str, float]:
    """Let another current flow through each pack, so that its counter tells it; return the counters."""
    rig.set_currents_a(a=40.0, b=30.0, c=20.0, d=10.0)
    await asyncio.sleep(seconds)
    rig.set_currents_a(a=0.0, b=0.0, c=0.0, d=0.0)
    await asyncio.sleep(1.0)
    return charged_ah(rig)


async def test_ports_that_were_swapped_while_it_ran(rig: PackRig) -> None:
    """A hub numbers its ports anew: names, counters and what was learned follow the serial numbers, and it is told."""
    learned = {name: 80.0 + number for number, name in enumerate(rig.units)}
    states = {
        rig.units[name].serial: SavedState(memory=Memory(evidence=Evidence(capacity_ah=learned[name])))
        for name in learned
    }
    keep(rig, SavedUnits(states, packs={name: unit.serial for name, unit in rig.units.items()}).to_document())
    await rig.started()
    counted = await count_apart(rig)
    before = serials(rig)
    rig.told()
    rig.swap("/dev/a", "/dev/b")
    await asyncio.sleep(15.0)
    assert serials(rig) == before == {name: unit.serial for name, unit in rig.units.items()}
    assert {pack.device for pack in (rig.bridge.packs["a"], rig.bridge.packs["b"])} == {"/dev/a", "/dev/b"}
    assert rig.bridge.packs["a"].device == "/dev/b"
    told = Counter(code for code, _ in rig.told())
    assert told["pack.ports_swapped"] == 1
    assert told["unit.changed"] == told["pack.same_unit"] == told["pack.serial_double"] == 0
    after = charged_ah(rig)
    assert after == pytest.approx(counted, abs=0.01)
    rig.set_currents_a(a=40.0)
    await asyncio.sleep(20.0)
    assert charged_ah(rig)["a"] > after["a"] + 0.1
    assert charged_ah(rig)["b"] == pytest.approx(after["b"], abs=0.001)
    units = rig.bridge.battery.units
    assert {name: unit.measured_capacity_ah for name, unit in units.items()} == learned


async def test_three_ports_that_change_places(rig: PackRig) -> None:
    """Also in a circle, and when each is found again at another moment."""
    await rig.started()
    counted = await count_apart(rig)
    ports = [rig.ports[f"/dev/{name}"] for name in "abc"]
    for port in ports:
        port.pull()
    ports[0].unit, ports[1].unit, ports[2].unit = ports[1].unit, ports[2].unit, ports[0].unit
    for port in ports:
        port.plug()
        await asyncio.sleep(0.7)
    await asyncio.sleep(20.0)
    assert serials(rig) == {name: unit.serial for name, unit in rig.units.items()}
    assert charged_ah(rig) == pytest.approx(counted, abs=0.01)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}


async def test_cables_that_were_swapped_behind_their_adapters(rig: PackRig) -> None:
    """No port is lost, but the counters jump: who answers is asked again before anything counts."""
    await rig.started()
    counted = await count_apart(rig)
    one, two = rig.ports["/dev/a"], rig.ports["/dev/b"]
    one.unit, two.unit = two.unit, one.unit
    await asyncio.sleep(10.0)
    assert (one.opened, two.opened) == (1, 1), "no port was closed"
    assert rig.bridge.packs["a"].device == "/dev/b"
    assert serials(rig) == {name: unit.serial for name, unit in rig.units.items()}
    assert charged_ah(rig) == pytest.approx(counted, abs=0.01)
    rig.set_currents_a(a=40.0)
    await asyncio.sleep(20.0)
    assert charged_ah(rig)["a"] > counted["a"] + 0.1
    assert charged_ah(rig)["b"] == pytest.approx(counted["b"], abs=0.001)


@pytest.mark.parametrize("end", ["end", "kill"])
async def test_ports_that_were_swapped_while_it_was_off(rig: PackRig, end: str) -> None:
    """At the next start each unit has its name, counters and memory again, and it is told once."""
    await rig.started(rig.document(advanced={"energy_save_interval_s": 60}))
    counted = await count_apart(rig, 60.0)
    await asyncio.sleep(61.0)
    await (rig.end() if end == "end" else rig.kill())
    rig.swap("/dev/a", "/dev/d")
    await rig.started()
    rig.events.clear()
    assert serials(rig) == {name: unit.serial for name, unit in rig.units.items()}
    assert charged_ah(rig) == pytest.approx(counted, abs=0.05)
    await rig.end()
    rig.start()
    await asyncio.sleep(5.0)
    told = Counter(code for code, _ in rig.told())
    assert told["unit.changed"] == 0
    assert told["pack.ports_swapped"] <= 1, "the configuration still names the other ports"


async def test_a_unit_that_was_replaced(rig: PackRig) -> None:
    """A new unit begins at 0 and is told; the battery's counter goes on; the old one finds its own again."""
    await rig.started()
    counted = await count_apart(rig)
    old, new = rig.units["c"], Unit(rig.clock, 40)
    port = rig.ports["/dev/c"]
    rig.told()
    port.pull()
    port.plug(new)
    await asyncio.sleep(10.0)
    assert serials(rig)["c"] == new.serial
    assert charged_ah(rig)["c"] == pytest.approx(0.0, abs=0.001)
    assert charged_ah(rig)[""] >= counted[""]
    assert ("unit.changed", "c") in rig.told()
    port.pull()
    port.plug(old)
    await asyncio.sleep(10.0)
    assert charged_ah(rig)["c"] == pytest.approx(counted["c"], abs=0.01)


@pytest.mark.parametrize("serial", ["0" * 24, "F" * 24])
async def test_units_without_a_serial_number(rig: PackRig, serial: str) -> None:
    """Two of them: each is known by the name of its pack, which is told, and has its own counters over a restart."""
    for number, name in enumerate("ab"):
        rig.ports[f"/dev/{name}"].unit = rig.units[name] = Unit(rig.clock, number + 20, serial=serial)
    rig.start()
    await asyncio.sleep(10.0)
    told = Counter(rig.told())
    assert told["unit.no_serial", "a"] == told["unit.no_serial", "b"] == 1
    assert told["pack.same_unit", "b"] == 0
    counted = await count_apart(rig)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}
    assert kept_ah(rig)[key_by_name("a")] == pytest.approx(counted["a"])
    await rig.end()
    await rig.started()
    assert charged_ah(rig) == pytest.approx(counted, abs=0.01)


async def test_a_unit_that_refuses_to_tell_who_it_is(rig: PackRig) -> None:
    """It is known by its name, told as such, and its counters are kept; what it tells later changes no counter."""
    rig.units["b"].refused.add(500)
    rig.start()
    await asyncio.sleep(10.0)
    assert Counter(rig.told())["unit.no_serial", "b"] == 1
    counted = await count_apart(rig)
    assert kept_ah(rig)[key_by_name("b")] == pytest.approx(counted["b"])
    await rig.end()
    await rig.started()
    assert charged_ah(rig)["b"] == pytest.approx(counted["b"], abs=0.01)


async def test_two_units_with_one_serial_number(rig: PackRig) -> None:
    """Copied settings copied the number too: their counters differ, so they are two packs, known by name; told once."""
    copy = rig.units["b"] = Unit(rig.clock, 7, serial=rig.units["a"].serial)
    rig.ports["/dev/b"].unit = copy
    rig.start()
    await asyncio.sleep(10.0)
    assert Counter(code for code, _ in rig.told())["pack.serial_double"] == 1
    counted = await count_apart(rig)
    assert counted["a"] > counted["b"] > counted["c"]
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}
    for first in "ab":  # whichever answers first after a restart
        await rig.end()
        rig.ports[f"/dev/{first}"].present = False
        rig.start()
        await asyncio.sleep(10.0)
        rig.ports[f"/dev/{first}"].plug()
        await asyncio.sleep(20.0)
        told = Counter(code for code, _ in rig.told())
        assert told["pack.ports_swapped"] == told["unit.changed"] == told["pack.serial_double"] == 0
        assert charged_ah(rig) == pytest.approx(counted, abs=0.02)
        assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}


@pytest.mark.parametrize("first", ["a", "b"])
async def test_one_unit_at_two_ports_counts_once(rig: PackRig, first: str) -> None:
    """The unit of a is at b's port, too: the current is not doubled, whichever answers first, and the alarm says it."""
    rig.ports["/dev/b"].unit = rig.units["a"]
    rig.set_currents_a(a=40.0, c=20.0, d=10.0)
    second = "b" if first == "a" else "a"
    rig.ports[f"/dev/{second}"].present = False
    rig.start()
    await asyncio.sleep(2.0)
    rig.ports[f"/dev/{second}"].plug()
    await asyncio.sleep(20.0)
    rig.told()
    state = rig.bridge.state()
    conditions = Counter(pack.condition for pack in state.packs.values())
    assert conditions == {PackCondition.IN_USE: 3, PackCondition.ODD: 1}
    assert state.snapshot.pack.current_a == pytest.approx(70.0, abs=0.5)
    assert state.packs[first].condition is PackCondition.IN_USE, "the first one stays in use"
    cause = state.alarms.causes[AlarmName.BMS_INTERNAL]
    assert state.alarms.levels[AlarmName.BMS_INTERNAL] is AlarmLevel.ALARM
    assert (cause.pack, cause.message.code) == (second, "cause.pack_double")
    assert cause.message.parameters == {"device": f"/dev/{first}"}
    assert charged_ah(rig)[second] == 0.0
    assert state.decided is not None
    assert state.decided.dcl_a > 0.0
    codes = Counter(code for code, _ in rig.told())
    assert codes["pack.ports_swapped"] == codes["unit.changed"] == 0


async def test_the_second_port_of_a_unit_takes_over(rig: PackRig) -> None:
    """Where the first port of a unit dies, the second one goes on as the same pack, with the same counters."""
    rig.ports["/dev/b"].present = False
    await rig.started()
    rig.ports["/dev/b"].plug(rig.units["a"])
    await asyncio.sleep(10.0)
    assert rig.bridge.state().packs["b"].condition is PackCondition.ODD
    rig.set_currents_a(a=40.0)
    await asyncio.sleep(20.0)
    before = charged_ah(rig)["a"]
    rig.ports["/dev/a"].pull()
    await asyncio.sleep(20.0)
    state = rig.bridge.state()
    assert state.packs["a"].condition is PackCondition.IN_USE
    assert state.packs["b"].condition is PackCondition.SILENT
    assert charged_ah(rig)["a"] > before


async def test_the_second_port_of_a_unit_that_falls_silent(rig: PackRig) -> None:
    """Then nothing is heard of that pack at all, and it counts as silent."""
    rig.ports["/dev/b"].present = False
    await rig.started()
    rig.ports["/dev/b"].plug(rig.units["a"])
    await asyncio.sleep(10.0)
    rig.ports["/dev/b"].pull()
    await asyncio.sleep(10.0)
    packs = rig.bridge.state().packs
    assert (packs["a"].condition, packs["b"].condition) == (PackCondition.IN_USE, PackCondition.SILENT)


async def test_a_wrong_line_of_the_configuration_is_mended_live(rig: PackRig) -> None:
    """Whoever swaps the two ports in the configuration, after they were swapped, changes no name and no counter."""
    await rig.started()
    counted = await count_apart(rig)
    rig.swap("/dev/a", "/dev/b")
    await asyncio.sleep(10.0)
    document = rig.document()
    document["packs"]["a"]["uart"]["device"], document["packs"]["b"]["uart"]["device"] = "/dev/b", "/dev/a"
    rig.bridge.apply(rig.configuration(packs=document["packs"]))
    await asyncio.sleep(15.0)
    assert serials(rig) == {name: unit.serial for name, unit in rig.units.items()}
    assert charged_ah(rig) == pytest.approx(counted, abs=0.01)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}


def pinned(rig: PackRig, **serial_numbers: str) -> dict[str, Any]:
    """Return the packs of a configuration in which some units are named."""
    packs: dict[str, Any] = rig.document()["packs"]
    for name, serial_number in serial_numbers.items():
        packs[name]["serial_number"] = serial_number
    return packs


async def test_a_pinned_unit_has_its_name_wherever_it_is(rig: PackRig) -> None:
    """``serial_number`` gives a unit a name at the very first start, whatever the order of the ports."""
    packs = pinned(rig, a=rig.units["d"].serial, d=rig.units["a"].serial.lower())
    await rig.started(rig.document(packs=packs))
    await asyncio.sleep(5.0)
    found = serials(rig)
    assert (found["a"], found["d"]) == (rig.units["d"].serial, rig.units["a"].serial)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}


async def test_another_unit_than_the_pinned_one_does_not_count(rig: PackRig) -> None:
    """It is told as a fault, and the pack is silent until the right one is there or the configuration is mended."""
    rig.start(rig.document(packs=pinned(rig, b=serial_of(77))))
    await asyncio.sleep(20.0)
    state = rig.bridge.state()
    assert state.packs["b"].condition is PackCondition.SILENT
    assert state.packs["b"].latest is None
    assert Counter(rig.told())["pack.other_unit", "b"] == 1
    assert state.freshness is Freshness.FRESH
    rig.bridge.apply(rig.configuration(packs=pinned(rig, b=rig.units["b"].serial)))
    await asyncio.sleep(5.0)
    assert rig.bridge.state().packs["b"].condition is PackCondition.IN_USE
    assert rig.ports["/dev/b"].opened == 1


async def test_a_pin_holds_for_the_only_pack(rig: PackRig) -> None:
    """One pack with the wrong unit sends nothing."""
    rig.start({"packs": {"a": {"uart": {"device": "/dev/a"}, "serial_number": serial_of(77)}}})
    await asyncio.sleep(10.0)
    assert rig.heard == []
    assert [code for code, _ in rig.told()].count("pack.other_unit") == 1


async def test_out_of_service_and_back(rig: PackRig) -> None:
    """The port is closed, the pack leaves the sums, nobody raises an alarm for it, both are told, and limits follow."""
    await rig.started()
    await asyncio.sleep(60.0)
    rig.set_currents_a(a=10.0, b=10.0, c=10.0, d=10.0)
    await asyncio.sleep(10.0)
    rig.told()
    packs = rig.document()["packs"]
    packs["c"]["enabled"] = False
    before = rig.bridge.battery.limits
    rig.bridge.apply(rig.configuration(packs=packs))
    await asyncio.sleep(60.0)
    state = rig.bridge.state()
    assert not rig.ports["/dev/c"].is_open
    assert state.packs["c"].condition is PackCondition.OUT_OF_SERVICE
    assert state.members == ("a", "b", "d")
    assert state.snapshot.pack.current_a == pytest.approx(30.0, abs=0.3)
    assert state.alarms.active() == {}
    assert before is not None
    assert state.limits.dcl_a == pytest.approx(0.75 * before.dcl_a, rel=0.02)
    assert state.limits.ccl_a > 0.0
    assert Counter(rig.told()) == {("pack.out_of_service", "c"): 1}
    assert rig.dog.fed > 0
    fed = rig.dog.fed
    await asyncio.sleep(60.0)
    assert rig.dog.fed - fed > 100, "a line that is closed on purpose does not hang"
    rig.bridge.apply(rig.configuration())
    await asyncio.sleep(20.0)
    state = rig.bridge.state()
    assert state.packs["c"].condition is PackCondition.IN_USE
    assert state.snapshot.pack.current_a == pytest.approx(40.0, abs=0.4)
    assert ("pack.in_service", "c") in rig.told()


async def test_what_was_read_before_it_was_taken_out_does_not_count(rig: PackRig) -> None:
    """A pack that is put back counts from its first new samples on: its last ones are as old as the work on it."""
    await rig.started()
    rig.set_currents_a(a=10.0, b=10.0, c=50.0, d=10.0)
    await asyncio.sleep(10.0)
    packs = rig.document()["packs"]
    packs["c"]["enabled"] = False
    rig.bridge.apply(rig.configuration(packs=packs))
    await asyncio.sleep(60.23)  # between two looks of the bridge itself
    rig.ports["/dev/c"].present = False
    rig.bridge.apply(rig.configuration())
    for _ in range(100):
        state = rig.bridge.state()
        assert state.snapshot.pack.current_a == pytest.approx(30.0, abs=1.0)
        assert not state.packs["c"].is_online
        await asyncio.sleep(0.01)


async def test_out_of_service_means_the_pack_and_not_its_port(rig: PackRig) -> None:
    """After a swap it is the port that the pack has now which is closed."""
    await rig.started()
    rig.swap("/dev/a", "/dev/b")
    await asyncio.sleep(10.0)
    packs = rig.document()["packs"]
    packs["a"]["enabled"] = False
    rig.bridge.apply(rig.configuration(packs=packs))
    await asyncio.sleep(10.0)
    assert (rig.ports["/dev/a"].is_open, rig.ports["/dev/b"].is_open) == (True, False)
    assert rig.bridge.state().members == ("b", "c", "d")
    rig.bridge.apply(rig.configuration())
    await asyncio.sleep(10.0)
    assert set(rig.bridge.state().members) == {"a", "b", "c", "d"}


async def test_a_configuration_with_other_packs_begins_anew(rig: PackRig) -> None:
    """Names that are added or removed are no change of what runs: the core is told, and goes on until it is ended."""
    await rig.started()
    packs = rig.document()["packs"]
    del packs["d"]
    rig.bridge.apply(rig.configuration(packs=packs))
    assert rig.other_packs == 1
    await asyncio.sleep(5.0)
    assert set(rig.bridge.state().members) == {"a", "b", "c", "d"}
    rig.bridge.apply(rig.configuration(packs={**packs, "e": {"uart": {"device": "/dev/e"}}}))
    assert rig.other_packs == 2


def keep(rig: PackRig, document: dict[str, Any]) -> None:
    """Put a state on the disk."""
    rig.disk.write(json.dumps(document).encode())


EVIDENCE = Evidence(capacity_ah=88.0)
OLD = SavedState(EnergyTotals(5000.0, 4000.0, 100.0, 80.0), Memory(evidence=EVIDENCE))


@pytest.mark.parametrize("version", [1, 2])
async def test_todays_state_is_adopted(rig: PackRig, version: int) -> None:
    """The unit that was alone keeps its counters and memory, and the battery goes on from its counters."""
    if version == 1:
        keep(rig, {"version": 1, **OLD.to_document()})
    else:
        keep(rig, SavedUnits({rig.units["a"].serial: OLD}, None, rig.units["a"].serial).to_document())
    await rig.started()
    counted = charged_ah(rig)
    assert counted[""] == pytest.approx(100.0, abs=0.01)
    adopted = {name for name in rig.units if counted[name] >= 100.0}
    assert len(adopted) == 1
    if version == 2:
        assert adopted == {"a"}
    (name,) = adopted
    assert rig.bridge.battery.units[name].measured_capacity_ah == 88.0


async def test_from_one_pack_to_four_and_back(rig: PackRig) -> None:
    """Four go on from the counters of the one; back to one it has its own, and with four again the battery's go on."""
    await rig.started(ONE)
    rig.set_currents_a(a=40.0)
    await asyncio.sleep(60.0)
    alone = rig.bridge.state().energy.charged_ah
    assert alone > 0.5
    await rig.end()

    await rig.started()
    assert charged_ah(rig)[""] >= alone
    assert charged_ah(rig)["a"] >= alone
    counted = await count_apart(rig)
    assert counted[""] > counted["a"] > alone
    await rig.end()

    await rig.started(ONE)
    assert rig.bridge.state().energy.charged_ah == pytest.approx(counted["a"], abs=0.01)
    rig.set_currents_a(a=40.0)
    await asyncio.sleep(30.0)
    own = rig.bridge.state().energy.charged_ah
    await rig.end()

    await rig.started()
    assert charged_ah(rig)[""] >= counted[""], "what was told to a GX never falls"
    assert charged_ah(rig)["a"] >= own


async def test_what_is_kept_survives_a_restart(rig: PackRig) -> None:
    """Counters of each unit and of the battery, its clock, and what was learned of each unit."""
    await rig.started()
    counted = await count_apart(rig)
    saved = rig.bridge.saved_units()
    assert saved.battery is not None
    await rig.end()
    again = load_state(rig.disk)
    assert again.packs == {name: unit.serial for name, unit in rig.units.items()}
    assert again.battery is not None
    assert again.battery.counters_s.keys() == rig.units.keys()
    await rig.started()
    assert charged_ah(rig) == pytest.approx(counted, abs=0.01)
    after = rig.bridge.saved_units().battery
    assert after is not None
    assert saved.battery.lifetime_s < after.lifetime_s < saved.battery.lifetime_s + 30
    told = Counter(code for code, _ in rig.told())
    assert told["unit.changed"] == 0
    assert told["charge.defaults"] == 0, "told once in the life of a unit"
