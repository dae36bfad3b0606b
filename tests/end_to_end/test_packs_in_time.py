"""Several packs over minutes and hours, in virtual time: what comes and goes, a hub that resets, counters over kills.

They are of the core (tests/core/test_parallel.py, test_packs.py) and stand here because they take long: beside the
coverage of the rooms they would take three times as long.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.core.pack_rig import PackRig
from tests.core.test_parallel import HOLD_S, SLOWER, battery_of, limits_of

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.link.events import AlarmsChanged, LinkChanged, Noted, NoticesChanged

pytestmark = pytest.mark.virtual_time

FLAP_S = 360.0


@pytest.fixture
async def rig() -> AsyncIterator[PackRig]:
    """Four packs with everything plugged in; what runs on them ends with the test."""
    rig = PackRig(4)
    yield rig
    await rig.end()


@pytest.mark.parametrize("how", ["mute", "pulled"])
async def test_all_packs_silent(rig: PackRig, how: str) -> None:
    """The battery holds, falls silent in time, and needs new good samples to come back."""
    await rig.started()
    await asyncio.sleep(120.0)
    before = limits_of(rig)
    for port in rig.ports.values():
        if how == "mute":
            port.mute = True
        else:
            port.pull()
    await asyncio.sleep(5.0)
    assert rig.bridge.state().freshness is Freshness.HOLD
    assert limits_of(rig).ccl_a == 0.0
    assert 0.0 < limits_of(rig).dcl_a <= before.dcl_a
    assert limits_of(rig).cvl_v <= before.cvl_v
    await asyncio.sleep(HOLD_S + 1.0)
    assert rig.bridge.state().freshness is Freshness.SILENT
    since_s = rig.clock.monotonic()
    await asyncio.sleep(20.0)
    assert rig.heard_since(since_s) == []
    for port in rig.ports.values():
        port.mute = False
        port.plug()
    await asyncio.sleep(120.0)
    assert rig.bridge.state().freshness is Freshness.FRESH
    after = limits_of(rig)
    assert (after.cvl_v, after.dcl_a) == pytest.approx((before.cvl_v, before.dcl_a), rel=0.02)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}


@pytest.mark.parametrize(("how", "away_s", "there_s"), [("pulled", 1.0, 1.0), ("mute", 4.0, 1.5), ("mute", 40.0, 20.0)])
async def test_a_flapping_pack_fills_no_list_and_raises_nothing(how: str, away_s: float, there_s: float) -> None:
    """Minutes of a loose plug: a few events, and never a limit above those of the sound battery."""
    rig = PackRig(2)
    await rig.started(rig.document(tinybms=SLOWER))
    await asyncio.sleep(60.0)
    most = limits_of(rig)
    rig.told()
    rig.events.clear()
    port, highest_a = rig.ports["/dev/b"], [0.0, 0.0]
    begun_s = rig.clock.monotonic()
    while rig.clock.monotonic() - begun_s < FLAP_S:
        if how == "mute":
            port.mute = True
        else:
            port.pull()
        await asyncio.sleep(away_s)
        if away_s > 4.5:
            assert limits_of(rig).ccl_a == 0.0 or away_s > HOLD_S
        port.mute = False
        port.plug()
        await asyncio.sleep(there_s)
        highest_a = [max(highest_a[0], limits_of(rig).ccl_a), max(highest_a[1], limits_of(rig).dcl_a)]
    rig.told()
    assert highest_a[0] <= most.ccl_a * 1.35, "the ramp of the start may have had a little left"
    assert highest_a[1] <= most.dcl_a + 0.1
    codes = Counter(each.code for each in rig.events if isinstance(each, Noted))
    assert all(count <= 6 for count in codes.values()), codes
    assert sum(isinstance(each, LinkChanged) for each in rig.events) <= 12
    assert sum(isinstance(each, AlarmsChanged) for each in rig.events) <= 12
    assert sum(isinstance(each, NoticesChanged) for each in rig.events) <= 12
    await asyncio.sleep(330.0)
    rig.told()
    links = [each for each in rig.events if isinstance(each, LinkChanged)]
    assert [each.up for each in links[-1:]] in ([], [True]), "what was told last is true"
    assert AlarmName.BMS_INTERNAL not in rig.bridge.state().alarms.active()
    await rig.end()


async def test_the_alarm_of_a_flapping_pack_stays(rig: PackRig) -> None:
    """It does not flutter with the plug: it says that the readings come and go, until they have lasted."""
    await rig.started()
    for _ in range(20):
        rig.ports["/dev/b"].mute = True
        await asyncio.sleep(6.0)
        rig.ports["/dev/b"].mute = False
        await asyncio.sleep(6.0)
    alarms = rig.bridge.state().alarms
    assert battery_of(rig).conditions["b"] is PackCondition.IN_USE, "what it is now is told as it is"
    assert alarms.levels[AlarmName.BMS_INTERNAL] is AlarmLevel.WARNING
    assert alarms.causes[AlarmName.BMS_INTERNAL].message.code == "cause.pack_unsteady"


async def test_all_packs_flap_together(rig: PackRig) -> None:
    """A hub with a loose plug: no limit above what was, and frames only while something is fresh or held."""
    await rig.started()
    await asyncio.sleep(90.0)
    most = limits_of(rig)
    for _ in range(30):
        for port in rig.ports.values():
            port.pull()
        await asyncio.sleep(5.0)
        assert limits_of(rig).ccl_a == 0.0
        for port in rig.ports.values():
            port.plug()
        await asyncio.sleep(5.0)
        assert limits_of(rig).dcl_a <= most.dcl_a + 0.1
        assert limits_of(rig).ccl_a <= most.ccl_a


async def test_a_hub_that_resets_all_adapters(rig: PackRig) -> None:
    """Sixteen ports are lost at one moment and found again: all are opened, nothing is lost, nothing is told twice."""
    rig = PackRig(16)
    await rig.started()
    rig.set_currents_a(**dict.fromkeys(rig.units, 10.0))
    await asyncio.sleep(60.0)
    rig.told()
    rig.events.clear()
    before, energy = limits_of(rig), rig.bridge.state().energy
    for port in rig.ports.values():
        port.reset()
    await asyncio.sleep(30.0)
    state = rig.bridge.state()
    assert state.freshness is Freshness.FRESH
    assert {pack.condition for pack in state.packs.values()} == {PackCondition.IN_USE}
    assert [port.opened for port in rig.ports.values()] == [2] * 16
    assert limits_of(rig).dcl_a == pytest.approx(before.dcl_a, rel=0.02)
    assert state.energy.charged_ah > energy.charged_ah
    told = Counter(code for code, _ in rig.told())
    assert told["pack.ports_swapped"] == told["unit.changed"] == 0
    assert all(count <= 16 for count in told.values())
    await rig.end()


async def test_a_gx_is_never_told_less_after_a_kill(rig: PackRig) -> None:
    """What is told lags behind the disk as with one pack: killed at any moment, newest file lost, it never falls."""
    slow = {"poll_interval_ms": 1000, "poll_interval_min_ms": 1000}
    config = rig.document(advanced={"energy_save_interval_s": 60}, tinybms=slow)
    told: dict[str, float] = {}
    for number in range(4):
        rig.start(config)
        rig.set_currents_a(a=40.0, b=30.0, c=20.0, d=10.0)
        for _ in range(50 + 40 * number):
            await asyncio.sleep(1.0)
            state = rig.bridge.state()
            if rig.bridge.can.last_frames:
                now = {"": state.saved_energy.charged_wh}
                now |= {name: pack.saved_energy.charged_wh for name, pack in state.packs.items()}
                for name, charged_wh in now.items():
                    assert charged_wh >= told.get(name, 0.0), name
                told |= now
        await rig.kill()
        if number % 3 == 2 and rig.disk.previous is not None:
            rig.disk.data = b"\0" * 100
    assert told[""] > told["a"] > told["b"] > 0.0


async def test_the_count_of_the_right_bms_is_set_right(rig: PackRig) -> None:
    """``write_soc``: the BMS whose count is apart is written, by its pack's name, and no other; also after a swap."""
    bridge = await rig.started(
        rig.document(tinybms={"write_soc": True, "poll_interval_ms": 1000, "poll_interval_min_ms": 1000})
    )
    rig.swap("/dev/c", "/dev/d")
    await asyncio.sleep(30.0)
    before = {name: unit.bms.read(46, 2) for name, unit in rig.units.items()}
    unit = bridge.battery.units["c"]
    soc = unit.memory.soc
    assert soc.percent is not None
    unit.memory = replace(unit.memory, soc=replace(soc, percent=soc.percent + 20.0))
    await asyncio.sleep(700.0)
    rig.told()
    told = [each for each in rig.events if isinstance(each, Noted) and each.code.startswith("soc.")]
    after = {name: unit.bms.read(46, 2) for name, unit in rig.units.items()}
    changed = {name for name in rig.units if abs(_percent(before[name]) - _percent(after[name])) > 5.0}
    assert [each.code for each in told if each.code == "soc.written"] == ["soc.written"]
    assert changed == {"c"}


def _percent(words: tuple[int, ...] | None) -> float:
    assert words is not None
    return (words[0] + 65536 * words[1]) / 1e6
