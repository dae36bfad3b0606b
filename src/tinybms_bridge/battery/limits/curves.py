"""Curves as points: the fraction of a limit that is left at some temperature, voltage or state of charge.

The derating curves follow from the BMS's own settings where the user gives none.

The reasons of its numbers: charge-control.md#stage-4-derating.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["CURVE_NAMES", "Curve", "charge_by_cell_before", "curves_for", "head_room_v", "rising"]


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


CURVE_NAMES = (
    "charge_by_cell_voltage",
    "discharge_by_cell_voltage",
    "charge_by_temperature",
    "discharge_by_temperature",
    "charge_by_soc",
    "discharge_by_soc",
)

_LEVEL = Curve(((0.0, 1.0),))
"""Lowers nothing."""

_MOST_HEAD_ROOM_V = 0.15
"""An over-voltage cutoff further away belongs to another chemistry: many LFP units keep a cutoff of 4.2 V."""

_CHARGE_SLOPES_K = 30.0
"""Room that both ends of charging need; with less between registers 320 and 319 they are steeper."""


def head_room_v(ratings: Ratings) -> float:
    """Return the cell voltage between full charge (register 300) and the over-voltage cutoff (315) that may be used."""
    return min(ratings.over_voltage_cell_v - ratings.fully_charged_cell_v, _MOST_HEAD_ROOM_V)


def charge_by_cell_before(ratings: Ratings) -> Curve:
    """Return the curve around register 300.

    It falls from half the head room below full charge to zero at four fifths of it above, before the over-voltage
    cutoff (315).
    """
    full_v, room_v = ratings.fully_charged_cell_v, head_room_v(ratings)
    return rising(
        (full_v - 0.5 * room_v, 1.0), (full_v, 0.4), (full_v + 0.4 * room_v, 0.1), (full_v + 0.8 * room_v, 0.0)
    )


@lru_cache(maxsize=8)
def curves_for(
    ratings: Ratings, chosen: tuple[tuple[str, Curve], ...] = (), by_cell: Curve | None = None
) -> Mapping[str, Curve]:
    """Return every curve by name: the user's where there is one (name, curve), else the default for this BMS.

    Charge by cell voltage is ``by_cell``, or what it was before there were values by chemistry. Discharge near empty
    follows the resistance of the cells, and no curve. Charge by temperature is zero where the BMS stops charging (320)
    and full 14 K above; both directions end at its heat cutoff (319).
    """
    cold_c, hot_c = ratings.low_temperature_charge_c, ratings.over_heat_c
    share = max(0.0, min(1.0, (hot_c - cold_c) / _CHARGE_SLOPES_K))
    defaults = {
        "charge_by_cell_voltage": charge_by_cell_before(ratings) if by_cell is None else by_cell,
        "discharge_by_cell_voltage": _LEVEL,
        "charge_by_temperature": rising(
            (cold_c, 0.0),
            (cold_c + 4.0 * share, 0.25),
            (cold_c + 9.0 * share, 0.6),
            (cold_c + 14.0 * share, 1.0),
            (hot_c - 15.0 * share, 1.0),
            (hot_c - 5.0 * share, 0.4),
            (hot_c, 0.0),
        ),
        "discharge_by_temperature": rising((-40.0, 0.0), (-30.0, 0.3), (-20.0, 1.0), (hot_c - 10.0, 1.0), (hot_c, 0.0)),
        "charge_by_soc": _LEVEL,
        "discharge_by_soc": _LEVEL,
    }
    return MappingProxyType({**defaults, **dict(chosen)})


def rising(*points: tuple[float, float]) -> Curve:
    """Return the curve through points, leaving out those that do not lie below their successor.

    Thresholds of a BMS may lie so close together that points cross, such as a heat cutoff of 20 °C.
    """
    kept: list[tuple[float, float]] = []
    for point in reversed(points):
        if math.isfinite(point[0]) and (not kept or point[0] < kept[0][0]):
            kept.insert(0, point)
    return Curve(tuple(kept)) if kept else _LEVEL
