"""The CVL of every charge stop: the resting voltage, and lower where charging goes on all the same.

A solar charger that feeds in heeds no CCL, and a cell at rest near full is far above one that is half charged: a CVL at
the resting voltage alone would let the sun fill a battery that must not be charged. So the level goes down to the
voltage of the pack as soon as more flows in than CCL allows, and on until it does not. It follows no pack that is not
charged, and does not rise again while the stop lasts: what it stands at is the voltage of the battery without current,
where nothing is charged and nothing sold.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import MPPT_OFFSET_V, Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import Quantity
from tinybms_bridge.battery.limits.rates import RateMemory

__all__ = ["StopMemory", "follow_stop", "set_stop_level"]

_PATIENCE_S = 5.0
"""A GX needs up to 3 s, and chargers some more, to follow a new limit."""

_FORGETTING = 0.1
"""A BMS that cuts the charge every few seconds does not make a charger heed CCL: slowly it is forgotten."""

_IDLE_A = 0.5
_IDLE_C_RATE = 0.002
"""What flows above CCL without being a charge: noise and offset of a sensor."""

_SINKING_V_PER_AH = 1.0
"""How fast the level sinks for each ampere above CCL."""

_SINKING_V_PER_S = 0.02
"""Faster, and chargers would not follow: the level would pass the voltage that it looks for."""

_MOST_BELOW_V = MPPT_OFFSET_V + 0.2
"""Below the pack by this much, every charger that heeds CVL has stopped; who charges on heeds none."""


@dataclass(frozen=True, slots=True)
class StopMemory:
    """What is remembered of a stop; it survives a restart."""

    level_v: float | None = None
    """CVL of the present stop, and of a new one that comes before CVL has risen from it; None = resting."""
    over_s: float = 0.0
    """Time in which more has flowed in than CCL allows."""


def set_stop_level(draft: Draft, context: Context, memory: StopMemory) -> None:
    """Tell the draft to which CVL a stop of any stage lowers it."""
    level_v = memory.level_v
    if level_v is None or not context.floor_v <= level_v <= context.resting_v:  # or learned from another pack
        level_v = context.resting_v
    draft.stop_v = min(level_v, draft[Quantity.CVL])


def follow_stop(draft: Draft, context: Context, memory: StopMemory, rates: RateMemory, elapsed_s: float) -> StopMemory:
    """Return the memory after ``elapsed_s`` more seconds with fresh data and the limits that have been in force."""
    if not draft.stopped:
        return _after(context, rates)
    if rates.cvl_v is not None and context.resting_v < rates.cvl_v < math.inf:
        return memory  # CVL is on its way down, for a wish in steps, and has had no chance to end anything
    pack, capacity_ah = context.snapshot.pack, context.ratings.capacity_ah
    over_a = pack.current_a - (rates.ccl_a or 0.0) - max(_IDLE_A, _IDLE_C_RATE * capacity_ah)
    if over_a > 0.0:
        over_s = min(memory.over_s + elapsed_s, _PATIENCE_S)
    else:
        over_s = max(0.0, memory.over_s - _FORGETTING * elapsed_s)
    if over_a <= 0.0 or over_s < _PATIENCE_S:
        return StopMemory(memory.level_v, over_s)
    level_v = min(draft.stop_v, pack.voltage_v)
    sinking_v = min(_SINKING_V_PER_AH * over_a / 3600.0, _SINKING_V_PER_S) * elapsed_s
    level_v = min(level_v, max(level_v - sinking_v, pack.voltage_v - _MOST_BELOW_V))
    return StopMemory(max(level_v, context.floor_v), over_s)


def _after(context: Context, rates: RateMemory) -> StopMemory:
    """Keep the level while CVL rises from it: a stop that comes again begins where it was."""
    if rates.cvl_v is None or rates.cvl_v >= context.resting_v:
        return StopMemory()
    return StopMemory(level_v=rates.cvl_v)
