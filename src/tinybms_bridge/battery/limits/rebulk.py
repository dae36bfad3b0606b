"""When a battery that was full is charged again: FLOAT ends.

Where FLOAT follows full, a little discharge is no reason for a new charge: cells that stand at their highest voltage
each day age faster than those that rest between 90 and 100 %. It begins again when the cells show that the battery has
been used, when the count says so, or when the last full charge is too long ago; at most twice a day, so that nothing
that was overlooked can bring the cells up and down.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.times import DAY_S
from tinybms_bridge.battery.quick import quick

__all__ = ["MOST_A_DAY", "RebulkMemory", "next_rebulk"]

_LOW_S = 600.0
"""Longer than a load that makes the cells' voltage without current look too low."""

_LOW_SOC_PERCENT = 90.0
MOST_A_DAY = 2


@quick
@dataclass(frozen=True, slots=True)
class RebulkMemory:
    """What is remembered; it survives a restart."""

    low_s: float = 0.0
    """Time for which the highest cell without its current has been below where a charge begins again."""
    begun_at_s: tuple[int, ...] = ()
    """Lifetime counter of the BMS at the last ones."""


def next_rebulk(memory: RebulkMemory, context: Context, elapsed_s: float, *, due: bool) -> tuple[RebulkMemory, bool]:
    """Return the memory after ``elapsed_s`` more seconds in FLOAT, and whether it ends now.

    ``due``: the last full charge is too long ago.
    """
    low = context.rest.max_v < context.charging.rebulk_cell_v
    low_s = min(memory.low_s + elapsed_s, _LOW_S) if low else 0.0
    counted = context.soc.known and context.soc.to_discharge_percent < _LOW_SOC_PERCENT
    if low_s >= _LOW_S or counted or due:
        now_s = context.snapshot.pack.lifetime_s
        recent = tuple([at_s for at_s in memory.begun_at_s if 0 <= now_s - at_s < DAY_S])
        if len(recent) < MOST_A_DAY:
            return RebulkMemory(0.0, (*recent, now_s)), True
    return memory if low_s == memory.low_s else RebulkMemory(low_s, memory.begun_at_s), False
