"""From the bus to rows: sums, extremes, energy, and a time whatever the clock of the machine does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyCounter
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    FreshnessChanged,
    LimitsDecided,
    NoticesChanged,
    PackSnapshotAccepted,
    SnapshotAccepted,
)
from tinybms_bridge.link.state import PackDetails, UartState
from tinybms_bridge.services.history.days import DAY_COLUMNS
from tinybms_bridge.services.history.fields import CHARGE_STATES, COLUMNS, FRESHNESS, GROUPS
from tinybms_bridge.services.history.levels import local_day
from tinybms_bridge.services.history.recorder import Recorder
from tinybms_bridge.services.history.steps import Row, StepBuilder


def named(values: tuple[int | None, ...]) -> dict[str, Any]:
    """Return the numbers of a row by column."""
    return dict(zip(COLUMNS, values, strict=True))


@st.composite
def snapshots(draw: st.DrawFn) -> list[Snapshot]:
    """Samples as a pack may give them."""
    volts = st.floats(2.0, 4.3)
    found = []
    for number in range(draw(st.integers(1, 12))):
        cells = tuple(draw(st.lists(volts, min_size=2, max_size=4)))
        pack = PackValues(sum(cells), draw(st.floats(-500, 500)), draw(st.floats(0, 100)))
        found.append(Snapshot(number + 1, number * 0.5, pack, Cells(cells)))
    return found


@given(snapshots())
def test_mean_lies_between_least_and_greatest(samples: list[Snapshot]) -> None:
    """Whatever is measured, the mean of a step is within its extremes, and the extremes were measured."""
    builder = StepBuilder()
    for snapshot in samples:
        builder.add_sample(snapshot)
    row = named(builder.finish().values)
    assert row["samples"] == len(samples)
    for quantity in GROUPS[0].quantities:
        total, least, greatest = (row[column] for column in quantity.columns)
        assert least * len(samples) <= total <= greatest * len(samples), quantity.name
    currents = [round(snapshot.pack.current_a * 100.0) for snapshot in samples]
    assert (row["current_a_min"], row["current_a_max"]) == (min(currents), max(currents))
    assert row["highest_cell_mv_max"] == max(round(each.cells.max_v * 10_000.0) for each in samples)


def test_step_without_samples_knows_nothing() -> None:
    """A gap stays a gap: no value is carried over from the step before."""
    builder = StepBuilder()
    builder.add_sample(Snapshot(1, 0.0, PackValues(13.2, 5.0, 50.0), Cells((3.3,) * 4)))
    builder.finish()
    row = named(builder.finish().values)
    assert [row[column] for quantity in GROUPS[0].quantities for column in quantity.columns] == [None] * 21
    assert (row["samples"], row["charged_mwh"], row["charge_state"]) == (0, 0, None)


def test_sensors_that_are_not_there(sample: Callable[..., Snapshot]) -> None:
    """Without a sensor the temperature is unknown; one that comes later counts from then on."""
    builder = StepBuilder()
    builder.add_sample(sample(0.0, internal_c=None))
    builder.add_sample(sample(0.1, internal_c=-3.26))
    row = named(builder.finish().values)
    assert (row["samples"], row["temperatures"]) == (2, 1)
    assert (row["coldest_c_sum"], row["hottest_c_max"]) == (-33, -33)


@pytest.mark.parametrize("freshness", [Freshness.SILENT, Freshness.STARTING])
def test_limits_that_are_not_sent_are_unknown(some_limits: Callable[..., Limits], freshness: Freshness) -> None:
    """While nothing goes out on the CAN bus there is no limit to show."""
    builder = StepBuilder()
    builder.add_second(some_limits(freshness=freshness))
    builder.add_second(None)
    row = named(builder.finish().values)
    assert (row["decisions"], row["cvl_v_max"], row["charge_state"]) == (0, None, None)


def test_limits_of_a_hold_are_kept(some_limits: Callable[..., Limits]) -> None:
    """In HOLD a charge limit of 0 is sent, and the history says so although nothing is measured."""
    builder = StepBuilder()
    builder.add_second(some_limits(50.0))
    builder.add_second(some_limits(0.0, Freshness.HOLD, ChargeState.FLOAT))
    row = named(builder.finish().values)
    assert (row["decisions"], row["ccl_a_min"], row["ccl_a_max"], row["ccl_a_sum"]) == (2, 0, 500, 500)
    assert CHARGE_STATES[row["charge_state"]] is ChargeState.FLOAT


def test_worst_freshness_of_a_step() -> None:
    """A hold that was over before the step ended is seen; the next step begins with what is."""
    builder = StepBuilder()
    for each in (Freshness.FRESH, Freshness.HOLD, Freshness.FRESH):
        builder.note_freshness(each)
    builder.add_second(None)
    first, second = named(builder.finish().values), named(builder.finish().values)
    assert (FRESHNESS[first["freshness"]], first["fresh_s"]) == (Freshness.HOLD, 1)
    assert (FRESHNESS[second["freshness"]], second["fresh_s"]) == (Freshness.FRESH, 0)


@given(st.lists(st.tuples(st.floats(0.05, 8.0), st.floats(-200, 200), st.booleans()), min_size=1, max_size=40))
def test_energy_of_all_steps_is_the_energy(moves: list[tuple[float, float, bool]]) -> None:
    """However steps cut the time, their whole milliwatt-hours add up to the counter's, less a fraction."""
    builder, counter, now_s, charged, discharged = StepBuilder(), EnergyCounter(), 0.0, 0, 0
    for number, (after_s, current_a, ends) in enumerate(moves):
        now_s += after_s
        snapshot = Snapshot(number + 1, now_s, PackValues(13.2, current_a, 50.0), Cells((3.3,) * 4))
        builder.add_sample(snapshot)
        counter.add(snapshot)
        if ends:
            row = named(builder.finish().values)
            charged, discharged = charged + row["charged_mwh"], discharged + row["discharged_mwh"]
    row = named(builder.finish().values)
    assert charged + row["charged_mwh"] == int(counter.totals.charged_wh * 1000.0)
    assert discharged + row["discharged_mwh"] == int(counter.totals.discharged_wh * 1000.0)


