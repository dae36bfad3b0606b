"""The file: batches, damage, a full disk, other versions, another folder."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.services.history import database as module
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.levels import (
    LEVELS,
    HistoryError,
    HistorySettings,
    NewerHistoryError,
    local_day,
)
from tinybms_bridge.services.history.reader import HistoryReader
from tinybms_bridge.services.history.steps import Row, StepBuilder
from tinybms_bridge.services.history.tables import connect

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
        database.write([row, Row(midnight_s, row.step), Row(midnight_s + 10, row.step)])
        database.write([])
    finally:
        monkeypatch.undo()
        time.tzset()
    found = ask(folder / "history.db", "SELECT day, charged_mwh, discharged_mwh, fresh_s FROM days ORDER BY day")
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


def filled(folder: Path, minutes: Minutes, count: int = 300) -> bytearray:
    """Write some hours and return the file."""
    with closing(Database(folder, HistorySettings())) as database:
        for number in range(count):
            database.write(minutes(number))
    return bytearray((folder / "history.db").read_bytes())


def test_head_of_a_file_that_is_gone(folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture) -> None:
    """A file that nothing can be read of is kept for a look, named in the log, and a new history begins."""
    data = filled(folder, minutes, 30)
    data[:1024] = b"\xff" * 1024
    path = folder / "history.db"
    path.write_bytes(data)
    with closing(Database(folder, HistorySettings())) as database:
        database.write(minutes(100))
    assert ask(path, "SELECT count(*) FROM steps") == [(6,)]
    assert (folder / "damaged-history.db").read_bytes() == bytes(data)
    assert caplog.text.count("is damaged") == 1
    assert "kept as damaged-history.db, and a new one goes on with the 0 rows that could be read" in caplog.text


def test_damaged_file_is_repaired_at_the_start(
    folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever page a dying card has changed, all that lies around it is in the new file, and it is told once."""
    data = filled(folder, minutes)
    path, pages = folder / "history.db", len(data) // 1024
    whole = {level.table: ask(path, f"SELECT * FROM {level.table} ORDER BY start_s") for level in LEVELS}
    lost = []
    for page in range(1, pages, 7):
        damaged = bytearray(data)
        damaged[1024 * page : 1024 * (page + 1)] = b"\xff" * 1024
        for each in folder.iterdir():
            each.unlink()
        path.write_bytes(damaged)
        caplog.clear()
        with closing(Database(folder, HistorySettings())) as database:
            database.begin("2026-01-01")
            database.begin("2026-01-01")
        assert caplog.text.count("is damaged") == 1
        assert (folder / "damaged-history.db").read_bytes() == damaged
        found = {table: ask(path, f"SELECT * FROM {table} ORDER BY start_s") for table in whole}
        assert all(row in whole[table] for table, rows in found.items() for row in rows)
        lost.append(sum(len(rows) - len(found[table]) for table, rows in whole.items()))
    leaves = sorted(lost)[: len(lost) * 3 // 4]
    assert max(leaves) <= 10


def test_file_that_was_never_brought_to_rest(folder: Path, minutes: Minutes) -> None:
    """What was in the log of a file that is damaged elsewhere is saved as well."""
    database = Database(folder, HistorySettings())
    for number in range(100):
        database.write(minutes(number))
    for each in list(folder.iterdir()):
        (folder / f"copy-{each.name}").write_bytes(each.read_bytes())
    database.close()
    (folder / "history.db").unlink()
    for suffix in ("", "-wal"):
        (folder / f"copy-history.db{suffix}").replace(folder / f"history.db{suffix}")
    log_of_writes = folder / "history.db-wal"
    assert log_of_writes.stat().st_size > 10_000
    file = bytearray((folder / "history.db").read_bytes())
    with closing(Database(folder, HistorySettings())) as database:
        database._repair("a test")
        database.write(minutes(100))
    assert ask(folder / "history.db", "SELECT count(*) FROM minutes") == [(101,)]
    assert (folder / "damaged-history.db").read_bytes() == bytes(file)


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


def test_repair_without_room(
    folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full card costs the rows that could be read, and neither the damaged file nor what is recorded from now on."""
    data = filled(folder, minutes, 100)
    data[20_480:21_504] = b"\xff" * 1024
    (folder / "history.db").write_bytes(data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with closing(Database(folder, HistorySettings())) as database:
        database.begin("2026-01-01")
        assert "nothing can be saved of the damaged history" in caplog.text
        monkeypatch.undo()
        database.write(minutes(100))
    assert ask(folder / "history.db", "SELECT count(*) FROM minutes") == [(1,)]
    assert (folder / "damaged-history.db").read_bytes() == bytes(data)


LANDED = Path(__file__).parents[2] / "end_to_end" / "landed" / "state" / "history.db"
"""A file of version 2, as 0.1.0 left it."""


def test_file_of_the_version_before(folder: Path, minutes: Minutes) -> None:
    """It is brought forward in its place with all that it has, and goes on with its day."""
    folder.mkdir()
    path = folder / "history.db"
    shutil.copy(LANDED, path)
    before = {level.table: ask(path, f"SELECT * FROM {level.table}") for level in LEVELS}
    (day,) = ask(path, "SELECT * FROM days")
    names = [row[1] for row in ask(path, "PRAGMA table_info(steps)")]
    with closing(Database(folder, HistorySettings())) as database:
        database.begin(day[0])
        assert database.before == {day[0]: day[1:]}
        database.write(minutes(0))
        for table, rows in before.items():
            assert ask(path, f"SELECT {', '.join(names)} FROM {table} WHERE start_s > {START_S + 86_400}") == rows
    (record,) = HistoryReader(path).days(date.fromisoformat(day[0]), date.fromisoformat(day[0]))
    assert (record.charged_kwh, record.cycles) == (round(day[1] / 1e6, 3), None)


def test_file_of_this_version_can_be_read_by_the_one_before(folder: Path, minutes: Minutes) -> None:
    """After a downgrade charts and days show what they knew; only writing is refused, by the version."""
    filled(folder, minutes, 20)
    path = folder / "history.db"
    columns = [row[1] for row in ask(LANDED, "PRAGMA table_info(quarters)")]
    assert len(ask(path, f"SELECT {', '.join(columns)} FROM quarters")) == 2
    assert ask(path, "SELECT day, charged_mwh / 1e6, discharged_mwh / 1e6, fresh_s FROM days") != []


def test_no_room_to_bring_a_file_forward(folder: Path, minutes: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the version before stays as it was while the disk is full, and is brought forward once it is not."""
    folder.mkdir()
    path = folder / "history.db"
    shutil.copy(LANDED, path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with closing(Database(folder, HistorySettings())) as database:
        with pytest.raises(HistoryError, match=r"needs 4 MB on the disk, 1\.0 MB are free"):
            database.write(minutes(0))
        with pytest.raises(HistoryError, match="of an earlier version"):
            HistoryReader(path).packs()
        assert ask(path, "PRAGMA user_version") == [(2,)]
        monkeypatch.undo()
        database.write(minutes(0))
    assert ask(path, "PRAGMA user_version") == [(3,)]


def test_size_is_bounded(folder: Path, minutes: Minutes, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond its bound the oldest of the shortest steps go, then of the next; days and what is new stay."""
    bound = 150_000
    with closing(Database(folder, HistorySettings(most_bytes=bound))) as database:
        for number in range(1500):
            database.write(minutes(number))
    path = folder / "history.db"
    counts = [ask(path, f"SELECT count(*), max(start_s) FROM {level.table}")[0] for level in LEVELS]
    assert counts[0][0] < 500
    assert counts[1][0] < 1500
    assert counts[2] == (100, START_S + 1485 * 60)
    assert [newest for _, newest in counts[:2]] == [START_S + 89_990, START_S + 89_940]
    assert ask(path, "SELECT sum(fresh_s) FROM days") == [(9000,)]
    assert path.stat().st_size < bound + 100_000  # an hour, between two looks
    assert caplog.text.count("the history holds more than") == 1


def test_lower_bound_makes_the_file_smaller(folder: Path, minutes: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the deleted rows took is given back to the card once it is worth the writing."""
    monkeypatch.setattr(module, "_ROOM_BYTES", 50_000)
    filled(folder, minutes, 600)
    path = folder / "history.db"
    before = path.stat().st_size
    with closing(Database(folder, HistorySettings(most_bytes=100_000))) as database:
        database.write(minutes(600))
    assert path.stat().st_size <= 100_000 < before // 4
    assert ask(path, "SELECT max(start_s) FROM steps") == [(START_S + 36_050,)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]


def test_file_that_cannot_be_made_smaller_now(folder: Path, minutes: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads it stays as large as it is, and the batch is written once."""
    monkeypatch.setattr(module, "_ROOM_BYTES", 50_000)
    filled(folder, minutes, 600)
    path = folder / "history.db"
    with closing(Database(folder, HistorySettings(most_bytes=100_000))) as database:
        database.begin("2026-01-01")
        with closing(connect(path, timeout_s=1.0, mode="rw")) as reader:
            reading = reader.execute("SELECT * FROM steps")
            reading.fetchone()
            database.write(minutes(600))
            reading.close()
        assert path.stat().st_size > 100_000
    assert ask(path, f"SELECT sum(samples) FROM minutes WHERE start_s = {START_S + 36_000}") == [(6,)]


def test_card_that_became_read_only(database: Database, folder: Path, minutes: Minutes) -> None:
    """The batch is not in the file, which says so; once it can be written it goes on with the same day."""
    database.write(minutes(0))
    assert database._connection is not None
    database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(HistoryError, match="readonly"):
        database.write(minutes(1))
    database.write(minutes(1))
    found = ask(folder / "history.db", "SELECT sum(samples), (SELECT fresh_s FROM days) FROM steps")
    assert found == [(12, 12)]


def test_rows_of_packs_go_with_those_of_the_battery(
    folder: Path, sample: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of packs as much is kept as of the battery."""
    monkeypatch.setattr(module, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(HistorySettings, "most_rows", lambda self, level: self.days[LEVELS.index(level)])
    builder = StepBuilder()
    with closing(Database(folder, HistorySettings(days=(20, 10, 1)))) as database:
        for number in range(20):
            for name in ("a", "b"):
                builder.add_pack_sample(sample(0.0), name)
            builder.add_sample(sample(0.0), "")
            database.write([Row(START_S + 60 * number, builder.finish())])
    path = folder / "history.db"
    assert ask(path, "SELECT count(*), min(start_s) FROM pack_minutes") == [(20, START_S + 600)]
    assert ask(path, "SELECT count(*), min(start_s) FROM pack_quarters") == [(2, START_S + 900)]
    assert ask(path, "SELECT count(*) FROM pack_days") == [(2,)]


def test_what_a_day_had_before(folder: Path, minutes: Minutes) -> None:
    """What this run adds to a day is added to what was there, read once, before the first of it."""
    filled(folder, minutes, 10)
    ((charged_mwh, fresh_s),) = ask(folder / "history.db", "SELECT charged_mwh, fresh_s FROM days")
    with closing(Database(folder, HistorySettings())) as database:
        database.write(minutes(10))
        database.write([*minutes(11), *minutes(1440)])
        assert database.before == {"2026-01-01": (charged_mwh, 0, fresh_s), "2026-01-02": (0, 0, 0)}
        database.begin("2026-01-02")
        assert database.before == {"2026-01-02": (0, 0, 6)}


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
            with pytest.raises(NewerHistoryError, match=r"later version of the program \(tables 99, known 3\)"):
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
