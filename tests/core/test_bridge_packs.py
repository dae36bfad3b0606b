"""The bridge around several packs: its parts, watchdog, statistics, state tree and commands; in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.core.pack_rig import PackRig, Unit

from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.state import MAIN_PACK, PackCondition
from tinybms_bridge.core.battery import Battery
from tinybms_bridge.core.bridge import Bridge
from tinybms_bridge.link.events import BmsEventsSeen, IdentityKnown, Noted

pytestmark = pytest.mark.virtual_time

FOR_16_CELLS = {"bulk_voltage_v": 56.0}


@pytest.fixture
async def rig() -> AsyncIterator[PackRig]:
    """Four packs with everything plugged in; what runs on them ends with the test."""
    rig = PackRig(4)
    yield rig
    await rig.end()


async def stuck(*_: object, **__: object) -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


def hanging(bridge: Bridge) -> set[str]:
    """Return the parts that hang."""
    return {part.name for part in bridge.watchdog().parts if part.hangs}


async def test_every_line_is_a_part_of_its_own(rig: PackRig) -> None:
    """Each is supervised and watched by its name; with one pack the names are those of ever."""
    bridge = await rig.started()
    names = {part.name for part in bridge.parts()}
    assert {f"uart-{name}" for name in rig.units} <= names
    assert {f"soc-writer-{name}" for name in rig.units} <= names
    assert {part.name for part in bridge.watchdog().parts} == {*(f"uart-{name}" for name in rig.units), "can"}


async def test_the_names_of_parts_of_odd_pack_names() -> None:
    """Names that differ only in what a part's name cannot hold stay apart."""
    rig = PackRig(3)
    packs = {
        name: {"uart": {"device": f"/dev/{letter}"}}
        for name, letter in zip(("Rack_1", "rack-1", "Été"), "abc", strict=True)
    }
    rig.start({"packs": packs})
    parts = {part.name for part in rig.bridge.parts() if part.name.startswith("uart")}
    assert len(parts) == 3
    await rig.end()


async def test_one_named_pack_is_a_battery_of_one() -> None:
    """``packs`` with one entry is what ``hardware.uart`` is, under its own name."""
    rig = PackRig(1)
    bridge = await rig.started({"packs": {"roof": {"uart": {"device": "/dev/a"}}}})
    assert isinstance(bridge.battery, Battery)
    assert list(bridge.state().packs) == ["roof"]
    assert "uart" in {part.name for part in bridge.parts()}
    await rig.end()
    bridge = await rig.started({"hardware": {"uart": {"device": "/dev/a"}}})
    assert list(bridge.state().packs) == [MAIN_PACK]
    await rig.end()