def test_states_fit_their_column() -> None:
    """A state is kept in three bits beside the time."""
    assert len(CHARGE_STATES) <= 8
    assert set(FRESHNESS) == set(Freshness)


NEW_YEAR_S = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
SAMPLES = COLUMNS.index("samples")
FRESHNESS_AT = COLUMNS.index("freshness")
DAY_NAMES = [column.name for column in DAY_COLUMNS]


class Rig:
    """A recorder on a bus, driven by hand: a sample and a look each second."""

    def __init__(self, clock: Any, sample: Callable[..., Snapshot], *, enabled: bool = True) -> None:
        self.clock = clock
        self.sample = sample
        self.bus = Bus(clock.monotonic, clock.wall)
        self.batches: list[Sequence[Row]] = []
        self.enabled = enabled
        self.recorder = Recorder(self.bus, clock, self.batches.append, lambda: self.enabled)

    def pass_by(self, seconds: int, *, samples: bool = True) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock._now_s += 1.0
            if samples:
                self.recorder._take(SnapshotAccepted(self.sample(self.clock.monotonic())))
            self.recorder.second()

    @property
    def rows(self) -> list[Row]:
        """Every row so far."""
        return [row for batch in self.batches for row in batch]

    @property
    def starts(self) -> list[int]:
        """Beginning of each row that has samples, in seconds of 2026."""
        return [row.start_s - NEW_YEAR_S for row in self.rows if row.values[SAMPLES]]


@pytest.fixture
def rig(clock: Any, sample: Callable[..., Snapshot]) -> Rig:
    """A recorder on a machine that runs for long enough."""
    return Rig(clock, sample)


