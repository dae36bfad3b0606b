"""The history file: its tables, opened, written in batches, limited in size, moved, and set aside when damaged.

SQLite's write-ahead log keeps the file whole whatever kills the program: a batch is there entirely or not at all.
``PRAGMA user_version`` holds the version of the tables; each entry of ``MIGRATIONS`` leads to the next version.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote

from tinybms_bridge.services.history.fields import BMS_COUNT, COLUMNS, GROUPS
from tinybms_bridge.services.history.levels import (
    DAY_S,
    HISTORY_FILE,
    LEVELS,
    HistoryError,
    HistorySettings,
    Level,
    NewerHistoryError,
)
from tinybms_bridge.services.history.recorder import Row

__all__ = [
    "ADD_DAY",
    "MIGRATIONS",
    "Database",
    "connect",
    "local_day",
    "migrate",
    "prune",
    "transaction",
    "upsert",
    "version_of",
]


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
    """Bring the tables to the present version, each step at once or not at all."""
    for version in range(version_of(connection), len(MIGRATIONS)):
        with transaction(connection):
            MIGRATIONS[version](connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")


def _create(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{name} INTEGER" for name in COLUMNS)
    for level in LEVELS:
        connection.execute(f"CREATE TABLE {level.table} (start_s INTEGER PRIMARY KEY, {columns})")
    connection.execute(
        "CREATE TABLE days (day TEXT PRIMARY KEY, charged_mwh INTEGER, discharged_mwh INTEGER, fresh_s INTEGER)"
        " WITHOUT ROWID"
    )


def _add_the_count_of_the_bms(connection: sqlite3.Connection) -> None:
    """Add what the BMS's own count has needed since; a file that was made with it has it already."""
    wanted = {BMS_COUNT.counter: "INTEGER DEFAULT 0"}
    wanted |= {column: "INTEGER" for quantity in BMS_COUNT.quantities for column in quantity.columns}
    for level in LEVELS:
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({level.table})")}
        for name, kind in wanted.items():
            if name not in present:
                connection.execute(f"ALTER TABLE {level.table} ADD COLUMN {name} {kind}")


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_create, _add_the_count_of_the_bms]


def upsert(level: Level) -> str:
    """Return the statement that adds a row to a table, or unites it with the row that has its time already.

    The same time comes twice when the program was started anew in the middle of a step, in the longer steps of the
    coarse levels, and after the clock was set back.
    """
    names = ", ".join(("start_s", *COLUMNS))
    places = ", ".join("?" * (1 + len(COLUMNS)))
    united = ", ".join(f"{name} = {_united(name)}" for name in COLUMNS)
    return (
        f"INSERT INTO {level.table} ({names}) VALUES ({places})"  # noqa: S608 -- only names of this module
        f" ON CONFLICT (start_s) DO UPDATE SET {united}"
    )


_COUNTERS = {*(group.counter for group in GROUPS), "charged_mwh", "discharged_mwh", "fresh_s"}


def _united(name: str) -> str:
    """Return the expression that unites a column of two rows; unknown and known is known."""
    old, new = name, f"excluded.{name}"
    if name in _COUNTERS:
        return f"{old} + {new}"
    if name == "charge_state":
        return f"coalesce({new}, {old})"
    if name.endswith("_min"):
        return f"min(coalesce({old}, {new}), coalesce({new}, {old}))"
    if name.endswith("_max") or name == "freshness":
        return f"max(coalesce({old}, {new}), coalesce({new}, {old}))"
    return f"coalesce({old} + {new}, {old}, {new})"


ADD_DAY = (
    "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
    " charged_mwh = charged_mwh + excluded.charged_mwh,"
    " discharged_mwh = discharged_mwh + excluded.discharged_mwh,"
    " fresh_s = fresh_s + excluded.fresh_s"
)
"""Adds energy to a local day: day, charged mWh, discharged mWh, seconds with fresh data."""


def prune(connection: sqlite3.Connection, level: Level, most_rows: int, horizon_s: int) -> None:
    """Delete the oldest rows beyond ``most_rows``, those dated after ``horizon_s`` before all others.

    Counting rows, and not comparing dates with the clock, keeps a clock that is wrong from emptying the history.
    """
    (count,) = connection.execute(f"SELECT count(*) FROM {level.table}").fetchone()  # noqa: S608 -- as above
    if count > most_rows:
        connection.execute(
            f"DELETE FROM {level.table} WHERE start_s IN"  # noqa: S608 -- as above
            f" (SELECT start_s FROM {level.table} ORDER BY start_s <= ?, start_s LIMIT ?)",
            (horizon_s, count - most_rows),
        )


log = logging.getLogger(__name__)

