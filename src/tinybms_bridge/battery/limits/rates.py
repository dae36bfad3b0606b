"""Stage 8: limits rise slowly, with a new good sample only, and fall at once; CVL falls for a wish in steps.

CVL rises in steps, not more often than ``cvl_interval_s``: Victron's document advises some 20 s between changes, and a
jump of CVL is a jump of current. CCL and DCL rise by a ramp. Time alone raises nothing: between two samples, and while
readings are in doubt, each limit stands, and the ramp goes on from there.

After a start or a silence nobody knows what chargers do. The first limits then do not lie above what was in force
before, nor, unless that was a moment ago, above what flows already: such a start costs some minutes, and is no jump.

The reasons of its numbers: charge-control.md#stages-8-and-9-rates-and-clamp.
"""

import math
from dataclasses import dataclass, field

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode
from tinybms_bridge.battery.limits.settings import RateSettings
from tinybms_bridge.battery.quick import maker, quick

__all__ = ["RateMemory", "limit_rates", "lowest_wish_v", "remember", "was_in_force"]

_ROUNDING_S = 1e-3
"""Times are sums of many small steps."""

_SHORT_S = 60
"""A restart that is no more than an interruption."""

_FIRST_DCL_A = 1.0
"""DCL begins no lower, since in an island 0 alone switches the inverter off; what has to end discharge still does."""

_LONGEST_PAUSE_S = 1.0
"""A doubt is settled by then, or it lasts: a sense wire that is loose must not hold a limit down for ever."""

_PAUSE_RECOVERY = 0.1
"""How fast a pause may be taken anew: a doubt at each second sample counts nearly as one that lasts."""

_SETTLED_S = 10_800.0
"""CVL that has not fallen for so long may rise to the target by less than the least rise: with four cells the rest
would keep each of them 25 mV too low for good. Near the top noise would bring it down again, so not sooner."""

_WISH_STEP_V = 0.1
_WISH_STEP_S = 3.0
"""CVL falls for a wish by one step of frame 0x351 in each loop of a GX: under feed-in a fall of volts at once would
sell the battery at the full power of the inverter until it has come down."""


@quick
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
    since_fall_s: float = field(default=math.inf, compare=False)
    """Time since CVL last fell. Alone it is no change."""
    waiting_s: float = field(default=0.0, compare=False)
    """Time that has passed for the ramps since the last step in which limits could rise."""
    paused_s: float = field(default=0.0, compare=False)
    """Time for which rises have been paused because readings were in doubt."""


_new_memory = maker(RateMemory)


def lowest_wish_v(memory: RateMemory, elapsed_s: float) -> float:
    """Return the CVL below which no wish may bring it in this step; minus infinity while none is in force."""
    if not memory.running or memory.cvl_v is None or memory.cvl_v == math.inf:
        return -math.inf
    waited_s = min(memory.since_fall_s + elapsed_s, max(elapsed_s, _WISH_STEP_S))
    return memory.cvl_v - _WISH_STEP_V * math.floor(waited_s / _WISH_STEP_S + _ROUNDING_S)


def limit_rates(
    draft: Draft,
    context: Context,
    memory: RateMemory,
    elapsed_s: float,
    *,
    fresh: bool = True,
    new_sample: bool = True,
    in_doubt: bool = False,
) -> RateMemory:
    """Hold rises back to what the rates allow; return the memory with the times that count for the next ones.

    Without ``new_sample``, a new good one, nothing rises, and data that is not ``fresh`` is no time for a ramp. While
    readings are ``in_doubt`` nothing rises either, for a second at most.
    """
    if not memory.running:
        memory = _start(context, memory, elapsed_s)
    rates, before_v = context.settings.rates, memory.cvl_v
    since_rise_s, waiting_s, paused_s = memory.since_rise_s + elapsed_s, memory.waiting_s + elapsed_s, memory.paused_s
    if in_doubt and paused_s < _LONGEST_PAUSE_S:
        paused_s, waiting_s = paused_s + elapsed_s, memory.waiting_s
        _stand(draft, context, memory, since_rise_s)
    elif fresh and new_sample:
        settled = memory.since_fall_s + elapsed_s >= _SETTLED_S
        since_rise_s = _limit_cvl(draft, context, before_v, since_rise_s, settled=settled)
        _limit_currents(draft, rates, memory, waiting_s)
        waiting_s = 0.0
    else:
        _stand(draft, context, memory, since_rise_s)
    return _new_memory(
        before_v,
        memory.ccl_a,
        memory.dcl_a,
        since_rise_s,
        running=memory.running,
        since_fall_s=memory.since_fall_s + elapsed_s,
        waiting_s=waiting_s if fresh else 0.0,
        paused_s=paused_s if in_doubt else max(0.0, paused_s - _PAUSE_RECOVERY * elapsed_s),
    )


