"""Balancing gets done: a small charge current is kept where the BMS bleeds, until the cells are alike.

A TinyBMS bleeds 150 mA, only from cells above register 303 and only while it reads a charge current
(tinybms-protocol.md, 5.5). A charge that ends when its first cell is full therefore balances next to nothing: that cell
passes from register 303 to its target within minutes, and then no current flows. A held current of 1 A does not help
either, since it charges a cell seven times as fast as the bleeding empties it. What helps is to go to and fro: the
highest cell is charged with a small current up to its top, discharged a little by the loads (or sold) to just above
register 303, and charged again. Nearly all of the time a charge current is read, and no cell stays at a high voltage.

This is done while the cells are known to be apart. On *balancing days* the top is just below register 300, which shows
how far apart they are, and helps where register 303 lies above the target of other days.

The reasons of its numbers: charge-control.md#balancing.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.gx import STOPPED_BELOW_V
from tinybms_bridge.battery.limits.balancing_memory import (
    CHARGE,
    OFF,
    REST,
    BalancingMemory,
    BalancingPhase,
    spread_of,
    top_curve,
)
from tinybms_bridge.battery.limits.context import Context, fixed
from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, LimitCode, down_to_step
from tinybms_bridge.battery.limits.presets import Chemistry
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.times import DAY_S, lag_share
from tinybms_bridge.battery.quick import replacer

__all__ = ["apply_balancing", "hold_a", "next_balancing"]

_BLEED_A = 0.15
"""Of each cell that is bled (tinybms-protocol.md, 5.5)."""

_BEGIN_SHARE, _END_SHARE = 0.005, 0.003
"""Of the capacity: cells further apart are balanced, until they are nearer than the second. A BMS calls cells alike at
a few millivolts, which near full are less than its readings can tell."""

_FAR_APART_SHARE = 0.01
"""Cells further apart than this get balancing days more often."""

_OFTEN_DAYS, _EACH_DAY = 3.0, 0.9
"""So often: with a top of other days above register 303, and where only balancing days bleed."""

_LONGEST_DAY_S = 14400.0
_ENOUGH_OF_DAY_S = 3600.0
"""A balancing day lasts no longer than the first, and one that the sun has ended before the second begins anew."""

_ABOVE_R303_V = 0.01
"""A cell that is discharged nearer to register 303 may be taken for one below it."""

_DEEP_V = {Chemistry.LFP: 0.10, Chemistry.LI_ION: 0.015, Chemistry.LTO: 0.03}
"""How far the highest cell is discharged at most: where the curve is less steep, that is much of the capacity."""

_BLEEDS_ANYWAY_SHARE = 0.5
"""Where so much of the charge lies above register 303, as on most Li-ion units, every charge is hours of bleeding by
itself, and nothing has to be kept at its top for it."""

_LEAST_ROOM_V = 0.015
"""With less between register 303 and the top there is nothing to go to and fro in."""

_AWAY_SHARE, _LEFT_SHARE = 0.005, 0.015
"""Of the capacity: so far the battery is discharged at most, and so far loads have to discharge it until the going to
and fro is over."""

_NEAR_TOP_V = 0.05
_SMALL_C_RATE = 0.05
"""The spread is looked at with the highest cell so near its target, and with no more than this current."""

_LAG_S, _SEEN_S = 120.0, 60.0
"""Over the first it is averaged, and after the second it counts."""

_STEP_V, _STEP_S, _REST_STEP_S = 0.1, 60.0, 20.0
"""Steps of CVL are those of frame 0x351: up one a minute, since it is a tenth of 1C in a good pack, and what it makes
flow falls by itself; down three times as fast in order to rest."""

_STEP_SHARE = 0.5
"""Of such a step the highest cell takes up to so much, since it is where the curve is steep."""

_SHORTEST_REST_S = 300.0
"""A pack of few cells goes down and up within seconds, where a step of CVL is a third of 1C."""

_READ_SHARE = 0.8
"""CVL rises while less than this share of the hold current flows."""

_CVL_IS_FAR_V = 0.3
"""With CVL so far above the pack it is CCL that chargers obey."""

_UNBLED_S, _RAISE_SHARE = 60.0, 0.25
"""A cell that the BMS wants to bleed and does not for so long needs more current, by this share of the first."""

_SPAN_DAYS = 8.0
"""What has been bled is averaged over up to so many days."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from the settings alone."""

    top_v: float
    """Of the highest cell."""
    low_v: float
    """To where it is discharged."""
    helps: bool
    """Whether keeping the highest cell between them, or a balancing day, makes the BMS bleed more."""
    bleeds: bool
    """Whether the BMS bleeds between them."""
    near_v: float
    """The spread is seen from here."""
    curve: Curve
    begin_ah: float
    end_ah: float
    far_ah: float
    away_ah: float
    left_ah: float
    small_a: float
    read_a: float


