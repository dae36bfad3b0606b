"""Diffusion in a sphere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bench.physics.diffusion import MODES, response

_SPHERE_S = 8000.0


def _offset(steps: list[tuple[float, float]]) -> float:
    modes = [0.0] * MODES
    for dt_s, rate in steps:
        answers = response(_SPHERE_S, dt_s)
        modes = [mode * left + rate * gain for mode, (left, gain) in zip(modes, answers, strict=True)]
    return sum(modes)


def test_a_long_flux_settles_at_a_fifth() -> None:
    """The parabola of a sphere that fills evenly: its surface holds r R^2 / 15 D more than the mean."""
    assert _offset([(1e6, 1e-5)]) == pytest.approx(1e-5 * _SPHERE_S / 15.0)


@pytest.mark.parametrize("after_s", [0.8, 4.0, 20.0])
def test_a_young_flux_follows_the_root_of_time(after_s: float) -> None:
    """A sphere whose centre is not reached answers like a plane: 2 / sqrt(pi) sqrt(D t) / R, less what it took."""
    tau = after_s / _SPHERE_S
    # Carslaw and Jaeger 1959, section 9.7: the first terms for small times, less the mean.
    plane = _SPHERE_S / 3.0 * (2.0 * math.sqrt(tau / math.pi) + tau - 3.0 * tau)

    assert _offset([(after_s, 1.0)]) == pytest.approx(plane, abs=0.0009 * _SPHERE_S / 3.0)


@given(st.lists(st.floats(0.01, 4000.0), min_size=1, max_size=12), st.floats(-1e-4, 1e-4))
def test_any_division_of_a_step_gives_the_same(pieces_s: list[float], rate: float) -> None:
    """Exact in time: a run with steps of a minute is no other run than one with steps of a second."""
    assert _offset([(dt_s, rate) for dt_s in pieces_s]) == pytest.approx(_offset([(sum(pieces_s), rate)]), abs=1e-9)


@given(st.floats(0.0, 1e7), st.floats(1.0, 1e6))
def test_no_step_is_too_long(dt_s: float, sphere_s: float) -> None:
    """What is left of a mode is never negative and never more than there was."""
    assert all(0.0 <= left <= 1.0 and gain >= 0.0 for left, gain in response(sphere_s, dt_s))
