from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.errors import LINE_HINT, LinkError
from tinybms_bridge.tinybms.frames import ReadModbus, Reply, Request, WriteModbus
from tinybms_bridge.tinybms.settings import Outcome, Readout, Report, Result, WriteOptions, make_plan
from tinybms_bridge.tinybms.settings.table import read_settings
from tinybms_bridge.tinybms.settings.writer import Acknowledgement, Sent, StepWriter, send_once
from tinybms_bridge.words import message
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

Make = Callable[..., Readout]


@pytest.fixture
def result(readout: Make) -> Result:
    """A setting that was written and read back."""
    (change,) = make_plan(readout(), {"over_voltage_cutoff_v": 3.8}).changes
    return Result(change, Outcome.WRITTEN, 3.8)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_report_is_good_only_if_every_setting_holds_its_value(result: Result, outcome: Outcome) -> None:
    """One setting that is not proven makes the whole an error, whatever the others are."""
    report = Report((result, replace(result, outcome=outcome), result))

    assert report.good is (outcome in {Outcome.WRITTEN, Outcome.UNCHANGED})


def test_what_the_bms_did_besides_does_not_make_a_report_bad(result: Result) -> None:
    """Side effects and a failed last look are told, but each setting was read back."""
    assert Report((result,), (result.change,), said("no answer")).good


def test_a_report_of_nothing_is_good() -> None:
    """Nothing was asked for, so nothing is missing."""
    assert Report(()).good


def test_a_result_names_setting_register_and_both_values(result: Result) -> None:
    """For programs, with the words of the outcome rather than a number."""
    detail = message("writing.holds", value=3.7, unit="V")
    document = replace(result, outcome=Outcome.DIFFERS, found=3.7, detail=detail).as_dict()

    assert document == {
        "name": "over_voltage_cutoff_v",
        "register": 315,
        "unit": "V",
        "old": 3.75,
        "new": 3.8,
        "outcome": "differs",
        "found": 3.7,
        "detail": "it holds 3.7 V",
        "code": "writing.holds",
        "parameters": {"value": 3.7, "unit": "V"},
    }
    assert result.name == "over_voltage_cutoff_v"


FakeBms = Any
Write = Callable[..., Any]


@pytest.fixture
def write(fake: FakeBms, clock: FakeClock) -> Write:
    """Return a function that writes settings by the first step of a plan."""

    async def one(before: Callable[[], None] | None = None, **wanted: object) -> list[Result]:
        plan = make_plan(await read_settings(fake, clock), wanted)
        assert len(plan.steps) == 1
        fake.requests.clear()
        if before is not None:
            before()
        return await StepWriter(fake, clock, WriteOptions()).write(plan.steps[0], plan.changes)

    return one


def summary(results: list[Result]) -> list[tuple[str, Outcome, object]]:
    """Return name, outcome and value found."""
    return [(result.name, result.outcome, result.found) for result in results]


async def test_a_write_is_read_before_and_after(fake: FakeBms, write: Write) -> None:
    """Read, one write that names its register, wait, read back."""
    results = await write(over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.WRITTEN, 3.8)]
    assert fake.requests == [ReadModbus(315, 1), WriteModbus(315, (3800,)), ReadModbus(315, 1)]
    assert fake.words[315] == 3800


async def test_the_line_is_kept_for_the_write_and_its_reading_back_only(fake: FakeBms, write: Write) -> None:
    """Half a second of settling; the poll waits no longer than that, and no write happens unguarded."""
    await write(over_voltage_cutoff_v=3.8)

    assert fake.sections_s == [pytest.approx(0.5)]
    assert fake.unguarded == 0


@pytest.mark.parametrize("fault", ["lost", "unheard", "deaf", "dies", "slow", "ignored"])
async def test_the_line_is_never_kept_long(fake: FakeBms, write: Write, fault: str) -> None:
    """Whatever happens the poll gets its turn before its data is 3 s old."""
    fake.faults = {1: fault}
    await write(over_voltage_cutoff_v=3.8)

    assert max(fake.sections_s) <= 1.2


async def test_fields_of_one_register_keep_the_bits_around_them(fake: FakeBms, write: Write) -> None:
    """The other byte and the reserved bits are taken as found just before the write."""
    fake.words[330] = 0x0001
    results = await write(lambda: fake.words.update({330: 0x0001}), discharge_over_current_timeout_s=7)
    assert fake.words[330] == 0x0701
    assert [r.outcome for r in results] == [Outcome.WRITTEN]

    fake.words[331] = 0xAB00
    await write(lambda: fake.words.update({331: 0xCD00}), load_switch_type="dido2")
    assert fake.words[331] == 0xCD04


async def test_two_registers_are_one_write(fake: FakeBms, write: Write) -> None:
    """A counter of 32 bits is never half written."""
    results = await write(pulses_per_unit=70000)

    assert summary(results) == [("pulses_per_unit", Outcome.WRITTEN, 70000)]
    assert [w.values for w in fake.writes] == [(70000 & 0xFFFF, 1)]


async def test_a_value_that_is_there_already_is_not_written(fake: FakeBms, write: Write) -> None:
    """It came true between plan and write: the memory of the BMS is spared."""
    results = await write(lambda: fake.words.update({315: 3800}), over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.UNCHANGED, 3.8)]
    assert fake.writes == []


async def test_a_value_that_somebody_else_changed_stops_the_write(fake: FakeBms, write: Write) -> None:
    """The plan was made for another state."""
    results = await write(lambda: fake.words.update({315: 3700}), over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.NOT_TRIED, 3.7)]
    assert str(results[0].detail or "") == "something else changed it in the meantime"
    assert fake.writes == []


