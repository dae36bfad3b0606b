"""Reads what can still be read of a damaged history file, around the pages that cannot."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tinybms_bridge.hal.clock import EARLIEST_WALL
from tinybms_bridge.services.history.columns import Table
from tinybms_bridge.services.history.days import DAYS, PACK_DAYS
from tinybms_bridge.services.history.levels import LEVELS
from tinybms_bridge.services.history.tables import PACK_TABLES, STEP_TABLES, connect, transaction

__all__ = ["salvage"]

_MOST_FAILURES = 20_000
"""Reads that fail, of all tables: more than a file has pages that are worth the time."""
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copy every row that can be read into the empty tables of another file; returns how many. Raises sqlite3.Error.

    The damaged file stays as it is.
    """
    saved = 0
    with closing(connect(damaged, timeout_s=5.0, mode="ro")) as source:
        source.execute("PRAGMA writable_schema = ON")  # else one bad entry of the schema makes all tables unreadable
        failures = [0]
        for table, ranges in _ranges():
            names = _known(source, table)
            if not names:
                continue
            places = ", ".join("?" * len(names))
            insert = f"INSERT OR IGNORE INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 -- our names
            with transaction(connection):
                for rows in _readable(source, table, names, ranges, failures):
                    kept = [row for row in rows if all(value is None or isinstance(value, int | str) for value in row)]
                    connection.executemany(insert, kept)
                    saved += len(kept)
    beside = [damaged.with_name(damaged.name + suffix) for suffix in ("-wal", "-shm")]
    if beside[0].exists() and not beside[0].stat().st_size:  # made by reading
        for each in beside:
            each.unlink(missing_ok=True)
    return saved


@dataclass(frozen=True, slots=True)
class _Ranges:
    """The keys of a table by numbers."""

    first: int
    last: int
    key: Callable[[int], int | str]


def _ranges() -> Iterator[tuple[Table, _Ranges]]:
    begin, end = EARLIEST_WALL.date().toordinal(), _LATEST.date().toordinal()
    of_days = _Ranges(begin, end, lambda number: date.fromordinal(number).isoformat())
    yield DAYS, of_days  # the days first: they are kept longest
    yield PACK_DAYS, of_days
    for level in reversed(LEVELS):
        step_s = level.step_s
        first, last = (int(moment.timestamp()) // step_s for moment in (EARLIEST_WALL, _LATEST))
        ranges = _Ranges(first, last, step_s.__mul__)
        yield STEP_TABLES[level], ranges
        if level in PACK_TABLES:
            yield PACK_TABLES[level], ranges


def _known(source: sqlite3.Connection, table: Table) -> list[str]:
    """Return the columns that both files have."""
    try:
        present = {row[1] for row in source.execute(f"PRAGMA table_info({table.name})")}
    except sqlite3.DatabaseError:
        return []
    return [name for name in (*(key.name for key in table.keys), *table.names) if name in present]


def _readable(
    source: sqlite3.Connection, table: Table, names: list[str], ranges: _Ranges, failures: list[int]
) -> Iterator[list[tuple[object, ...]]]:
    """Yield rows in pieces; a range that cannot be read is halved until what is lost is one step."""
    key = table.keys[0].name
    select = f"SELECT {', '.join(names)} FROM {table.name} WHERE {key} >= ? AND {key} < ?"  # noqa: S608 -- our names
    waiting = [(ranges.first, ranges.last)]
    while waiting and failures[0] < _MOST_FAILURES:
        first, last = waiting.pop()
        try:
            yield source.execute(select, (ranges.key(first), ranges.key(last))).fetchall()
        except sqlite3.DatabaseError:
            failures[0] += 1
            if last - first > 1:
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
