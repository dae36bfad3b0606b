import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.tinybms.settings import BmsSettings, ConfirmationError, SettingsError, manager

FakeBms = Any


async def test_reading_loads_the_catalogue_off_the_event_loop(
    fake: FakeBms, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use in a fresh process opens a file, which must not hold up the poll."""
    threads: list[threading.Thread] = []
    monkeypatch.setattr(manager, "all_settings", lambda: threads.append(threading.current_thread()))
    readout = await BmsSettings(fake, clock).read()

    assert readout.series_cells == 16
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_an_invalid_batch_writes_nothing(fake: FakeBms, bms: BmsSettings) -> None:
    """One bad value stops the good ones."""
    with pytest.raises(SettingsError, match="series_cells = 99"):
        await bms.plan({"battery_capacity_ah": 66, "series_cells": 99})
    assert fake.writes == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"operation_mode": "single_port"},
        {"series_cells": 14, "battery_capacity_ah": 66},
        {"load_switch_type": "aido1"},
        {"charger_switch_type": "aido1"},
        {"single_port_switch_type": "aido1"},
    ],
)
async def test_consequences_need_confirmation(fake: FakeBms, bms: BmsSettings, wanted: dict[str, object]) -> None:
    """Without it nothing is written, not even the harmless part."""
    plan = await bms.plan(wanted)
    with pytest.raises(ConfirmationError) as error:
        await bms.apply(plan)

    assert error.value.consequences == plan.consequences
    assert fake.writes == []
    assert (await bms.apply(plan, confirm=True)).good


async def test_a_dead_line_before_the_first_write_is_an_error(fake: FakeBms, bms: BmsSettings) -> None:
    """Nothing was written, so there is nothing to report."""
    plan = await bms.plan({"battery_capacity_ah": 66})
    fake.alive = False
    with pytest.raises(LinkError):
        await bms.apply(plan)
    assert fake.writes == []


async def test_two_jobs_do_not_mix(fake: FakeBms, bms: BmsSettings) -> None:
    """Two browsers write at once: one after the other, and the second sees that its plan is old."""
    first = await bms.plan({"over_voltage_cutoff_v": 3.8, "battery_capacity_ah": 66})
    second = await bms.plan({"fully_charged_voltage_v": 3.65})
    results = await asyncio.gather(bms.apply(first), bms.apply(second), return_exceptions=True)

    assert [type(result).__name__ for result in results] == ["Report", "StaleSettingsError"]
    assert [write.address for write in fake.writes] == [306, 315]


async def test_the_poll_gets_its_turn_between_two_registers(fake: FakeBms, clock: FakeClock, bms: BmsSettings) -> None:
    """Another task that wants the line gets it after each register, not only at the end."""
    lock, turns = asyncio.Lock(), 0
    inner = fake.exclusive

    @asynccontextmanager
    async def exclusive() -> AsyncIterator[None]:
        async with lock, inner():
            yield

    fake.exclusive = exclusive

    async def poll() -> None:
        nonlocal turns
        while True:
            async with lock:
                turns += 1
                await clock.sleep(0.015)
            await clock.sleep(0.085)

    poller = asyncio.create_task(poll())
    await bms.apply(await bms.plan({"battery_capacity_ah": 66, "allowed_disbalance_v": 0.02, "over_heat_cutoff_c": 55}))
    poller.cancel()

    assert len(fake.writes) == 3
    assert turns >= 3


async def test_a_cancelled_job_frees_the_line(fake: FakeBms, bms: BmsSettings) -> None:
    """Ctrl-C in the middle: the line and the next job are not blocked."""
    plan = await bms.plan({"battery_capacity_ah": 66, "over_voltage_cutoff_v": 3.8})
    task = asyncio.create_task(bms.apply(plan))
    while not fake.writes:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    report = await bms.apply(await bms.plan({"battery_capacity_ah": 66, "over_voltage_cutoff_v": 3.8}))
    assert report.good
