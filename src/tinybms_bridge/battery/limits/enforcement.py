"""Stage 7: a CCL that protects the cells and is not obeyed is enforced by CVL.

Under DC feed-in solar chargers obey no CCL: at 3 °C, with a quarter of the current left, all of it goes on flowing,
and lithium is plated. What temperature leaves of CCL is therefore held by CVL, which sinks from the voltage of the pack
until what flows is near CCL, and rises again, step by step, while less flows. A GX rounds CCL up to whole amperes, is
late by some seconds and adds what the loads draw: so it is a mean that counts, with room, and not the moment after a
fall.

Other limits are wishes of the user or the charge state, or follow the cell voltage, which has a controller of its own:
where they are not obeyed, the user is told.

The reasons of its numbers: charge-control.md#a-ccl-that-is-not-obeyed.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.gx import MPPT_OFFSET_V
from tinybms_bridge.battery.limits.charge_stop import (
    LITTLE_V,
    NO_ATTEMPT,
    Attempt,
    go_on,
    interrupted,
    lowest_level_v,
    sinking_v_per_s,
)
from tinybms_bridge.battery.limits.charging import WARM_C
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.feed_in import room_above_ccl_a
from tinybms_bridge.battery.limits.model import CVL, LimitCode
from tinybms_bridge.battery.limits.rates import RateMemory, was_in_force
from tinybms_bridge.battery.quick import maker, quick

__all__ = ["EnforcementMemory", "enforce"]

_MEAN_S = 5.0
"""Time constant of the mean. It remembers as much as a mean of 10 s: longer than the loop of a GX and its chargers."""

_HEARD_S = 10.0
"""What flows is judged by the highest CCL that was sent in the last 10 to 20 s: the noise of a sensor makes CCL fall a
little all the time, and a real fall needs the time of a GX and its chargers."""

_IN_VAIN = "in_vain"
"""Detail of a reason: no CVL changes what flows."""

_LEAST_SINKING_V_PER_S = 0.005
"""So that a small excess shows an effect before the attempt is given up."""

_GIVEN_UP_BELOW_V = 0.1
"""Where CVL stands when lowering it is in vain: below the pack, and nearly nothing is sold."""

_NOTHING_SINKING_V_PER_S, _STEADY_SHARE, _ANSWER_S = 0.05, 0.9, 6.0
"""How fast CVL sinks through the 0.4 V in which it moves nothing, since chargers stand above it: as long as the current
does not fall. That way has nothing to do with the cells."""

_RISE_V = 0.1
"""CVL comes back by one step of frame 0x351 at a time: for a 12 V pack that is a third of its capacity in amperes."""

_LEAST_WAIT_S, _LONGEST_WAIT_S = 20.0, 900.0
"""Time under CCL before such a step. It doubles each time that a step was too much, and is halved each time that it was
not, so that a pack whose steps are coarse is below CCL nearly all of the time."""

_LONGEST_SOLD_S = 300.0
"""While the battery is discharged the wait is no longer than this: at night nothing is sold, and by day a pack of four
cells, which has no step at which a tenth of its capacity flows, does not go to and fro each 20 s."""

_CELL_V_PER_C = 0.07
"""What a good cell rises by for each 1C. A worse one rises more: a CVL that is reckoned so errs on the low side."""

_RISE_SHARE = 0.7
"""How much of the way that is left, reckoned so, CVL comes back by at once."""

_ROOM_SHARE, _ROOM_C_RATE = 0.1, 0.02
"""Room above CCL where it is not obeyed: no GX has rounded it up to whole amperes, which for 20 Ah are a tenth of C."""

_STANDS_ABOVE_V = 0.2
"""No meter is wrong by so much: chargers stand above CVL."""

_PASSED_WITHIN_S = 30.0
"""A step that is too much shows it so soon; what comes later has another cause."""

_TOO_MUCH_WAIT_S = 3600.0
"""A step that would be too much, as far as can be reckoned, is tried so rarely: cells may be worse than good ones."""

_NEARLY_SHARE = 1.1
"""What is reckoned is no measure: a step that comes so close to what may flow is tried at once."""

_SOLD_C_RATE = 0.05
"""But not while more than this is discharged, which may be a battery that is sold."""

_BINDS_NOTHING_V = 0.15
"""This far above the pack CVL is not what limits the current."""

_WISH_MOST_A, _WISH_C_RATE, _WISH_S = 10.0, 0.05, 60.0
"""A wish that is passed by more than the smaller one, for so long, is not obeyed."""

_FORGET_S = 30.0
"""For so long it has to be obeyed before the notice ends."""


@quick
@dataclass(frozen=True, slots=True)
class EnforcementMemory:
    """What is remembered. Nothing is saved: the CVL in force is, and the rest is found again within 20 s."""

    level_v: float | None = None
    """CVL that enforces CCL; None = nothing is enforced."""
    mean_a: float | None = None
    """Mean of the current into the battery."""
    peak_a: float = 0.0
    """Highest CCL that was sent in the present 10 s."""
    heard_a: float = math.inf
    """Highest one of the 10 s before."""
    heard_s: float = 0.0
    """How much of the present 10 s is over."""
    calm_s: float = 0.0
    """Time under CCL since the last step of CVL."""
    wait_s: float = _LEAST_WAIT_S
    rose: bool = False
    """Whether CVL last came back by a step, and that has not been too much."""
    attempt: Attempt = NO_ATTEMPT
    ignored_s: float = 0.0
    """Time for which a wish has not been obeyed."""
    over_s: float = 0.0
    """For how long too much has flowed in."""
    passed: bool = False
    """Whether the last step of CVL has just turned out to be too much."""

    @property
    def told_a(self) -> float:
        """The highest CCL of the last 10 to 20 s; infinite while nobody knows."""
        return max(self.heard_a, self.peak_a)

    @property
    def ccl_ignored(self) -> bool:
        """Whether a wish has not been obeyed for long."""
        return self.ignored_s >= _WISH_S


_new_memory = maker(EnforcementMemory)


def enforce(
    draft: Draft,
    context: Context,
    memory: EnforcementMemory,
    rates: RateMemory,
    elapsed_s: float,
    *,
    disobeyed: bool = False,
) -> EnforcementMemory:
    """Lower CVL where more flows in than temperature and BMS allow; return the memory after ``elapsed_s`` more seconds.

    Call it with fresh data. ``rates`` are the limits that have been in force until now. A charge stop has its own rule.
    ``disobeyed``: chargers are known to obey no CCL.
    """
    current_a, before_a, sent_a = context.snapshot.pack.current_a, memory.mean_a, rates.ccl_a
    mean_a = current_a if before_a is None else before_a + (current_a - before_a) * min(1.0, elapsed_s / _MEAN_S)
    if sent_a is None or not rates.running:
        return _begin(draft, context, rates, mean_a)
    peak_a, heard_a, heard_s = max(memory.peak_a, sent_a), memory.heard_a, memory.heard_s + elapsed_s
    if heard_s >= _HEARD_S:
        peak_a, heard_a, heard_s = sent_a, peak_a, 0.0
    if draft.stopped:
        return _new_memory(draft[CVL], mean_a, peak_a, heard_a, heard_s)
    told_a = max(peak_a, heard_a)
    if draft.enforced_a == math.inf:  # nothing but wishes, if anything
        ignored_s = _ignored_s(context, memory, mean_a, told_a, elapsed_s)
        return _new_memory(None, mean_a, peak_a, heard_a, heard_s, ignored_s=ignored_s)
    strict = disobeyed and _is_cold(context)
    may_a, room_a = max(draft.enforced_a, told_a), _room_a(context, rates, sent_a, strict=strict)
    level_v, calm_s, wait_s, rose = _known_v(context, memory), memory.calm_s, memory.wait_s, memory.rose
    attempt, over_s, passed = memory.attempt, 0.0, False
    if mean_a - may_a - room_a > 0.0:
        if level_v is not None and (calm_s > 0.0 or rose):
            wait_s = min(2.0 * wait_s, _LONGEST_WAIT_S)
        passed = rose and calm_s <= _PASSED_WITHIN_S
        calm_s, rose, over_s = 0.0, False, memory.over_s + elapsed_s
        level_v, attempt = _press(context, memory, rates, mean_a, mean_a - may_a, elapsed_s, strict=strict)
    elif level_v is not None:
        attempt = NO_ATTEMPT if mean_a < may_a else interrupted(attempt)
        level_v, calm_s, wait_s, rose = _release(
            draft, context, memory, mean_a, may_a, room_a, elapsed_s, disobeyed=disobeyed, strict=strict
        )
    if strict and not attempt.given_up:
        level_v = _near_v(draft, context, level_v, mean_a)
    _lower(draft, level_v, mean_a, may_a, attempt)
    ignored_s = memory.ignored_s
    if level_v is None:
        ignored_s = _ignored_s(context, memory, mean_a, told_a, elapsed_s)
    return _new_memory(
        level_v, mean_a, peak_a, heard_a, heard_s, calm_s, wait_s, rose, attempt, ignored_s, over_s, passed
    )


def _begin(draft: Draft, context: Context, rates: RateMemory, mean_a: float) -> EnforcementMemory:
    """Return the memory after a start, where the CVL that enforces CCL rises from one with which too little flows.

    Nobody knows what chargers do, and whether they obey CCL: no more flows in than may, even 0.4 V above it.
    """
    level_v = None
    if not draft.stopped and draft.enforced_a < math.inf:
        level_v = rates.cvl_v
        if not was_in_force(rates, context):
            most_v = math.inf if level_v is None else level_v
            level_v = max(min(_reckoned_v(context, draft.enforced_a, mean_a) - MPPT_OFFSET_V, most_v), context.least_v)
    _lower(draft, level_v, mean_a, draft.enforced_a, NO_ATTEMPT)
    return _new_memory(level_v, mean_a)


def _is_cold(context: Context) -> bool:
    """Return whether too much does harm at once: it plates lithium, where heat takes an hour to warm a cell."""
    coldest_c = context.snapshot.temperatures.coldest_c
    return coldest_c is not None and coldest_c < WARM_C


def _room_a(context: Context, rates: RateMemory, sent_a: float, *, strict: bool) -> float:
    """Return how much more than CCL may flow in; less where it is not obeyed, as chargers above CVL show at once."""
    pack, cvl_v, room_a = context.snapshot.pack, rates.cvl_v, room_above_ccl_a(sent_a, context.ratings)
    above = cvl_v is not None and pack.voltage_v - cvl_v >= _STANDS_ABOVE_V
    if strict or (above and pack.current_a > context.ratings.least_current_a):
        return min(room_a, max(_ROOM_SHARE * sent_a, _ROOM_C_RATE * context.ratings.capacity_ah))
    return room_a


def _near_v(draft: Draft, context: Context, level_v: float | None, mean_a: float) -> float | None:
    """Return a CVL with which no more flows in than may, as soon as the sun is there; None where none is that low."""
    near_v = _reckoned_v(context, draft.enforced_a, mean_a) + _RISE_V
    level_v = near_v if level_v is None else min(level_v, near_v)
    return level_v if level_v < draft[CVL] else None


def _lower(draft: Draft, level_v: float | None, mean_a: float, may_a: float, attempt: Attempt) -> None:
    if level_v is None:
        return
    detail = _IN_VAIN if attempt.given_up else ""
    draft.lower(CVL, level_v, LimitCode.ENFORCED, value=mean_a, threshold=may_a, detail=detail)
    draft.pressed_v = min(draft.pressed_v, level_v)


def _reckoned_v(context: Context, may_a: float, current_a: float) -> float:
    """Return the voltage of the pack with ``may_a`` in place of the current that flows, for good cells."""
    return context.snapshot.pack.voltage_v + _ohm(context) * (may_a - current_a)


def _ohm(context: Context) -> float:
    """Return the resistance of a pack of good cells."""
    ratings = context.ratings
    return _CELL_V_PER_C * ratings.series_cells / ratings.capacity_ah if ratings.capacity_ah > 0.0 else 0.0


def _ignored_s(context: Context, memory: EnforcementMemory, mean_a: float, told_a: float, elapsed_s: float) -> float:
    """Return for how long a wish has not been obeyed."""
    if told_a < mean_a and mean_a > math.ceil(told_a) + min(_WISH_MOST_A, _WISH_C_RATE * context.ratings.capacity_ah):
        return min(memory.ignored_s + elapsed_s, _WISH_S + _FORGET_S)
    return max(memory.ignored_s - elapsed_s, 0.0) if memory.ignored_s else 0.0


def _known_v(context: Context, memory: EnforcementMemory) -> float | None:
    """Return the CVL that enforces CCL; one that was learned from another pack is raised to the least of this one."""
    return None if memory.level_v is None else max(memory.level_v, context.least_v)


def _press(
    context: Context,
    memory: EnforcementMemory,
    rates: RateMemory,
    mean_a: float,
    over_a: float,
    elapsed_s: float,
    *,
    strict: bool,
) -> tuple[float, Attempt]:
    """Return the CVL that sinks from the voltage of the pack, and whether that has an effect."""
    pack_v, lowest_v = context.snapshot.pack.voltage_v, lowest_level_v(context)
    level_v = min(
        pack_v,
        math.inf if rates.cvl_v is None else rates.cvl_v,
        math.inf if memory.level_v is None else memory.level_v,
    )
    attempt = go_on(memory.attempt, mean_a, elapsed_s, lowest=level_v <= lowest_v + LITTLE_V)
    if attempt.given_up:
        return max(pack_v - _GIVEN_UP_BELOW_V, context.least_v), attempt
    sinking_v = max(sinking_v_per_s(context, over_a), _LEAST_SINKING_V_PER_S) * elapsed_s
    nothing_v = level_v - (pack_v - MPPT_OFFSET_V)
    steady = memory.over_s >= _ANSWER_S and context.snapshot.pack.current_a >= _STEADY_SHARE * mean_a
    if strict and steady and nothing_v > 0.0:
        sinking_v = max(sinking_v, min(_NOTHING_SINKING_V_PER_S * elapsed_s, nothing_v))
    return max(min(level_v, max(level_v - sinking_v, lowest_v)), context.least_v), attempt


def _release(
    draft: Draft,
    context: Context,
    memory: EnforcementMemory,
    mean_a: float,
    may_a: float,
    room_a: float,
    elapsed_s: float,
    *,
    disobeyed: bool,
    strict: bool,
) -> tuple[float | None, float, float, bool]:
    """Return the CVL that comes back step by step while less flows, and the times since the last and to the next.

    Where nobody knows whether CCL is obeyed, a step is tried with all that may flow: it tells.
    """
    level_v, calm_s, wait_s = _known_v(context, memory), memory.calm_s + elapsed_s, memory.wait_s
    assert level_v is not None
    pack_v = context.snapshot.pack.voltage_v
    binds = level_v <= pack_v + _BINDS_NOTHING_V
    discharged, capacity_ah, least_s = mean_a < 0.0, context.ratings.capacity_ah, wait_s
    if binds and disobeyed and not (discharged or mean_a < may_a - room_a):
        return level_v, memory.calm_s, wait_s, memory.rose
    too_much = strict and binds and _reckoned_v(context, _NEARLY_SHARE * may_a, mean_a) < pack_v + _RISE_V
    if too_much and mean_a > -_SOLD_C_RATE * capacity_ah:
        least_s = max(wait_s, _TOO_MUCH_WAIT_S)
    elif discharged:
        least_s = min(wait_s, _LONGEST_SOLD_S)
    if calm_s < least_s:
        return level_v, calm_s, wait_s, memory.rose
    most_v = max(context.charging.cvl_step_v, _RISE_V)
    level_v += min(max(_RISE_SHARE * _ohm(context) * (may_a - mean_a), _RISE_V), most_v)
    if level_v >= draft[CVL]:
        return None, 0.0, _LEAST_WAIT_S, False
    return level_v, 0.0, max(wait_s / 2.0, _LEAST_WAIT_S) if memory.rose else wait_s, True
