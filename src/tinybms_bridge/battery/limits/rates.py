"""Stage 8: limits rise slowly and fall at once.

CVL rises in steps, not more often than ``cvl_interval_s``: Victron's document advises some 20 s between changes, and a
jump of CVL is a jump of current. CCL and DCL rise by a ramp.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity
from tinybms_bridge.battery.limits.settings import RateSettings

__all__ = ["RateMemory", "limit_rates", "remember"]

_ROUNDING_S = 1e-3
"""Times are sums of many small steps."""


@dataclass(frozen=True, slots=True)
class RateMemory:
    """The limits that were last in force; None before the first."""

    cvl_v: float | None = None
    ccl_a: float | None = None
    dcl_a: float | None = None
    since_rise_s: float = math.inf
    """Time since CVL last rose."""


def limit_rates(draft: Draft, context: Context, memory: RateMemory, elapsed_s: float) -> RateMemory:
    """Hold rises back to what the rates allow; return the memory with the time since the last rise."""
    rates = context.settings.rates
    since_rise_s = _limit_cvl(draft, rates, memory.cvl_v, memory.since_rise_s + elapsed_s)
    for quantity, before_a in ((Quantity.CCL, memory.ccl_a), (Quantity.DCL, memory.dcl_a)):
        if before_a is not None and draft[quantity] > before_a and rates.current_rise_s > 0.0:
            allowed_a = before_a + draft.first(quantity) * elapsed_s / rates.current_rise_s
            draft.lower(quantity, allowed_a, LimitCode.RATE, value=before_a)
    return RateMemory(memory.cvl_v, memory.ccl_a, memory.dcl_a, since_rise_s)


def remember(memory: RateMemory, draft: Draft) -> RateMemory:
    """Return the memory with what is in force after the last stage."""
    return RateMemory(draft[Quantity.CVL], draft[Quantity.CCL], draft[Quantity.DCL], memory.since_rise_s)


def _limit_cvl(draft: Draft, rates: RateSettings, before_v: float | None, since_rise_s: float) -> float:
    """Return the time since the last rise."""
    if before_v is None or draft[Quantity.CVL] <= before_v:
        return since_rise_s
    least_v = rates.cvl_least_rise_v if rates.cvl_interval_s > 0.0 else 0.0
    if since_rise_s < rates.cvl_interval_s - _ROUNDING_S or draft[Quantity.CVL] < before_v + least_v:
        draft.lower(Quantity.CVL, before_v, LimitCode.RATE, value=before_v)
        return since_rise_s
    if rates.cvl_step_v > 0.0:
        draft.lower(Quantity.CVL, before_v + rates.cvl_step_v, LimitCode.RATE, value=before_v)
    return 0.0
