"""Tables and statements, and the file: batches, damage, a full disk, other versions, another folder."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_bridge.services.history import database
from tinybms_bridge.services.history import database as module
from tinybms_bridge.services.history.database import (
    Database,
    local_day,
    migrate,
    prune,
    transaction,
    upsert,
    version_of,
)
from tinybms_bridge.services.history.fields import BMS_COUNT, COLUMNS
from tinybms_bridge.services.history.levels import LEVELS, HistoryError, HistorySettings, NewerHistoryError
from tinybms_bridge.services.history.recorder import Row, StepBuilder

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


def rows_of(parts: list[list[Event]]) -> list[tuple[int | None, ...]]:
    """Return one row for each part of a series of samples and limits."""
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
        for values in rows_of(parts):
            connection.execute(upsert(STEPS), (0, *values))
        (found,) = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM steps").fetchall()
    (whole,) = rows_of([[event for part in parts for event in part]])
    assert found == whole


def test_energy_of_united_rows_is_added(connection: sqlite3.Connection, make_row: Callable[..., Row]) -> None:
    """Nothing is counted twice, nothing is lost."""
    migrate(connection)
    for _ in range(2):
        connection.execute(upsert(STEPS), (0, *make_row(0, 1000.0, 1000.0).values))
    (found,) = connection.execute("SELECT charged_mwh FROM steps").fetchone()
    assert found == 2 * int(6.61 * 1000.0 / 3600.0 * 1000.0)


def fill(connection: sqlite3.Connection, make_row: Callable[..., Row], starts_s: Any) -> None:
    """Make the tables and put rows into the finest."""
    migrate(connection)
    connection.executemany(upsert(STEPS), [(start_s, *make_row(start_s, 1.0).values) for start_s in starts_s])


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

    monkeypatch.setattr(database, "MIGRATIONS", [*database.MIGRATIONS, add])
    migrate(connection)
    assert version_of(connection) == len(database.MIGRATIONS)
    assert connection.execute("SELECT start_s, more FROM steps").fetchall() == [(10, None), (20, None)]
    migrate(connection)


def test_a_file_from_before_the_count_of_the_bms(
    connection: sqlite3.Connection, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept stays, has no such count, and is united with what comes later."""
    new = {BMS_COUNT.counter, *(column for quantity in BMS_COUNT.quantities for column in quantity.columns)}
    with monkeypatch.context() as before:
        before.setattr(database, "COLUMNS", tuple(name for name in COLUMNS if name not in new))
        before.setattr(database, "MIGRATIONS", database.MIGRATIONS[:1])
        migrate(connection)
    connection.execute("INSERT INTO steps (start_s, samples, soc_percent_sum) VALUES (10, 2, 10000)")
    migrate(connection)
    columns = "samples, soc_percent_sum, bms_counts, bms_soc_percent_sum"
    assert connection.execute(f"SELECT {columns} FROM steps").fetchall() == [(2, 10000, 0, None)]
    connection.execute(upsert(STEPS), (10, *make_row(10, 1.0).values))
    (united,) = connection.execute("SELECT bms_counts, bms_soc_percent_sum FROM steps").fetchall()
    assert united[0] > 0
    assert united[1] == united[0] * 5000


