"""Diffusion in a sphere, as modes that each settle on their own: exact for a constant flux, whatever the step."""

import math
from itertools import pairwise

__all__ = ["MODES", "Response", "response"]

_BANDS = (1, 2, 3, 5, 9, 17, 33, 65, 1001)
"""First mode of each band; the modes of a band settle together, at the rate that keeps the charge which they hold back.
With these no answer is further off than 0.4 % of the settled offset; the last band settles within a second."""
MODES = len(_BANDS) - 1
"""Bands of modes that are followed."""

Response = tuple[tuple[float, float], ...]
"""For each mode: what is left of it after a step, and what a filling rate of 1/s adds to the surface by it."""


def _root(number: int) -> float:
    """Return the ``number``-th positive root of tan x = x, by Newton's method on sin x - x cos x."""
    x = (number + 0.5) * math.pi
    x -= 1.0 / x
    for _ in range(20):
        x -= (math.sin(x) - x * math.cos(x)) / (x * math.sin(x))
    return x


def _spectrum() -> tuple[tuple[float, float], ...]:
    """Return (rate, weight) of each band; the weights sum to 1/5, the offset of a settled sphere."""
    squares = {number: _root(number) ** 2 for number in range(_BANDS[0], _BANDS[-1])}
    bands = []
    for first, after in pairwise(_BANDS):
        weight = sum(2.0 / squares[number] for number in range(first, after))
        held_back = sum(2.0 / squares[number] ** 2 for number in range(first, after))
        bands.append((weight / held_back, weight))
    rate, weight = bands[-1]
    missing = 0.2 - sum(w for _, w in bands)
    return (*bands[:-1], (rate, weight + missing))


_SPECTRUM = _spectrum()


def response(diffusion_s: float, dt_s: float) -> Response:
    """Return how the modes of a sphere answer in a step.

    A sphere that fills at the rate r (fraction per second) from a uniform state holds at its surface, after t,
    r R^2 / 3D (1/5 - sum 2 / x^2 exp(-x^2 D t / R^2)) more than its mean, with tan x = x (Crank, The Mathematics of
    Diffusion, 1975, section 6.3.4: constant flux at the surface of a sphere).

    Args:
        diffusion_s: square of the radius over the diffusivity.
        dt_s: length of the step.

    """
    answers = []
    for rate, weight in _SPECTRUM:
        left = math.exp(-rate * dt_s / diffusion_s)
        answers.append((left, diffusion_s / 3.0 * weight * (1.0 - left)))
    return tuple(answers)
