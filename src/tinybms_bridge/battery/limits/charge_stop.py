"""Stage 7, the CVL of every charge stop: those that the bridge decides, and that of the charger switch of the BMS.

At a stop CVL is the resting voltage, and lower where charging goes on all the same. A solar charger that feeds in obeys
no CCL, and a cell at rest near full is far above one that is half charged: a CVL at the resting voltage alone would let
the sun fill a battery that must not be charged. So the level goes down to the voltage of the pack as soon as more flows
in than CCL allows, and on until it does not. It follows no pack that is not charged, and does not rise again while the
stop lasts: what it stands at is the voltage of the battery without current, where nothing is charged and nothing sold.
Where the lowest level changes nothing, a source charges that no GX controls: the level then stays just below the pack,
and the user is told.

A TinyBMS opens its charger switch where a cell comes to register 300, balances, and closes it when the cells agree
(tinybms-protocol.md, 5.3). Behind an open switch the chargers stand at their target, volts above the pack, and
it would close into all that they have. So CVL follows the pack down and waits there for as long: it closes without a
step. The switch itself is told by no register. What shows it is a charge that ends within a second, at a cell that was
there.

The reasons of its numbers: charge-control.md#charge-stops.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.gx import MPPT_OFFSET_V, STOPPED_BELOW_V
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.fit import least_flow_a
from tinybms_bridge.battery.limits.model import CVL, LimitCode
from tinybms_bridge.battery.limits.rates import RateMemory
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = [
    "LITTLE_V",
    "NO_ATTEMPT",
    "NO_SWITCH",
    "Attempt",
    "StopMemory",
    "SwitchMemory",
    "follow_stop",
    "follow_switch",
    "go_on",
    "interrupted",
    "lowest_level_v",
    "set_stop_level",
    "sinking_v_per_s",
]


_PATIENCE_S = 5.0
"""A GX needs up to 3 s, and chargers some more, to follow a new limit."""

_CLOSES_WITHIN_C = 0.5
"""The noise of a sensor closes the switch of the BMS for seconds from so far below register 320."""

_FORGETTING = 0.1
"""A BMS that cuts the charge every few seconds does not make a charger obey CCL: slowly it is forgotten."""

_SINKING_V_PER_S = 0.02
"""Faster, and chargers would not follow: the level would pass the voltage that it looks for."""

_SINKING_CELL_V_PER_S_C = 0.005
"""How fast the level sinks for each 1C above CCL, per cell. Between a frame and the current that follows lie some 8 s,
and a good cell has some 0.07 V per 1C: half of the way in that time, so that the level does not swing."""


_GIVEN_UP_BELOW_V = MPPT_OFFSET_V
"""Where the level stands when lowering it is in vain: the chargers of the GX, at least, add nothing."""

LITTLE_V = 0.05
"""A level this close to the lowest possible one is as low as it gets."""

_EFFECT_RATIO = 0.8
_VAIN_S = 60.0
_RETRY_S = 900.0
"""Lowering CVL has an effect when a fifth of the current is gone; without it after a minute it only sells the battery.
A source that no GX controls, an alternator, stays for hours: it is tried again after a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether lowering CVL has had an effect on what flows in."""

    from_a: float | None = None
    """Current at its begin; None = none yet."""
    waited_s: float = 0.0
    """Time at the lowest CVL without effect; once given up, time since then."""
    given_up: bool = False
    in_vain: bool = False
    """One has been given up, and nothing has ended the current since."""


NO_ATTEMPT = Attempt()


@dataclass(frozen=True, slots=True)
class StopMemory:
    """What is remembered of a stop; its level survives a restart."""

    level_v: float | None = None
    """CVL of the present stop, and of a new one that comes before CVL has risen from it; None = resting."""
    over_s: float = 0.0
    """Time in which more has flowed in than CCL allows."""
    attempt: Attempt = NO_ATTEMPT


def set_stop_level(draft: Draft, context: Context, memory: StopMemory) -> None:
    """Tell the draft to which CVL a stop of any stage lowers it."""
    level_v = memory.level_v
    if level_v is None or not context.least_v <= level_v <= context.resting_v:  # or learned from another pack
        level_v = context.resting_v
    draft.level_v = level_v
    draft.stop_v = min(level_v, draft[CVL])


def follow_stop(
    draft: Draft,
    context: Context,
    memory: StopMemory,
    rates: RateMemory,
    elapsed_s: float,
    *,
    disobeyed: bool = False,
) -> StopMemory:
    """Return the memory after ``elapsed_s`` more seconds with fresh data and the limits that have been in force.

    ``disobeyed``: chargers are known to obey no CCL.
    """
    if not draft.stopped:
        return _after(context, rates)
    if rates.cvl_v is not None and context.resting_v < rates.cvl_v < math.inf:
        return memory  # CVL is on its way down, for a wish in steps, and has had no chance to end anything
    pack, idle_a = context.snapshot.pack, least_flow_a(context.ratings)
    over_a = pack.current_a - (rates.ccl_a or 0.0) - idle_a
    if not over_a > 0.0:
        level_v = memory.level_v
        if (disobeyed or memory.over_s >= _PATIENCE_S) and over_a >= -2.0 * idle_a and _may_flow(context):
            level_v = min(draft.level_v, pack.voltage_v)
        return StopMemory(level_v, max(0.0, memory.over_s - _FORGETTING * elapsed_s))
    over_s = min(memory.over_s + elapsed_s, _PATIENCE_S)
    if over_s < _PATIENCE_S:
        return StopMemory(memory.level_v, over_s, memory.attempt)
    level_v, lowest_v = min(draft.level_v, pack.voltage_v), lowest_level_v(context)
    if draft[CVL] > draft.level_v + LITTLE_V:
        return StopMemory(level_v, over_s, memory.attempt)  # the same: it has to arrive before it sinks on
    attempt = go_on(memory.attempt, pack.current_a, elapsed_s, lowest=level_v <= lowest_v + LITTLE_V)
    if attempt.given_up:
        level_v = min(max(pack.voltage_v - _GIVEN_UP_BELOW_V, context.least_v), context.resting_v)
        return StopMemory(level_v, over_s, attempt)
    sunk_v = max(level_v - sinking_v_per_s(context, over_a) * elapsed_s, lowest_v)
    return StopMemory(max(min(level_v, sunk_v), context.least_v), over_s, attempt)


def _may_flow(context: Context) -> bool:
    """Return whether the BMS lets a charge in, or soon may: in frost its own switch is open until register 320."""
    coldest_c = context.snapshot.temperatures.coldest_c
    return coldest_c is None or coldest_c >= context.ratings.low_temperature_charge_c - _CLOSES_WITHIN_C


def lowest_level_v(context: Context) -> float:
    """Return the lowest CVL against chargers that obey no CCL, at the present voltage of the pack."""
    return max(context.least_v, context.snapshot.pack.voltage_v - STOPPED_BELOW_V)


def sinking_v_per_s(context: Context, over_a: float) -> float:
    """Return how fast CVL sinks while ``over_a`` more flow in than may."""
    capacity_ah = context.ratings.capacity_ah
    if not capacity_ah > 0.0:
        return _SINKING_V_PER_S
    return min(_SINKING_CELL_V_PER_S_C * context.ratings.series_cells * over_a / capacity_ah, _SINKING_V_PER_S)


def go_on(attempt: Attempt, current_a: float, elapsed_s: float, *, lowest: bool) -> Attempt:
    """Return the attempt after ``elapsed_s`` more seconds in which too much flows in; ``lowest``: CVL is at its end."""
    if attempt.given_up:
        waited_s = attempt.waited_s + elapsed_s
        if waited_s < _RETRY_S:
            return Attempt(attempt.from_a, waited_s, given_up=True, in_vain=True)
        return Attempt(current_a, in_vain=True)
    if attempt.from_a is None:
        return Attempt(current_a)
    if current_a <= _EFFECT_RATIO * attempt.from_a:
        return Attempt(attempt.from_a)
    waited_s = attempt.waited_s + (elapsed_s if lowest else 0.0)
    if waited_s < _VAIN_S:
        return Attempt(attempt.from_a, waited_s, in_vain=attempt.in_vain)
    return Attempt(attempt.from_a, given_up=True, in_vain=True)


def interrupted(attempt: Attempt) -> Attempt:
    """Return the attempt while what flows in is near what may: one that is not given up begins to wait anew."""
    return attempt if attempt.given_up or not attempt.waited_s else Attempt(attempt.from_a, in_vain=attempt.in_vain)


def _after(context: Context, rates: RateMemory) -> StopMemory:
    """Keep the level while CVL rises from it: a stop that comes again begins where it was."""
    if rates.cvl_v is None or rates.cvl_v >= context.resting_v:
        return _NO_STOP
    return StopMemory(level_v=rates.cvl_v)


_NO_STOP = StopMemory()


_AT_FULL_V = 0.005
"""A cell this close to register 300 may have been there between two readings."""

_CHARGED_A = 2.0
"""A smaller current closes no switch with a step worth the name, and ends by itself near full."""

_WITHIN_S = 1.0
"""Chargers take longer to end a charge by themselves; a switch needs none of it."""

_CLOSES_BELOW_V = 0.03
"""With the highest cell this far below register 300 the cells have agreed, or a load has brought it there."""

_LONGEST_S = 600.0
"""The bleeding of 150 mA takes hours: longer than this CVL does not wait for a switch that is told by a guess."""


@quick
@dataclass(frozen=True, slots=True)
class SwitchMemory:
    """What is remembered; nothing of it is saved, since CVL rises from the voltage of the pack after a restart too."""

    charged_at_s: float | None = None
    """Time of the last reading that counted as a charge with a cell at register 300."""
    level_v: float | None = None
    """CVL while the switch is taken for open; None while it is not."""
    open_s: float = 0.0
    """For how long it has been."""


NO_SWITCH = SwitchMemory()


def follow_switch(
    draft: Draft,
    context: Context,
    window: Sequence[Snapshot],
    memory: SwitchMemory,
    elapsed_s: float,
) -> SwitchMemory:
    """Lower CVL while the charger switch seems open; return the memory after ``elapsed_s`` more seconds.

    Call it with fresh data. ``window``: the last readings, of which those count that confirm each other.
    """
    if memory.level_v is None:
        if memory.charged_at_s is None and context.snapshot.cells.max_v < _near_v(context):
            return memory
        memory = _watch(context, window, memory)
    else:
        memory = _wait(context, memory, elapsed_s)
    if context.snapshot.pack.current_a == 0.0 and _has_opened(context, window, memory):
        memory = SwitchMemory(level_v=context.ceiling_v)
    if memory.level_v is None:
        return memory
    pack, level_v = context.snapshot.pack, memory.level_v
    if pack.current_a == 0.0:  # what a load takes away comes back with it
        level_v = min(level_v, pack.voltage_v - (MPPT_OFFSET_V if context.charging.feed_in else 0.0))
    draft.lower(
        CVL,
        max(level_v, context.floor_v),
        LimitCode.SWITCH_OPEN,
        value=context.snapshot.cells.max_v,
        threshold=context.ratings.fully_charged_cell_v,
        cell=context.snapshot.cells.max_number,
    )
    return memory if level_v == memory.level_v else SwitchMemory(None, level_v, memory.open_s)


def _near_v(context: Context) -> float:
    return context.ratings.fully_charged_cell_v - _CLOSES_BELOW_V


def _watch(context: Context, window: Sequence[Snapshot], memory: SwitchMemory) -> SwitchMemory:
    """Remember the last charge with a cell at register 300; two readings have to show the cell."""
    snapshot, at_v = context.snapshot, context.ratings.fully_charged_cell_v - _AT_FULL_V
    if not (snapshot.pack.current_a > _CHARGED_A and len(window) > 1 and _second_highest_v(window) >= at_v):
        return memory
    return SwitchMemory(charged_at_s=snapshot.taken_at_s)


def _second_highest_v(window: Sequence[Snapshot]) -> float:
    return sorted([each.cells.max_v for each in window])[-2]


def _has_opened(context: Context, window: Sequence[Snapshot], memory: SwitchMemory) -> bool:
    """Return whether the charge that was remembered has ended within a second, or from one reading to the next."""
    if memory.charged_at_s is None:
        return False
    since_s = context.snapshot.taken_at_s - memory.charged_at_s
    return 0.0 <= since_s <= _WITHIN_S or (len(window) > 1 and window[-2].taken_at_s <= memory.charged_at_s)


def _wait(context: Context, memory: SwitchMemory, elapsed_s: float) -> SwitchMemory:
    """Count the time until the switch must have closed, or has: then current flows in, or the cells are below."""
    snapshot, open_s = context.snapshot, memory.open_s + elapsed_s
    if snapshot.pack.current_a > 0.0 or snapshot.cells.max_v < _near_v(context) or open_s >= _LONGEST_S:
        return NO_SWITCH
    return SwitchMemory(None, memory.level_v, open_s)