async def test_one_line_that_hangs_is_noticed(rig: PackRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other lines go on, and still the watchdog is not fed: who hangs is named."""
    bridge = await rig.started(rig.document(advanced={"watchdog_timeout_s": 20}))
    monkeypatch.setattr(bridge.packs["c"].client, "request", stuck)
    await asyncio.sleep(35.0)
    assert hanging(bridge) == {"uart-c"}
    fed = rig.dog.fed
    await asyncio.sleep(10.0)
    assert rig.dog.fed == fed
    rig.told()
    told = [each for each in rig.events if isinstance(each, Noted) and each.code == "path.hangs"]
    assert [each.message.parameters["parts"] for each in told] == [["uart-c"]]


async def test_a_line_that_hangs_out_of_service_starves_nobody(rig: PackRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking the pack out is a way to go on without it; put back, it is expected to work again."""
    bridge = await rig.started(rig.document(advanced={"watchdog_timeout_s": 20}))
    monkeypatch.setattr(bridge.packs["c"].client, "request", stuck)
    await asyncio.sleep(35.0)
    packs = rig.document()["packs"]
    packs["c"]["enabled"] = False
    bridge.apply(rig.configuration(packs=packs, advanced={"watchdog_timeout_s": 20}))
    await asyncio.sleep(2.0)
    assert hanging(bridge) == set()
    fed = rig.dog.fed
    await asyncio.sleep(60.0)
    assert rig.dog.fed - fed > 100
    monkeypatch.undo()
    bridge.apply(rig.configuration(advanced={"watchdog_timeout_s": 20}))
    await asyncio.sleep(60.0)
    assert hanging(bridge) == set()
    assert bridge.state().packs["c"].condition is PackCondition.IN_USE


async def test_a_silent_pack_is_no_hang(rig: PackRig) -> None:
    """Trying is progress: minutes without two packs restart nothing."""
    bridge = await rig.started(rig.document(tinybms={"poll_interval_ms": 1000, "poll_interval_min_ms": 1000}))
    rig.ports["/dev/a"].pull()
    rig.ports["/dev/b"].mute = True
    fed = rig.dog.fed
    await asyncio.sleep(300.0)
    assert rig.dog.fed - fed >= 590
    assert hanging(bridge) == set()


async def test_statistics_of_all_lines_begin_again(rig: PackRig) -> None:
    """Reset means every line and every unit, and no energy."""
    bridge = await rig.started()
    rig.set_currents_a(a=20.0)
    for _ in range(5):
        rig.units["b"].misread[4] = 42_000  # a wire that is loose for a moment
        await asyncio.sleep(0.1)
        rig.units["b"].misread.clear()
        await asyncio.sleep(2.0)
    tree = bridge.tree()
    assert all(pack.uart.polls > 15 for pack in tree.packs.values())
    assert tree.packs["b"].uart.rejected_samples + tree.packs["b"].uart.outliers > 0
    assert tree.packs["a"].uart.rejected_samples + tree.packs["a"].uart.outliers == 0
    energy = bridge.state().energy
    bridge.reset_statistics()
    tree = bridge.tree()
    assert {(pack.uart.polls, pack.uart.rejected_samples, pack.uart.outliers) for pack in tree.packs.values()} == {
        (0, 0, 0)
    }
    assert bridge.state().energy == energy


async def test_the_tree_has_each_pack_with_its_own_line(rig: PackRig) -> None:
    """Line, statistics of the BMS, advice: by the name of the pack, also after its port has changed."""
    bridge = await rig.started()
    await asyncio.sleep(70.0)
    rig.swap("/dev/a", "/dev/b")
    await asyncio.sleep(80.0)
    tree = bridge.tree()
    assert list(tree.packs) == list(rig.units)
    assert [pack.uart.device for pack in tree.packs.values()] == ["/dev/b", "/dev/a", "/dev/c", "/dev/d"]
    assert all(pack.uart.up and pack.statistics is not None for pack in tree.packs.values())
    assert tree.battery is bridge.state()
    for name, pack in bridge.packs.items():
        trace = pack.trace()
        assert trace
        assert pack.name == name


async def test_what_a_pack_tells_names_it(rig: PackRig) -> None:
    """Identity and events of each BMS stand with the name of the pack."""
    await rig.started()
    await asyncio.sleep(10.0)
    rig.told()
    assert {each.pack for each in rig.events if isinstance(each, IdentityKnown)} == set(rig.units)
    assert {each.pack for each in rig.events if isinstance(each, BmsEventsSeen)} == set(rig.units)


async def test_a_pause_of_an_empty_pack_is_ended_by_a_person(rig: PackRig) -> None:
    """The wish reaches every unit that pauses."""
    bridge = await rig.started()
    for name in ("b", "d"):
        unit = bridge.battery.units[name]
        pause = replace(unit.memory.discharge.pause, on=True)
        unit.memory = replace(unit.memory, discharge=replace(unit.memory.discharge, pause=pause))
    assert bridge.battery.end_pause()
    assert not bridge.battery.end_pause()
    assert not any(unit.memory.discharge.pause.on for unit in bridge.battery.units.values())


async def test_what_does_not_fit_one_pack_is_a_notice(rig: PackRig) -> None:
    """A configuration that contradicts any unit in service is told; of one that was taken out no more."""
    rig.ports["/dev/d"].unit = rig.units["d"] = Unit(rig.clock, 3, cells=8)
    bridge = await rig.started(rig.document(cvl=FOR_16_CELLS))
    await asyncio.sleep(20.0)
    assert NoticeName.CONFIGURATION in bridge.battery.notices.active()
    packs = rig.document()["packs"]
    packs["d"]["enabled"] = False
    bridge.apply(rig.configuration(packs=packs, cvl=FOR_16_CELLS))
    await asyncio.sleep(20.0)
    assert NoticeName.CONFIGURATION not in bridge.battery.notices.active()


async def test_a_pack_that_never_answers_delays_the_first_frame_by_seconds(rig: PackRig) -> None:
    """A GX misses its BMS for a moment only; the missing one is told, and charging waits."""
    rig.ports["/dev/d"].mute = True
    begun_s = rig.clock.monotonic()
    bridge = rig.start()
    while not rig.heard:
        await asyncio.sleep(0.1)
    assert 5.0 <= rig.clock.monotonic() - begun_s < 9.0
    assert bridge.battery.limits is not None
    assert bridge.battery.limits.ccl_a == 0.0
    assert bridge.battery.limits.dcl_a > 0.0
    await asyncio.sleep(10.0)
    assert ("pack.silent", "d") in rig.told()
    assert NoticeName.COMMUNICATION in bridge.battery.notices.active()
