"""The tables of the history file: how they are made and brought forward, filled, and kept within bounds.

``PRAGMA user_version`` holds their version; each entry of ``MIGRATIONS`` leads to the next one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from tinybms_bridge.services.history.columns import Numbers, StoredColumn, Table, Unite
from tinybms_bridge.services.history.days import DAYS, PACK_DAYS
from tinybms_bridge.services.history.fields import BMS_COUNT, PACK_COLUMNS, STEP_COLUMNS
from tinybms_bridge.services.history.levels import LEVELS, PACK_LEVELS, Level

__all__ = [
    "DAYS_KEPT",
    "MIGRATIONS",
    "PACK_TABLES",
    "STEPS_KEPT",
    "STEP_TABLES",
    "TABLES",
    "Kept",
    "connect",
    "migrate",
    "prune",
    "shrink",
    "transaction",
    "used_bytes",
    "version_of",
]

_ONLY_PACK = StoredColumn("pack", Unite.SAME, kind="TEXT DEFAULT 'main'")
"""The pack that was the battery alone; empty where there were several, null where nothing was measured."""
_START = StoredColumn("start_s")

STEP_TABLES = {level: Table(level.table, (_START,), (*STEP_COLUMNS, _ONLY_PACK), by_rowid=True) for level in LEVELS}
"""Of the battery."""

PACK_TABLES = {
    level: Table(f"pack_{level.table}", (_START, StoredColumn("pack", kind="TEXT")), PACK_COLUMNS)
    for level in PACK_LEVELS
}
"""Of each pack while there are several: what was measured of an only one is in the tables of the battery.

Rows lie by time, so that those of one batch are on the same pages.
"""

TABLES = (*STEP_TABLES.values(), *PACK_TABLES.values(), DAYS, PACK_DAYS)


@dataclass(frozen=True)
class Kept:
    """A table of the battery with that of its packs."""

    table: Table
    of_packs: Table | None = None

    def store(
        self,
        connection: sqlite3.Connection,
        key: int | str,
        numbers: Numbers,
        pack: str | None,
        packs: Mapping[str, Numbers],
    ) -> None:
        """Unite numbers with the row of their key; with those of each pack where there are several.

        A row within which the packs have changed is that of no pack alone: then each of them has its own.
        """
        if self.of_packs is not None:
            only = self._only_pack(connection, key)
            if pack is not None and only is not None and pack != only:
                if only:
                    connection.execute(self._copy, (key,))
                if pack:
                    packs = {pack: tuple(numbers[place] for place in self._places)}
            connection.executemany(self.of_packs.upsert, [(key, name, *each) for name, each in packs.items()])
        connection.execute(self.table.upsert, (key, *numbers, pack))

    def _only_pack(self, connection: sqlite3.Connection, key: int | str) -> str | None:
        found = connection.execute(self._look, (key,)).fetchone()
        return None if found is None else found[0]

    @cached_property
    def _look(self) -> str:
        return f"SELECT pack FROM {self.table.name} WHERE {self.table.keys[0].name} = ?"  # noqa: S608 -- our names

    @cached_property
    def _copy(self) -> str:
        assert self.of_packs is not None
        key = self.table.keys[0].name
        names = ", ".join((key, "pack", *self.of_packs.names))
        return (
            f"INSERT OR IGNORE INTO {self.of_packs.name} ({names})"  # noqa: S608 -- our names
            f" SELECT {names} FROM {self.table.name} WHERE {key} = ?"
        )

    @cached_property
    def _places(self) -> tuple[int, ...]:
        assert self.of_packs is not None
        return tuple(self.table.names.index(name) for name in self.of_packs.names)


STEPS_KEPT = [(level, Kept(table, PACK_TABLES.get(level))) for level, table in STEP_TABLES.items()]
DAYS_KEPT = Kept(DAYS, PACK_DAYS)


def connect(path: Path, *, timeout_s: float, mode: str = "rwc") -> sqlite3.Connection:
    """Open the file for this process alone, in autocommit mode, for any thread. Raises sqlite3.Error.

    SQLite's index of the log is in memory then. In a file that several processes may use it would be two thirds of all
    that is written to the card. Every connection to the file has to be made here.
    """
    uri = f"file:{quote(str(path))}?mode={mode}&vfs=unix-excl"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is written inside; the connection must be in autocommit mode."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 for an empty file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the present version, all at once or not at all."""
    version = version_of(connection)
    if version == len(MIGRATIONS):
        return
    with transaction(connection):
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _create(connection: sqlite3.Connection) -> None:
    for table in TABLES:
        connection.execute(table.create)