_changed = replacer(BalancingMemory)


@fixed
def _plan(context: Context) -> _Plan:
    ratings, charging, fit = context.ratings, context.charging, context.fit
    chemistry, capacity_ah, top_v = fit.chemistry.chemistry, ratings.capacity_ah, charging.target_cell_v
    from_v = ratings.early_balancing_cell_v or 0.0
    low_v = max(top_v - _DEEP_V[chemistry], from_v + _ABOVE_R303_V)
    # Without register 303 nobody knows where the BMS bleeds: near full is right for most.
    at_rest = fit.preset.soc_at_rest
    anyway = from_v > 0.0 and at_rest.at(top_v) - at_rest.at(from_v) > _BLEEDS_ANYWAY_SHARE
    helps = charging.by_chemistry and not anyway and 0.0 < capacity_ah < math.inf
    return _Plan(
        top_v=top_v,
        low_v=low_v,
        helps=helps,
        bleeds=helps and low_v <= top_v - _LEAST_ROOM_V,
        near_v=top_v - _NEAR_TOP_V,
        curve=top_curve(chemistry, fit.preset),
        begin_ah=_BEGIN_SHARE * capacity_ah,
        end_ah=_END_SHARE * capacity_ah,
        far_ah=_FAR_APART_SHARE * capacity_ah,
        away_ah=-_AWAY_SHARE * capacity_ah,
        left_ah=-_LEFT_SHARE * capacity_ah,
        small_a=_SMALL_C_RATE * capacity_ah,
        read_a=max(_READ_SHARE * charging.hold_a, ratings.least_current_a),
    )


def next_balancing(memory: BalancingMemory, context: Context, elapsed_s: float) -> BalancingMemory:
    """Return the memory after ``elapsed_s`` more seconds with this sample, which is fresh."""
    plan, cells = _plan(context), context.snapshot.cells
    bleeds = True in cells.balancing
    if not (memory.active or bleeds or memory.seen_s) and cells.max_v < min(plan.near_v, plan.low_v):
        return memory
    if bleeds:
        memory = _count(memory, context, plan, elapsed_s)
    memory = _look(memory, context, plan, elapsed_s)
    memory = _follow_day(memory, context, plan, elapsed_s)
    memory = _go_on(memory, context, plan, elapsed_s)
    return _raise(memory, context, elapsed_s)


def apply_balancing(draft: Draft, context: Context, memory: BalancingMemory) -> None:
    """Lower CVL and CCL to what the present phase allows.

    Its CVL is no wish that is lowered in steps: it begins at the voltage of the pack, where nothing is sold, and during
    those steps a full sun would bring the highest cell past its top.
    """
    if memory.phase is OFF and not _goes_slowly(memory, context):
        return
    spread_ah, detail = memory.spread_ah, memory.phase.value
    level_v = max(memory.level_v, context.floor_v)
    draft.lower(CVL, level_v, LimitCode.BALANCING, value=spread_ah, detail=detail)
    if memory.phase is OFF:
        return
    draft.lower(CCL, hold_a(memory, context), LimitCode.BALANCING, value=spread_ah, detail=detail)


def hold_a(memory: BalancingMemory, context: Context) -> float:
    """Return the charge current with which cells are held, raised where the BMS does not bleed with less."""
    charging = context.charging
    return min(charging.hold_a + memory.raised_a, charging.most_hold_a) if memory.raised_a else charging.hold_a


