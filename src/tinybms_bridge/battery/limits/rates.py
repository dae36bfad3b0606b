"""Stage 8: limits rise slowly and fall at once.

CVL rises in steps, not more often than ``cvl_interval_s``: Victron's document advises some 20 s between changes, and a
jump of CVL is a jump of current. CCL and DCL rise by a ramp.

After a start or a silence nobody knows what chargers do. The first limits then do not lie above what was in force
before, nor, unless that was a moment ago, above what flows already: such a start costs some minutes, and is no jump.
"""

import math
from dataclasses import dataclass, field

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity
from tinybms_bridge.battery.limits.settings import RateSettings

__all__ = ["RateMemory", "limit_rates", "remember"]

_ROUNDING_S = 1e-3
"""Times are sums of many small steps."""

_SHORT_S = 60
"""A restart that is no more than an interruption."""

_FIRST_DCL_A = 1.0
"""DCL begins no lower, since in an island 0 alone switches the inverter off; what has to end discharge still does."""


@dataclass(frozen=True, slots=True)
class RateMemory:
    """The limits that were last in force, also before a restart; None before the first."""

    cvl_v: float | None = None
    ccl_a: float | None = None
    dcl_a: float | None = None
    since_rise_s: float = math.inf
    """Time since CVL last rose."""
    at_lifetime_s: int | None = field(default=None, compare=False)
    """Lifetime counter of the BMS when they were; it counts while the bridge is off. Alone it is no change."""
    running: bool = False
    """Whether they are in force now; False after a start and while silent."""


def limit_rates(draft: Draft, context: Context, memory: RateMemory, elapsed_s: float) -> RateMemory:
    """Hold rises back to what the rates allow; return the memory with the time since the last rise."""
    rates = context.settings.rates
    if not memory.running:
        memory = _start(context, memory, elapsed_s)
    since_rise_s = _limit_cvl(draft, rates, memory.cvl_v, memory.since_rise_s + elapsed_s)
    for quantity, before_a in ((Quantity.CCL, memory.ccl_a), (Quantity.DCL, memory.dcl_a)):
        if before_a is not None and draft[quantity] > before_a and rates.current_rise_s > 0.0:
            allowed_a = before_a + draft.first(quantity) * elapsed_s / rates.current_rise_s
            draft.lower(quantity, allowed_a, LimitCode.RATE, value=before_a)
    return RateMemory(memory.cvl_v, memory.ccl_a, memory.dcl_a, since_rise_s, running=memory.running)


def remember(memory: RateMemory, draft: Draft, context: Context) -> RateMemory:
    """Return the memory with what is in force after the last stage."""
    return RateMemory(
        draft[Quantity.CVL],
        draft[Quantity.CCL],
        draft[Quantity.DCL],
        memory.since_rise_s,
        context.snapshot.pack.lifetime_s,
        running=True,
    )


def _start(context: Context, memory: RateMemory, elapsed_s: float) -> RateMemory:
    """Return the limits from which the first ones rise.

    A CVL at the voltage of the pack keeps the current that flows. It may lie one step of the frame above, lest noise
    hold it below a target that is all but reached. After less than a minute it goes on from where it was: chargers
    keep their set points for so long. DCL is a ramp only from what was in force before.
    """
    pack = context.snapshot.pack
    cvl_v = max(context.resting_v, pack.voltage_v) + context.settings.rates.cvl_least_rise_v
    ccl_a = max(0.0, pack.current_a)
    if memory.cvl_v is not None:
        away_s = math.inf if memory.at_lifetime_s is None else pack.lifetime_s - memory.at_lifetime_s
        cvl_v = memory.cvl_v if 0 <= away_s <= _SHORT_S else min(cvl_v, memory.cvl_v)
    return RateMemory(
        cvl_v=cvl_v,
        ccl_a=ccl_a if memory.ccl_a is None else min(ccl_a, memory.ccl_a),
        dcl_a=None if memory.dcl_a is None else max(memory.dcl_a, -pack.current_a, _FIRST_DCL_A),
        since_rise_s=-elapsed_s,
    )


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
