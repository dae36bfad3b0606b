"""Curves as points: the fraction of a limit that is left at some temperature, voltage or state of charge."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Curve"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines between points (x, fraction); level outside them."""

    points: tuple[tuple[float, float], ...]
    """In ascending order of x; fractions from 0 to 1."""
    _whole: tuple[float, float] = field(default=(math.inf, -math.inf), init=False, repr=False, compare=False)
    """Where nothing is taken away, which is where most questions are asked."""
    _xs: tuple[float, ...] = field(default=(), init=False, repr=False, compare=False)
    _lines: tuple[tuple[float, float, float, float], ...] = field(default=(), init=False, repr=False, compare=False)
    """From each point to the next: where it begins, and how far the next one is away."""

    def __post_init__(self) -> None:
        """Raise ValueError for points that are no curve."""
        xs = [x for x, _ in self.points]
        if not xs or not all(map(math.isfinite, xs)) or any(not a < b for a, b in pairwise(xs)):
            raise ValueError(f"a curve needs points with ascending x, got {self.points}")
        if any(not 0.0 <= fraction <= 1.0 for _, fraction in self.points):
            raise ValueError(f"the fractions of a curve are 0 to 1, got {self.points}")
        object.__setattr__(self, "_whole", _whole(self.points))
        object.__setattr__(self, "_xs", tuple(xs))
        lines = tuple([(x0, y0, x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(self.points)])
        object.__setattr__(self, "_lines", lines)

    @property
    def most(self) -> float:
        """The largest fraction anywhere."""
        return max(fraction for _, fraction in self.points)

    def lowers(self, x: float) -> bool:
        """Return whether anything may be taken away at ``x``; False where ``at`` is 1 for certain."""
        low, high = self._whole
        return not low <= x <= high

    def lowers_within(self, first_x: float, last_x: float) -> bool:
        """Return whether anything may be taken away anywhere from ``first_x`` to ``last_x``."""
        low, high = self._whole
        return not (low <= first_x and last_x <= high)

    def at(self, x: float) -> float:
        """Return the fraction at ``x``; 0 when ``x`` is not a number."""
        low, high = self._whole
        if low <= x <= high:
            return 1.0
        above, lines = bisect_right(self._xs, x), self._lines
        if 0 < above <= len(lines):
            x0, y0, dx, dy = lines[above - 1]
            return y0 + dy * (x - x0) / dx
        if above == 0:
            return self.points[0][1]
        return 0.0 if math.isnan(x) else self.points[-1][1]  # no number is found above all of them

    def at_each(self, xs: Iterable[float], less: float = 0.0) -> list[float]:
        """Return the fraction at each ``x`` less the same for all, in less time than one by one."""
        find, bounds, lines, last, found = bisect_right, self._xs, self._lines, len(self._lines), []
        for given in xs:
            x = given - less
            above = find(bounds, x)
            if 0 < above <= last:
                x0, y0, dx, dy = lines[above - 1]
                found.append(y0 + dy * (x - x0) / dx)
            else:
                found.append(self.at(x))
        return found


def _whole(points: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Return the first stretch with a fraction of 1; an empty one when there is none."""
    marks = [(-math.inf, points[0][1]), *points, (math.inf, points[-1][1])]
    low = next((x for x, fraction in marks if fraction == 1.0), math.inf)
    high = -math.inf
    for x, fraction in marks:
        if x >= low:
            if fraction < 1.0:
                break
            high = x
    return low, high
