import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    ReadModbus,
    ReadSettingValues,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
)
from tinybms_bridge.tinybms.settings import (
    ActionName,
    BmsSettings,
    Link,
    Outcome,
    Readout,
    WriteOptions,
    all_settings,
    backup_of,
    restore_plan,
)
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.table import differing, read_registers, read_settings, read_settings_table
from tinybms_lab.bms import FIRMWARES, BmsOptions, DumpDevice, Responder, SimulatedBms, real_dump
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.virtual_time import LoopClock

FakeBms = Any

pytestmark = pytest.mark.virtual_time


class Wire:
    """A serial port whose other end is a simulated device, without a pseudo-terminal."""

    def __init__(self, device: SimulatedBms | DumpDevice, clock: LoopClock | FakeClock) -> None:
        self._responder = Responder(device, clock)
        self._on_data: Any = None

    async def open(self, on_data: Any, _on_lost: Any) -> "Wire":
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        for reply in self._responder.feed(data):
            asyncio.get_running_loop().call_soon(self._on_data, reply.data)

    def expect(self, count: int) -> None:
        pass

    async def close(self) -> None:
        self._on_data = lambda _data: None


async def connected(device: SimulatedBms | DumpDevice, clock: LoopClock) -> TinyBmsClient:
    """Return the real client, connected to a device."""
    client = TinyBmsClient(Wire(device, clock).open, clock, ClientSettings(timeout_s=0.2, wake_wait_s=0.03))
    await client.connect()
    return client


@pytest.fixture
def system() -> LoopClock:
    """Virtual time."""
    return LoopClock()


QUICK = WriteOptions(settle_s=0.01, patience_s=0.2, restart_s=5.0, restart_begins_s=0.05)


async def test_reads_return_words(fake: FakeBms) -> None:
    """Registers and tables."""
    fake.with_tables()
    assert await read_registers(fake, 306, 2) == (10000, 16)
    assert (await read_settings_table(fake, SettingsTable.MAXIMUM, 44))[7] == 16
    fake.tables = None
    with pytest.raises(DeviceRefused):
        await read_settings_table(fake, SettingsTable.MAXIMUM, 44)


async def test_the_client_is_a_link_and_its_exclusive_section_holds_the_others_back(system: LoopClock) -> None:
    """Requests of the holder go through, those of other tasks wait for the end of the section."""
    client: Link = await connected(SimulatedBms.build(system), system)
    order: list[str] = []

    async def other() -> None:
        await client.request(ReadModbus(0, 1))
        order.append("other")

    async with client.exclusive():
        task = asyncio.create_task(other())
        await asyncio.sleep(0.02)
        assert await read_registers(client, 307, 1) == (16,)
        order.append("holder")
    await task

    assert order == ["holder", "other"]


async def test_the_simulated_bms_is_read_changed_and_restored(system: LoopClock) -> None:
    """The whole way in bytes: own limits, a batch, a backup, its restoration."""
    device = SimulatedBms.build(system)
    bms = BmsSettings(await connected(device, system), system, QUICK, in_place)
    before = await bms.read()
    backup = backup_of(before, system.wall())
    wanted: dict[str, object] = {
        "over_voltage_cutoff_v": 3.7,
        "fully_charged_voltage_v": 3.5,
        "pulses_per_unit": 70000,
        "enable_charger_restart_level": "enabled",
        "discharge_over_current_timeout_s": 5,
        "low_temperature_charger_cutoff_c": -5,
        "load_switch_type": "aido1",
    }
    report = await bms.apply(await bms.plan(wanted), confirm=True)
    changed = await bms.read()
    restored = await bms.apply(restore_plan(backup, changed), confirm=True)

    assert before.own is not None
    assert report.good
    assert {name: changed.value(setting) for name, setting in _named(wanted).items()} == wanted
    assert restored.good
    assert (await bms.read()).words == before.words


def _named(wanted: dict[str, object]) -> dict[str, Any]:
    from tinybms_bridge.tinybms.settings import all_settings

    return {name: all_settings()[name] for name in wanted}


async def test_the_capture_of_a_real_unit_can_be_backed_up(system: LoopClock) -> None:
    """Firmware 242 with 14 cells: nothing in it breaks a rule or a range."""
    device = await in_place(lambda: DumpDevice(real_dump(), system))
    bms = BmsSettings(await connected(device, system), system, QUICK, in_place)
    readout = await bms.read()
    plan = restore_plan(backup_of(readout, system.wall()), readout)

    assert (readout.series_cells, readout.identity.firmware_internal, readout.high_power) == (14, 242, True)
    assert readout.value(_named({"over_voltage_cutoff_v": 0})["over_voltage_cutoff_v"]) == 4.2
    assert (plan.steps, plan.cautions) == ((), ())
    assert (await bms.apply(await bms.plan({"over_voltage_cutoff_v": 4.18}))).good