async def test_a_register_that_cannot_be_read_is_not_written(fake: FakeBms, write: Write) -> None:
    """Nothing was sent, and the result says so."""
    results = await write(lambda: setattr(fake, "alive", False), over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.NOT_TRIED, None)]
    assert str(results[0].detail).startswith("could not be read before: ")
    assert fake.writes == []


@pytest.mark.parametrize(
    ("fault", "outcome", "found", "detail"),
    [
        ("nack", Outcome.REFUSED, 3.75, "the BMS refused command 0x10: command error (code 0)"),
        ("crc", Outcome.REFUSED, 3.75, f"the BMS received command 0x10 corrupted ({LINE_HINT})"),
        ("ignored", Outcome.DIFFERS, 3.75, "it holds 3.75 V"),
        ("clamped", Outcome.DIFFERS, 3.79, "it holds 3.79 V"),
        ("slow", Outcome.WRITTEN, 3.8, ""),
        ("unheard", Outcome.WRITTEN, 3.8, ""),
        ("deaf", Outcome.WRITTEN, 3.8, ""),
        ("lost", Outcome.NO_ANSWER, 3.75, "the BMS did not answer within 300 ms; it still holds 3.75 V"),
        ("dies", Outcome.NO_ANSWER, None, "the BMS did not answer within 300 ms; it cannot be read back"),
        ("dies_after", Outcome.NO_ANSWER, None, "the BMS did not answer within 300 ms; it cannot be read back"),
    ],
)
async def test_each_way_to_fail_has_its_outcome(
    fake: FakeBms, write: Write, fault: str, outcome: Outcome, found: object, detail: str
) -> None:
    """Reading back decides; what nobody can know is not claimed."""
    fake.faults, fake.clamp_to = {1: fault}, 3790

    results = await write(over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", outcome, found)]
    assert str(results[0].detail or "") == detail
    assert len(fake.writes) == 1


async def test_a_refusal_is_looked_at_once(fake: FakeBms, write: Write) -> None:
    """Nothing is on its way that would be worth waiting for."""
    fake.faults = {1: "nack"}
    await write(over_voltage_cutoff_v=3.8)

    assert [type(request) for request in fake.requests] == [ReadModbus, WriteModbus, ReadModbus]


async def test_another_value_after_a_lost_answer_differs(fake: FakeBms, write: Write) -> None:
    """Neither the old nor the new one: the write did something."""
    fake.faults, fake.clamp_to = {1: "clamped"}, 3790
    original = fake.request

    async def mute(request: Request, *, attempts: int | None = None) -> Reply:
        reply: Reply = await original(request, attempts=attempts)
        if isinstance(request, WriteModbus):
            raise LinkError("noise")
        return reply

    fake.request = mute
    results = await write(over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.DIFFERS, 3.79)]


async def test_an_acknowledged_write_that_cannot_be_read_back_is_not_called_written(
    fake: FakeBms, write: Write
) -> None:
    """An acknowledgement alone proves nothing."""
    fake.on_write = lambda _request: setattr(fake, "alive", False)

    results = await write(over_voltage_cutoff_v=3.8)

    assert summary(results) == [("over_voltage_cutoff_v", Outcome.NO_ANSWER, None)]
    assert str(results[0].detail or "") == "acknowledged; it cannot be read back"


async def test_each_field_of_a_shared_register_is_judged_by_itself(fake: FakeBms, write: Write) -> None:
    """The BMS took one byte of 330 and not the other."""
    fake.faults, fake.clamp_to = {1: "clamped"}, 0x0002
    fake.words[330] = 0x0002

    results = await write(charger_type="cc_cv", discharge_over_current_timeout_s=4)

    assert summary(results) == [
        ("charger_type", Outcome.DIFFERS, "can_reserved"),
        ("discharge_over_current_timeout_s", Outcome.DIFFERS, 0),
    ]
    fake.faults, fake.clamp_to = {2: "clamped"}, 0x0001
    results = await write(charger_type="cc_cv", discharge_over_current_timeout_s=4)
    assert [r.outcome for r in results] == [Outcome.WRITTEN, Outcome.DIFFERS]


async def test_a_restart_is_waited_for(fake: FakeBms, clock: FakeClock, write: Write) -> None:
    """Register 340 makes the BMS restart: it is read back when it is there again, with the poll running meanwhile."""
    fake.restart_s = 6.0
    fake.faults = {1: "unheard"}

    results = await write(operation_mode="single_port")

    assert summary(results) == [("operation_mode", Outcome.WRITTEN, "single_port")]
    assert fake.sections_s[0] <= 1.2
    assert clock.monotonic() >= 1006.0


async def test_a_unit_that_does_not_come_back_is_given_up(fake: FakeBms, clock: FakeClock, write: Write) -> None:
    """After a while, with no claim."""
    fake.restart_s = 3600.0

    results = await write(operation_mode="single_port")

    assert summary(results) == [("operation_mode", Outcome.NO_ANSWER, None)]
    assert clock.monotonic() < 1040.0


async def test_send_once_never_raises_for_line_or_device(fake: FakeBms) -> None:
    """Whatever the answer, the caller goes on to read back."""
    request = WriteModbus(315, (3800,))
    assert await send_once(fake, request) == Sent(Acknowledgement.DONE)
    fake.faults = {2: "nack"}
    assert (await send_once(fake, request)).answer is Acknowledgement.REFUSED
    fake.alive = False
    assert (await send_once(fake, request)).answer is Acknowledgement.SILENT
