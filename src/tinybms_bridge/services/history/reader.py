"""Reads the history: down-sampled in SQL, on a connection of its own that changes nothing and holds nobody up."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from tinybms_bridge.services.history.database import connect, version_of
from tinybms_bridge.services.history.fields import Cell, Series, series_named
from tinybms_bridge.services.history.levels import LEVELS, Grid, HistoryError, Level, grid_of
from tinybms_bridge.services.ports import DayEnergy, HistoryLevel

__all__ = ["DatabaseView", "HistoryReader"]


class HistoryReader:
    """Reads one file. All methods block; all raise HistoryError. A file that is missing is an empty history."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def plan(self, from_s: int, to_s: int, *, points: int, step_s: int | None) -> Grid:
        """Return the level and the steps that answer a request; see ``grid_of``."""
        with self._opened() as connection:
            oldest = [None if connection is None else _oldest(connection, level) for level in LEVELS]
        return grid_of(from_s, to_s, points=points, step_s=step_s, oldest=oldest)

    def rows(self, grid: Grid, series: Sequence[Series]) -> dict[int, tuple[Cell, ...]]:
        """Return the values of each step of a grid that has any, by its beginning."""
        columns = ", ".join(each.sql for each in series)
        with self._opened() as connection:
            if connection is None:
                return {}
            found = connection.execute(
                f"SELECT start_s / :step * :step AS begin, {columns} FROM {grid.level.table}"  # noqa: S608 -- our names
                " WHERE start_s >= :from AND start_s < :to GROUP BY begin ORDER BY begin",
                {"step": grid.step_s, "from": grid.from_s, "to": grid.to_s},
            )
            return {
                begin: tuple(each.shown(value) for each, value in zip(series, values, strict=True))
                for begin, *values in found
            }

    def days(self, first: date, last: date) -> list[DayEnergy]:
        """Return the days from ``first`` to ``last`` that have any energy or data, oldest first."""
        with self._opened() as connection:
            if connection is None:
                return []
            found = connection.execute(
                "SELECT day, charged_mwh / 1e6, discharged_mwh / 1e6, round(fresh_s / 3600.0, 3) FROM days"
                " WHERE day BETWEEN ? AND ? ORDER BY day",
                (first.isoformat(), last.isoformat()),
            )
            return [
                DayEnergy(float(charged_kwh), float(discharged_kwh), float(fresh_h), date.fromisoformat(day))
                for day, charged_kwh, discharged_kwh, fresh_h in found
            ]

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
                yield connection if version_of(connection) else None
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(self._path, str(error)) from error


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

    """

    def __init__(self, reader: HistoryReader, grid: Grid, names: Sequence[str]) -> None:
        self._reader = reader
        self._grid = grid
        self._series = [series_named(name) for name in names]

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
        found = self._reader.rows(self._grid, self._series)
        unknown: tuple[Cell, ...] = (None,) * len(self._series)
        rows = [found.get(time, unknown) for time in self.times]
        return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in self._series]

    def lines(self, size: int) -> Iterator[list[tuple[int, tuple[Cell, ...]]]]:
        """Yield the steps that are stored, in pieces that are read one by one, each ``size`` steps long."""
        for part in self._grid.parts(size):
            yield list(self._reader.rows(part, self._series).items())
