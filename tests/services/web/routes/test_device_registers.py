"""The kept reading of the settings of the BMS."""

import asyncio
from typing import Any

import pytest

from tinybms_bridge.services.web.routes.device_registers import ReadoutCache, register_answers
from tinybms_bridge.tinybms.settings import all_settings
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture(autouse=True)
def catalogue() -> None:
    """Read the register table before an event loop runs."""
    assert all_settings()


async def test_many_at_once_read_once(core: Any) -> None:
    """Twenty browsers that open the page together cost one reading."""
    cache = ReadoutCache(core, "")
    await cache.get(refresh=False)
    once = core.bms.reads
    core.bms.reads = 0
    other = ReadoutCache(core, "")
    readings = await asyncio.gather(*(other.get(refresh=True) for _ in range(20)))
    assert core.bms.reads == once
    assert all(reading is readings[0] for reading in readings)


async def test_silent_bms_is_not_asked_again_at_once(core: Any, clock: FakeClock) -> None:
    """Readers of a page do not wait for one timeout after another."""
    core.bms.silent = True
    cache = ReadoutCache(core, "")
    assert (await cache.get(refresh=False)).error
    core.bms.silent = False
    assert (await cache.get(refresh=True)).error
    await clock.advance(5.0)
    reading = await cache.get(refresh=False)
    assert reading.error is None
    assert reading.readout is not None


async def test_old_reading_is_kept_with_the_reason(core: Any, clock: FakeClock) -> None:
    """When the BMS falls silent the last values stay, with their time and why there is nothing newer."""
    cache = ReadoutCache(core, "")
    good = await cache.get(refresh=False)
    core.bms.silent = True
    await clock.advance(10.0)
    kept = await cache.get(refresh=True)
    assert (kept.readout, kept.at) == (good.readout, good.at)
    assert "did not answer" in str(kept.error)


async def test_forgetting(core: Any) -> None:
    """After a write the next look reads anew, however soon it comes."""
    cache = ReadoutCache(core, "")
    first = await cache.get(refresh=False)
    core.bms.words[315 - 300] = 3700
    assert await cache.get(refresh=False) is first
    cache.forget()
    second = await cache.get(refresh=False)
    assert second.readout is not None
    assert second.readout.value(all_settings()["over_voltage_cutoff_v"]) == 3.7


async def test_a_reading_that_began_before_a_write_does_not_count(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another browser reads while something is written: the next look reads anew, however soon it comes."""
    cache = ReadoutCache(core, "")
    read = type(core.device_settings).read

    async def slow(settings: Any) -> Any:
        found = await read(settings)
        core.bms.words[315 - 300] = 3700
        cache.forget()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(type(core.device_settings), "read", slow)
        await cache.get(refresh=False)

    readout = (await cache.get(refresh=False)).readout
    assert readout is not None
    assert readout.value(all_settings()["over_voltage_cutoff_v"]) == 3.7


async def test_registers_of_a_reading(core: Any) -> None:
    """Every number lies within its range and every choice has its text; ranges come from the vendor here."""
    readout = (await ReadoutCache(core, "").get(refresh=False)).readout
    for each in register_answers(readout):
        assert each.available
        assert each.allowed_by == "vendor"
        if each.is_enum:
            assert each.value in {choice.label for choice in each.enum_values}
        else:
            assert isinstance(each.value, int | float)
            assert each.min is not None
            assert each.max is not None
            assert each.min <= each.value <= each.max