def remember(memory: RateMemory, draft: Draft, context: Context) -> RateMemory:
    """Return the memory with what is in force after the last stage."""
    cvl_v = draft[CVL]
    fell = memory.running and memory.cvl_v is not None and cvl_v < memory.cvl_v < math.inf  # a start is no fall
    return _new_memory(
        cvl_v,
        draft[CCL],
        draft[DCL],
        memory.since_rise_s,
        context.snapshot.pack.lifetime_s,
        running=True,
        since_fall_s=0.0 if fell else memory.since_fall_s,
        waiting_s=memory.waiting_s,
        paused_s=memory.paused_s,
    )


def was_in_force(memory: RateMemory, context: Context) -> bool:
    """Return whether the limits remembered were in force less than a minute ago: chargers keep set points so long."""
    return memory.at_lifetime_s is not None and 0 <= context.snapshot.pack.lifetime_s - memory.at_lifetime_s <= _SHORT_S


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
        cvl_v = memory.cvl_v if was_in_force(memory, context) else min(cvl_v, memory.cvl_v)
    return RateMemory(
        cvl_v=cvl_v,
        ccl_a=ccl_a if memory.ccl_a is None else min(ccl_a, memory.ccl_a),
        dcl_a=None if memory.dcl_a is None else max(memory.dcl_a, -pack.current_a, _FIRST_DCL_A),
        since_rise_s=-elapsed_s,
    )


def _stand(draft: Draft, context: Context, memory: RateMemory, since_rise_s: float) -> None:
    """Let no limit rise; each names the rise that waits."""
    if memory.cvl_v is not None and draft[CVL] > memory.cvl_v:
        _keep_cvl(draft, context, memory.cvl_v, memory.cvl_v, since_rise_s)
    _limit_currents(draft, context.settings.rates, memory, 0.0, standing=True)


def _limit_currents(
    draft: Draft, rates: RateSettings, memory: RateMemory, ramp_s: float, *, standing: bool = False
) -> None:
    """Hold CCL and DCL back to what ``ramp_s`` seconds of their ramp allow."""
    for quantity, before_a in ((CCL, memory.ccl_a), (DCL, memory.dcl_a)):
        if before_a is None or draft[quantity] <= before_a:
            continue
        wanted_a = draft[quantity]
        a_per_s = draft.first(quantity) / rates.current_rise_s if rates.current_rise_s > 0.0 else None
        if a_per_s is not None or standing:
            allowed_a = before_a + (a_per_s or 0.0) * ramp_s
            draft.lower(quantity, allowed_a, LimitCode.RATE, value=allowed_a, threshold=wanted_a, step=a_per_s)


def _limit_cvl(draft: Draft, context: Context, before_v: float | None, since_rise_s: float, *, settled: bool) -> float:
    """Return the time since the last rise."""
    rates, step_v = context.settings.rates, context.charging.cvl_step_v
    if before_v is None or draft[CVL] <= before_v:
        return since_rise_s
    least_v = rates.cvl_least_rise_v if rates.cvl_interval_s > 0.0 else 0.0
    if settled and draft[CVL] >= draft.target_v:
        least_v = 0.0
    if since_rise_s < rates.cvl_interval_s - _ROUNDING_S or draft[CVL] < before_v + least_v:
        _keep_cvl(draft, context, before_v, before_v, since_rise_s)
        return since_rise_s
    if step_v > 0.0:
        _keep_cvl(draft, context, before_v + step_v, before_v, 0.0)
    return 0.0


def _keep_cvl(draft: Draft, context: Context, allowed_v: float, before_v: float, since_rise_s: float) -> None:
    """Lower CVL to what is allowed now; its reason tells what is wanted, the next step and when it comes."""
    wanted_v, rates = draft[CVL], context.settings.rates
    draft.lower(
        CVL,
        allowed_v,
        LimitCode.RATE,
        value=allowed_v,
        threshold=wanted_v,
        detail="kept" if wanted_v < before_v + rates.cvl_least_rise_v else "",
        step=min(context.charging.cvl_step_v or math.inf, wanted_v - allowed_v),
        wait_s=float(math.ceil(max(0.0, rates.cvl_interval_s - since_rise_s))),
    )