def test_rows_follow_each_other_in_batches(rig: Rig) -> None:
    """A row for each ten seconds and a batch for each minute, with every sample in exactly one row."""
    rig.pass_by(190)
    assert rig.starts == list(range(0, 180, 10))
    assert [len(batch) for batch in rig.batches] == [6, 6, 6]
    assert [row.values[SAMPLES] for row in rig.rows] == [9, *[10] * 17]
    rig.recorder.flush()
    assert sum(row.values[SAMPLES] or 0 for row in rig.rows) == 190


def test_silence_is_recorded_as_such(rig: Rig) -> None:
    """While the BMS does not answer there are rows without a measurement, with the freshness that says why."""
    rig.pass_by(10)
    rig.recorder._take(FreshnessChanged(Freshness.FRESH, Freshness.SILENT))
    rig.pass_by(30, samples=False)
    rig.recorder.flush()
    silent = rig.rows[2]
    assert silent.values[SAMPLES] == 0
    assert FRESHNESS[silent.values[FRESHNESS_AT] or 0] is Freshness.SILENT


def test_samples_of_a_hold_are_not_recorded(rig: Rig) -> None:
    """A frozen BMS goes on answering: its values are no measurements, and its current is no energy."""
    rig.pass_by(10)
    rig.recorder._take(FreshnessChanged(Freshness.FRESH, Freshness.HOLD))
    rig.pass_by(30)
    rig.recorder.flush()
    row = dict(zip(COLUMNS, rig.rows[2].values, strict=True))
    assert (row["samples"], row["voltage_v_min"], row["charged_mwh"], row["discharged_mwh"]) == (0, None, 0, 0)


def test_limits_that_can_no_longer_be_decided_are_not_recorded(rig: Rig, some_limits: Callable[..., Limits]) -> None:
    """The last ones are not in force."""
    rig.bus.publish(LimitsDecided(some_limits(50.0)), "test")
    rig.pass_by(4)
    rig.bus.publish(LimitsDecided(None), "test")
    rig.pass_by(4)
    rig.recorder.flush()
    row = dict(zip(COLUMNS, rig.rows[0].values, strict=True))
    assert row["decisions"] == 4


def test_limits_are_looked_at_each_second(rig: Rig, some_limits: Callable[..., Limits]) -> None:
    """What is on the bus as latest is what is sent and what is kept."""
    rig.bus.publish(LimitsDecided(some_limits(50.0)), "test")
    rig.pass_by(4)
    rig.bus.publish(LimitsDecided(some_limits(0.0)), "test")
    rig.pass_by(4)
    rig.recorder.flush()
    row = dict(zip(COLUMNS, rig.rows[0].values, strict=True))
    assert (row["decisions"], row["ccl_a_min"], row["ccl_a_max"], row["ccl_a_sum"]) == (8, 0, 500, 2000)


def test_stalled_program_leaves_a_gap(rig: Rig) -> None:
    """Time in which nothing ran is not filled with what was before."""
    rig.pass_by(10)
    rig.clock._now_s += 100.0
    rig.pass_by(20)
    rig.recorder.flush()
    assert rig.starts == [0, 10, 110, 120, 130]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 86_400.0 * 30])
