"""The history file: opened, written in batches, limited in size, moved, and repaired when damaged.

SQLite's write-ahead log keeps the file whole whatever kills the program: a batch is there entirely or not at all.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tinybms_bridge.services.history.columns import Numbers
from tinybms_bridge.services.history.days import PACK_DAYS
from tinybms_bridge.services.history.levels import (
    DAY_S,
    HISTORY_FILE,
    LEVELS,
    HistoryError,
    HistorySettings,
    NewerHistoryError,
    local_day,
)
from tinybms_bridge.services.history.recorder import Energy
from tinybms_bridge.services.history.salvage import salvage
from tinybms_bridge.services.history.steps import Row
from tinybms_bridge.services.history.tables import (
    DAYS_KEPT,
    MIGRATIONS,
    STEPS_KEPT,
    connect,
    migrate,
    prune,
    shrink,
    transaction,
    used_bytes,
    version_of,
)

__all__ = ["Database"]

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

_ROOM_BYTES = 4_000_000
"""Free on the disk before a file is brought forward or repaired, beside its own size where it is written anew."""


class Database:
    """The file. All methods block and may be called from any thread; all raise HistoryError.

    Args:
        folder: Where it is kept; None for a folder that vanishes with ``close``.
        settings: How much is kept.

    """

    def __init__(self, folder: Path | None, settings: HistorySettings) -> None:
        self.settings = settings
        """May be replaced at any time."""
        self.before: dict[str, Energy] = {}
        """What was in the file of a day, by its date, before anything was added to it here."""
        self._folder = folder
        self._vanishing: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._batches = 0
        self._told_of_size = False
        self._lock = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The file, whether or not it exists; None when it has no place yet."""
        folder = self._folder or self._vanishing
        return None if folder is None else folder / HISTORY_FILE

    def begin(self, day: str) -> None:
        """Bring a file that there is to the present form or repair it, and look at what it has of a day."""
        with self._lock:
            self.before.clear()
            if self.path is not None and self.path.exists():
                self._guarded(lambda connection: self.before.update({day: _energy_of(connection, day)}))

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows to every level and their energy to its days, all or nothing. A damaged file gives way to a new one.

        Raises NewerHistoryError for a file of a later version.
        """
        with self._lock:
            self._guarded(lambda connection: self._write(connection, rows))

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

    def _guarded(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Work on the file; on a repaired one when it is damaged."""
        try:
            try:
                work(self._ready())
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                self._repair(str(error))
                work(self._ready())
        except (sqlite3.Error, OSError) as error:
            self._close_connection()
            raise HistoryError(self.path or "a temporary folder", str(error)) from error
        except HistoryError:
            self._close_connection()
            raise

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        with transaction(connection):
            for level, kept in STEPS_KEPT:
                for row in rows:
                    packs = {name: pack.values for name, pack in row.step.packs.items()}
                    kept.store(connection, level.start_of(row.start_s), row.values, row.step.pack, packs)
            for day, pack, numbers, of_packs in _days(rows):
                if day not in self.before:
                    self.before[day] = _energy_of(connection, day)
                DAYS_KEPT.store(connection, day, numbers, pack, of_packs)
            due = self._batches % _PRUNE_EVERY == 0 and bool(rows)
            shrunk = due and self._make_room(connection, rows[-1].start_s + DAY_S)
        self._batches += 1
        if shrunk:
            self._give_back(connection)

    def _make_room(self, connection: sqlite3.Connection, horizon_s: int) -> bool:
        """Keep as much as the settings say; True when the size of the file was what counted."""
        for level in LEVELS:
            prune(connection, level, self.settings.most_rows(level), horizon_s)
        shrunk = shrink(connection, self.settings.most_bytes, horizon_s)
        if shrunk and not self._told_of_size:
            self._told_of_size = True
            log.warning(
                "the history holds more than %.0f MB: the oldest of its shortest steps make room",
                self.settings.most_bytes / 1e6,
            )
        return shrunk

    def _give_back(self, connection: sqlite3.Connection) -> None:
        """Make a file smaller whose bound was lowered, where there is room to write it anew and nobody reads it.

        Never raises: the batch is in the file already, and must not be written twice.
        """
        path = self.path
        assert path is not None
        with contextlib.suppress(sqlite3.Error, OSError):
            used, size = used_bytes(connection), path.stat().st_size
            if size - used > _ROOM_BYTES and shutil.disk_usage(path.parent).free > 2 * used + _ROOM_BYTES:
                connection.execute("VACUUM")

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
        if 0 < version < len(MIGRATIONS):
            _check_room(path, _ROOM_BYTES)
        migrate(connection)

    def _repair(self, reason: str) -> None:
        """Give way to a new file with all that can be read; the damaged one is kept until another one is."""
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
        try:
            _check_room(path, aside.stat().st_size + _ROOM_BYTES)
            self._connection = self._open()
            saved = salvage(aside, self._connection)
        except (sqlite3.Error, OSError, HistoryError) as error:
            self._close_connection()
            log.error("nothing can be saved of the damaged history: %s", error)  # noqa: TRY400 -- one clear line
            saved = 0
        log.error(
            "the history in %s is damaged (%s): it is kept as %s, and a new one goes on with the %d rows"
            " that could be read",
            path, reason, aside.name, saved,
        )  # fmt: skip

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _damaged(verdict: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(verdict.replace("\n", " "))
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _check_room(path: Path, wanted_bytes: int) -> None:
    """Raise HistoryError when the disk has no room for a change of the whole file."""
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < wanted_bytes:
        reason = f"needs {wanted_bytes / 1e6:.0f} MB on the disk, {free_bytes / 1e6:.1f} MB are free"
        raise HistoryError(path, reason)


def _energy_of(connection: sqlite3.Connection, day: str) -> Energy:
    """Return the energy that the file has of a day."""
    found = connection.execute("SELECT charged_mwh, discharged_mwh, fresh_s FROM days WHERE day = ?", (day,)).fetchone()
    charged_mwh, discharged_mwh, fresh_s = (int(value or 0) for value in found or (0, 0, 0))
    return charged_mwh, discharged_mwh, fresh_s


def _days(rows: Sequence[Row]) -> Iterator[tuple[str, str | None, Numbers, dict[str, Numbers]]]:
    """Yield what rows add to each day: day, only pack, numbers, and those of each pack of several."""
    for (day, pack), group in groupby(rows, lambda row: (local_day(row.start_s).isoformat(), row.step.pack)):
        steps = [row.step for row in group]
        names = dict.fromkeys(name for step in steps for name in step.packs)
        packs = {
            name: PACK_DAYS.united([step.packs[name].day for step in steps if name in step.packs]) for name in names
        }
        yield day, pack, PACK_DAYS.united([step.day for step in steps]), packs


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