def test_migration_that_fails_leaves_the_file_as_it_was(
    connection: sqlite3.Connection, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a migration is none."""
    fill(connection, make_row, [10])

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE steps")
        connection.execute("nonsense")

    monkeypatch.setattr(database, "MIGRATIONS", [*database.MIGRATIONS, fail])
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection)
    assert (version_of(connection), stored(connection)) == (len(database.MIGRATIONS) - 1, [10])


Minutes = Callable[..., Sequence[Row]]
START_S = 1_767_225_600


def ask(path: Path, query: str) -> list[Any]:
    """Return what a query finds in a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_batch_is_in_every_level(database: Database, folder: Path, minutes: Minutes) -> None:
    """Ten seconds, minutes and quarters of an hour hold the same samples."""
    for number in range(16):
        database.write(minutes(number))
    path = folder / "history.db"
    for level, rows in zip(LEVELS, (96, 16, 2), strict=True):
        found = ask(path, f"SELECT count(*), sum(samples), min(start_s) FROM {level.table}")
        assert found == [(rows, 96, START_S)]


def test_energy_is_added_to_the_local_day(
    database: Database, folder: Path, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days end at midnight where the machine is, not in Greenwich."""
    monkeypatch.setenv("TZ", "UTC-10")
    time.tzset()
    try:
        midnight_s = START_S + 14 * 3600
        assert (local_day(midnight_s - 10), local_day(midnight_s)) == (date(2026, 1, 1), date(2026, 1, 2))
        row = make_row(midnight_s - 10, 100.0, 100.0)
        database.write([row, Row(midnight_s, row.values), Row(midnight_s + 10, row.values)])
        database.write([])
    finally:
        monkeypatch.undo()
        time.tzset()
    found = ask(folder / "history.db", "SELECT * FROM days ORDER BY day")
    assert found == [("2026-01-01", 183, 0, 2), ("2026-01-02", 2 * 183, 0, 4)]


def test_number_of_rows_is_limited(folder: Path, minutes: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level keeps what its setting says, also when the setting changes."""
    monkeypatch.setattr(module, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(HistorySettings, "most_rows", lambda self, level: self.days[LEVELS.index(level)])
    with closing(Database(folder, HistorySettings(days=(20, 10, 1)))) as database:
        for number in range(20):
            database.write(minutes(number))
        counts = [ask(folder / "history.db", f"SELECT count(*) FROM {level.table}") for level in LEVELS]
        assert counts == [[(20,)], [(10,)], [(1,)]]
        database.settings = HistorySettings(days=(7, 10, 1))
        database.write(minutes(20))
        assert ask(folder / "history.db", "SELECT count(*) FROM steps") == [(7,)]


def test_defaults_keep_so_many_rows() -> None:
    """Two days, two weeks, two years."""
    assert [HistorySettings().most_rows(level) for level in LEVELS] == [17_280, 20_160, 70_080]


@pytest.mark.parametrize("place", [0, 1024, 8192])
def test_damaged_file_is_set_aside(
    folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    """A file that a dying card has changed is kept for a look, named in the log, and a new history begins."""
    with closing(Database(folder, HistorySettings())) as database:
        for number in range(30):
            database.write(minutes(number))
    path = folder / "history.db"
    data = bytearray(path.read_bytes())
    data[place : place + 1024] = b"\xff" * 1024
    path.write_bytes(data)
    with closing(Database(folder, HistorySettings())) as database:
        database.write(minutes(100))
    assert ask(path, "SELECT count(*) FROM steps") == [(6,)]
    assert (folder / "damaged-history.db").read_bytes() == bytes(data)
    assert "is damaged" in caplog.text
    assert "damaged-history.db" in caplog.text


def test_damage_while_it_runs(folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture) -> None:
    """Damage that shows only later leads to a new file too, and the batch is not lost."""
    with closing(Database(folder, HistorySettings())) as database:
        database.write(minutes(0))
        database._close_connection()
        (folder / "history.db").write_bytes(b"not a database at all" * 100)
        database.write(minutes(1))
        database.write(minutes(2))
    assert ask(folder / "history.db", "SELECT count(*) FROM steps") == [(12,)]
    assert caplog.text.count("is damaged") == 1


def test_file_of_a_later_version_is_left_alone(folder: Path, minutes: Minutes) -> None:
    """After a downgrade nothing is written, and the upgrade finds everything as it was."""
    with closing(Database(folder, HistorySettings())) as database:
        database.write(minutes(0))
    path = folder / "history.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    before = path.read_bytes()
    with closing(Database(folder, HistorySettings())) as database:
        for _ in range(2):
            with pytest.raises(NewerHistoryError, match=r"later version of the program \(tables 99, known 2\)"):
                database.write(minutes(1))
    assert path.read_bytes() == before
    assert not (folder / "damaged-history.db").exists()


def test_folder_that_cannot_be_made(tmp_path: Path, minutes: Minutes) -> None:
    """A place that cannot be written is an error with its reason, and works as soon as it can."""
    (tmp_path / "file").write_text("in the way")
    with closing(Database(tmp_path / "file" / "state", HistorySettings())) as database:
        with pytest.raises(HistoryError, match="Not a directory"):
            database.write(minutes(0))
        (tmp_path / "file").unlink()
        database.write(minutes(0))
    assert ask(tmp_path / "file" / "state" / "history.db", "SELECT count(*) FROM steps") == [(6,)]


def test_full_disk_costs_the_batch_only(database: Database, folder: Path, minutes: Minutes) -> None:
    """Without room a batch is there not at all; with room again it can be written."""
    database.write(minutes(0))
    assert database._connection is not None
    database._connection.execute("PRAGMA max_page_count = 1")
    numbers = itertools.count(1)

    def fill_up() -> None:
        while True:
            database.write(minutes(next(numbers)))

    with pytest.raises(HistoryError, match="full"):
        fill_up()
    failed = next(numbers) - 1
    assert ask(folder / "history.db", "SELECT count(*), count(DISTINCT start_s / 60) FROM steps") == [
        (6 * failed, failed)
    ]
    database.write(minutes(failed))
    assert ask(folder / "history.db", "SELECT count(*) FROM minutes") == [(failed + 1,)]


def test_another_folder(tmp_path: Path, minutes: Minutes) -> None:
    """The history moves along; the old place keeps its copy, and what was in the new one stays beside it."""
    first, second = tmp_path / "a", tmp_path / "b"
    with closing(Database(second, HistorySettings())) as database:
        database.write(minutes(50))
    with closing(Database(first, HistorySettings())) as database:
        database.write(minutes(0))
        database.move_to(second)
        assert database.path == second / "history.db"
        database.write(minutes(1))
    assert ask(second / "history.db", "SELECT count(*), min(start_s) FROM steps") == [(12, START_S)]
    assert ask(first / "history.db", "SELECT count(*) FROM steps") == [(6,)]
    assert ask(second / "history.db.bak", "SELECT min(start_s) FROM steps") == [(START_S + 3000,)]
    assert sorted(each.name for each in second.iterdir()) == ["history.db", "history.db.bak"]


def test_folder_that_cannot_be_moved_to(tmp_path: Path, minutes: Minutes) -> None:
    """The history stays where it is and goes on."""
    (tmp_path / "file").write_text("in the way")
    with closing(Database(tmp_path / "a", HistorySettings())) as database:
        database.write(minutes(0))
        with pytest.raises(OSError, match=r"Not a directory|File exists"):
            database.move_to(tmp_path / "file" / "state")
        database.write(minutes(1))
    assert ask(tmp_path / "a" / "history.db", "SELECT count(*) FROM steps") == [(12,)]


def test_nothing_to_move(tmp_path: Path, minutes: Minutes) -> None:
    """Before the first batch there is no file; without a folder there is no place to move from."""
    with closing(Database(tmp_path / "a", HistorySettings())) as database:
        database.move_to(tmp_path / "b")
        database.write(minutes(0))
    assert ask(tmp_path / "b" / "history.db", "SELECT count(*) FROM steps") == [(6,)]
    with closing(Database(None, HistorySettings())) as database:
        database.move_to(tmp_path / "c")
        assert database.path is None


def test_history_without_a_folder_vanishes(minutes: Minutes) -> None:
    """The demonstration has a history and leaves no trace."""
    database = Database(None, HistorySettings())
    database.write(minutes(0))
    path = database.path
    assert path is not None
    assert ask(path, "SELECT count(*) FROM steps") == [(6,)]
    database.close()
    assert not path.parent.exists()
    assert database.path is None


def test_write_ahead_log_is_used(database: Database, minutes: Minutes) -> None:
    """A commit is appended, not synced: that is what the card and the power cut are about."""
    database.write(minutes(0))
    connection = database._connection
    assert connection is not None
    assert [connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")] == [
        ("wal",), (1,),
    ]  # fmt: skip


def test_the_file_belongs_to_the_program_while_it_runs_and_a_copy_to_everybody(
    tmp_path: Path, make_row: Callable[..., Row]
) -> None:
    """No index of the log lies beside it to be written each minute; who wants to look in copies both files."""
    file = Database(tmp_path / "state", HistorySettings())
    file.write([make_row(10)])
    assert sorted(each.name for each in (tmp_path / "state").iterdir()) == ["history.db", "history.db-wal"]
    ask_it = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM steps').fetchall())"

    def elsewhere(path: Path) -> str:
        return subprocess.run(
            [sys.executable, "-c", ask_it, str(path)], capture_output=True, text=True, check=False
        ).stdout.strip()

    assert elsewhere(tmp_path / "state" / "history.db") == ""
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    assert elsewhere(tmp_path / "copy" / "history.db") == "[(1,)]"
    file.close()
    assert elsewhere(tmp_path / "state" / "history.db") == "[(1,)]"
