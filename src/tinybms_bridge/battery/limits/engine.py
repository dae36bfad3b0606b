"""The charge-limit engine: the stages in their fixed order.

First of all the readings are confirmed and the state of charge is counted. Then come 1 base, 2 charge states and the
user's wishes, 3 cell protection, 4 derating, 5 state of the BMS, 6 freshness and inhibits, 7 CVL against what flows
although it may not, 8 rates, 9 final clamp. Each may only lower what the one before allowed, except the first, which
sets, and the last, which clamps: so the clamp comes after the rates, and nothing passes around it.
"""

from tinybms_bridge.battery.limits.feed_in import next_feed_in
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.limits.stages import (
    Memory,
    bound,
    context_of,
    forgotten,
    limits_of,
    move_on,
    observe,
    protect,
    read_sensors,
    set_right,
    wish,
)
from tinybms_bridge.battery.quick import maker
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["Memory", "step"]


_new_memory = maker(Memory)


def step(
    snapshot: Snapshot | None, settings: LimitSettings, memory: Memory, now_s: float
) -> tuple[Limits | None, Memory]:
    """Decide the limits at ``now_s`` (monotonic) from the latest accepted sample.

    Returns the limits and the memory for the next step. The limits are None while nothing can be decided and nothing
    may be sent: before the first sample, before the BMS's own settings are known, when no safe CVL follows from them,
    or when data is already old before anything was decided. Call it for every new sample and at least once a second,
    so that missing samples are noticed. A sample that is not whole counts as none. Every stage sees what is confirmed
    of the last samples, never one sample.

    Several packs as one battery: ``limits.packs``, which has the same stages, each where it belongs.
    """
    seen = observe(snapshot, settings, memory, memory.rates, now_s)
    elapsed_s, fresh, counted = seen.elapsed_s, seen.fresh, seen.counted
    context, feed_in = None, memory.feed_in
    if counted is not None and (ratings := counted.ratings) is not None:
        if fresh:
            feed_in = next_feed_in(
                feed_in,
                counted,
                ratings,
                memory.rates,
                elapsed_s,
                memory.enforcement.told_a,
                passed=memory.enforcement.passed,
            )
        context = context_of(seen, counted, ratings, settings, memory, seen.chemistry, feed_in)
    if context is None or (seen.undecided and memory.last_fresh is None) or not context.decidable:
        return None, forgotten(memory, seen, now_s)
    moved = (memory.policy, memory.states, memory.balancing, memory.rebulk)
    sensors, soc = memory.sensors, seen.soc
    if fresh:
        moved = move_on(context, memory, elapsed_s)
        sensors = read_sensors(context, memory, elapsed_s)
        soc = set_right(soc, context, moved[0], moved[2], memory.discharge)
    policy, states, balancing, rebulk = moved
    draft = wish(context, memory, policy, states, balancing, elapsed_s)
    protected = protect(draft, context, memory, seen, soc, sensors, now_s, starting=not memory.rates.running)
    stop, enforcement, rates = bound(
        draft,
        context,
        memory,
        seen.freshness,
        now_s,
        elapsed_s,
        disobeyed=feed_in.disobeyed,
        new_sample=seen.new_sample,
        in_doubt=seen.readings.in_doubt,
    )
    limits = limits_of(
        draft,
        context,
        seen.freshness.state,
        policy,
        states,
        enforcement,
        stop,
        balancing,
        sensors=sensors,
        readings=seen.readings,
        soc=soc,
        evidence=protected.evidence,
    )
    return limits, _new_memory(
        states=states,
        freshness=seen.freshness,
        last_step_s=now_s,
        last_fresh=limits if fresh else memory.last_fresh,
        policy=policy,
        protection=protected.protection,
        rates=rates,
        too_cold_or_hot=protected.too_cold_or_hot,
        dcl_left=protected.dcl_left,
        sensors=sensors,
        stop=stop,
        chemistry=seen.chemistry,
        rest=seen.rest,
        enforcement=enforcement,
        readings=seen.readings,
        switch=protected.switch,
        resistance=protected.resistance,
        discharge=protected.discharge,
        balancing=balancing,
        soc=soc,
        feed_in=feed_in,
        rebulk=rebulk,
        evidence=protected.evidence,
    )
