"""The resolutions of the history, how much of each is kept, and which of them answers a request."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import Message, message

__all__ = [
    "DAY_S",
    "HISTORY_FILE",
    "LEVELS",
    "PACK_LEVELS",
    "STEP_S",
    "Grid",
    "HistoryError",
    "HistorySettings",
    "Level",
    "NewerHistoryError",
    "grid_of",
    "local_day",
]


class HistoryError(BridgeError):
    """The history cannot be written or read now; trying again later may help."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    @property
    def description(self) -> Message:
        """Both in one, with the database's own words."""
        return message("history.failed", path=self.path, reason=self.reason)

    def __str__(self) -> str:
        return self.description.text


class NewerHistoryError(HistoryError):
    """The file was made by a later version of the program; it is left alone."""


HISTORY_FILE = "history.db"
"""Name of the file in the state directory."""

DAY_S = 86_400


def local_day(start_s: float) -> date:
    """Return the day of a moment in the time zone of the machine."""
    return datetime.fromtimestamp(start_s).astimezone().date()


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution."""

    table: str
    step_s: int
    """Length of the time that a row stands for; rows begin at multiples of it since 1970."""

    def start_of(self, start_s: int) -> int:
        """Return the beginning of the row that a moment belongs to."""
        return start_s - start_s % self.step_s


LEVELS = (Level("steps", 10), Level("minutes", 60), Level("quarters", 900))
"""Finest first; each step is a multiple of the one before."""

PACK_LEVELS = LEVELS[1:]
"""Of each pack."""

STEP_S = LEVELS[0].step_s
"""Length of the finest step."""


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Whether and how much is kept."""

    enabled: bool = True
    days: tuple[int, int, int] = (2, 14, 730)
    """Days of recorded time that each level keeps, finest first."""
    most_bytes: int = 256_000_000
    """Largest size of the file; beyond it the oldest rows of the finest level go."""

    def most_rows(self, level: Level) -> int:
        """Return how many rows of a level are kept."""
        return self.days[LEVELS.index(level)] * DAY_S // level.step_s


_ROUND_S = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY_S)
"""Steps that people read easily; each one is a multiple of every level that is not coarser."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of one length without a gap; times are seconds since 1970."""

    level: Level
    from_s: int
    to_s: int
    """End of the last step."""
    step_s: int

    @property
    def count(self) -> int:
        """Number of steps."""
        return (self.to_s - self.from_s) // self.step_s

    @property
    def times(self) -> range:
        """Beginning of each step."""
        return range(self.from_s, self.to_s, self.step_s)

    def parts(self, count: int) -> Iterator["Grid"]:
        """Yield the steps in parts of ``count``."""
        for begin_s in self.times[::count]:
            yield replace(self, from_s=begin_s, to_s=min(self.to_s, begin_s + count * self.step_s))


def grid_of(
    from_s: int,
    to_s: int,
    *,
    points: int,
    step_s: int | None,
    oldest: Sequence[int | None],
    levels: Sequence[Level] = LEVELS,
) -> Grid:
    """Return the grid over a time, with steps of ``step_s`` or, without it, at most ``points`` steps.

    ``oldest`` is the time of the oldest row of each of the levels. The coarsest level that is fine enough answers,
    unless only a coarser one reaches back to ``from_s``; then the steps are its own at least.
    """
    wanted_s = step_s or _round_step_s(from_s, to_s, points)
    level = _level(wanted_s, from_s, oldest, levels)
    return _grid(level, from_s, to_s, _multiple(wanted_s, level.step_s))


def _round_step_s(from_s: int, to_s: int, points: int) -> int:
    """Return the shortest step of those that people read easily with which there are at most ``points``."""
    least_s = -(-(to_s - from_s) // points)
    steps = itertools.chain(_ROUND_S, itertools.count(max(2, least_s // DAY_S) * DAY_S, DAY_S))
    grids = (_grid(LEVELS[0], from_s, to_s, each) for each in steps if each >= least_s)
    return next(grid.step_s for grid in grids if grid.count <= max(2, points))


def _level(wanted_s: int, from_s: int, oldest: Sequence[int | None], levels: Sequence[Level]) -> Level:
    place = max((place for place, level in enumerate(levels) if level.step_s <= wanted_s), default=0)
    while place + 1 < len(levels):
        here, further = oldest[place], oldest[place + 1]
        reaches = here is not None and here <= from_s
        if reaches or further is None or (here is not None and further + levels[place + 1].step_s > here):
            break
        place += 1
    return levels[place]


def _grid(level: Level, from_s: int, to_s: int, step_s: int) -> Grid:
    return Grid(level, from_s - from_s % step_s, _multiple(to_s, step_s), step_s)


def _multiple(number: int, of: int) -> int:
    """Return the least multiple of ``of`` that is not below ``number``."""
    return -(-number // of) * of