def test_clock_that_is_set_later(rig: Rig, caplog: pytest.LogCaptureFixture, jump_s: float) -> None:
    """After the start of the machine each step has the time of its own moment, before and after the jump."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    rig.pass_by(60)
    rig.clock.set_by(jump_s)
    rig.pass_by(60)
    rig.recorder.flush()
    assert rig.starts[:6] == list(range(0, 60, 10))
    assert set(range(70, 120, 10)) <= {start - int(jump_s) for start in rig.starts[6:]}
    assert sum(row.values[SAMPLES] or 0 for row in rig.rows) == 120
    assert f"was set by {jump_s:+.0f} s" in caplog.text


def test_small_corrections_are_no_jump(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that is slewed makes neither gaps nor lines in the log."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    for _ in range(120):
        rig.clock.set_by(0.01)
        rig.pass_by(1)
    rig.recorder.flush()
    assert rig.starts == list(range(0, 121, 10))
    assert caplog.text == ""


def test_machine_without_a_clock(make_clock: Callable[..., Any], sample: Callable[..., Snapshot]) -> None:
    """A Pi boots an hour in the past; what is recorded until the network sets its clock is dated rightly."""
    rig = Rig(make_clock(20.0, datetime(2025, 12, 31, 23, tzinfo=UTC)), sample)
    rig.pass_by(100)
    assert rig.rows == []
    assert rig.recorder.waits_for_clock
    rig.clock.set_by(3600.0)
    rig.pass_by(30)
    rig.recorder.flush()
    assert sorted(set(rig.starts)) == list(range(0, 140, 10))
    assert sum(row.values[SAMPLES] or 0 for row in rig.rows) == 130


def test_machine_whose_clock_is_right_at_once(make_clock: Callable[..., Any], sample: Callable[..., Snapshot]) -> None:
    """Where nobody sets the clock, it is believed five minutes after the start of the machine."""
    rig = Rig(make_clock(20.0), sample)
    rig.pass_by(279)
    assert rig.rows == []
    rig.pass_by(61)
    assert rig.starts == list(range(0, 300, 10))


def test_end_before_the_clock_is_believed(make_clock: Callable[..., Any], sample: Callable[..., Snapshot]) -> None:
    """A restart of the service soon after boot loses nothing: what is known of the time has to do."""
    rig = Rig(make_clock(20.0), sample)
    rig.pass_by(25)
    rig.recorder.flush()
    assert rig.starts == [0, 10, 20]


def test_clock_that_shows_1970(
    make_clock: Callable[..., Any], sample: Callable[..., Snapshot], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is ever dated 1970: it waits an hour at most, the rest is counted as lost, and one line tells it."""
    rig = Rig(make_clock(1000.0, datetime(1970, 1, 2, tzinfo=UTC)), sample)
    rig.pass_by(3700)
    rig.recorder.flush()
    assert rig.rows == []
    assert rig.recorder.undated_lost == 11
    assert caplog.text.count("the clock of the machine shows 1970-01-02") == 1
    rig.clock.set_by(NEW_YEAR_S - rig.clock.wall().timestamp())
    rig.pass_by(60)
    assert min(rig.starts) == -3590
    assert max(rig.starts) == 50
    assert not rig.recorder.waits_for_clock


@given(st.lists(st.tuples(st.integers(1, 80), st.sampled_from([0.0, 0.0, 5.0, -5.0, 4000.0, -4000.0])), max_size=8))
def test_no_sample_is_lost_or_invented(
    make_clock: Callable[..., Any], sample: Callable[..., Snapshot], moves: list[tuple[int, float]]
) -> None:
    """Whatever the clock does, every sample is in one row, and rows begin at whole steps."""
    rig = Rig(make_clock(), sample)
    for seconds, jump_s in moves:
        rig.clock.set_by(jump_s)
        rig.pass_by(seconds)
    rig.recorder.flush()
    assert sum(row.values[SAMPLES] or 0 for row in rig.rows) == sum(seconds for seconds, _ in moves)
    assert all(row.start_s % 10 == 0 for row in rig.rows)


def test_switched_off_and_on(rig: Rig) -> None:
    """Nothing is recorded while it is off; what was before is handed over at once."""
    rig.pass_by(15)
    rig.enabled = False
    rig.pass_by(60)
    assert rig.starts == [0, 10]
    rig.enabled = True
    rig.pass_by(20)
    rig.recorder.flush()
    assert [start for start in rig.starts if start > 10] == [70, 80, 90]
    assert not any(10 < row.start_s - NEW_YEAR_S < 70 for row in rig.rows)


