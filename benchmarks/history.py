"""What the history costs: bytes written to the card, size of the file, time of queries; prints one table."""

import math
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks.parts import Row, print_table, written_bytes

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.services.history import History, HistorySettings, database
from tinybms_bridge.services.history.columns import Numbers, Unite
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.days import DAY_COLUMNS, SOC_BANDS, TEMPERATURE_BANDS
from tinybms_bridge.services.history.fields import COUNTERS
from tinybms_bridge.services.history.levels import LEVELS, PACK_LEVELS
from tinybms_bridge.services.history.steps import Row as HistoryRow
from tinybms_bridge.services.history.steps import StepBuilder
from tinybms_bridge.services.ports import DayRecord, MonthRecord
from tinybms_bridge.services.web.heavy import Text
from tinybms_bridge.services.web.routes.history import _records

BEGIN_S = 1_767_225_600
DAY_S = 86_400
YEARS_10 = 3653
"""Days."""
CHART = ("voltage_v.mean", "current_a.mean", "power_w.mean", "soc_percent.mean")
BAND = ("power_w.mean", "power_w.min", "power_w.max")


RATINGS = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 100.0, None, 60.0, 0.0, 280.0)


def filled_step(start_s: int, samples: int = 20, packs: int = 1) -> HistoryRow:
    """Return the row of ten seconds of packs of 16 cells on a sunny day."""
    builder = StepBuilder()
    builder.note_freshness(Freshness.FRESH)
    sun = math.sin(start_s / DAY_S * 2 * math.pi)
    for number in range(samples):
        wave = math.sin(start_s + number)
        cells = tuple(3.3 + 0.05 * sun + 0.002 * wave * (cell % 3) for cell in range(16))
        pack = PackValues(sum(cells), 40.0 * sun + wave, 50.0 + 30.0 * sun)
        warmth = Temperatures(25.0 + sun, 20.0 + 5.0 * sun, 21.0)
        at_s = number * 10.0 / samples
        snapshot = Snapshot(number + 1, at_s, pack, Cells(cells), warmth, RATINGS)
        if packs > 1:
            for index in range(packs):
                builder.add_pack_sample(snapshot, f"pack-{index}")
        builder.add_sample(snapshot, "" if packs > 1 else "main")
    for _ in range(10):
        builder.add_second(Limits(54.4, 50.0 * (1.0 + sun), 80.0, 44.0, ChargeState.BULK, Freshness.FRESH), [12.4])
    counted = {"uart_polls": 100, "can_tx_count": 120, "can_rx_count": 30, "bus_events": 190}
    return HistoryRow(start_s, builder.finish([counted.get(counter.name, 0) for counter in COUNTERS]))


def sample_cost() -> list[Row]:
    """Processor time of one sample on the event loop."""
    started_s, rows = time.process_time(), 200
    for number in range(rows):
        filled_step(BEGIN_S + 10 * number, samples=100)
    took_us = (time.process_time() - started_s) / rows / 100 * 1e6
    return [("history: CPU of one sample", f"{took_us:.0f} us", "")]


