"""Tables of the history: their columns, and how two rows of the same time become one.

A row is written in pieces: by several batches, by two runs of the program, by short steps into a longer one. So each
column says how it is united, in SQL for what is in the file and in Python for what is in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

__all__ = ["Numbers", "StoredColumn", "Table", "Unite", "united"]

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


_PYTHON: dict[Unite, Callable[[int, int], int]] = {
    Unite.SUM: lambda old, new: old + new,
    Unite.LEAST: min,
    Unite.GREATEST: max,
    Unite.LATEST: lambda _old, new: new,
}
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

    def unite(self, old: Numbers, new: Numbers) -> Numbers:
        """Return the numbers of both, as ``upsert`` has the file make them."""
        return tuple(self._united(place, old, new) for place in range(len(self.columns)))

    def _united(self, place: int, old: Numbers, new: Numbers) -> Stored:
        column, first, second = self.columns[place], old[place], new[place]
        if column.of:
            extreme = self._places[column.of]
            known, other = old[extreme], new[extreme]
            if known is None:
                return second
            if other is None or known == other:
                return first
            assert isinstance(known, int)
            assert isinstance(other, int)
            return second if (other < known) is (column.unite is Unite.WITH_LEAST) else first
        if first is None or second is None:
            return second if first is None else first
        if column.unite is Unite.SAME:
            return first if first == second else ""
        assert isinstance(first, int)
        assert isinstance(second, int)
        return _PYTHON[column.unite](first, second)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


def united(table: Table, rows: Sequence[Numbers]) -> Numbers:
    """Return the numbers of all rows, oldest first; at least one."""
    found, *others = rows
    for row in others:
        found = table.unite(found, row)
    return found