def test_alarms_that_rise_are_counted(rig: Rig) -> None:
    """Each rise counts at the level that it reached; what the core has when it is first heard is not a new one."""
    high, low = AlarmName.HIGH_VOLTAGE, AlarmName.LOW_VOLTAGE
    ok, warning, alarm = AlarmLevel.OK, AlarmLevel.WARNING, AlarmLevel.ALARM
    for old, new in (
        ({}, {high: alarm, low: ok}),
        ({high: alarm, low: ok}, {high: warning, low: warning}),
        ({high: warning, low: warning}, {high: alarm, low: alarm}),
    ):
        rig.recorder._take(AlarmsChanged(Alarms(old), Alarms(new)))
    name = NoticeName.LOW_SOC
    rig.recorder._take(NoticesChanged(Notices({name: ok}), Notices({name: warning})))
    rig.recorder._take(NoticesChanged(Notices({name: warning}), Notices({name: ok})))
    rig.pass_by(1)
    rig.recorder.flush()
    day = dict(zip(DAY_NAMES, rig.rows[0].step.day, strict=True))
    assert (day["alarms"], day["warnings"]) == (2, 2)


def test_several_packs(rig: Rig, sample: Callable[..., Snapshot]) -> None:
    """Each pack has its numbers beside those of the battery, from the sample at which it appears to its last."""
    rig.pass_by(10)
    for second in range(20):
        rig.clock._now_s += 1.0
        now_s = rig.clock.monotonic()
        rig.recorder._take(SnapshotAccepted(sample(now_s, current_a=30.0), ""))
        rig.recorder._take(PackSnapshotAccepted(sample(now_s, current_a=20.0), "a"))
        if second < 5:
            rig.recorder._take(PackSnapshotAccepted(sample(now_s, current_a=10.0), "b"))
        rig.recorder.second()
    rig.pass_by(10)
    rig.recorder.flush()
    packs = [(row.step.pack, sorted(row.step.packs)) for row in rig.rows]
    assert packs == [("main", []), ("", ["a", "b"]), ("", ["a"]), ("", ["a"]), ("main", [])]
    samples = [row.step.packs["a"].values[0] for row in rig.rows if "a" in row.step.packs]
    assert sum(each or 0 for each in samples) == 20


def test_four_packs_one_of_which_falls_silent(rig: Rig, sample: Callable[..., Snapshot]) -> None:
    """Its fresh time ends with its samples, although the battery goes on; extremes of the battery name the pack."""
    rig.recorder._take(FreshnessChanged(Freshness.STARTING, Freshness.FRESH))
    for second in range(60):
        rig.clock._now_s += 1.0
        now_s = rig.clock.monotonic()
        rig.recorder._take(SnapshotAccepted(sample(now_s, current_a=40.0), ""))
        for number, name in enumerate("abcd"):
            if name != "c" or second < 20:
                found = sample(now_s, current_a=10.0)
                cells = Cells(tuple(3.3 + 0.01 * number + 0.001 * cell for cell in range(4)))
                rig.recorder._take(PackSnapshotAccepted(replace(found, cells=cells), name))
        rig.recorder.second()
    rig.recorder.flush()
    fresh_s = {
        name: sum(row.step.packs[name].values[-1] or 0 for row in rig.rows if name in row.step.packs) for name in "abcd"
    }
    assert [fresh_s[name] for name in "abd"] == [60, 60, 60]
    assert 20 <= fresh_s["c"] <= 24
    days = [dict(zip(DAY_NAMES, row.step.day, strict=True)) for row in rig.rows if row.step.packs]
    lowest, highest = (
        {(day[f"{which}_cell"], day[f"{which}_cell_pack"]) for day in days} for which in ("lowest", "highest")
    )
    assert (lowest, highest) == ({(1, "a")}, {(4, "d")})


def test_line_counters_are_in_the_step_in_which_they_counted(clock: Any, sample: Callable[..., Snapshot]) -> None:
    """And the latency is looked at each second while the line is up."""
    uart = UartState(up=True, polls=5000, latency_last_ms=14.0)
    lines = SimpleNamespace(packs=lambda: {"main": PackDetails(uart)}, outputs=dict)
    bus = Bus(clock.monotonic, clock.wall)
    batches: list[Sequence[Row]] = []
    recorder = Recorder(bus, clock, batches.append, lambda: True, lines)
    for second in range(25):
        clock._now_s += 1.0
        uart = replace(uart, polls=uart.polls + 10, errors=uart.errors + (second == 12))
        recorder.second()
    recorder.flush()
    rows = [named(row.values) for batch in batches for row in batch]
    assert sum(row["uart_polls"] for row in rows) == 250
    assert [row["uart_errors"] for row in rows] == [0, 1, 0]
    assert (sum(row["line_looks"] for row in rows), rows[0]["latency_ms_max"]) == (25, 140)


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).astimezone().date()