def one_day(folder: Path, packs: int) -> list[Row]:
    """Write a day in batches of a minute."""
    day = [filled_step(BEGIN_S + 10 * number, packs=packs) for number in range(DAY_S // 10)]
    with closing(Database(folder, HistorySettings())) as file:
        file.write([])
        before, cpu_s = written_bytes(), time.process_time()
        for first in range(0, len(day), 6):
            file.write(day[first : first + 6])
        cpu_ms = (time.process_time() - cpu_s) / (len(day) / 6) * 1e3
        written_mb = (written_bytes() - before) / 1e6
    of = f", {packs} packs" if packs > 1 else ""
    return [
        (f"history: written in a day{of}", f"{written_mb:.1f} MB" if written_mb else "no disk here", ""),
        (f"history: CPU of the batch of a minute{of}", f"{cpu_ms:.2f} ms", ""),
    ]


def full_file(folder: Path) -> list[Row]:
    """Fill every level as far as it goes by default, and ask."""
    settings = HistorySettings()
    database._PRUNE_EVERY = 1
    with closing(Database(folder, settings)) as file:
        row = filled_step(BEGIN_S)
        end_s = BEGIN_S + settings.days[2] * DAY_S
        for level_start_s, step_s in ((BEGIN_S, 900), (end_s - 14 * DAY_S, 60), (end_s - 2 * DAY_S, 10)):
            rows = [HistoryRow(start_s, row.step) for start_s in range(level_start_s, end_s, step_s)]
            for first in range(0, len(rows), 1000):
                file.write(rows[first : first + 1000])
    history = History(folder, settings)
    size_mb = history.state().bytes / 1e6
    found = [("history: file with everything that is kept", f"{size_mb:.1f} MB", "")]
    everything = [f"{field.name}.{series}" for field in history.fields for series in field.series]
    for days, aim in ((1, ""), (30, ""), (365, "100 ms"), (730, "")):
        for what, names, points in (
            ("a chart of 4 lines", CHART, 500),
            ("one with its extremes", BAND, 1500),
            (f"all {len(everything)} series", everything, 500),
        ):
            took_ms = statistics.median(query_ms(history, end_s, days, names, points) for _ in range(7))
            found.append((f"history: CPU, {days} days in {points} points, {what}", f"{took_ms:.1f} ms", aim))
    took_ms = statistics.median(query_ms(history, end_s, 365, CHART, 500, "main") for _ in range(7))
    found.append(("history: CPU, 365 days in 500 points of one pack", f"{took_ms:.1f} ms", "100 ms"))
    return found


def query_ms(
    history: History, end_s: int, days: int, names: Sequence[str], points: int, pack: str | None = None
) -> float:
    """Return the processor time of one question."""
    started_s = time.process_time()
    columns = history.view(end_s - days * DAY_S, end_s, names, points=points, pack=pack).columns()
    took_ms = (time.process_time() - started_s) * 1e3
    assert any(value is not None for value in columns[0])
    return took_ms


def whole_day(numbers: Numbers) -> Numbers:
    """Return the numbers of a day whose steps were all as one; a quarter of its time each in four bands."""
    found = dict(zip((column.name for column in DAY_COLUMNS), numbers, strict=True))
    for column in DAY_COLUMNS:
        value = found[column.name]
        if column.unite is Unite.SUM and isinstance(value, int):
            found[column.name] = value * DAY_S // 10
    for name in (*SOC_BANDS[3:7], *TEMPERATURE_BANDS[1:5]):
        found[name] = DAY_S // 4
    return tuple(found.values())


def ten_years(folder: Path, packs: int) -> list[Row]:
    """Keep the days of ten years, and ask for all of them."""
    with closing(Database(folder, HistorySettings(days=(1, 1, 1)))) as file:
        row = filled_step(BEGIN_S + 21_600, packs=packs).step
        packs_days = {name: replace(each, day=whole_day(each.day)) for name, each in row.packs.items()}
        day = replace(row, day=whole_day(row.day), packs=packs_days)
        rows = [HistoryRow(BEGIN_S + DAY_S * number + 43_200, day) for number in range(YEARS_10)]
        for first in range(0, YEARS_10, 100):
            file.write(rows[first : first + 100])
    with closing(sqlite3.connect(folder / "history.db")) as connection:
        for level in LEVELS:
            connection.execute(f"DELETE FROM {level.table}")
        for level in PACK_LEVELS:
            connection.execute(f"DELETE FROM pack_{level.table}")
        connection.commit()
        connection.execute("VACUUM")
    history = History(folder)
    size_mb = (folder / "history.db").stat().st_size / 1e6
    of = f", {packs} packs" if packs > 1 else ""
    found = [(f"history: file with the days of ten years{of}", f"{size_mb:.1f} MB", "")]
    pack, begin, end = "pack-0" if packs > 1 else None, date(2026, 1, 1), date(2036, 1, 1)
    questions: Mapping[str, Callable[[], Text]] = {
        "days": lambda: _records("days", DayRecord, history.days(begin, end, pack), pack, csv=False),
        "months": lambda: _records("months", MonthRecord, history.months(begin, end, pack), pack, csv=False),
    }
    for what, ask in questions.items():
        took = []
        for _ in range(7):
            started_s = time.process_time()
            answer = ask()
            took.append((time.process_time() - started_s) * 1e3)
        assert isinstance(answer.body, bytes)
        size = f"{len(answer.body) / 1e3:.0f} KB of JSON"
        found.append((f"history: CPU, {what} of ten years{of}", f"{statistics.median(took):.1f} ms, {size}", "100 ms"))
    return found


def main() -> None:
    """Measure and print."""
    rows = sample_cost()
    with tempfile.TemporaryDirectory() as name:
        rows += one_day(Path(name) / "day", 1)
        rows += one_day(Path(name) / "day of packs", 16)
        rows += full_file(Path(name) / "full")
        rows += ten_years(Path(name) / "years", 1)
        rows += ten_years(Path(name) / "years of packs", 16)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(("history: peak memory of this measurement", f"{peak_mb:.0f} MB", ""))
    print_table(rows)


if __name__ == "__main__":
    main()
