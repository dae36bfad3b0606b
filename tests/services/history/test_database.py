"""The file: batches, damage, a full disk, later versions, another folder."""

import itertools
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.services.history import database as module
from tinybms_bridge.services.history.database import Database, local_day
from tinybms_bridge.services.history.errors import HistoryError, NewerHistoryError
from tinybms_bridge.services.history.levels import LEVELS, HistorySettings
from tinybms_bridge.services.history.step import Row

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
