"""Several packs as one battery, from bytes to frames; in virtual time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from tests.core.pack_rig import PackRig, Unit

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Inhibited, LimitCode, Limits, Quantity
from tinybms_bridge.battery.state import CellPlace, PackCondition, PackState
from tinybms_bridge.core.parallel import ParallelBattery
from tinybms_bridge.link.events import PackSnapshotAccepted

pytestmark = pytest.mark.virtual_time

HOLD_S = 30.0

SLOWER = {"poll_interval_ms": 400, "poll_interval_min_ms": 400}
"""Two and a half reads a second, where many minutes have to pass."""


@pytest.fixture
async def rig() -> AsyncIterator[PackRig]:
    """Four packs with everything plugged in; what runs on them ends with the test."""
    rig = PackRig(4)
    yield rig
    await rig.end()


def battery_of(rig: PackRig) -> ParallelBattery:
    """Return what decides."""
    assert isinstance(rig.bridge.battery, ParallelBattery)
    return rig.bridge.battery


def limits_of(rig: PackRig) -> Limits:
    """Return the limits in force."""
    assert rig.bridge.battery.limits is not None
    return rig.bridge.battery.limits


def current_a(rig: PackRig) -> float:
    """Return the current of the battery as it is shown."""
    combined = rig.bridge.state().combined
    assert combined is not None
    return combined.pack.current_a


@pytest.mark.parametrize("count", [2, 4, 16])
async def test_packs_are_read_and_one_battery_is_sent(count: int) -> None:
    """A GX hears the sum of the currents and capacities, the mean voltage, and limits of as many packs."""
    rig = PackRig(count)
    bridge = await rig.started()
    rig.set_currents_a(**dict.fromkeys(rig.units, 5.0))
    await asyncio.sleep(60.0)
    state = bridge.state()
    assert list(state.packs) == list(rig.units) == list(state.members)
    assert {pack.condition for pack in state.packs.values()} == {PackCondition.IN_USE}
    assert rig.last(0x356)["current"] == pytest.approx(5.0 * count, abs=0.2 * count)
    assert rig.last(0x356)["voltage"] == pytest.approx(state.snapshot.pack.voltage_v, abs=0.02)
    assert rig.last(0x379)["capacity"] == 100 * count
    assert rig.last(0x355)["soc_high_resolution"] == pytest.approx(50.0, abs=1.0)
    one_a = min(pack.limits.dcl_a for pack in state.packs.values() if pack.limits is not None)
    assert limits_of(rig).dcl_a == pytest.approx(count * one_a, rel=0.05)
    assert state.snapshot.cells.count == 16 * count
    assert state.place_of(17) == CellPlace("b", 1)
    assert {name for name, _ in rig.told()} <= {"charge.defaults"}
    await rig.end()


async def test_each_pack_tells_what_is_its_own(rig: PackRig) -> None:
    """Current, limits, shares, counters and identity stand beside each pack."""
    bridge = await rig.started()
    rig.set_currents_a(a=20.0, b=10.0, c=10.0, d=0.0)
    await asyncio.sleep(120.0)
    state = bridge.state()
    for name, current in {"a": 20.0, "b": 10.0, "c": 10.0, "d": 0.0}.items():
        pack = state.packs[name]
        assert pack.latest is not None
        assert pack.identity is not None
        assert pack.latest.pack.current_a == pytest.approx(current, abs=0.2)
        assert pack.energy.charged_ah == pytest.approx(current * 120.0 / 3600.0, rel=0.02, abs=0.01)
        assert pack.identity.serial_number == rig.units[name].serial
        assert pack.is_online
    assert state.energy.charged_ah == pytest.approx(40.0 * 120.0 / 3600.0, rel=0.02)
    shares = {name: pack.charge_share for name, pack in state.packs.items()}
    assert 0.5 <= (shares["a"] or 0.0) < 0.6
    assert all(share is not None and share >= 0.25 for share in shares.values())
    rig.told()
    counted = Counter(each.pack for each in rig.events if isinstance(each, PackSnapshotAccepted))
    assert min(counted.values()) > 200


async def test_a_pack_that_is_unplugged_and_comes_back(rig: PackRig) -> None:
    """Charging stops with the time-out, the lights stay on; after the hold it goes on with care; then as before."""
    await rig.started()
    await asyncio.sleep(90.0)
    before = limits_of(rig)
    rig.told()
    gone_s = rig.clock.monotonic()
    rig.ports["/dev/c"].pull()
    await asyncio.sleep(3.6)
    assert limits_of(rig).ccl_a == 0.0
    assert rig.last(0x351)["charge_current_limit"] == 0.0
    reason = limits_of(rig).binding(Quantity.CCL)
    assert reason is not None
    assert (reason.code, reason.pack) == (LimitCode.PACK_SILENT, "c")
    assert 0.0 < limits_of(rig).dcl_a <= 0.76 * before.dcl_a
    assert battery_of(rig).conditions["c"] is PackCondition.SILENT
    cause = rig.bridge.state().alarms.causes[AlarmName.BMS_INTERNAL]
    assert rig.bridge.state().alarms.levels[AlarmName.BMS_INTERNAL] is AlarmLevel.WARNING
    assert (cause.pack, cause.message.code) == ("c", "cause.pack_silent")
    assert ("pack.silent", "c") in rig.told()
    assert rig.bridge.state().freshness is Freshness.FRESH

    await asyncio.sleep(HOLD_S - 3.0)
    assert limits_of(rig).ccl_a == 0.0, "as long as one pack alone would hold"
    await asyncio.sleep(60.0)
    careful = limits_of(rig)
    assert 0.0 < careful.ccl_a <= before.ccl_a
    assert 0.0 < careful.dcl_a <= 0.76 * before.dcl_a
    resting = careful.binding(Quantity.CVL)
    assert resting is not None
    assert (resting.code, resting.detail, resting.pack) == (LimitCode.PACK_SILENT, "rest", "c")
    assert careful.cvl_v < before.cvl_v
    assert rig.bridge.state().alarms.levels[AlarmName.BMS_INTERNAL] is AlarmLevel.ALARM
    gaps_s = rig.heard_since(gone_s)
    assert max(after - first for first, after in pairwise(gaps_s)) < 1.1, "frames go on"

    rig.ports["/dev/c"].plug()
    await asyncio.sleep(120.0)
    assert ("pack.back", "c") in rig.told()
    after = limits_of(rig)
    assert (after.cvl_v, after.dcl_a) == pytest.approx((before.cvl_v, before.dcl_a), rel=0.02)
    assert after.ccl_a >= before.ccl_a
    assert AlarmName.BMS_INTERNAL not in rig.bridge.state().alarms.active()


async def test_a_missing_pack_may_stop_all(rig: PackRig) -> None:
    """With ``packs_missing: stop`` the whole battery holds, then is silent, as the only pack would; and comes back."""
    await rig.started(rig.document(battery={"packs_missing": "stop"}))
    await asyncio.sleep(30.0)
    before = limits_of(rig)
    rig.ports["/dev/c"].mute = True
    await asyncio.sleep(5.0)
    assert rig.bridge.state().freshness is Freshness.HOLD
    assert limits_of(rig).ccl_a == 0.0
    assert 0.0 < limits_of(rig).dcl_a <= before.dcl_a
    await asyncio.sleep(HOLD_S + 2.0)
    assert rig.bridge.state().freshness is Freshness.SILENT
    since_s = rig.clock.monotonic()
    await asyncio.sleep(10.0)
    assert rig.heard_since(since_s) == [], "no frame of any kind"
    rig.ports["/dev/c"].mute = False
    await asyncio.sleep(90.0)
    assert rig.bridge.state().freshness is Freshness.FRESH
    assert limits_of(rig).dcl_a == pytest.approx(before.dcl_a, rel=0.05)


async def test_a_lifetime_counter_that_jumps(rig: PackRig) -> None:
    """One unit says that it is ten years older: it stays who it is, and the weekly times of the battery hold."""
    await rig.started()
    before_s = battery_of(rig).saved_state().lifetime_s
    rig.units["b"].jump(10 * 365 * 86_400)
    await asyncio.sleep(60.0)
    assert {pack.condition for pack in rig.bridge.state().packs.values()} == {PackCondition.IN_USE}
    assert battery_of(rig).saved_state().lifetime_s - before_s == pytest.approx(60, abs=3)
    told = [code for code, _ in rig.told()]
    assert "pack.ports_swapped" not in told
    assert "unit.changed" not in told
    assert "pack.silent" not in told


async def test_a_counter_that_jumps_all_the_time_silences_nobody(rig: PackRig) -> None:
    """Who it is is asked again now and then, and its readings count."""
    await rig.started()
    for _ in range(30):
        rig.units["b"].jump(1000)
        await asyncio.sleep(1.0)
        assert battery_of(rig).conditions["b"] is PackCondition.IN_USE


async def test_a_state_of_charge_that_jumps(rig: PackRig) -> None:
    """The count of one BMS falls to 3 %: the battery's moves by that pack's share at most, and the lights stay on."""
    await rig.started()
    await asyncio.sleep(30.0)
    rig.units["c"].bms.write([(328, 1500)])
    await asyncio.sleep(30.0)
    assert rig.bridge.state().snapshot.pack.soc_percent >= 100.0 * (3 * 0.5 + 0.03) / 4 - 0.5
    assert limits_of(rig).dcl_a > 0.0


async def test_another_number_of_cells_counts_as_silent() -> None:
    """A pack of 15 cells among four of 16: the others go on without its numbers, and it is told which one, and why."""
    rig = PackRig(4)
    rig.ports["/dev/d"].unit = Unit(rig.clock, 9, cells=15)
    await rig.started()
    await asyncio.sleep(HOLD_S + 60.0)
    state = rig.bridge.state()
    assert state.packs["d"].condition is PackCondition.ODD
    assert state.members == ("a", "b", "c")
    assert limits_of(rig).dcl_a > 0.0
    cause = state.alarms.causes[AlarmName.BMS_INTERNAL]
    assert state.alarms.levels[AlarmName.BMS_INTERNAL] is AlarmLevel.ALARM
    assert (cause.pack, cause.message.code) == ("d", "cause.pack_odd")
    assert cause.message.parameters == {"cells": 15, "expected": 16}
    await rig.end()


async def test_a_register_that_is_misread_for_a_minute_does_not_silence_the_battery(rig: PackRig) -> None:
    """One unit says that it has 13 cells: it alone leaves the battery, and comes back."""
    await rig.started()
    await asyncio.sleep(30.0)
    rig.told()
    rig.units["b"].misread[307] = 13
    since_s = rig.clock.monotonic()
    await asyncio.sleep(70.0)
    others = {battery_of(rig).conditions[name] for name in ("a", "c", "d")}
    assert battery_of(rig).conditions["b"] in (PackCondition.ODD, PackCondition.SILENT)
    assert others == {PackCondition.IN_USE}
    assert limits_of(rig).dcl_a > 0.0
    rig.units["b"].misread.clear()
    await asyncio.sleep(70.0)
    assert battery_of(rig).conditions["b"] is PackCondition.IN_USE
    at_s = rig.heard_since(since_s)
    assert max(after - first for first, after in pairwise(at_s)) < 1.1, "frames went on"
    assert {code for code, pack in rig.told() if pack == "b"} >= {"pack.back"}


async def test_a_pack_that_joins_apart_is_told(rig: PackRig) -> None:
    """Two volts beside the others: an alarm, and limits of the pack that takes all."""
    rig.ports["/dev/d"].present = False
    await rig.started()
    await asyncio.sleep(60.0)
    for cell in range(1, 17):
        rig.units["d"].bms.set_cell_soc(cell, 0.02)
    rig.set_currents_a(a=-20.0, b=-20.0, c=-20.0, d=60.0)
    rig.ports["/dev/d"].plug()
    for _ in range(80):  # a port that is not there is tried again each minute, give or take a fifth
        await asyncio.sleep(1.0)
        if rig.bridge.state().packs["d"].latest is not None:
            break
    await asyncio.sleep(3.0)
    state = rig.bridge.state()
    assert state.packs["d"].condition is PackCondition.JOINING
    assert state.alarms.causes[AlarmName.BMS_INTERNAL].message.code == "cause.pack_joining"
    assert ("pack.joining", "d") in rig.told()
    assert limits_of(rig).ccl_a <= 100.0


async def test_the_state_is_one_object_until_something_changes(rig: PackRig) -> None:
    """Frames, API and link ask for it many times between two decisions."""
    bridge = await rig.started()
    first = bridge.state()
    assert all(bridge.state() is first for _ in range(20))
    bridge.battery.tick(rig.clock.monotonic())
    assert bridge.state() is not first


async def test_the_state_of_the_only_pack_has_nothing_of_several() -> None:
    """One pack is told as ever: no field that several packs need is set."""
    rig = PackRig(1)
    bridge = await rig.started({"packs": {"a": {"uart": {"device": "/dev/a"}}}})
    state = bridge.state()
    (pack,) = state.packs.values()
    assert pack == PackState(pack.latest, pack.identity)
    assert (state.combined, state.members) == (None, ())
    await rig.end()


async def test_inhibits_act_on_the_battery(rig: PackRig) -> None:
    """A stop by hand is the battery's: 0 A at once for all packs, and back after its release."""
    bridge = await rig.started()
    await bridge.inhibits.inhibit(Direction.DISCHARGE, None, "test", by="me")
    assert limits_of(rig).dcl_a == 0.0
    await bridge.inhibits.inhibit(Direction.CHARGE, None, "test", by="me")
    assert limits_of(rig).ccl_a == 0.0
    assert bridge.battery.inhibited == Inhibited(charge=True, discharge=True)
    for pack in bridge.state().packs.values():
        assert pack.limits is not None
        assert pack.limits.dcl_a > 0.0, "what a pack bears is another thing"
    assert await bridge.release(Direction.DISCHARGE)
    await asyncio.sleep(60.0)
    assert limits_of(rig).dcl_a > 0.0


