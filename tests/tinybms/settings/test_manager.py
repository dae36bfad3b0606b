import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.tinybms.frames import WriteModbus
from tinybms_bridge.tinybms.settings import (
    BmsSettings,
    ConfirmationError,
    Outcome,
    Report,
    Result,
    SettingsError,
    WriteOptions,
    make_plan,
    manager,
)
from tinybms_bridge.tinybms.settings.manager import PlanRun
from tinybms_lab.testing.fake_clock import FakeClock

FakeBms = Any

BATCH: dict[str, object] = {
    "battery_capacity_ah": 66.0,
    "over_voltage_cutoff_v": 3.8,
    "fully_charged_voltage_v": 3.65,
    "charger_startup_delay_s": 30,
    "ignition": "dido1",
}
"""Written in this order."""


def outcomes(report: Report) -> dict[str, Outcome]:
    """Return what became of each setting."""
    return {result.name: result.outcome for result in report.results}


async def test_a_batch_is_written_and_reported_in_order_of_registers(fake: FakeBms, bms: BmsSettings) -> None:
    """Each setting once, each told as soon as it is known."""
    told: list[str] = []
    report = await bms.apply(await bms.plan(BATCH), on_result=lambda result: told.append(result.name))

    assert report.good
    assert list(outcomes(report).values()) == [Outcome.WRITTEN] * 5
    assert [result.change.setting.address for result in report.results] == [300, 306, 310, 315, 334]
    assert [write.address for write in fake.writes] == [306, 315, 300, 310, 334]
    assert told == list(BATCH)
    assert report.side_effects == ()


async def test_what_is_there_already_is_reported_and_not_written(fake: FakeBms, bms: BmsSettings) -> None:
    """The memory of the BMS wears."""
    report = await bms.apply(await bms.plan({"series_cells": 16, "battery_capacity_ah": 66}))

    assert outcomes(report) == {"battery_capacity_ah": Outcome.WRITTEN, "series_cells": Outcome.UNCHANGED}
    assert [write.address for write in fake.writes] == [306]
    assert report.good


async def test_nothing_to_do_touches_nothing(fake: FakeBms, bms: BmsSettings) -> None:
    """Not even a last look."""
    plan = await bms.plan({"series_cells": 16})
    fake.requests.clear()
    report = await bms.apply(plan)

    assert report.good
    assert fake.writes == []
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("nack", Outcome.REFUSED),
        ("clamped", Outcome.DIFFERS),
        ("ignored", Outcome.DIFFERS),
        ("lost", Outcome.NO_ANSWER),
        ("dies", Outcome.NO_ANSWER),
    ],
)
async def test_a_failure_in_mid_batch_leaves_the_rest_untouched(
    fake: FakeBms, bms: BmsSettings, fault: str, outcome: Outcome
) -> None:
    """What was written is known, what failed is told, what follows is as it was."""
    fake.faults, fake.clamp_to = {3: fault}, 3601
    before = dict(fake.words)

    report = await bms.apply(await bms.plan(BATCH))

    assert outcomes(report) == {
        "battery_capacity_ah": Outcome.WRITTEN,
        "over_voltage_cutoff_v": Outcome.WRITTEN,
        "fully_charged_voltage_v": outcome,
        "charger_startup_delay_s": Outcome.NOT_TRIED,
        "ignition": Outcome.NOT_TRIED,
    }
    assert not report.good
    assert len(fake.writes) == 3
    assert {a for a in before if before[a] != fake.words[a]} <= {306, 315, 300}
    assert bool(report.unverified) == (fault == "dies")


async def interrupted_at(fake: FakeBms, bms: BmsSettings, wanted: dict[str, object], write: int) -> Report:
    """Cancel a job while its n-th write is under way, and return what it tells then."""
    reports: list[Report] = []
    plan = await bms.plan(wanted)
    job = asyncio.create_task(bms.apply(plan, confirm=True, on_interrupt=reports.append))
    original = fake.request

    async def request(asked: Any, *, attempts: int | None = None) -> Any:
        if isinstance(asked, WriteModbus) and len(fake.writes) == write - 1:
            job.cancel()
        return await original(asked, attempts=attempts)

    fake.request = request
    with pytest.raises(asyncio.CancelledError):
        await job
    fake.request = original
    (report,) = reports
    return report


async def test_an_interrupted_job_tells_what_became_of_each_setting(fake: FakeBms, bms: BmsSettings) -> None:
    """Ctrl-C in mid batch: what is written, which register was in work, and what was not begun."""
    report = await interrupted_at(fake, bms, BATCH, 3)

    assert outcomes(report) == {
        "battery_capacity_ah": Outcome.WRITTEN,
        "over_voltage_cutoff_v": Outcome.WRITTEN,
        "fully_charged_voltage_v": Outcome.NO_ANSWER,
        "charger_startup_delay_s": Outcome.NOT_TRIED,
        "ignition": Outcome.NOT_TRIED,
    }
    details = {result.name: str(result.detail) for result in report.results}
    assert details["fully_charged_voltage_v"] == "interrupted at register 300: nobody can say whether it was written"
    assert details["ignition"] == "it was interrupted before"
    assert (report.good, str(report.unverified)) == (False, "it was interrupted")
    assert (await bms.apply(await bms.plan(BATCH))).good


async def test_an_interruption_after_a_pin_was_freed_says_where_it_stands(fake: FakeBms, bms: BmsSettings) -> None:
    """The setting that gave up its pin is not as it was."""
    fake.words.update({334: 1, 331: 2})
    report = await interrupted_at(fake, bms, {"ignition": "aido2", "load_switch_type": "aido1"}, 2)

    assert outcomes(report) == {"load_switch_type": Outcome.NO_ANSWER, "ignition": Outcome.NOT_TRIED}
    assert str(report.results[1].detail) == "left at disabled, because it was interrupted before"


