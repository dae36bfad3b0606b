"""Records of days: bands, seconds of long and short days, sums, and the cells that were lowest and highest."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.services.history.columns import Numbers
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.days import (
    DAY_COLUMNS,
    DIRECTIONS,
    PACK_DAYS,
    SOC_BANDS,
    TEMPERATURE_BANDS,
    day_record,
    direction_of,
    month_records,
    soc_band_of,
    temperature_band_of,
)
from tinybms_bridge.services.history.levels import HistorySettings, local_day
from tinybms_bridge.services.history.reader import HistoryReader
from tinybms_bridge.services.history.steps import Row, StepBuilder
from tinybms_bridge.services.ports import CellExtreme

NAMES = [column.name for column in DAY_COLUMNS]


def named(numbers: Numbers) -> dict[str, Any]:
    """Return the numbers of a day by column."""
    return dict(zip(NAMES, numbers, strict=True))


@pytest.mark.parametrize(
    ("soc_percent", "band"), [(-0.5, 0), (0.0, 0), (9.99, 0), (10.0, 1), (89.9, 8), (90.0, 9), (100.0, 9)]
)
def test_bands_of_soc(sample: Callable[..., Snapshot], soc_percent: float, band: int) -> None:
    """Ten bands from empty to full; what is counted beyond either end is in the last one."""
    assert soc_band_of(sample(soc_percent=soc_percent)) == band


@pytest.mark.parametrize(
    ("celsius", "band"), [(-30.0, 0), (-0.1, 0), (0.0, 1), (25.0, 3), (49.9, 5), (50.0, 6), (80.0, 6)]
)
def test_bands_of_temperature(sample: Callable[..., Snapshot], celsius: float, band: int) -> None:
    """Open at both ends."""
    assert temperature_band_of(sample(internal_c=celsius)) == band


def test_without_a_sensor_there_is_no_band(sample: Callable[..., Snapshot]) -> None:
    """A temperature that nobody knows is in none."""
    assert temperature_band_of(sample(internal_c=None)) is None


@pytest.mark.parametrize(("current_a", "direction"), [(0.1, 0), (-0.1, 1), (0.0, 2), (0.04, 2), (-0.04, 2)])
def test_directions(sample: Callable[..., Snapshot], current_a: float, direction: int) -> None:
    """In, out, or neither."""
    assert direction_of(sample(current_a=current_a)) == direction


MOVES = st.lists(
    st.tuples(st.floats(-90, 90), st.floats(0, 100), st.none() | st.floats(-20, 70), st.booleans()),
    min_size=1, max_size=40,
)  # fmt: skip


@given(MOVES)
def test_times_of_a_day_add_up(
    sample: Callable[..., Snapshot], moves: list[tuple[float, float, float | None, bool]]
) -> None:
    """Each second with fresh data is in one direction and one band; hold and silence are no part of it."""
    builder, parts = StepBuilder(), []
    builder.note_freshness(Freshness.FRESH)
    for second, (current_a, soc_percent, celsius, ends) in enumerate(moves):
        builder.add_sample(sample(float(second), current_a=current_a, soc_percent=soc_percent, internal_c=celsius))
        builder.add_second(None)
        if ends:
            parts.append(builder.finish().day)
    builder.note_freshness(Freshness.HOLD)
    builder.add_second(None)
    builder.note_freshness(Freshness.SILENT)
    builder.add_second(None)
    day = named(PACK_DAYS.united([*parts, builder.finish().day]))
    assert day["fresh_s"] == len(moves) == sum(day[name] for name in DIRECTIONS) == sum(day[name] for name in SOC_BANDS)
    assert sum(day[name] for name in TEMPERATURE_BANDS) == sum(celsius is not None for _, _, celsius, _ in moves)
    assert (day["hold_s"], day["silent_s"]) == (1, 1)


def cells(*voltages_v: float, at_s: float = 0.0, pack_a: float = 0.0, capacity_ah: float = 0.0) -> Snapshot:
    """Return a sample of these cells."""
    ratings = Ratings(4, 3.6, 2.8, 3.75, 2.5, 100, 100, None, 60, 0, capacity_ah) if capacity_ah else None
    return Snapshot(1, at_s, PackValues(sum(voltages_v), pack_a, 50.0), Cells(voltages_v), Temperatures(), ratings)


def test_lowest_and_highest_cell_of_a_day() -> None:
    """They are told with their number and pack, from whichever step they were in."""
    builder, parts = StepBuilder(), []
    for snapshot in (cells(3.3, 3.31), cells(3.32, 3.2), cells(3.25, 3.4), cells(3.2001, 3.39)):
        builder.add_sample(snapshot)
        parts.append(builder.finish().day)
    record = day_record("2026-01-01", PACK_DAYS.united(parts))
    assert record.cell_min == CellExtreme(3200.0, 2, "main")
    assert record.cell_max == CellExtreme(3400.0, 2, "main")
    assert record.cell_delta_max_mv == 189.9


def test_day_without_a_measurement() -> None:
    """The BMS was silent all day: no extremes, no cycles made up, and the silence is told."""
    builder = StepBuilder()
    builder.note_freshness(Freshness.SILENT)
    for _ in range(3600):
        builder.add_second(None)
    record = day_record("2026-01-01", builder.finish().day)
    assert (record.silent_h, record.recorded_h, record.cycles) == (1.0, 0.0, 0.0)
    assert (record.cell_min, record.soc_min_percent, record.charge_current_max_a) == (None, None, None)


def test_current_in_one_direction_only() -> None:
    """A day on which the battery was only charged has no discharge: 0, and not the least charge."""
    builder = StepBuilder()
    builder.add_sample(cells(3.3, 3.3, pack_a=12.0))
    builder.add_sample(cells(3.3, 3.3, pack_a=20.0))
    record = day_record("2026-01-01", builder.finish().day)
    assert (record.charge_current_max_a, record.discharge_current_max_a) == (20.0, 0.0)
    assert (record.charge_power_max_w, record.discharge_power_max_w) == (132.0, 0.0)


def test_equivalent_full_cycles() -> None:
    """Once full and once empty is one cycle, however steps cut it; nothing counts while the capacity is unknown."""
    builder, parts = StepBuilder(), []
    for second in range(7201):
        current_a = 100.0 if second < 3600 else -100.0
        builder.add_sample(cells(3.3, 3.3, at_s=float(second), pack_a=current_a, capacity_ah=100.0))
        if second % 10 == 9:
            parts.append(builder.finish().day)
    parts.append(builder.finish().day)
    record = day_record("2026-01-01", PACK_DAYS.united(parts))
    assert record.cycles == pytest.approx(1.0, abs=0.0002)
    assert record.charged_ah == pytest.approx(100.0, abs=0.05)


def test_alarms_and_warnings_are_counted() -> None:
    """As often as they rose; a month has them all."""
    builder, parts = StepBuilder(), []
    for alarms, warnings in ((1, 2), (0, 0), (3, 1)):
        builder.add_risen(alarms, warnings)
        parts.append(builder.finish().day)
    assert (day_record("2026-01-01", PACK_DAYS.united(parts[:2])).alarms) == 1
    (month,) = month_records([("2026-01-01", PACK_DAYS.united(parts[:2])), ("2026-01-31", parts[2])])
    assert (month.month, month.days, month.alarms, month.warnings) == ("2026-01", 2, 4, 3)


@contextmanager
def zone(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the machine in a time zone."""
    with monkeypatch.context() as inside:
        inside.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2025, 12, 31), 24)],
)
def test_length_of_a_day(
    database: Database,
    folder: Path,
    sample: Callable[..., Snapshot],
    monkeypatch: pytest.MonkeyPatch,
    day: date,
    hours: int,
) -> None:
    """A day has 23 hours in spring and 25 in autumn: what is recorded of it is in it, and nothing of the next."""
    builder = StepBuilder()
    builder.note_freshness(Freshness.FRESH)
    with zone(BERLIN, monkeypatch):
        begin_s = int(datetime(day.year, day.month, day.day).astimezone(UTC).timestamp()) - 86_400
        rows = []
        for start_s in range(begin_s, begin_s + 3 * 86_400, 600):
            for second in range(10):
                builder.add_sample(sample(float(start_s + second)))
                builder.add_second(None)
            rows.append(Row(start_s, builder.finish()))
        database.write(rows)
        found = HistoryReader(folder / "history.db").days(day, day)
    (record,) = found
    assert record.recorded_h == pytest.approx(hours * 6 * 10 / 3600, abs=0.005)
    assert record.charged_kwh > 0.0


