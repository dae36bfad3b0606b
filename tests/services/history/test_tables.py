"""Tables and statements: rows that are united, made room for, and brought forward from earlier versions."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_bridge.services.history import tables as module
from tinybms_bridge.services.history.fields import BMS_COUNT, COLUMNS, COUNTERS, LINE
from tinybms_bridge.services.history.levels import LEVELS
from tinybms_bridge.services.history.steps import RecordedStep, Row, StepBuilder
from tinybms_bridge.services.history.tables import (
    DAYS_KEPT,
    STEP_TABLES,
    TABLES,
    migrate,
    prune,
    transaction,
    version_of,
)

STEPS = LEVELS[0]

Event = tuple[float, float | None, bool]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty file in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def stored(connection: sqlite3.Connection) -> list[int]:
    """Return the times in the finest table."""
    return [start_s for (start_s,) in connection.execute("SELECT start_s FROM steps ORDER BY start_s")]


def steps_of(parts: list[list[Event]]) -> list[RecordedStep]:
    """Return one step for each part of a series of samples and limits."""
    builder, rows, now_s = StepBuilder(), [], 0.0
    for part in parts:
        for current_a, celsius, sends in part:
            now_s += 1.0
            cells = Cells((3.3, 3.3 + current_a / 1000.0))
            temperatures = Temperatures(celsius)
            builder.add_sample(Snapshot(int(now_s), now_s, PackValues(6.6, current_a, 50.0), cells, temperatures))
            builder.note_freshness(Freshness.FRESH if sends else Freshness.SILENT)
            freshness = Freshness.FRESH if sends else Freshness.SILENT
            builder.add_second(Limits(54.4, abs(current_a), 80.0, 44.0, ChargeState.BULK, freshness))
        rows.append(builder.finish())
    return rows


EVENTS = st.tuples(st.floats(-100, 100), st.none() | st.floats(-20, 60), st.booleans())


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=5), min_size=1, max_size=4))
def test_united_rows_are_the_row_of_everything(parts: list[list[Event]]) -> None:
    """A step that was written in pieces, by two runs or by minutes into a quarter, is as if written at once."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        for step in steps_of(parts):
            connection.execute(STEP_TABLES[STEPS].upsert, (0, *step.values, step.pack))
        (found,) = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM steps").fetchall()
    (whole,) = steps_of([[event for part in parts for event in part]])
    assert found == whole.values


