"""Reads the history: down-sampled in SQL, on a connection of its own that changes nothing and holds nobody up."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import starmap
from pathlib import Path

from tinybms_bridge.services.history.columns import Numbers
from tinybms_bridge.services.history.days import DAY_COLUMNS, day_record, month_records
from tinybms_bridge.services.history.fields import FIELDS, PACK_FIELDS, Cell, Series
from tinybms_bridge.services.history.levels import LEVELS, PACK_LEVELS, Grid, HistoryError, Level, grid_of
from tinybms_bridge.services.history.tables import MIGRATIONS, PACK_TABLES, connect, version_of
from tinybms_bridge.services.ports import DayRecord, HistoryLevel, MonthRecord

__all__ = ["DatabaseView", "HistoryReader"]


class HistoryReader:
    """Reads one file. All methods block; all raise HistoryError. A file that is missing is an empty history."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def plan(self, from_s: int, to_s: int, *, points: int, step_s: int | None, pack: str | None = None) -> Grid:
        """Return the level and the steps that answer a request; see ``grid_of``."""
        levels = LEVELS if pack is None else PACK_LEVELS
        with self._opened() as connection:
            oldest = [None if connection is None else _oldest(connection, level) for level in levels]
        return grid_of(from_s, to_s, points=points, step_s=step_s, oldest=oldest, levels=levels)

    def rows(self, grid: Grid, series: Sequence[Series], pack: str | None = None) -> dict[int, tuple[Cell, ...]]:
        """Return the values of each step of a grid that has any, by its beginning."""
        columns = ", ".join(each.sql for each in series)
        source = grid.level.table if pack is None else _of_pack(grid.level)
        with self._opened() as connection:
            if connection is None:
                return {}
            found = connection.execute(
                f"SELECT start_s / :step * :step AS begin, {columns} FROM {source}"  # noqa: S608 -- our names
                " WHERE start_s >= :from AND start_s < :to GROUP BY begin ORDER BY begin",
                {"step": grid.step_s, "from": grid.from_s, "to": grid.to_s, "pack": pack},
            )
            return {
                begin: tuple(each.shown(value) for each, value in zip(series, values, strict=True))
                for begin, *values in found
            }

    def days(self, first: date, last: date, pack: str | None = None) -> Iterator[DayRecord]:
        """Return the days from ``first`` to ``last`` that have any data, oldest first.

        All is read at once, and each record is made when it is asked for: ten years of them take 10 MB.
        """
        return starmap(day_record, self._days(first, last, pack))

    def months(self, first: date, last: date, pack: str | None = None) -> list[MonthRecord]:
        """Return the months from that of ``first`` to that of ``last`` that have any data, oldest first."""
        begin = first.replace(day=1)
        end = (last.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return month_records(self._days(begin, end, pack))

    def packs(self) -> list[str]:
        """Return the names of the packs of which anything is stored."""
        with self._opened() as connection:
            if connection is None:
                return []
            found = connection.execute(
                "SELECT pack FROM days WHERE pack <> '' UNION SELECT pack FROM pack_days ORDER BY pack"
            )
            return [str(pack) for (pack,) in found]

    def _days(self, first: date, last: date, pack: str | None) -> list[tuple[str, Numbers]]:
        source, names = "days", f"day, {', '.join(column.name for column in DAY_COLUMNS)}"
        if pack is not None:
            source = (
                f"(SELECT {names} FROM days WHERE pack = :pack"  # noqa: S608 -- our names
                f" UNION ALL SELECT {names} FROM pack_days WHERE pack = :pack)"
            )
        with self._opened() as connection:
            if connection is None:
                return []
            found = connection.execute(
                f"SELECT {names} FROM {source} WHERE day BETWEEN :first AND :last ORDER BY day",  # noqa: S608 -- as above
                {"first": first.isoformat(), "last": last.isoformat(), "pack": pack},
            )
            return [(row[0], row[1:]) for row in found]

    def stored(self, kept_days: Mapping[Level, int]) -> tuple[int, tuple[HistoryLevel, ...]]:
        """Return the bytes of the files, and what is stored of each level."""
        empty = tuple(HistoryLevel(level.step_s, days) for level, days in kept_days.items())
        if self._path is None:
            return 0, empty
        with self._opened() as connection:
            if connection is None:
                levels = empty
            else:
                levels = tuple(_level(connection, level, days) for level, days in kept_days.items())
        beside = (self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm"))
        return sum(each.stat().st_size for each in beside if each.exists()), levels

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        try:
            if self._path is None or not self._path.exists():
                yield None
                return
            # Not mode=ro: a reader of a write-ahead log may have to recover it when nobody else has it open.
            with contextlib.closing(connect(self._path, timeout_s=2.0, mode="rw")) as connection:
                connection.execute("PRAGMA query_only = ON")
                version = version_of(connection)
                if 0 < version < len(MIGRATIONS):
                    raise HistoryError(self._path, "is of an earlier version, and could not be brought forward yet")
                yield connection if version else None
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(self._path, str(error)) from error


def _of_pack(level: Level) -> str:
    """Return what holds the rows of one pack: from while it was the only one, and from while it was one of several."""
    packs = PACK_TABLES[level]
    names = ", ".join(("start_s", *packs.names))
    return (
        f"(SELECT {names} FROM {level.table} WHERE pack = :pack"  # noqa: S608 -- our names
        f" UNION ALL SELECT {names} FROM {packs.name} WHERE pack = :pack)"
    )


def _oldest(connection: sqlite3.Connection, level: Level) -> int | None:
    (oldest,) = connection.execute(f"SELECT min(start_s) FROM {level.table}").fetchone()  # noqa: S608 -- our names
    return None if oldest is None else int(oldest)


def _level(connection: sqlite3.Connection, level: Level, kept_days: int) -> HistoryLevel:
    found = connection.execute(f"SELECT count(*), min(start_s), max(start_s) FROM {level.table}")  # noqa: S608 -- our names
    rows, *ends_s = found.fetchone()
    oldest, newest = (None if each is None else datetime.fromtimestamp(each, UTC) for each in ends_s)
    return HistoryLevel(level.step_s, kept_days, rows, oldest, newest)


class DatabaseView:
    """The values of some series over a time. Reading blocks and raises HistoryError; names raise KeyError.

    Args:
        reader: Reads the file.
        grid: The steps.
        names: Series, for example ``voltage_v.mean``.
        pack: The pack whose values they are; None for the battery.

    """

    def __init__(self, reader: HistoryReader, grid: Grid, names: Sequence[str], pack: str | None = None) -> None:
        self._reader = reader
        self._grid = grid
        self._pack = pack
        fields = FIELDS if pack is None else PACK_FIELDS
        parted = (name.partition(".") for name in names)
        self._series = [fields[field].series[series] for field, _, series in parted]

    @property
    def step_s(self) -> int:
        """Length of a step."""
        return self._grid.step_s

    @property
    def times(self) -> range:
        """Beginning of each step, seconds since 1970."""
        return self._grid.times

    def columns(self) -> list[list[Cell]]:
        """Return a list for each series, with None where nothing is known."""
        found = self._reader.rows(self._grid, self._series, self._pack)
        unknown: tuple[Cell, ...] = (None,) * len(self._series)
        rows = [found.get(time, unknown) for time in self.times]
        return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in self._series]

    def lines(self, size: int) -> Iterator[list[tuple[int, tuple[Cell, ...]]]]:
        """Yield the steps that are stored, in pieces that are read one by one, each ``size`` steps long."""
        for part in self._grid.parts(size):
            yield list(self._reader.rows(part, self._series, self._pack).items())
