"""The charge-limit engine: the stages in their fixed order.

Each stage may only lower what the one before allowed, except the first, which sets, and the last, which clamps.
"""

from dataclasses import dataclass, field, replace

from tinybms_bridge.battery.freshness import FreshnessMemory, advance
from tinybms_bridge.battery.limits.base import base
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import Freshness, Limits, Quantity
from tinybms_bridge.battery.limits.protection import apply_freshness, apply_manual, final_clamp
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.limits.states import StateMemory, apply_state, next_state
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["Memory", "step"]


@dataclass(frozen=True, slots=True)
class Memory:
    """What the engine remembers between two steps."""

    states: StateMemory = field(default_factory=StateMemory)
    freshness: FreshnessMemory = field(default_factory=FreshnessMemory)
    last_step_s: float | None = None
    last_fresh: Limits | None = None
    """The last limits that were decided from fresh data."""


def step(
    snapshot: Snapshot | None, settings: LimitSettings, memory: Memory, now_s: float
) -> tuple[Limits | None, Memory]:
    """Decide the limits at ``now_s`` (monotonic) from the latest accepted sample.

    Returns the limits and the memory for the next step. The limits are None while nothing can be decided and nothing
    may be sent: before the first sample, before the BMS's own settings are known, or when no safe CVL follows from
    them. Call it for every new sample and at least once a second, so that missing samples are noticed.
    """
    memory = replace(memory, freshness=advance(memory.freshness, snapshot, settings.freshness, now_s))
    if snapshot is None or snapshot.ratings is None or not snapshot.cells.count:
        return None, memory
    context = make_context(snapshot, snapshot.ratings, settings)
    if not context.decidable:
        return None, memory
    fresh = memory.freshness.state is Freshness.FRESH
    memory = replace(memory, states=_next_states(context, memory, now_s, fresh), last_step_s=now_s)
    draft = base(context)
    apply_state(draft, context, memory.states)
    apply_freshness(draft, context, memory.freshness.state, memory.freshness.age_s(now_s), memory.last_fresh)
    apply_manual(draft, context)
    final_clamp(draft, context)
    limits = _limits(draft, context, memory)
    return limits, replace(memory, last_fresh=limits) if fresh else memory


def _next_states(context: Context, memory: Memory, now_s: float, fresh: bool) -> StateMemory:
    """Move the charge state on; without fresh data it stays as it is."""
    if not fresh:
        return memory.states
    elapsed_s = 0.0 if memory.last_step_s is None else max(0.0, now_s - memory.last_step_s)
    snapshot = context.snapshot
    return next_state(
        memory.states, snapshot.pack.soc_percent, snapshot.cells.delta_mv, context.settings.states, elapsed_s
    )


def _limits(draft: Draft, context: Context, memory: Memory) -> Limits:
    return Limits(
        cvl_v=draft[Quantity.CVL],
        ccl_a=draft[Quantity.CCL],
        dcl_a=draft[Quantity.DCL],
        discharge_voltage_v=context.ratings.fully_discharged_cell_v * context.ratings.series_cells,
        state=memory.states.state,
        freshness=memory.freshness.state,
        reasons=tuple(draft.reasons),
    )