def _add_the_count_of_the_bms(connection: sqlite3.Connection) -> None:
    """Add what the BMS's own count has needed since; a file that was made with it has it already."""
    wanted = [StoredColumn(BMS_COUNT.counter, kind="INTEGER DEFAULT 0"), *BMS_COUNT.columns]
    for level in LEVELS:
        _add(connection, level.table, wanted)


def _add_packs_lines_and_days(connection: sqlite3.Connection) -> None:
    """Add the packs, the counters of the lines, and all of a day but its energy.

    A program of version 2 reads what it knows of such a file, and leaves it alone otherwise.
    """
    for table in (*STEP_TABLES.values(), DAYS):
        _add(connection, table.name, table.columns)
    for table in (*PACK_TABLES.values(), PACK_DAYS):
        if not connection.execute(f"PRAGMA table_info({table.name})").fetchall():
            connection.execute(table.create)


def _add(connection: sqlite3.Connection, table: str, columns: Sequence[StoredColumn]) -> None:
    """Add the columns that are not there yet; that changes no row."""
    present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    for column in columns:
        if column.name not in present:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column.definition}")


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [
    _create,
    _add_the_count_of_the_bms,
    _add_packs_lines_and_days,
]


def prune(connection: sqlite3.Connection, level: Level, most_rows: int, horizon_s: int) -> None:
    """Delete the oldest rows beyond ``most_rows``, those dated after ``horizon_s`` before all others.

    Counting rows, and not comparing dates with the clock, keeps a clock that is wrong from emptying the history.
    """
    (count,) = connection.execute(f"SELECT count(*) FROM {level.table}").fetchone()  # noqa: S608 -- our names
    if count > most_rows:
        _delete_oldest(connection, level, count - most_rows, horizon_s)


def _delete_oldest(connection: sqlite3.Connection, level: Level, rows: int, horizon_s: int) -> None:
    connection.execute(
        f"DELETE FROM {level.table} WHERE start_s IN"  # noqa: S608 -- our names
        f" (SELECT start_s FROM {level.table} ORDER BY start_s <= ?, start_s LIMIT ?)",
        (horizon_s, rows),
    )
    packs = PACK_TABLES.get(level)
    if packs is not None:  # they go with the battery
        connection.execute(
            f"DELETE FROM {packs.name} WHERE start_s < (SELECT min(start_s) FROM {level.table})"  # noqa: S608 -- as above
            f" OR start_s > (SELECT max(start_s) FROM {level.table})"
        )


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of what is in the file, without the room that is free in it."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


_SHARE = 10
"""A tenth of a level goes at once."""
_LEAST_ROWS = 100
"""Of a level are left alone: what was recorded last is worth more than what is older."""


def shrink(connection: sqlite3.Connection, most_bytes: int, horizon_s: int) -> bool:
    """Delete the oldest rows of the finest level until the file holds at most so much; False when it held no more.

    When little is left of a level, the next one is the finest. Days are never deleted.
    """
    shrunk = False
    for level in LEVELS:
        while used_bytes(connection) > most_bytes:
            (count,) = connection.execute(f"SELECT count(*) FROM {level.table}").fetchone()  # noqa: S608 -- our names
            if count <= _LEAST_ROWS:
                break
            _delete_oldest(connection, level, count // _SHARE, horizon_s)
            shrunk = True
    return shrunk