async def test_old_simulated_firmware_offers_only_what_it_has(system: LoopClock) -> None:
    """The reserved registers of 242 are neither shown nor written."""
    options = BmsOptions(firmware=FIRMWARES[242])
    device = SimulatedBms.build(system, options=options)
    bms = BmsSettings(await connected(device, system), system, QUICK, in_place)
    readout = await bms.read()
    report = await bms.apply(await bms.plan({"charger_type": "cc_cv", "battery_capacity_ah": 50}))

    assert len(readout.settings()) == 29
    assert report.good


async def test_actions_reach_the_simulated_bms(system: LoopClock) -> None:
    """Commands 0x02 and the write-to-set registers, in bytes."""
    device = SimulatedBms.build(system)
    client = await connected(device, system)
    bms = BmsSettings(client, system, WriteOptions(settle_s=0.15, restart_s=10.0, restart_begins_s=0.1), in_place)

    soc = await bms.perform(ActionName.SET_STATE_OF_CHARGE, 33, confirm=True)
    soh = await bms.perform(ActionName.SET_STATE_OF_HEALTH, 77, confirm=True)
    cleared = await bms.perform(ActionName.CLEAR_EVENTS, confirm=True)

    assert [result.outcome for result in (soc, soh, cleared)] == [Outcome.WRITTEN] * 3
    assert (await client.request(ReadModbus(45, 1))) == RegistersReply(CommandCode.READ_MODBUS, (38500,))


async def test_a_write_to_the_last_setting_is_one_frame(fake: FakeBms, clock: FakeClock) -> None:
    """The bytes of a single write with command 0x10, by the vendor's layout."""
    sent: list[Request] = []
    original = fake.request

    async def watch(request: Request, *, attempts: int | None = None) -> Reply:
        sent.append(request)
        reply: Reply = await original(request, attempts=attempts)
        return reply

    fake.request = watch
    bms = BmsSettings(fake, clock, run_blocking=in_place)
    await bms.apply(await bms.plan({"broadcast_protocol": "ascii"}))
    frames = [request.encode() for request in sent]

    assert bytes.fromhex("AA 10 01 57 00 01 02 00 01") in [frame[:-2] for frame in frames]
    assert not any(frame[1] == 0x0B for frame in frames)


Make = Callable[..., Readout]


async def test_everything_is_read(fake: FakeBms, clock: FakeClock) -> None:
    """Values, own limits, own defaults, identity, board and measurements, each in one transaction."""
    fake.with_tables()
    fake.words[315] = 3800
    fake.measure(cell_mv=3311)

    readout = await read_settings(fake, clock)

    assert readout.value(by_name("over_voltage_cutoff_v")) == 3.8
    assert readout.default(by_name("over_voltage_cutoff_v")) == 3.75
    assert readout.own is not None
    assert by_name("series_cells").raw(readout.own.minimum) == 4
    assert by_name("series_cells").raw(readout.own.maximum) == 16
    assert (readout.identity.firmware_internal, readout.identity.hardware_version) == (254, "2.1")
    assert readout.high_power is True
    assert readout.series_cells == 16
    assert readout.live is not None
    assert readout.live.cells.max_v == 3.311
    assert len(fake.requests) == 7
    assert ReadModbus(300, 44) in fake.requests
    assert [r.table for r in fake.requests if isinstance(r, ReadSettingValues)] == [
        SettingsTable.CURRENT,
        SettingsTable.MINIMUM,
        SettingsTable.MAXIMUM,
        SettingsTable.DEFAULT,
    ]


async def test_a_unit_without_command_1d_has_the_vendors_limits(fake: FakeBms, clock: FakeClock) -> None:
    """The refusal is said, not fatal."""
    readout = await read_settings(fake, clock)

    assert readout.own is None
    assert str(readout.own_missing) == "command 0x1D: the BMS refused command 0x1D: command error (code 0)"
    assert readout.default(by_name("over_voltage_cutoff_v")) is None


