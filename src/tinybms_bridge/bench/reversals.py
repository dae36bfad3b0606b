"""Changes of direction of the CVL on the bus: hunting, when nothing has happened that would explain them."""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bench.trace import STATES, Column, Trace
from tinybms_bridge.bench.weather import DAY_S

__all__ = ["Reversals", "count_reversals"]

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
