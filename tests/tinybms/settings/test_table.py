from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.tinybms.frames import Command, ReadModbus, ReadSettings, Request, SettingsTable
from tinybms_bridge.tinybms.settings import Readout, all_settings, firmware_text
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.table import differing, read_settings

FakeBms = Any
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
    assert [r.table for r in fake.requests if isinstance(r, ReadSettings)] == [
        SettingsTable.CURRENT,
        SettingsTable.MINIMUM,
        SettingsTable.MAXIMUM,
        SettingsTable.DEFAULT,
    ]


async def test_a_unit_without_command_1d_has_the_vendors_limits(fake: FakeBms, clock: FakeClock) -> None:
    """The refusal is said, not fatal."""
    readout = await read_settings(fake, clock)

    assert readout.own is None
    assert readout.own_missing == "command 0x1D: the BMS refused command 0x1D: command error (code 0)"
    assert readout.default(by_name("over_voltage_cutoff_v")) is None


async def test_tables_that_start_elsewhere_are_not_believed(fake: FakeBms, clock: FakeClock) -> None:
    """The vendor does not say where the tables of 0x1D start; the current values prove it, or not."""
    fake.with_tables()
    original = fake.request

    async def shifted(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadSettings):
            reply = await original(ReadModbus(300, 44), attempts=attempts)
            return type(await original(request))(request.table, (0, *reply.values[:-1]))
        return await original(request, attempts=attempts)

    fake.request = shifted
    readout = await read_settings(fake, clock)

    assert readout.own is None
    assert readout.own_missing == "command 0x1D shows other values than registers 300 to 343"


async def test_write_to_set_registers_do_not_count_in_that_proof(fake: FakeBms, clock: FakeClock) -> None:
    """323 and 328 may read anything."""
    fake.with_tables()
    fake.on_write = None
    original = fake.request

    async def other(request: Request, *, attempts: int | None = None) -> Any:
        reply = await original(request, attempts=attempts)
        if isinstance(request, ReadSettings) and request.table is SettingsTable.CURRENT:
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
        if isinstance(request, ReadSettings):
            raise LinkError("the BMS did not answer within 300 ms")
        return await original(request, attempts=attempts)

    fake.request = silent

    assert (await read_settings(fake, clock)).own_missing == "command 0x1D: the BMS did not answer within 300 ms"


@pytest.mark.parametrize("address", [0, 500])
async def test_a_unit_that_refuses_the_rest_can_still_be_read(fake: FakeBms, clock: FakeClock, address: int) -> None:
    """Identity and measurements are useful, not needed."""
    original = fake.request

    async def refusing(request: Request, *, attempts: int | None = None) -> Any:
        if isinstance(request, ReadModbus) and request.address == address:
            raise DeviceRefused(Command.READ_MODBUS, 0)
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
            raise DeviceRefused(Command.READ_MODBUS, 1)
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
            raise DeviceRefused(Command.READ_MODBUS, 0)
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


@pytest.mark.parametrize(("internal", "text"), [(254, "2.3.254"), (0, "of unknown version")])
def test_firmware_is_named_as_the_vendor_does(internal: int, text: str) -> None:
    """Release notes say 2.3.254."""
    assert firmware_text(internal) == text
