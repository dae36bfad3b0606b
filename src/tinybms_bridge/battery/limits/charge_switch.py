"""The charger switch of the BMS has opened at register 300: CVL waits at the voltage of the pack until it closes.

A TinyBMS opens its charger switch where a cell comes to register 300, balances, and closes it when the cells agree
(protocol reference, section 5.3). Behind an open switch the chargers stand at their target, volts above the pack, and
it would close into all that they have. So CVL follows the pack down for as long: it closes without a step.

The switch itself is told by no register. What shows it is a charge that ends within a second, at a cell that was there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import MPPT_OFFSET_V, Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CVL, LimitCode
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["NO_SWITCH", "SwitchMemory", "follow_switch"]

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
        detail=f"cell {context.snapshot.cells.max_number}",
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
