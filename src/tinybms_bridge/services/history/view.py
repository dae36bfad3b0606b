"""One request to the history: its steps, and their values all at once or in parts."""

from collections.abc import Iterator, Sequence

from tinybms_bridge.services.history.plan import Grid
from tinybms_bridge.services.history.reader import Reader
from tinybms_bridge.services.history.series import Cell, series_named

__all__ = ["View"]


class View:
    """The values of some series over a time. Reading blocks and raises HistoryError; names raise KeyError.

    Args:
        reader: Reads the file.
        grid: The steps.
        names: Series, for example ``voltage_v.mean``.

    """

    def __init__(self, reader: Reader, grid: Grid, names: Sequence[str]) -> None:
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
