"""How fast limits rise, as a GX sees it, and how fast they may."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinybms_bridge.bench.trace import Column, Run, Trace
from tinybms_bridge.bench.wire import RESOLUTION

__all__ = ["Rise", "ccl_rise", "cvl_rise", "fastest_rise"]

_CCL_WINDOW_S = 5.0
_CCL_TOLERANCE = 1.3
"""Two decisions may fall into the five seconds over which a rise is measured, one more than the ramp knows."""

_STEP_V = 0.4
"""Of 16 cells without settings; fewer cells rise by less."""


@dataclass(frozen=True, slots=True)
class Rise:
    """The fastest rise of a limit, per second."""

    fastest: float
    ramp: float
    """What the engine's settings allow; infinite when there is no ramp."""
    tolerance: float
    """What steps of the wire and of time may add to the ramp."""

    @property
    def too_fast(self) -> bool:
        """Whether it rose faster than its ramp."""
        return self.fastest > self.ramp + self.tolerance


def ccl_rise(run: Run) -> Rise:
    """Return the rise of CCL over 5 s in A/s; the ramp is the base current in the time of a full rise."""
    settings, cutoff_a = run.scenario.settings, run.scenario.battery.charge_cutoff_a
    chosen_a, rise_s = settings.max_charge_current_a, settings.rates.current_rise_s
    base_a = chosen_a if chosen_a is not None and chosen_a <= cutoff_a else cutoff_a * settings.current_fraction
    ramp = base_a / rise_s if rise_s > 0.0 else math.inf
    return Rise(fastest_rise(run.trace, Column.CCL_A, _CCL_WINDOW_S), ramp, ramp * (_CCL_TOLERANCE - 1.0) + 0.1)


def cvl_rise(run: Run) -> Rise:
    """Return the rise of CVL over the interval of its steps, in V/s."""
    rates = run.scenario.settings.rates
    window_s = max(rates.cvl_interval_s, 1.0)
    step_v = _STEP_V if rates.cvl_step_v is None else rates.cvl_step_v
    ramp = step_v / window_s if step_v > 0.0 else math.inf
    return Rise(fastest_rise(run.trace, Column.CVL_V, window_s), ramp, 1.5 * RESOLUTION / window_s)


def fastest_rise(trace: Trace, limit: Column, window_s: float) -> float:
    """Return the fastest rise of a limit, per second, as a GX sees it.

    Each value told is compared with the lowest one decided in the ``window_s`` before, or else with the last one told,
    however long ago: a silence is time for a ramp, and no excuse for a jump.
    """
    told = [
        (time_s, value)
        for time_s, value in zip(trace.column(Column.DECIDED_S), trace.column(limit), strict=True)
        if not math.isnan(value)
    ]
    fastest = 0.0
    for index, ((_, before), (_, now)) in enumerate(pairwise(told), start=1):
        if now > before:
            fastest = max(fastest, _rise(told, index, window_s))
    return fastest


def _rise(told: Sequence[tuple[float, float]], index: int, window_s: float) -> float:
    now_s, now = told[index]
    at_s, lowest = told[index - 1]
    back = index - 1
    while back >= 0 and now_s - told[back][0] <= window_s:
        if told[back][1] < lowest:
            at_s, lowest = told[back]
        back -= 1
    return (now - lowest) / max(window_s, now_s - at_s)
