"""Stage 3: CVL follows the highest cell, so that no cell passes the BMS's cutoff while others are still low.

The controller of the seed's firmware (reference firmware, section 5.4), with its faults mended: it acts on the CVL
that is in force instead of on a ceiling far above it, learns at which CVL the highest cell became too high and stays
below it, rises again by a ramp up to the target and not only for one cycle, and leaves DCL alone.
"""

from dataclasses import dataclass, replace

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity

__all__ = ["ProtectionMemory", "protect_cells"]

_BACKOFF_V = 0.1
"""How far below the CVL that was too high the controller stays: one step of frame 0x351."""


@dataclass(frozen=True, slots=True)
class ProtectionMemory:
    """What the controller remembers; None while no cell was too high."""

    cap_v: float | None = None
    """CVL that the controller allows now."""
    knee_v: float | None = None
    """CVL at which the highest cell was too high; ``cap_v`` rises up to a step below it."""
    since_knee_s: float = 0.0
    """Time since the knee was learned or raised."""


def protect_cells(draft: Draft, context: Context, memory: ProtectionMemory, elapsed_s: float) -> ProtectionMemory:
    """Lower CVL while the highest cell is, or lately was, above the protection threshold; return the new memory."""
    target_v, max_v = draft[Quantity.CVL], context.snapshot.cells.max_v
    excess_v = max_v - context.protection_threshold_v
    if excess_v > 0.0:
        memory = _lower(memory, context, target_v, excess_v)
    elif memory.cap_v is not None:
        memory = _recover(memory, context, target_v, elapsed_s)
    if memory.cap_v is not None:
        draft.lower(
            Quantity.CVL,
            max(memory.cap_v, context.floor_v),
            LimitCode.CELL_HIGH,
            value=max_v,
            threshold=context.protection_threshold_v,
            detail=f"cell {context.snapshot.cells.max_number}",
        )
    return memory


def _lower(memory: ProtectionMemory, context: Context, target_v: float, excess_v: float) -> ProtectionMemory:
    """Learn the knee, and go below it at once, the more the further the cell is above its threshold."""
    settings, pack = context.settings.protection, context.snapshot.pack
    in_force_v = target_v if memory.cap_v is None else min(memory.cap_v, target_v)
    # While current is limited the pack is below the CVL, under feed-in above it: the lower one was too high.
    reached_v = min(in_force_v, pack.voltage_v)
    knee_v = reached_v if memory.knee_v is None else min(memory.knee_v, reached_v)
    knee_v = max(knee_v, context.floor_v)
    weight = 1.0 + max(pack.current_a, 0.0) / settings.nominal_current_a
    cap_v = knee_v - _BACKOFF_V - settings.gain * weight * excess_v
    if memory.cap_v is not None:
        cap_v = min(cap_v, memory.cap_v)
    return ProtectionMemory(cap_v=max(cap_v, context.floor_v), knee_v=knee_v)


def _recover(memory: ProtectionMemory, context: Context, target_v: float, elapsed_s: float) -> ProtectionMemory:
    """Rise by the ramp up to a step below the knee once the cell is released, and raise the knee slowly."""
    assert memory.cap_v is not None
    assert memory.knee_v is not None
    settings = context.settings.protection
    since_s = memory.since_knee_s + elapsed_s
    if context.snapshot.cells.max_v > context.protection_release_v:
        return replace(memory, since_knee_s=since_s)
    knee_v = memory.knee_v
    if since_s >= settings.relearn_s:
        knee_v, since_s = knee_v + _BACKOFF_V, 0.0
    cap_v = min(memory.cap_v + settings.recovery_v_per_s * elapsed_s, max(knee_v - _BACKOFF_V, memory.cap_v))
    if cap_v >= target_v:
        return ProtectionMemory()
    return ProtectionMemory(cap_v=cap_v, knee_v=knee_v, since_knee_s=since_s)
