"""Stage 8: limits rise slowly and fall at once.

CVL rises in steps, not more often than ``cvl_interval_s``: Victron's document advises some 20 s between changes, and a
jump of CVL is a jump of current. CCL and DCL rise by a ramp.
"""

import math
from dataclasses import dataclass, replace

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity

__all__ = ["RateMemory", "limit_rates", "remember"]


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
    memory = replace(memory, since_rise_s=memory.since_rise_s + elapsed_s)
    memory = _limit_cvl(draft, context, memory)
    for quantity, before_a in ((Quantity.CCL, memory.ccl_a), (Quantity.DCL, memory.dcl_a)):
        if before_a is not None and rates.current_rise_s > 0.0:
            full_a = draft.first(quantity)
            allowed_a = before_a + full_a * elapsed_s / rates.current_rise_s
            draft.lower(quantity, allowed_a, LimitCode.RATE, value=before_a)
    return memory


def remember(memory: RateMemory, draft: Draft) -> RateMemory:
    """Return the memory with what is in force after the last stage."""
    return replace(memory, cvl_v=draft[Quantity.CVL], ccl_a=draft[Quantity.CCL], dcl_a=draft[Quantity.DCL])


def _limit_cvl(draft: Draft, context: Context, memory: RateMemory) -> RateMemory:
    rates, before_v, wanted_v = context.settings.rates, memory.cvl_v, draft[Quantity.CVL]
    if before_v is None or wanted_v <= before_v:
        return memory
    if memory.since_rise_s < rates.cvl_interval_s:
        draft.lower(Quantity.CVL, before_v, LimitCode.RATE, value=before_v)
        return memory
    step_v = rates.cvl_step_v if rates.cvl_step_v > 0.0 else math.inf
    draft.lower(Quantity.CVL, before_v + step_v, LimitCode.RATE, value=before_v)
    return replace(memory, since_rise_s=0.0)
