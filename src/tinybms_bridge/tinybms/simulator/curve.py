"""A smooth curve through points that never turns back between them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

__all__ = ["MonotoneCurve"]


class MonotoneCurve:
    """Cubic interpolation without overshoot (Steffen, Astronomy & Astrophysics 239, 1990, eqs. 8 and 11).

    Args:
        points: (x, y) pairs, x strictly rising, y not falling.

    Raises:
        ValueError: fewer than two points, or an order that is not kept.

    """

    __slots__ = ("_ends", "_pieces", "_xs", "_ys")

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        if len(points) < 2:
            raise ValueError(f"a curve needs at least 2 points, got {len(points)}")
        for (x0, y0), (x1, y1) in pairwise(points):
            if x1 <= x0 or y1 < y0:
                raise ValueError(f"point ({x1}, {y1}) does not continue the rise from ({x0}, {y0})")
        self._xs = tuple(float(x) for x, _ in points)
        self._ys = tuple(float(y) for _, y in points)
        slopes = _slopes(self._xs, self._ys)
        self._ends = slopes[0], slopes[-1]
        self._pieces = tuple(_pieces(self._xs, self._ys, slopes))

    def __call__(self, x: float) -> float:
        """Return y at ``x``; beyond the ends the curve goes on as a straight line."""
        xs, ys = self._xs, self._ys
        if x <= xs[0]:
            return ys[0] + (x - xs[0]) * self._ends[0]
        if x >= xs[-1]:
            return ys[-1] + (x - xs[-1]) * self._ends[1]
        x0, y0, slope, square, cubic = self._pieces[bisect_right(xs, x) - 1]
        t = x - x0
        return ((cubic * t + square) * t + slope) * t + y0


def _slopes(xs: tuple[float, ...], ys: tuple[float, ...]) -> tuple[float, ...]:
    widths = [b - a for a, b in pairwise(xs)]
    secants = [(b - a) / h for (a, b), h in zip(pairwise(ys), widths, strict=True)]
    inner = [
        _inner_slope(s0, s1, h0, h1) for (s0, s1), (h0, h1) in zip(pairwise(secants), pairwise(widths), strict=True)
    ]
    return (secants[0], *inner, secants[-1])


def _pieces(
    xs: tuple[float, ...], ys: tuple[float, ...], slopes: tuple[float, ...]
) -> Iterator[tuple[float, float, float, float, float]]:
    """Return start and the coefficients of rising order of each piece."""
    for i, (x0, x1) in enumerate(pairwise(xs)):
        width = x1 - x0
        secant = (ys[i + 1] - ys[i]) / width
        square = (3.0 * secant - 2.0 * slopes[i] - slopes[i + 1]) / width
        yield x0, ys[i], slopes[i], square, (slopes[i] + slopes[i + 1] - 2.0 * secant) / width**2


def _inner_slope(secant_0: float, secant_1: float, width_0: float, width_1: float) -> float:
    parabola = (secant_0 * width_1 + secant_1 * width_0) / (width_0 + width_1)
    return 2.0 * min(secant_0, secant_1, 0.5 * parabola)