async def test_tables_that_start_elsewhere_are_not_believed(fake: FakeBms, clock: FakeClock) -> None:
    """The vendor does not say where the tables of 0x1D start; the current values prove it, or not."""
    fake.with_tables()
    original = fake.request

    async def shifted(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadSettingValues):
            reply = await original(ReadModbus(300, 44), attempts=attempts)
            return type(await original(request))(request.table, (0, *reply.values[:-1]))
        return await original(request, attempts=attempts)

    fake.request = shifted
    readout = await read_settings(fake, clock)

    assert readout.own is None
    assert str(readout.own_missing) == "command 0x1D shows other values than registers 300 to 343"


async def test_write_to_set_registers_do_not_count_in_that_proof(fake: FakeBms, clock: FakeClock) -> None:
    """323 and 328 may read anything."""
    fake.with_tables()
    fake.on_write = None
    original = fake.request

    async def other(request: Request, *, attempts: int | None = None) -> Any:
        reply = await original(request, attempts=attempts)
        if isinstance(request, ReadSettingValues) and request.table is SettingsTable.CURRENT:
            values = list(reply.values)
            values[23] = values[28] = 0
            return type(reply)(request.table, tuple(values))
        return reply

    fake.request = other

    assert (await read_settings(fake, clock)).own is not None


async def test_a_silent_1d_is_no_reason_to_give_up(fake: FakeBms, clock: FakeClock) -> None:
    """An odd unit may not answer it at all."""
    original = fake.request

    async def silent(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadSettingValues):
            raise LinkError("the BMS did not answer within 300 ms")
        return await original(request, attempts=attempts)

    fake.request = silent

    assert str((await read_settings(fake, clock)).own_missing) == "command 0x1D: the BMS did not answer within 300 ms"


@pytest.mark.parametrize("address", [0, 500])
async def test_a_unit_that_refuses_the_rest_can_still_be_read(fake: FakeBms, clock: FakeClock, address: int) -> None:
    """Identity and measurements are useful, not needed."""
    original = fake.request

    async def refusing(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadModbus) and request.address == address:
            raise DeviceRefused(CommandCode.READ_MODBUS, 0)
        return await original(request, attempts=attempts)

    fake.request = refusing
    readout = await read_settings(fake, clock)

    assert (readout.live is None) == (address == 0)
    assert (readout.identity.firmware_internal == 0) == (address == 500)
    assert (readout.high_power is None) == (address == 500)


@pytest.mark.parametrize("address", [0, 500])
async def test_noise_is_no_refusal(fake: FakeBms, clock: FakeClock, address: int) -> None:
    """A request that arrived damaged says nothing of the unit: no backup without the identity, no silent half."""
    original = fake.request

    async def noisy(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadModbus) and request.address == address:
            raise DeviceRefused(CommandCode.READ_MODBUS, 1)
        return await original(request, attempts=attempts)

    fake.request = noisy
    with pytest.raises(DeviceRefused, match="the line is disturbed"):
        await read_settings(fake, clock)


def test_a_unit_is_identified_by_its_firmware(readout: Make) -> None:
    """Which settings there are follows from it."""
    assert readout().identified
    assert not replace(readout(), identity=Identity()).identified


async def test_a_dead_line_is_an_error(fake: FakeBms, clock: FakeClock) -> None:
    """No half readout."""
    fake.alive = False
    with pytest.raises(LinkError):
        await read_settings(fake, clock)


async def test_a_refusal_of_the_settings_is_an_error(fake: FakeBms, clock: FakeClock) -> None:
    """Without registers 300 to 343 there is nothing to show."""
    original = fake.request

    async def refusing(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadModbus) and request.address == 300:
            raise DeviceRefused(CommandCode.READ_MODBUS, 0)
        return await original(request, attempts=attempts)

    fake.request = refusing
    with pytest.raises(DeviceRefused):
        await read_settings(fake, clock)


def test_old_firmware_shows_only_what_it_has(readout: Make) -> None:
    """A zero of a reserved register is not a value of 0 A."""
    old, new = readout(firmware=242), readout(firmware=254)
    peak = by_name("discharge_peak_current_cutoff_a")

    assert not old.available(peak)
    assert old.value(peak) is None
    assert new.value(peak) == 180
    assert len(new.settings()) == len(all_settings()) == 38
    assert len(old.settings()) == 38 - 9


def test_differences_are_found_by_setting(readout: Make) -> None:
    """Reserved bits and write-to-set registers are none."""
    before = readout().words
    after = readout({330: 5 << 8 | 1, 331: 0xAB00, 302: 7, 328: 0}).words

    assert [setting.name for setting in differing(before, after)] == ["discharge_over_current_timeout_s"]
    assert differing(before, before) == []