async def test_settings_are_applied_live(rig: PackRig) -> None:
    """A lower greatest current holds from the next decision, for the battery and not for each pack."""
    bridge = await rig.started()
    await asyncio.sleep(60.0)
    bridge.apply(rig.configuration(victron={"max_charge_current_a": 20.0}))
    await asyncio.sleep(1.0)
    assert limits_of(rig).ccl_a <= 20.0


async def test_set_soc_reaches_the_count_of_its_pack_only(rig: PackRig) -> None:
    """A count that was written to one BMS is that of this pack from now on."""
    bridge = await rig.started()
    units = bridge.battery.units
    before = {name: unit.soc_percent for name, unit in units.items()}
    pack = bridge.packs["c"]
    pack.settings._on_soc(80.0)  # as after a write that was read back
    await asyncio.sleep(1.0)
    if before["c"] is not None:
        assert units["c"].soc_percent == pytest.approx(80.0, abs=0.5)
    for name in ("a", "b", "d"):
        assert units[name].soc_percent == pytest.approx(before[name], abs=0.1)


async def test_the_energy_of_the_battery_never_falls_when_packs_come_and_go(rig: PackRig) -> None:
    """It is an integral of its own, and no sum of counters."""
    bridge = await rig.started()
    rig.set_currents_a(a=10.0, b=10.0, c=-5.0, d=-5.0)
    highest = EnergyTotals()
    for name in ("/dev/a", "/dev/b", "/dev/c", "/dev/d"):
        rig.ports[name].pull()
        for _ in range(20):
            await asyncio.sleep(1.0)
            energy = bridge.battery.energy
            assert energy.charged_wh >= highest.charged_wh
            assert energy.discharged_wh >= highest.discharged_wh
            highest = energy
        rig.ports[name].plug()
        await asyncio.sleep(5.0)
    assert highest.charged_ah == pytest.approx(10.0 * 90.0 / 3600.0, rel=0.5), "what flows in and out at once is none"


async def test_the_alarm_of_a_pack_names_it(rig: PackRig) -> None:
    """The worst of the packs is the battery's, with the name of the pack: here a cell of b that is far too full."""
    await rig.started()
    rig.units["b"].misread[4] = 37_200
    await asyncio.sleep(30.0)
    state = rig.bridge.state()
    active = state.alarms.active()
    assert active
    assert {state.alarms.causes[name].pack for name in active if name in state.alarms.causes} == {"b"}
    assert state.packs["a"].alarms.active() == {}
    assert state.packs["b"].alarms.active()
