"""Down-sampling in SQL against a plain computation, gaps, days, statistics, and files that cannot be read."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.fields import COUNTERS, FIELDS, Cell
from tinybms_bridge.services.history.levels import LEVELS, HistoryError, HistorySettings
from tinybms_bridge.services.history.reader import DatabaseView, HistoryReader
from tinybms_bridge.services.history.steps import RecordedStep, Row, StepBuilder
from tinybms_bridge.services.ports import CellExtreme, HistoryLevel

Minutes = Callable[..., Sequence[Row]]
START_S = 1_767_225_600
EVERYTHING = [f"{name}.{series}" for name, field in FIELDS.items() for series in field.series]


def view(
    folder: Path, from_s: int, to_s: int, *names: str, points: int = 5000, step_s: int | None = None
) -> DatabaseView:
    """Ask for some series."""
    reader = HistoryReader(folder / "history.db")
    return DatabaseView(reader, reader.plan(from_s, to_s, points=points, step_s=step_s), names)


def table(found: DatabaseView, names: Sequence[str]) -> dict[int, dict[str, Cell]]:
    """Return the values by time and name."""
    columns = found.columns()
    return {
        time: dict(zip(names, values, strict=True))
        for time, values in zip(found.times, zip(*columns, strict=True), strict=True)
    }


STEPS = st.dictionaries(
    st.integers(0, 120), st.lists(st.integers(-3000, 3000), min_size=1, max_size=4), min_size=1, max_size=30
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, step_s=st.sampled_from([10, 20, 60, 120, 300, 900]))
def test_against_a_plain_computation(
    tmp_path_factory: pytest.TempPathFactory,
    make_row: Callable[..., Row],
    steps: dict[int, list[int]],
    step_s: int,
) -> None:
    """Each bucket has the mean, least and greatest of its samples to the last digit, and nothing where none are."""
    folder = tmp_path_factory.mktemp("state")
    samples = {START_S + 10 * step: [value / 10.0 for value in values] for step, values in steps.items()}
    with closing(Database(folder, HistorySettings())) as database:
        database.write([make_row(start_s, *currents_a) for start_s, currents_a in samples.items()])
        names = ["current_a.mean", "current_a.min", "current_a.max", "samples.sum"]
        found = table(view(folder, START_S, START_S + 1210, *names, step_s=step_s), names)
    for begin_s, shown in found.items():
        inside = [
            each for start_s, values in samples.items() if begin_s <= start_s < begin_s + step_s for each in values
        ]
        if not inside:
            assert set(shown.values()) == {None}
            continue
        assert shown["current_a.mean"] == pytest.approx(sum(inside) / len(inside), abs=0.00501)
        assert (shown["current_a.min"], shown["current_a.max"]) == (min(inside), max(inside))
        assert min(inside) <= float(str(shown["current_a.mean"])) <= max(inside)
        assert shown["samples.sum"] == len(inside)


def test_gap_stays_a_gap(database: Database, folder: Path, minutes: Minutes) -> None:
    """An hour without the bridge is null in every series, not a line between its ends."""
    database.write(minutes(0))
    database.write(minutes(61))
    found = view(folder, START_S, START_S + 62 * 60, *EVERYTHING, step_s=60)
    columns = dict(zip(EVERYTHING, found.columns(), strict=True))
    assert list(found.times) == list(range(START_S, START_S + 62 * 60, 60))
    for name, column in columns.items():
        assert column[1:61] == [None] * 60, name
        assert column[0] == column[61], name
        assert (column[0] is not None) or name.partition(".")[0] in ("latency_ms", "uart_failed_percent"), name


def test_values_as_people_read_them(database: Database, folder: Path, make_row: Callable[..., Row]) -> None:
    """Units, decimals and names."""
    database.write([make_row(START_S, 10.0, -12.345), make_row(START_S + 10, 3.0, state=ChargeState.FLOAT)])
    found = table(view(folder, START_S, START_S + 20, *EVERYTHING, step_s=60), EVERYTHING)
    assert found[START_S] == {
        "voltage_v.mean": 6.61, "voltage_v.min": 6.61, "voltage_v.max": 6.61,
        "current_a.mean": 0.22, "current_a.min": -12.34, "current_a.max": 10.0,
        "power_w.mean": 1.4, "power_w.min": -81.6, "power_w.max": 66.1,
        "soc_percent.mean": 50.0, "soc_percent.min": 50.0, "soc_percent.max": 50.0,
        "lowest_cell_mv.mean": 3300.0, "lowest_cell_mv.min": 3300.0, "lowest_cell_mv.max": 3300.0,
        "highest_cell_mv.mean": 3310.0, "highest_cell_mv.min": 3310.0, "highest_cell_mv.max": 3310.0,
        "cell_delta_mv.mean": 10.0, "cell_delta_mv.min": 10.0, "cell_delta_mv.max": 10.0,
        "coldest_c.mean": 25.0, "coldest_c.min": 25.0, "coldest_c.max": 25.0,
        "hottest_c.mean": 25.0, "hottest_c.min": 25.0, "hottest_c.max": 25.0,
        "cvl_v.mean": 54.4, "cvl_v.min": 54.4, "cvl_v.max": 54.4,
        "ccl_a.mean": 50.0, "ccl_a.min": 50.0, "ccl_a.max": 50.0,
        "dcl_a.mean": 80.0, "dcl_a.min": 80.0, "dcl_a.max": 80.0,
        "bms_soc_percent.mean": 50.0, "bms_soc_percent.min": 50.0, "bms_soc_percent.max": 50.0,
        "latency_ms.mean": None, "latency_ms.min": None, "latency_ms.max": None, "uart_failed_percent.mean": None,
        **{f"{counter.name}.sum": 0 for counter in COUNTERS},
        "charge_state.last": "FLOAT", "freshness.worst": "FRESH",
        "charged_wh.sum": 0.0, "discharged_wh.sum": 0.002, "fresh_s.sum": 3, "samples.sum": 3,
    }  # fmt: skip


def test_lines_come_in_pieces(database: Database, folder: Path, minutes: Minutes) -> None:
    """What is stored is told piece by piece, in order, each once; nothing is told of a gap."""
    for number in (0, 1, 5):
        database.write(minutes(number, float(number)))
    pieces = list(view(folder, START_S, START_S + 600, "current_a.mean", step_s=60).lines(2))
    assert [len(piece) for piece in pieces] == [2, 0, 1, 0, 0]
    assert [line for piece in pieces for line in piece] == [
        (START_S, (0.0,)), (START_S + 60, (1.0,)), (START_S + 300, (5.0,)),
    ]  # fmt: skip


def test_nothing_is_open_between_two_pieces(database: Database, folder: Path, minutes: Minutes) -> None:
    """A client that stops reading keeps no lock: the log can be emptied meanwhile."""
    for number in range(4):
        database.write(minutes(number))
    pieces = view(folder, START_S, START_S + 240, "soc_percent.mean", step_s=60).lines(1)
    next(pieces)
    assert database._connection is not None
    busy, _, _ = database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


def test_days(database: Database, folder: Path, make_row: Callable[..., Row]) -> None:
    """Energy of each day that has any data, in order, within the days that were asked for."""
    noon_s = START_S + 43_200
    for day in (3, 0, 1):
        database.write([make_row(noon_s + 86_400 * day, *[100_000.0 * (day - 1)] * 3)])
    reader = HistoryReader(folder / "history.db")
    found = reader.days(date(2026, 1, 1), date(2026, 1, 2))
    energies = [(each.day, each.charged_kwh, each.discharged_kwh, each.discharging_h) for each in found]
    assert energies == [(date(2026, 1, 1), 0.0, 0.367, 0.0), (date(2026, 1, 2), 0.0, 0.0, 0.0)]
    assert next(reader.days(date(2026, 1, 4), date(2030, 1, 1))).charged_kwh == pytest.approx(0.734)
    assert [*reader.days(date(2027, 1, 1), date(2028, 1, 1))] == []


def test_months_are_whole(database: Database, folder: Path, make_row: Callable[..., Row]) -> None:
    """A month that is asked for in part is told with all of its days, and ends where the year does."""
    for day in (-31, -1, 0, 30, 31):
        database.write([make_row(START_S + 43_200 + 86_400 * day, *[100_000.0] * 3)])
    reader = HistoryReader(folder / "history.db")
    found = reader.months(date(2025, 12, 31), date(2026, 1, 1))
    assert [(each.month, each.days, each.charged_kwh) for each in found] == [
        ("2025-12", 2, 0.734),
        ("2026-01", 2, 0.734),
    ]
    assert [each.month for each in reader.months(date(2026, 2, 28), date(2026, 2, 28))] == ["2026-02"]


def test_figures(database: Database, folder: Path, minutes: Minutes) -> None:
    """Rows, oldest and newest of each level, and the size of all files."""
    for number in range(2):
        database.write(minutes(number))
    size, levels = HistoryReader(folder / "history.db").stored(dict.fromkeys(LEVELS, 7))
    start, minute = datetime.fromtimestamp(START_S, UTC), timedelta(minutes=1)
    assert levels == (
        HistoryLevel(10, 7, 12, start, start + timedelta(seconds=110)),
        HistoryLevel(60, 7, 2, start, start + minute),
        HistoryLevel(900, 7, 1, start, start),
    )
    assert size == sum(each.stat().st_size for each in folder.iterdir())


@pytest.mark.parametrize("content", [None, b""])
def test_no_history_yet(folder: Path, content: bytes | None) -> None:
    """Before the first batch everything is empty, and nothing is made by asking."""
    if content is not None:
        folder.mkdir()
        (folder / "history.db").write_bytes(content)
    found = view(folder, START_S, START_S + 30, "voltage_v.mean")
    assert found.columns() == [[None] * 3]
    assert list(found.lines(2)) == [[], []]
    reader = HistoryReader(folder / "history.db")
    assert [*reader.days(date(2026, 1, 1), date(2026, 1, 2))] == []
    nothing = (0, (HistoryLevel(10, 2),))
    assert reader.stored({LEVELS[0]: 2}) == HistoryReader(None).stored({LEVELS[0]: 2}) == nothing
    assert folder.exists() is (content is not None)


def test_damaged_file_is_an_error(folder: Path) -> None:
    """Who asks is told, and nobody else is harmed."""
    folder.mkdir()
    (folder / "history.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(HistoryError, match="file is not a database"):
        view(folder, START_S, START_S + 30, "voltage_v.mean")


def test_reading_changes_nothing(database: Database, folder: Path, minutes: Minutes) -> None:
    """The connection of a reader cannot write, whatever it is asked."""
    database.write(minutes(0))
    with HistoryReader(folder / "history.db")._opened() as connection:
        assert connection is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM steps")


def test_series_that_there_is_not(folder: Path) -> None:
    """A wrong name is an error before anything is read."""
    for name in ("voltage", "voltage_v", "voltage_v.median"):
        with pytest.raises(KeyError):
            view(folder, 0, 10, name)


def test_levels_agree(database: Database, folder: Path, minutes: Minutes) -> None:
    """The same time asked in quarters of an hour is the same from whichever level it comes."""
    for number in range(30):
        database.write(minutes(number, number - 7.77))
    reader = HistoryReader(folder / "history.db")
    grid = reader.plan(START_S, START_S + 1800, points=2, step_s=900)
    assert grid.level is LEVELS[2]
    series = [each for field in FIELDS.values() for each in field.series.values()]
    by_level = [reader.rows(grid.__class__(level, grid.from_s, grid.to_s, 900), series) for level in LEVELS]
    assert by_level[0] == by_level[1] == by_level[2]
    assert len(by_level[0]) == 2


def step_of(packs: dict[str, float], sample: Callable[..., Snapshot]) -> RecordedStep:
    """Return a step of packs with these currents, of each the same pair of cells; of one it is the battery."""
    builder = StepBuilder()
    builder.note_freshness(Freshness.FRESH)
    for second in range(3):
        for name, current_a in packs.items():
            snapshot = sample(float(second), current_a=current_a, cells_v=(3.2 + current_a / 1000.0, 3.3))
            if len(packs) > 1:
                builder.add_pack_sample(snapshot, name)
            else:
                builder.add_sample(snapshot, name)
        if len(packs) > 1:
            builder.add_sample(sample(float(second), current_a=sum(packs.values())), "")
        builder.add_second(None)
    return builder.finish()


A_MINUTE = ["current_a.mean", "current_a.max", "fresh_s.sum"]


def test_packs_that_appear_and_vanish(database: Database, folder: Path, sample: Callable[..., Snapshot]) -> None:
    """Each pack has its own series through all of it, from the rows of the battery while it was alone.

    The second one appears and vanishes within a minute, a quarter of an hour and a day: nothing is lost at the seams.
    """
    alone, both = step_of({"a": 10.0}, sample), step_of({"a": 20.0, "b": 5.0}, sample)
    steps = [alone, alone, both, both, alone, alone, alone]
    database.write([Row(START_S + 10 * number, step) for number, step in enumerate(steps)])
    reader = HistoryReader(folder / "history.db")
    assert reader.packs() == ["a", "b"]

    def ask(pack: str) -> list[list[Cell]]:
        grid = reader.plan(START_S, START_S + 120, points=100, step_s=60, pack=pack)
        return DatabaseView(reader, grid, A_MINUTE, pack).columns()

    assert ask("a") == [[13.33, 10.0], [20.0, 10.0], [18, 3]]
    assert ask("b") == [[5.0, None], [5.0, None], [6, None]]
    assert ask("c") == [[None, None]] * 3
    day = date(2026, 1, 1)
    (whole,) = reader.days(day, day)
    (first,), (second,) = (reader.days(day, day, pack) for pack in ("a", "b"))
    assert [each.charging_h for each in (whole, first, second)] == [round(3 * n / 3600, 2) for n in (7, 7, 2)]
    assert (first.charge_current_max_a, second.charge_current_max_a) == (20.0, 5.0)
    assert whole.cell_min == second.cell_min == CellExtreme(3205.0, 1, "b")
    assert first.cell_min == CellExtreme(3210.0, 1, "a")
    assert (whole.alarms, second.alarms) == (0, None)


def test_steps_of_a_pack_are_minutes_and_longer(database: Database, folder: Path, minutes: Minutes) -> None:
    """What is asked in ten seconds is answered by the minute."""
    for number in range(3):
        database.write(minutes(number, float(number)))
    reader = HistoryReader(folder / "history.db")
    grid = reader.plan(START_S, START_S + 180, points=1000, step_s=10, pack="main")
    assert grid.step_s == 60
    assert DatabaseView(reader, grid, ["current_a.mean"], "main").columns() == [[0.0, 1.0, 2.0]]
    with pytest.raises(KeyError):
        DatabaseView(reader, grid, ["charge_state.last"], "main")


def test_quality_of_the_line(database: Database, folder: Path) -> None:
    """The share of transactions that failed is that of all in the step, and unknown where there were none."""
    counted = {"uart_polls": 400, "uart_errors": 3, "can_tx_count": 19}
    builder = StepBuilder()
    builder.add_second(None, [12.5])
    builder.add_second(None, [13.5])
    busy = builder.finish([counted.get(counter.name, 0) for counter in COUNTERS])
    builder.add_second(None)
    database.write([Row(START_S, busy), Row(START_S + 10, busy), Row(START_S + 60, builder.finish())])
    names = ["uart_failed_percent.mean", "uart_errors.sum", "can_tx_count.sum", "latency_ms.mean", "latency_ms.max"]
    assert view(folder, START_S, START_S + 120, *names, step_s=60).columns() == [
        [0.75, None], [6, 0], [38, 0], [13.0, None], [13.5, None],
    ]  # fmt: skip
