"""What the history costs: bytes written to the card, size of the file, time of queries; prints one table."""

import math
import resource
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.parts import Row, print_table, written_bytes

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_bridge.services.history import History, HistorySettings, database
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.recorder import Row as HistoryRow
from tinybms_bridge.services.history.recorder import StepBuilder

BEGIN_S = 1_767_225_600
DAY_S = 86_400
CHART = ("voltage_v.mean", "current_a.mean", "power_w.mean", "soc_percent.mean")


def filled_step(start_s: int, samples: int = 20) -> HistoryRow:
    """Return the row of ten seconds of a 16-cell pack on a sunny day."""
    builder = StepBuilder()
    builder.note_freshness(Freshness.FRESH)
    sun = math.sin(start_s / DAY_S * 2 * math.pi)
    for number in range(samples):
        wave = math.sin(start_s + number)
        cells = tuple(3.3 + 0.05 * sun + 0.002 * wave * (cell % 3) for cell in range(16))
        pack = PackValues(sum(cells), 40.0 * sun + wave, 50.0 + 30.0 * sun)
        warmth = Temperatures(25.0 + sun, 20.0 + 5.0 * sun, 21.0)
        builder.add_sample(Snapshot(number + 1, number * 10.0 / samples, pack, Cells(cells), warmth))
    for _ in range(10):
        builder.add_second(Limits(54.4, 50.0 * (1.0 + sun), 80.0, 44.0, ChargeState.BULK, Freshness.FRESH))
    return HistoryRow(start_s, builder.finish())


def sample_cost() -> list[Row]:
    """Processor time of one sample on the event loop."""
    started_s, rows = time.process_time(), 200
    for number in range(rows):
        filled_step(BEGIN_S + 10 * number, samples=100)
    took_us = (time.process_time() - started_s) / rows / 100 * 1e6
    return [("history: CPU of one sample", f"{took_us:.0f} us", "")]


def one_day(folder: Path) -> list[Row]:
    """Write a day in batches of a minute."""
    day = [filled_step(BEGIN_S + 10 * number) for number in range(DAY_S // 10)]
    with closing(Database(folder, HistorySettings())) as file:
        file.write([])
        before, cpu_s = written_bytes(), time.process_time()
        for first in range(0, len(day), 6):
            file.write(day[first : first + 6])
        cpu_ms = (time.process_time() - cpu_s) / (len(day) / 6) * 1e3
        written_mb = (written_bytes() - before) / 1e6
    return [
        ("history: written in a day", f"{written_mb:.1f} MB" if written_mb else "no disk here", ""),
        ("history: CPU of the batch of a minute", f"{cpu_ms:.2f} ms", ""),
    ]


def full_file(folder: Path) -> list[Row]:
    """Fill every level as far as it goes by default, and ask."""
    settings = HistorySettings()
    database._PRUNE_EVERY = 1
    with closing(Database(folder, settings)) as file:
        row = filled_step(BEGIN_S)
        end_s = BEGIN_S + settings.days[2] * DAY_S
        for level_start_s, step_s in ((BEGIN_S, 900), (end_s - 14 * DAY_S, 60), (end_s - 2 * DAY_S, 10)):
            rows = [HistoryRow(start_s, row.values) for start_s in range(level_start_s, end_s, step_s)]
            for first in range(0, len(rows), 1000):
                file.write(rows[first : first + 1000])
    history = History(folder, settings)
    size_mb = history.state().bytes / 1e6
    found = [("history: file with everything that is kept", f"{size_mb:.1f} MB", "")]
    everything = [f"{field.name}.{series}" for field in history.fields for series in field.series]
    for days in (1, 30, 730):
        for what, names in (("a chart of 4 lines", CHART), ("all 42 series", everything)):
            took_ms = statistics.median(query_ms(history, end_s, days, names) for _ in range(7))
            found.append((f"history: CPU, {days} days in 500 points, {what}", f"{took_ms:.1f} ms", ""))
    return found


def query_ms(history: History, end_s: int, days: int, names: tuple[str, ...] | list[str]) -> float:
    """Return the processor time of one question."""
    started_s = time.process_time()
    columns = history.view(end_s - days * DAY_S, end_s, names, points=500).columns()
    took_ms = (time.process_time() - started_s) * 1e3
    assert any(value is not None for value in columns[0])
    return took_ms


def main() -> None:
    """Measure and print."""
    rows = sample_cost()
    with tempfile.TemporaryDirectory() as name:
        rows += one_day(Path(name) / "day")
        rows += full_file(Path(name) / "full")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(("history: peak memory of this measurement", f"{peak_mb:.0f} MB", ""))
    print_table(rows)


if __name__ == "__main__":
    main()