def _count(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> BalancingMemory:
    """Count what is bled; older days count for less and less."""
    lifetime_s, bled_ah = context.snapshot.pack.lifetime_s, memory.bled_ah
    from_s = lifetime_s if memory.bled_from_lifetime_s is None else memory.bled_from_lifetime_s
    if not 0 <= lifetime_s - from_s <= 2.0 * _SPAN_DAYS * DAY_S:
        from_s, bled_ah = lifetime_s, 0.0
    elif lifetime_s - from_s > _SPAN_DAYS * DAY_S:
        from_s, bled_ah = from_s + int(_SPAN_DAYS / 2.0 * DAY_S), bled_ah / 2.0
    cells = context.snapshot.cells
    each_ah = _BLEED_A * elapsed_s / 3600.0
    now_ah = each_ah * sum(cells.balancing)
    each_ah *= max(1, cells.count // context.ratings.series_cells)  # the capacity is that of all packs as well
    memory = _changed(memory, bled_ah=bled_ah + now_ah, bled_from_lifetime_s=from_s, bled_to_lifetime_s=lifetime_s)
    if not memory.at_least or memory.spread_ah is None or memory.spread_ah <= plan.far_ah:
        return memory
    return _changed(memory, spread_ah=memory.spread_ah - each_ah, work_ah=max(memory.work_ah - now_ah, plan.far_ah))


def _look(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> BalancingMemory:
    """Look at the spread while it can be seen."""
    snapshot, ratings = context.snapshot, context.ratings
    high_v = snapshot.cells.max_v
    if high_v < plan.near_v or not 0.0 <= snapshot.pack.current_a <= plan.small_a:
        far = memory.seen_s and memory.phase is OFF and high_v < plan.low_v
        return _changed(memory, seen_s=0.0) if far else memory
    seen, seen_s = spread_of(snapshot, ratings, plan.curve, plan.end_ah), memory.seen_s + elapsed_s
    share = lag_share(elapsed_s, _LAG_S) if memory.seen_s else 1.0
    ah, work_ah = memory.seen_ah, memory.seen_work_ah
    ah, work_ah = ah + share * (seen.ah - ah), work_ah + share * (seen.work_ah - work_ah)
    if seen_s < _SEEN_S or (seen.at_least and memory.at_least and memory.spread_ah is not None):
        return _changed(memory, seen_s=seen_s, seen_ah=ah, seen_work_ah=work_ah)
    return _changed(
        memory,
        spread_ah=ah,
        work_ah=work_ah,
        at_least=seen.at_least,
        seen_s=seen_s,
        seen_ah=ah,
        seen_work_ah=work_ah,
    )


def _follow_day(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> BalancingMemory:
    """Begin and end balancing days."""
    interval_days = context.settings.policy.full_charge_interval_days
    lifetime_s, high_v = context.snapshot.pack.lifetime_s, context.snapshot.cells.max_v
    if memory.day:
        day_s = memory.day_s + elapsed_s if high_v >= plan.low_v else memory.day_s
        alike = memory.seen_s >= _SEEN_S and memory.spread_ah is not None and memory.spread_ah <= plan.end_ah
        over = context.rest.max_v < context.no_longer_full_cell_v
        if day_s < _LONGEST_DAY_S and not alike and not over:
            return _changed(memory, day_s=day_s)
        done = alike or day_s >= _ENOUGH_OF_DAY_S
        at_s = lifetime_s if done else memory.day_at_lifetime_s
        return _changed(memory, day=False, day_s=0.0, day_at_lifetime_s=at_s, phase=OFF, seen_s=0.0)
    spread_ah, last_s = memory.spread_ah, memory.day_at_lifetime_s
    if memory.seen_s < _SEEN_S or spread_ah is None or interval_days <= 0.0:
        return memory
    if context.charging.balancing is None or not plan.helps:
        return memory
    if last_s is None:
        return _changed(memory, day_at_lifetime_s=lifetime_s)
    if spread_ah >= plan.far_ah:
        interval_days = min(interval_days, _OFTEN_DAYS if plan.bleeds else _EACH_DAY)
    if 0.0 <= (lifetime_s - last_s) / DAY_S < interval_days:
        return memory
    level_v = down_to_step(context.charging.target_v)
    return _changed(memory, day=True, day_s=0.0, phase=OFF, seen_s=0.0, level_v=level_v, waited_s=0.0)


def _go_on(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> BalancingMemory:
    """Begin, turn round and end the going to and fro of the highest cell."""
    snapshot, spread_ah = context.snapshot, memory.spread_ah
    if spread_ah is None or not plan.bleeds:
        memory = memory if memory.phase is OFF else _changed(memory, phase=OFF)
        return _approach(memory, context, plan, elapsed_s)
    high_v, current_a = snapshot.cells.max_v, snapshot.pack.current_a
    rested_v = high_v - current_adds_v(snapshot, context.ratings)
    if memory.phase is OFF:
        if spread_ah < (plan.end_ah if memory.day else plan.begin_ah) or rested_v < plan.low_v:
            return _approach(memory, context, plan, elapsed_s)
        level_v = down_to_step(snapshot.pack.voltage_v)
        return _changed(_in_phase(memory, CHARGE, level_v, 0.0), raised_a=0.0)
    away_ah = min(0.0, memory.away_ah + current_a * elapsed_s / 3600.0)
    alike = spread_ah < plan.end_ah and memory.seen_s >= _SEEN_S
    if alike or away_ah <= plan.left_ah:
        return _changed(memory, phase=OFF, seen_s=0.0)
    if memory.phase is CHARGE and (high_v >= plan.top_v or _ends_early(memory, context, plan)):
        level_v = down_to_step(min(snapshot.pack.voltage_v - _STEP_V, memory.level_v))
        return _in_phase(memory, REST, level_v, 0.0)
    rested = memory.phase is REST and memory.phase_s >= _SHORTEST_REST_S and rested_v <= plan.low_v
    if rested or (memory.phase is REST and away_ah <= plan.away_ah):
        return _in_phase(memory, CHARGE, memory.level_v, away_ah)
    level_v, waited_s = _level(memory, context, plan, elapsed_s)
    phase_s = memory.phase_s + elapsed_s
    return _changed(memory, phase_s=phase_s, level_v=level_v, waited_s=waited_s, away_ah=away_ah)


def _approach(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> BalancingMemory:
    """Return the memory on a balancing day whose highest cell is not at its top: under feed-in CVL rises slowly."""
    if not (memory.day and context.charging.feed_in):
        return memory
    pack, waited_s = context.snapshot.pack, min(memory.waited_s + elapsed_s, _STEP_S)
    if not memory.level_v > 0.0:  # after a restart
        return _changed(memory, level_v=down_to_step(pack.voltage_v), waited_s=0.0)
    if waited_s < _STEP_S or pack.current_a >= plan.small_a or pack.voltage_v < memory.level_v - _STEP_V:
        return memory if waited_s == memory.waited_s else _changed(memory, waited_s=waited_s)
    return _changed(memory, level_v=min(memory.level_v + _STEP_V, context.charging.target_v), waited_s=0.0)


def _goes_slowly(memory: BalancingMemory, context: Context) -> bool:
    """Return whether CVL has to be held because chargers that obey no CCL would take every rise of it at once."""
    charging = context.charging
    of_day = memory.day or charging.of_balancing_day  # in the step in which it ends its target counts the last time
    return of_day and memory.phase is OFF and charging.feed_in and memory.level_v > 0.0


def _in_phase(memory: BalancingMemory, phase: BalancingPhase, level_v: float, away_ah: float) -> BalancingMemory:
    return _changed(memory, phase=phase, phase_s=0.0, level_v=level_v, waited_s=0.0, away_ah=away_ah)


def _ends_early(memory: BalancingMemory, context: Context, plan: _Plan) -> bool:
    """Return whether the next step of CVL would pass the top, where chargers take all that it gives."""
    near = context.charging.feed_in and context.snapshot.cells.max_v > plan.top_v - _STEP_SHARE * _STEP_V
    return near and memory.waited_s >= _STEP_S and context.snapshot.pack.current_a < plan.read_a


def _level(memory: BalancingMemory, context: Context, plan: _Plan, elapsed_s: float) -> tuple[float, float]:
    """Return the CVL of this phase, and the time since its last step."""
    pack, waited_s, level_v = context.snapshot.pack, memory.waited_s + elapsed_s, memory.level_v
    if memory.phase is REST:
        if pack.current_a < 0.0 or waited_s < _REST_STEP_S:
            return level_v, min(waited_s, _REST_STEP_S)
        lower_v = max(down_to_step(min(level_v, pack.voltage_v) - _STEP_V), context.floor_v)
        return max(lower_v, min(level_v, pack.voltage_v - STOPPED_BELOW_V)), 0.0
    # Under feed-in the pack stands at CVL or above: below it is the sun that is missing, and a rise would meet it.
    no_sun = context.charging.feed_in and pack.voltage_v < level_v - _STEP_V
    if pack.current_a >= plan.read_a or waited_s < _STEP_S or no_sun:
        return level_v, min(waited_s, _STEP_S)
    return min(level_v + _STEP_V, context.charging.target_v), 0.0


def _raise(memory: BalancingMemory, context: Context, elapsed_s: float) -> BalancingMemory:
    """Raise the hold current while a cell waits to be bled."""
    cells, charging = context.snapshot.cells, context.charging
    pack = context.snapshot.pack
    # A current that reads 0 may be smaller than CCL because CVL is still on its way up to the pack.
    flows = pack.current_a > 0.0 or (pack.current_a == 0.0 and pack.voltage_v < memory.level_v - _CVL_IS_FAR_V)
    waits = flows and memory.phase is CHARGE and True in cells.wanted and True not in cells.balancing
    if not waits:
        return _changed(memory, unbled_s=0.0) if memory.unbled_s else memory
    unbled_s = memory.unbled_s + elapsed_s
    if unbled_s < _UNBLED_S:
        return _changed(memory, unbled_s=unbled_s)
    raised_a = min(memory.raised_a + _RAISE_SHARE * charging.hold_a, max(0.0, charging.most_hold_a - charging.hold_a))
    return _changed(memory, raised_a=raised_a, unbled_s=0.0)
