"""Stages 6 and 7: what missing data and the user's own stops allow, and the final clamp that nothing passes around."""

from tinybms_bridge.battery.freshness import FRESH, FreshnessMemory
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Limits

__all__ = ["apply_freshness", "apply_manual", "final_clamp"]

_UNLIMITED_A = 3276.7
"""Largest current that frame 0x351 can carry (signed 16 bit, 0.1 A)."""


def apply_freshness(
    draft: Draft, context: Context, memory: FreshnessMemory, now_s: float, last_fresh: Limits | None
) -> None:
    """Without fresh data: no charge current, CVL not above the resting voltage, DCL not above what it was."""
    state, settings = memory.state, context.settings.freshness
    if state is FRESH:
        return
    code, value, threshold = LimitCode.STALE, memory.age_s(now_s), settings.fresh_timeout_s
    if memory.frozen:
        code, value, threshold = LimitCode.FROZEN, memory.still_s(now_s), memory.motion.patience_s(settings)
    draft.stop_charge(0.0, code, value=value, threshold=threshold, detail=state)
    dcl_a = last_fresh.dcl_a if last_fresh is not None else 0.0
    draft.lower(DCL, dcl_a, code, value=value, threshold=threshold, detail=state)


def apply_manual(draft: Draft, context: Context) -> None:
    """Apply what the user has stopped by hand. A charge stop lowers CVL too: CCL does not bind every solar charger."""
    manual = context.settings.manual
    if manual.stop_charge:
        draft.stop_charge(0.0, LimitCode.MANUAL, detail="stop charge")
    if manual.stop_discharge:
        draft.lower(DCL, 0.0, LimitCode.MANUAL, detail="stop discharge")


def final_clamp(draft: Draft, context: Context) -> None:
    """Force CVL into [floor, ceiling], and CCL and DCL into [0, the user's maximum]; NaN becomes the safe end.

    The floor gives way to the CVL to which a charge that heeds no CCL is pressed down, and to nothing else.
    """
    settings, low_v, high_v = context.settings, min(context.floor_v, draft.pressed_v), context.ceiling_v
    if not low_v <= draft[CVL] <= high_v:
        draft.clamp(CVL, low_v, high_v, LimitCode.FLOOR, LimitCode.CEILING)
    for quantity, maximum_a in (
        (CCL, settings.max_charge_current_a),
        (DCL, settings.max_discharge_current_a),
    ):
        high_a = _UNLIMITED_A if maximum_a is None else min(maximum_a, _UNLIMITED_A)
        if not 0.0 <= draft[quantity] <= high_a:
            draft.clamp(quantity, 0.0, high_a, LimitCode.FLOOR, LimitCode.USER_MAXIMUM)
