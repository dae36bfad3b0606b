import asyncio
from typing import Any

import pytest

from tinybms_bridge.errors import DeviceRefused
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.hal.virtual_time import LoopClock
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import Command, ReadModbus, Registers, Reply, Request, SettingsTable
from tinybms_bridge.tinybms.settings import (
    ActionName,
    BmsSettings,
    Link,
    Outcome,
    WriteOptions,
    backup_of,
    restore_plan,
)
from tinybms_bridge.tinybms.settings.link import read_registers, read_settings_table
from tinybms_bridge.tinybms.simulator import FIRMWARES, BmsOptions, DumpDevice, Responder, SimulatedBms, real_dump

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
    assert (await client.request(ReadModbus(45, 1))) == Registers(Command.READ_MODBUS, (38500,))


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