def test_energy_of_united_rows_is_added(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """Nothing is counted twice, nothing is lost."""
    migrate(connection)
    for _ in range(2):
        connection.execute(STEP_TABLES[STEPS].upsert, (0, *make_row(0, 1000.0, 1000.0).values, "main"))
    (found,) = connection.execute("SELECT charged_mwh FROM steps").fetchone()
    assert found == 2 * int(6.61 * 1000.0 / 3600.0 * 1000.0)


def fill(connection: sqlite3.Connection, make_row: Callable[..., Row], starts_s: Any) -> None:
    """Make the tables and put rows into the finest."""
    migrate(connection)
    connection.executemany(
        STEP_TABLES[STEPS].upsert, [(start_s, *make_row(start_s, 1.0).values, "main") for start_s in starts_s]
    )


def test_oldest_rows_go_first(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """Beyond the limit the oldest are deleted; within it nothing is."""
    fill(connection, make_row, range(0, 100, 10))
    prune(connection, STEPS, 10, 1000)
    assert len(stored(connection)) == 10
    prune(connection, STEPS, 4, 1000)
    assert stored(connection) == [60, 70, 80, 90]


def test_rows_of_a_wrong_future_make_room_first(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """What a clock in the year 2099 has left does not drive out what is recorded when it is right again."""
    fill(connection, make_row, [10, 20, 30, 9000, 9010])
    prune(connection, STEPS, 4, 1000)
    assert stored(connection) == [10, 20, 30, 9010]
    prune(connection, STEPS, 2, 1000)
    assert stored(connection) == [20, 30]


def test_clock_in_the_future_empties_nothing(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """A row from 2099 costs the oldest row at most, not everything that is older than its retention."""
    fill(connection, make_row, [10, 20, 30, 4_000_000_000])
    prune(connection, STEPS, 3, 4_000_086_400)
    assert stored(connection) == [20, 30, 4_000_000_000]


def test_transaction_is_all_or_nothing(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """A failure in the middle leaves what was."""
    fill(connection, make_row, [10])

    def change() -> None:
        with transaction(connection):
            connection.execute("DELETE FROM steps")
            connection.execute("nonsense")

    with pytest.raises(sqlite3.OperationalError):
        change()
    assert stored(connection) == [10]


def test_older_file_is_brought_forward(
    connection: sqlite3.Connection, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version of the program adds to the tables, and the rows stay."""
    fill(connection, make_row, [10, 20])

    def add(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE steps ADD COLUMN more INTEGER")

    monkeypatch.setattr(module, "MIGRATIONS", [*module.MIGRATIONS, add])
    migrate(connection)
    assert version_of(connection) == len(module.MIGRATIONS)
    assert connection.execute("SELECT start_s, more FROM steps").fetchall() == [(10, None), (20, None)]
    migrate(connection)


SINCE = {
    1: {LINE.counter, *(column.name for column in LINE.columns), *(counter.name for counter in COUNTERS)},
    0: {BMS_COUNT.counter, *(column.name for column in BMS_COUNT.columns)},
}
"""Columns of a step that came with the versions after these."""


def make_file_of(connection: sqlite3.Connection, version: int) -> None:
    """Make the tables as an earlier version did: 1 without the BMS's own count, 2 as 0.2.0."""
    new = set().union(*(names for since, names in SINCE.items() if since >= version - 1))
    columns = ", ".join(f"{name} INTEGER" for name in COLUMNS if name not in new)
    for level in LEVELS:
        connection.execute(f"CREATE TABLE {level.table} (start_s INTEGER PRIMARY KEY, {columns})")
    connection.execute(
        "CREATE TABLE days (day TEXT PRIMARY KEY, charged_mwh INTEGER, discharged_mwh INTEGER, fresh_s INTEGER)"
        " WITHOUT ROWID"
    )
    connection.execute(f"PRAGMA user_version = {version}")


def test_a_file_from_before_the_count_of_the_bms(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """What was kept stays, has no such count, and is united with what comes later."""
    make_file_of(connection, 1)
    connection.execute("INSERT INTO steps (start_s, samples, soc_percent_sum) VALUES (10, 2, 10000)")
    migrate(connection)
    columns = "samples, soc_percent_sum, bms_counts, bms_soc_percent_sum"
    assert connection.execute(f"SELECT {columns} FROM steps").fetchall() == [(2, 10000, 0, None)]
    connection.execute(STEP_TABLES[STEPS].upsert, (10, *make_row(10, 1.0).values, "main"))
    (united,) = connection.execute("SELECT bms_counts, bms_soc_percent_sum FROM steps").fetchall()
    assert united[0] > 0
    assert united[1] == united[0] * 5000


@pytest.mark.parametrize("version", [1, 2])
def test_earlier_files_get_every_table_and_column(connection: sqlite3.Connection, version: int) -> None:
    """A file that was brought forward has what one that is made now has, in whatever order."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        migrate(new)
        make_file_of(connection, version)
        migrate(connection)
        for table in TABLES:
            query = f"SELECT name, type, pk FROM pragma_table_info('{table.name}') ORDER BY name"
            assert connection.execute(query).fetchall() == new.execute(query).fetchall(), table.name


def test_days_of_an_earlier_file_are_united_with_what_comes_later(
    connection: sqlite3.Connection, make_row: Callable[..., Row]
) -> None:
    """The energy goes on from what it was; what was not kept then is known of the time since."""
    make_file_of(connection, 2)
    connection.execute("INSERT INTO days VALUES ('2026-01-01', 1000, 500, 30)")
    migrate(connection)
    query = "SELECT charged_mwh, fresh_s, charging_s, lowest_cell, pack FROM days"
    assert connection.execute(query).fetchall() == [(1000, 30, None, None, "main")]
    step = make_row(0, 1000.0, 1000.0).step
    DAYS_KEPT.store(connection, "2026-01-01", step.day, step.pack, {})
    charged_mwh = 1000 + int(6.61 * 1000.0 / 3600.0 * 1000.0)
    assert connection.execute(query).fetchall() == [(charged_mwh, 32, 2, 1, "main")]


def test_migration_that_fails_leaves_the_file_as_it_was(
    connection: sqlite3.Connection, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a migration is none."""
    fill(connection, make_row, [10])

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE steps")
        connection.execute("nonsense")

    monkeypatch.setattr(module, "MIGRATIONS", [*module.MIGRATIONS, fail])
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection)
    assert (version_of(connection), stored(connection)) == (len(module.MIGRATIONS) - 1, [10])
