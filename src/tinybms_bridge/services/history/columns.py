"""Tables of the history: their columns, and how two rows of the same time become one.

A row is written in pieces: by several batches, by two runs of the program, by short steps into a longer one. So each
column says how it is united, in SQL for what is in the file and in Python for what is in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

__all__ = ["Numbers", "StoredColumn", "Table", "Unite"]

Stored = int | str | None
Numbers = tuple[Stored, ...]
"""The values of a row after its key, in the order of the columns of its table."""


class Unite(Enum):
    """How two values of a column become one; unknown and known is known."""

    SUM = auto()
    LEAST = auto()
    GREATEST = auto()
    LATEST = auto()
    WITH_LEAST = auto()
    """The one that belongs to the lesser value of another column."""
    WITH_GREATEST = auto()
    SAME = auto()
    """The value that both have; empty when they differ."""


_SQL = {
    Unite.SUM: "coalesce({old} + {new}, {old}, {new})",
    Unite.LEAST: "min(coalesce({old}, {new}), coalesce({new}, {old}))",
    Unite.GREATEST: "max(coalesce({old}, {new}), coalesce({new}, {old}))",
    Unite.LATEST: "coalesce({new}, {old})",
    Unite.WITH_LEAST: "CASE WHEN {old_of} IS NULL OR {new_of} < {old_of} THEN {new} ELSE {old} END",
    Unite.WITH_GREATEST: "CASE WHEN {old_of} IS NULL OR {new_of} > {old_of} THEN {new} ELSE {old} END",
    Unite.SAME: "CASE WHEN {new} IS NULL OR {new} = {old} THEN {old} WHEN {old} IS NULL THEN {new} ELSE '' END",
}


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column."""

    name: str
    unite: Unite = Unite.SUM
    of: str = ""
    """The column whose extreme this belongs to."""
    kind: str = "INTEGER"
    """Type, and the value of rows that were written before the column was there."""

    @property
    def definition(self) -> str:
        """What ``CREATE TABLE`` says of it."""
        return f"{self.name} {self.kind}"

    @property
    def united(self) -> str:
        """The expression of its value after a conflict."""
        new, new_of = f"excluded.{self.name}", f"excluded.{self.of}"
        return _SQL[self.unite].format(old=self.name, new=new, old_of=self.of, new_of=new_of)


@dataclass(frozen=True)
class Table:
    """One table; ``name`` and columns are ours, so they stand in statements as they are."""

    name: str
    keys: tuple[StoredColumn, ...]
    columns: tuple[StoredColumn, ...]
    by_rowid: bool = False
    """Whether the only key is SQLite's own number of a row."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns after the key."""
        return tuple(column.name for column in self.columns)

    @property
    def create(self) -> str:
        """The statement that makes it; rows lie in the order of their keys."""
        columns = ", ".join(column.definition for column in (*self.keys, *self.columns))
        keys = ", ".join(key.name for key in self.keys)
        return f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({keys})){'' if self.by_rowid else ' WITHOUT ROWID'}"

    @cached_property
    def upsert(self) -> str:
        """The statement that adds a row, or unites it with the one that has its key already."""
        names = ", ".join((*(key.name for key in self.keys), *self.names))
        places = ", ".join("?" * (len(self.keys) + len(self.columns)))
        united = ", ".join(f"{column.name} = {column.united}" for column in self.columns)
        return (
            f"INSERT INTO {self.name} ({names}) VALUES ({places})"  # noqa: S608 -- only our names
            f" ON CONFLICT ({', '.join(key.name for key in self.keys)}) DO UPDATE SET {united}"
        )

    def united(self, rows: Sequence[Numbers]) -> Numbers:
        """Return the numbers of all rows, oldest first, as ``upsert`` has the file make them."""
        if len(rows) == 1:
            return rows[0]
        values = list(zip(*rows, strict=True))
        return tuple(
            _united(column.unite, found, values[place])
            for found, (column, place) in zip(values, self._extremes, strict=True)
        )

    @cached_property
    def _extremes(self) -> list[tuple[StoredColumn, int]]:
        """Each column with the place of the one whose extreme it belongs to, or its own."""
        return [(column, self.names.index(column.of or column.name)) for column in self.columns]


_OF_ALL: dict[Unite, Callable[[list[Any]], Stored]] = {
    Unite.SUM: sum,
    Unite.LEAST: min,
    Unite.GREATEST: max,
    Unite.LATEST: lambda known: known[-1],
    Unite.SAME: lambda known: known[0] if len(set(known)) == 1 else "",
}


def _united(unite: Unite, found: Sequence[Stored], extremes: Sequence[Stored]) -> Stored:
    """Return the value of all rows, of which the one that is united with an extreme is the first to have it."""
    known = [value for value in extremes if value is not None]
    if not known:
        return found[-1]
    if unite is Unite.WITH_LEAST:
        return found[extremes.index(_OF_ALL[Unite.LEAST](known))]
    if unite is Unite.WITH_GREATEST:
        return found[extremes.index(_OF_ALL[Unite.GREATEST](known))]
    return _OF_ALL[unite](known)