STARTS = st.lists(st.integers(0, 400), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(starts=STARTS, size=st.integers(1, 7))
def test_days_sum_to_the_total(
    tmp_path_factory: pytest.TempPathFactory, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch,
    starts: list[int], size: int,
) -> None:  # fmt: skip
    """In whatever order and batches steps come, over changes of clocks and of the year, none is lost or doubled."""
    begin_s = int(datetime(2025, 10, 20, tzinfo=UTC).timestamp())
    rows = [make_row(begin_s + 21_600 * start, 1000.0, 1000.0, -500.0) for start in starts]
    folder = tmp_path_factory.mktemp("state")
    with zone(BERLIN, monkeypatch), closing(Database(folder, HistorySettings())) as database:
        for first in range(0, len(rows), size):
            database.write(rows[first : first + size])
        reader = HistoryReader(folder / "history.db")
        span = date(2025, 10, 1), date(2026, 12, 31)
        stored = reader._days(*span, None)
        days = [local_day(row.start_s) for row in rows]
        assert [day for day, _ in stored] == sorted({day.isoformat() for day in days})
        whole = named(PACK_DAYS.united([numbers for _, numbers in stored]))
        for name in ("charged_mwh", "discharged_mwh", "charged_mah", "fresh_s"):
            assert whole[name] == sum(named(row.step.day)[name] for row in rows), name
        months = reader.months(*span)
        assert sum(month.days for month in months) == len(stored)
        assert {month.month for month in months} == {f"{day:%Y-%m}" for day in days}
        assert max(days) - min(days) <= timedelta(days=101)