def charged_mwh(rows: Sequence[Row]) -> int:
    """Return the energy of some rows."""
    return sum(row.values[COLUMNS.index("charged_mwh")] or 0 for row in rows)


def test_energy_so_far_is_that_of_the_rows(rig: Rig) -> None:
    """What the overview shows of today is what the day will have, less the step under way."""
    assert rig.recorder.counted(NEW_YEAR) == (0, 0, 0)
    rig.pass_by(75)
    counted, _, fresh_s = rig.recorder.counted(NEW_YEAR)
    assert (counted > 0, fresh_s) == (True, 0)
    rig.recorder.flush()
    assert rig.recorder.counted(NEW_YEAR)[0] == charged_mwh(rig.rows)


def test_year_that_ends(make_clock: Callable[..., Any], sample: Callable[..., Snapshot]) -> None:
    """At midnight the day begins at nothing, and what came before stays with the day before."""
    midnight = datetime(2025, 12, 31).astimezone() + timedelta(days=1)
    rig = Rig(make_clock(1000.0, midnight - timedelta(seconds=60)), sample)
    rig.pass_by(160)
    rig.recorder.flush()
    midnight_s = int(midnight.timestamp())
    old, new = date(2025, 12, 31), date(2026, 1, 1)
    for day, rows in (
        (old, [row for row in rig.rows if row.start_s < midnight_s]),
        (new, [row for row in rig.rows if row.start_s >= midnight_s]),
    ):
        assert rig.recorder.counted(day)[0] == charged_mwh(rows) > 0


@pytest.mark.parametrize("jump_s", [90_000.0, -90_000.0])
def test_energy_after_a_jump_of_the_clock(rig: Rig, jump_s: float) -> None:
    """Each day has what was recorded while the clock showed it."""
    rig.pass_by(60)
    rig.clock.set_by(jump_s)
    rig.pass_by(60)
    rig.recorder.flush()
    days = {local_day(row.start_s) for row in rig.rows}
    assert len(days) == 2
    for day in days:
        rows = [row for row in rig.rows if local_day(row.start_s) == day]
        assert rig.recorder.counted(day)[0] == charged_mwh(rows) > 0


async def test_looks_are_seconds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that comes late does not make the next ones late: a day has as many looks as seconds."""
    looks: list[float] = []

    def look() -> None:
        looks.append(rig.clock.monotonic())
        rig.clock._now_s += 0.3

    monkeypatch.setattr(rig.recorder, "second", look)
    begun_s = rig.clock.monotonic()
    async with running(rig.recorder):
        for _ in range(100):
            await rig.clock.advance(0.1)
    assert len(looks) == int(rig.clock.monotonic() - begun_s)


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    """Run a recorder and stop it as the supervisor does."""
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_it_follows_the_bus(rig: Rig, sample: Callable[..., Snapshot]) -> None:
    """Samples and freshness on the bus come into the rows; the end hands over what there is."""
    rig.bus.publish(FreshnessChanged(Freshness.STARTING, Freshness.FRESH), "test")
    async with running(rig.recorder):
        await asyncio.sleep(0)
        for _ in range(3):
            rig.bus.publish(SnapshotAccepted(sample(rig.clock.monotonic())), "test")
            await rig.clock.advance(1.0)
    (row,) = rig.rows
    values = dict(zip(COLUMNS, row.values, strict=True))
    assert (values["samples"], values["fresh_s"], FRESHNESS[values["freshness"] or 0]) == (3, 3, Freshness.FRESH)
    assert rig.bus.statistics().subscribers == 0