_PAGE_BYTES = 1024
"""A batch changes the last page of each table: small pages spare the card."""
_CACHE_KIB = 256
_LOG_BYTES = 1_000_000
_FOLDED_PAGES = 400
"""Of the log, before it is folded into the file: those of about an hour."""
_PRUNE_EVERY = 60
"""Batches between two looks at the number of rows."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BESIDE = ("-wal", "-shm")

_UPSERTS = [(level, upsert(level)) for level in LEVELS]
_CHARGED, _DISCHARGED, _FRESH = (COLUMNS.index(name) for name in ("charged_mwh", "discharged_mwh", "fresh_s"))


def local_day(start_s: float) -> date:
    """Return the day of a moment in the time zone of the machine."""
    return datetime.fromtimestamp(start_s).astimezone().date()


class Database:
    """The file. All methods block and may be called from any thread; all raise HistoryError.

    Args:
        folder: Where it is kept; None for a folder that vanishes with ``close``.
        settings: How much is kept.

    """

    def __init__(self, folder: Path | None, settings: HistorySettings) -> None:
        self.settings = settings
        """May be replaced at any time."""
        self._folder = folder
        self._vanishing: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._batches = 0
        self._lock = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The file, whether or not it exists; None when it has no place yet."""
        folder = self._folder or self._vanishing
        return None if folder is None else folder / HISTORY_FILE

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows to every level and their energy to its days, all or nothing. A damaged file gives way to a new one.

        Raises NewerHistoryError for a file of a later version.
        """
        with self._lock:
            try:
                self._write_or_begin_anew(rows)
            except (sqlite3.Error, OSError) as error:
                self._close_connection()
                raise HistoryError(self.path or "a temporary folder", str(error)) from error
            except HistoryError:
                self._close_connection()
                raise

    def move_to(self, folder: Path) -> None:
        """Take the file to another folder and stay there; the old one keeps its copy. Raises OSError and stays."""
        with self._lock:
            source = self.path
            if self._folder is None or source is None or folder == self._folder:
                return
            self._close_connection()
            if source.exists():
                _copy(source, folder / HISTORY_FILE)
            self._folder = folder

    def close(self) -> None:
        """Bring the file to rest; it is opened again by the next ``write``."""
        with self._lock:
            self._close_connection()
            if self._vanishing is not None:
                shutil.rmtree(self._vanishing, ignore_errors=True)
                self._vanishing = None

    def _write_or_begin_anew(self, rows: Sequence[Row]) -> None:
        try:
            self._write(rows)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            self._set_aside(str(error))
            self._write(rows)

    def _write(self, rows: Sequence[Row]) -> None:
        connection = self._connection = self._connection or self._open()
        with transaction(connection):
            for level, statement in _UPSERTS:
                connection.executemany(statement, [(level.start_of(row.start_s), *row.values) for row in rows])
            connection.executemany(ADD_DAY, map(_day, rows))
            if self._batches % _PRUNE_EVERY == 0 and rows:
                for level in LEVELS:
                    prune(connection, level, self.settings.most_rows(level), rows[-1].start_s + DAY_S)
        self._batches += 1

    def _open(self) -> sqlite3.Connection:
        if self._folder is None and self._vanishing is None:
            self._vanishing = Path(tempfile.mkdtemp(prefix="tinybms-bridge-"))
        path = self.path
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path, timeout_s=5.0)
        try:
            self._prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _prepare(connection: sqlite3.Connection, path: Path) -> None:
        """Look at the file before anything in it is changed, then set it up."""
        version = version_of(connection)
        if version > len(MIGRATIONS):
            raise NewerHistoryError(
                path, f"made by a later version of the program (tables {version}, known {len(MIGRATIONS)})"
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(str(verdict))
        for pragma in (
            f"page_size = {_PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"cache_size = -{_CACHE_KIB}",
            f"journal_size_limit = {_LOG_BYTES}",
            f"wal_autocheckpoint = {_FOLDED_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection)

    def _set_aside(self, reason: str) -> None:
        """Give way to a new file; the damaged one is kept until another one is."""
        path = self.path
        assert path is not None
        self._close_connection()
        aside = path.with_name(f"damaged-{path.name}")
        for suffix in ("", *_BESIDE):
            source, target = (each.with_name(each.name + suffix) for each in (path, aside))
            if source.exists():
                source.replace(target)
            else:
                target.unlink(missing_ok=True)
        log.error("the history in %s is damaged (%s): it is kept as %s, and a new one begins", path, reason, aside.name)

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _damaged(verdict: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(verdict.replace("\n", " "))
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _day(row: Row) -> tuple[str, int | None, int | None, int | None]:
    values = row.values
    return local_day(row.start_s).isoformat(), values[_CHARGED], values[_DISCHARGED], values[_FRESH]


def _copy(source: Path, target: Path) -> None:
    """Copy a file that nobody writes to, with its log; what was at the target stays beside it as ``NAME.bak``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with (
            contextlib.closing(connect(source, timeout_s=5.0)) as origin,
            contextlib.closing(sqlite3.connect(temporary)) as copy,
        ):
            origin.backup(copy)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        for suffix in _BESIDE:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        if target.exists():
            target.replace(target.with_name(f"{target.name}.bak"))
        temporary.replace(target)
    except sqlite3.Error as error:
        raise OSError(f"{target}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
