"""The tables of the history file, and the statements that change them.

``PRAGMA user_version`` holds the version of the tables; each entry of ``MIGRATIONS`` leads to the next version.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinybms_bridge.services.history.fields import BMS_COUNT, COLUMNS, GROUPS
from tinybms_bridge.services.history.levels import LEVELS, Level

__all__ = ["ADD_DAY", "MIGRATIONS", "migrate", "prune", "transaction", "upsert", "version_of"]


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
