"""The resolutions of the history, and how much of each is kept."""

from dataclasses import dataclass

__all__ = ["HISTORY_FILE", "LEVELS", "STEP_S", "HistorySettings", "Level"]

HISTORY_FILE = "history.db"
"""Name of the file in the state directory."""

_DAY_S = 86_400


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

STEP_S = LEVELS[0].step_s
"""Length of the finest step."""


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Whether and how much is kept."""

    enabled: bool = True
    days: tuple[int, int, int] = (2, 14, 730)
    """Days of recorded time that each level keeps, finest first."""

    def most_rows(self, level: Level) -> int:
        """Return how many rows of a level are kept."""
        return self.days[LEVELS.index(level)] * _DAY_S // level.step_s