@pytest.mark.parametrize("fault", ["nack", "clamped", "ignored", "lost", "dies", "dies_after"])
async def test_a_second_run_completes_the_job(fake: FakeBms, bms: BmsSettings, fault: str) -> None:
    """The same request again, after the unit is back."""
    fake.faults, fake.clamp_to = {3: fault}, 3601
    await bms.apply(await bms.plan(BATCH))
    fake.alive, fake.faults = True, {}

    report = await bms.apply(await bms.plan(BATCH))

    assert report.good
    assert [fake.words[a] for a in (306, 315, 300, 310, 334)] == [6600, 3800, 3650, 30, 3]
    assert outcomes(report)["battery_capacity_ah"] is Outcome.UNCHANGED


async def test_what_the_bms_changes_itself_is_told(fake: FakeBms, bms: BmsSettings) -> None:
    """With one port the BMS lowers its own cutoffs: one was asked for, one was not."""
    fake.restart_s = 1.0

    def lower(request: WriteModbus) -> None:
        if request.address == 340:
            fake.words.update({317: 30, 318: 30})

    fake.on_write = lower
    wanted = {"operation_mode": "single_port", "charge_over_current_cutoff_a": 90}
    report = await bms.apply(await bms.plan(wanted), confirm=True)

    assert outcomes(report) == {
        "charge_over_current_cutoff_a": Outcome.DIFFERS,
        "operation_mode": Outcome.WRITTEN,
    }
    assert str(report.results[0].detail) == "the BMS changed it to 30 A afterwards"
    assert [(c.name, c.old, c.new) for c in report.side_effects] == [("discharge_over_current_cutoff_a", 150, 30)]
    assert not report.good


async def test_a_failed_last_look_is_said(fake: FakeBms, bms: BmsSettings) -> None:
    """Each register was read back, so the results stand."""
    fake.on_write = lambda _request: setattr(fake, "dying", True)
    original = fake.request

    async def last_read_fails(request: Any, *, attempts: int | None = None) -> Any:
        if getattr(fake, "dying", False) and getattr(request, "count", 0) == 44:
            fake.alive = False
        return await original(request, attempts=attempts)

    plan = await bms.plan({"battery_capacity_ah": 66})
    fake.request = last_read_fails
    report = await bms.apply(plan)

    assert report.good
    assert str(report.unverified) == "the BMS did not answer within 300 ms"


async def test_pins_are_exchanged_by_way_of_none(fake: FakeBms, bms: BmsSettings) -> None:
    """One result for each setting, though one of them is written twice."""
    fake.words.update({334: 1, 336: 0, 331: 2})
    plan = await bms.plan({"ignition": "aido2", "load_switch_type": "aido1"})
    report = await bms.apply(plan, confirm=True)

    assert [(write.address, write.values) for write in fake.writes] == [(334, (0,)), (331, (1,)), (334, (2,))]
    assert outcomes(report) == {"load_switch_type": Outcome.WRITTEN, "ignition": Outcome.WRITTEN}
    assert report.results[1].change.old == "aido1"


async def test_a_failure_while_a_pin_is_freed_is_told_for_that_setting(fake: FakeBms, bms: BmsSettings) -> None:
    """And the other setting is not tried; later the job is done from where it stopped."""
    fake.words.update({334: 1, 331: 2})
    fake.faults = {1: "nack"}
    wanted: dict[str, object] = {"ignition": "aido2", "load_switch_type": "aido1"}
    report = await bms.apply(await bms.plan(wanted), confirm=True)

    assert outcomes(report) == {"load_switch_type": Outcome.NOT_TRIED, "ignition": Outcome.REFUSED}
    assert str(report.results[1].detail).startswith("to free its pin for a moment: the BMS refused")

    fake.faults = {3: "nack"}
    report = await bms.apply(await bms.plan(wanted), confirm=True)
    assert fake.words[334] == 0
    assert outcomes(report) == {"load_switch_type": Outcome.REFUSED, "ignition": Outcome.NOT_TRIED}
    assert report.results[1].found == "disabled"
    assert str(report.results[1].detail) == "left at disabled, because something before it failed"
    fake.alive, fake.faults = True, {}
    assert (await bms.apply(await bms.plan(wanted), confirm=True)).good
    assert (fake.words[334], fake.words[331]) == (2, 1)


async def test_a_run_can_be_used_without_the_manager(fake: FakeBms, clock: FakeClock, bms: BmsSettings) -> None:
    """It needs a link, a clock, times, a plan and somebody to tell."""
    told: list[Result] = []
    plan = make_plan(await bms.read(), {"battery_capacity_ah": 1})
    report = await PlanRun(fake, clock, WriteOptions(settle_s=0.1), plan, told.append).run()

    assert told == list(report.results)
    assert fake.sections_s == [pytest.approx(0.1)]


async def test_a_result_is_ready_for_json(bms: BmsSettings) -> None:
    """Services answer with it."""
    report = await bms.apply(await bms.plan({"over_voltage_cutoff_v": 3.8}))

    assert report.results[0].as_dict() == {
        "name": "over_voltage_cutoff_v",
        "register": 315,
        "unit": "V",
        "old": 3.75,
        "new": 3.8,
        "outcome": "written",
        "found": 3.8,
        "detail": "",
        "code": "",
        "parameters": {},
    }


def test_only_two_outcomes_are_good() -> None:
    """Whatever is not proven counts as a failure."""
    assert [outcome for outcome in Outcome if outcome.good] == [Outcome.WRITTEN, Outcome.UNCHANGED]


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
