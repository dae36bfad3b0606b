"""How limits move on the bus, as a GX sees them: how fast they rise and may rise, and how often CVL turns.

Changes of direction of CVL are hunting when nothing has happened that would explain them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.controllers import RESOLUTION
from tinybms_lab.bench.trace import STATES, Column, Run, Trace
from tinybms_lab.bench.weather import DAY_S

__all__ = ["Reversals", "Rise", "ccl_rise", "count_reversals", "cvl_rise", "fastest_rise"]

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


_SETTLE_S = 300.0
"""After a disturbance the loop may take this long to settle."""
_CONSTANT_S = 600.0
_CONSTANT_SHARE = 0.02
"""Sun counts as constant while it stays within this share of the battery's 1 C power, likewise a load as unchanged."""
_FLOAT = STATES.index(ChargeState.FLOAT)


@dataclass(frozen=True, slots=True)
class Reversals:
    """Times of the changes of direction."""

    all_s: tuple[float, ...]
    steady_s: tuple[float, ...]
    """Those in steady state."""


def count_reversals(trace: Trace, one_c_w: float) -> Reversals:
    """Return the times at which CVL turned.

    Steady state is once FLOAT was first reached, or while the sun is constant for ten minutes; in both cases only when
    no jump of sun or load (more than 2 % of ``one_c_w``) and no fault was in the five minutes before. A balancing day
    is none of it: CVL moves as the cells demand.
    """
    watch = _Steadiness(one_c_w * _CONSTANT_SHARE)
    all_s: list[float] = []
    steady_s: list[float] = []
    balancing_days: set[float] = set()
    direction, before_v = 0, math.nan
    names = (
        Column.TIME_S, Column.SUN_W, Column.LOAD_W, Column.CVL_V, Column.STATE, Column.FAULTY, Column.BALANCING,
    )  # fmt: skip
    rows = zip(*(trace.column(name) for name in names), strict=True)
    for time_s, sun_w, load_w, cvl_v, state, faulty, balancing in rows:
        watch.observe(time_s, sun_w, load_w, state == _FLOAT, faulty > 0.0)
        if balancing > 0.0:
            balancing_days.add(time_s // DAY_S)
        if math.isnan(cvl_v):
            continue
        turn = 0 if math.isnan(before_v) else round((cvl_v - before_v) * 10.0)
        before_v = cvl_v
        if turn:
            sign = 1 if turn > 0 else -1
            if sign == -direction:
                all_s.append(time_s)
                if watch.steady(time_s):
                    steady_s.append(time_s)
            direction = sign
    return Reversals(tuple(all_s), tuple(at_s for at_s in steady_s if at_s // DAY_S not in balancing_days))


class _Steadiness:
    """Follows sun, loads and faults."""

    def __init__(self, tolerance_w: float) -> None:
        self._tolerance_w = tolerance_w
        self._float_reached = False
        self._calm_since_s = -math.inf
        self._sun_w = math.nan
        self._load_w = math.nan
        self._level_w = math.nan
        self._level_since_s = math.inf

    def observe(self, time_s: float, sun_w: float, load_w: float, in_float: bool, faulty: bool) -> None:
        self._float_reached = self._float_reached or in_float
        jumped = max(abs(sun_w - self._sun_w), abs(load_w - self._load_w)) > self._tolerance_w
        if jumped or faulty:
            self._calm_since_s = time_s
        if not abs(sun_w - self._level_w) <= self._tolerance_w:
            self._level_w, self._level_since_s = sun_w, time_s
        self._sun_w, self._load_w = sun_w, load_w

    def steady(self, time_s: float) -> bool:
        constant = time_s - self._level_since_s >= _CONSTANT_S
        return (self._float_reached or constant) and time_s - self._calm_since_s >= _SETTLE_S
