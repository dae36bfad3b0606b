"""Bounds for a time of a scenario: what has to flow, and what may, in the true battery and on the bus."""

import math
from dataclasses import dataclass
from enum import Enum

__all__ = ["Bound", "What"]

_FIRST_S = 60.0
"""A run begins with the ramps of a start."""


class What(Enum):
    """What a bound is about: its words and its unit. Limits, and what is above one, are no number in silence."""

    CVL = ("CVL", "V")
    CCL = ("CCL", "A")
    DCL = ("DCL", "A")
    CURRENT = ("current into the battery", "A")
    OVER_CCL = ("current above CCL", "A")
    BELOW_PACK = ("pack above CVL", "V")
    """How far the true voltage of the pack is above CVL: so far a GX that sells may take it down."""
    CHARGED = ("charged", "Ah")
    """In all, from begin to end of the bound."""
    UNSERVED = ("power that the loads do not get", "W")
    SILENT = ("time without frames", "s")
    """In all."""

    def __init__(self, words: str, unit: str) -> None:
        self.words = words
        self.unit = unit

    @property
    def summed(self) -> bool:
        """Whether it is one number for the whole time."""
        return self in (What.CHARGED, What.SILENT)


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that has to hold; times in seconds after the start of the scenario."""

    what: What
    least: float = -math.inf
    most: float = math.inf
    from_s: float = _FIRST_S
    to_s: float = math.inf
    for_s: float = 0.0
    """It may be outside for so long in a row."""

    def __str__(self) -> str:
        parts = [self.what.words]
        if not math.isinf(self.least):
            parts.append(f"at least {self.least:g} {self.what.unit}")
        if not math.isinf(self.most):
            parts.append(f"at most {self.most:g} {self.what.unit}")
        if self.from_s != _FIRST_S:
            parts.append(f"from {_clock(self.from_s)}")
        if not math.isinf(self.to_s):
            parts.append(f"until {_clock(self.to_s)}")
        if self.for_s:
            parts.append(f"but for {self.for_s:g} s in a row")
        return " ".join(parts)


def _clock(after_s: float) -> str:
    minutes, seconds = divmod(round(after_s), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
