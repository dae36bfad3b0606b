"""Stages 3, 5, 6 and 9: the highest cell, a fault of the BMS, missing data and the user's stops, and the final clamp.

Stage 3: CVL follows the highest cell, so that no cell passes the BMS's cutoff while others are still low. It is the
controller of the ESP32 firmware (firmware.md, 5.4), with its faults mended: it acts on the CVL that is
in force instead of on a ceiling far above it, learns at which pack voltage the highest cell was too high and stays
below it, rises again by a ramp up to the target and not only for one cycle, and leaves DCL alone. What it does follows
from measured voltages and from time, never from how often it is asked: a GX answers within seconds, samples come ten
times a second. Stage 4 is in ``derating`` and ``discharge``.

Stage 5: a fault of the BMS caps the direction that the BMS itself cuts, and only that direction. Register 50 says only
"fault"; the cause comes from the open events of the BMS (tinybms-protocol.md, 3 and 5.1), and what some of them
cut hangs on the switches of the unit. A fault that is not known, or not known to cut anything, stops charging, never
the loads: off grid a DCL of 0 switches the lights off, and a BMS that wants the loads off has cut them already.

Stages 6 and 9: what missing data and the user's own stops allow, and the final clamp that nothing passes around.

The reasons of its numbers: charge-control.md#stage-3-cell-protection.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.bms_event_kinds import Severity, Stops, kind_of
from tinybms_bridge.battery.freshness import FRESH, FreshnessMemory
from tinybms_bridge.battery.gx import MPPT_OFFSET_V, STOPPED_BELOW_V
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Limits
from tinybms_bridge.battery.snapshot import BmsStatus, PackValues, Ratings, Snapshot

__all__ = [
    "ProtectionMemory",
    "apply_freshness",
    "apply_inhibits",
    "causes_of",
    "final_clamp",
    "obey_bms",
    "protect_cells",
]


_BACKOFF_V = 0.1
"""How far below the voltage that was too high the controller stays: one step of frame 0x351."""

_SINKING_V_PER_S = 0.005
"""How fast the knee goes down while the cell stays too high: one such step in the 20 s of Victron's advice."""

_ROOM_V = 0.02
"""Below its release by this much a cell may take another step of CVL; nearer, the step would only be taken back."""

_OVER_CCL_RATIO = 1.2
_OVER_CCL_A = 5.0
"""Chargers that obey CCL stay below this share of it and this much more."""


@dataclass(frozen=True, slots=True)
class ProtectionMemory:
    """What the controller remembers; None while no cell was too high."""

    cap_v: float | None = None
    """CVL that the controller allows now."""
    knee_v: float | None = None
    """Pack voltage at which the highest cell was too high; ``cap_v`` rises up to a step below it."""
    since_knee_s: float = 0.0
    """Time since the knee was learned or raised in which the cell was released."""


def protect_cells(draft: Draft, context: Context, memory: ProtectionMemory, elapsed_s: float) -> ProtectionMemory:
    """Lower CVL while the highest cell is, or lately was, above the protection threshold; return the new memory."""
    # What a wish has lowered for a while is no reason to forget: it would lift what was learned when the wish ends.
    target_v, max_v = min(draft.first(CVL), context.ceiling_v), context.snapshot.cells.max_v
    excess_v = max_v - context.charging.threshold_cell_v
    if memory.knee_v is not None and memory.knee_v < context.floor_v:
        memory = ProtectionMemory()  # learned from a pack with fewer cells, or before the floor was raised
    if excess_v > 0.0:
        memory = _lower(memory, context, draft, excess_v, elapsed_s)
    elif memory.cap_v is not None:
        memory = _recover(memory, context, target_v, elapsed_s)
    if memory.cap_v is not None:
        draft.lower(
            CVL,
            max(memory.cap_v, context.floor_v),
            LimitCode.CELL_HIGH,
            value=max_v,
            threshold=context.charging.threshold_cell_v,
            cell=context.snapshot.cells.max_number,
        )
    return memory


def _lower(
    memory: ProtectionMemory, context: Context, draft: Draft, excess_v: float, elapsed_s: float
) -> ProtectionMemory:
    """Learn the knee, and go below it at once, the more the further the cell is above its threshold."""
    settings, current_a = context.settings.protection, context.snapshot.pack.current_a
    knee_v = min(draft[CVL], _leads_to_v(context.snapshot.pack, draft[CCL]))
    if memory.cap_v is not None and memory.knee_v is not None:
        # Too high again after a release: then the CVL in force was too high, whatever the voltage of the pack.
        in_force_v = memory.cap_v if memory.since_knee_s > 0.0 else memory.knee_v
        sinking_v = _SINKING_V_PER_S * elapsed_s if current_a > 0.0 else 0.0
        knee_v = min(knee_v, in_force_v, memory.knee_v - sinking_v)
    knee_v = max(knee_v, context.floor_v)
    weight = 1.0 + max(0.0, current_a) / max(settings.nominal_current_a, 1.0)
    cap_v = knee_v - _BACKOFF_V - settings.gain * weight * excess_v
    if context.snapshot.cells.max_v < context.emergency_v:
        cap_v = max(cap_v, min(context.snapshot.pack.voltage_v - STOPPED_BELOW_V, knee_v - _BACKOFF_V))
    if memory.cap_v is not None:
        cap_v = min(cap_v, memory.cap_v)
    return ProtectionMemory(cap_v=max(cap_v, context.floor_v), knee_v=knee_v)


def _leads_to_v(pack: PackValues, ccl_a: float) -> float:
    """Return the CVL that leads to the present voltage of the pack.

    Solar chargers that feed in keep to no CCL, and stay above CVL: by their current they are known.
    """
    feeds_in = pack.current_a > _OVER_CCL_RATIO * ccl_a + _OVER_CCL_A
    return pack.voltage_v - MPPT_OFFSET_V if feeds_in else pack.voltage_v


def _recover(memory: ProtectionMemory, context: Context, target_v: float, elapsed_s: float) -> ProtectionMemory:
    """Rise by the ramp up to a step below the knee once the cell is released, and raise the knee slowly."""
    assert memory.cap_v is not None
    assert memory.knee_v is not None
    settings = context.settings.protection
    if context.snapshot.cells.max_v > context.charging.release_cell_v:
        return memory
    knee_v, since_s = memory.knee_v, memory.since_knee_s + elapsed_s
    if since_s >= settings.relearn_s and context.snapshot.cells.max_v < context.charging.release_cell_v - _ROOM_V:
        knee_v, since_s = knee_v + _BACKOFF_V, 0.0
    cap_v = min(memory.cap_v + context.charging.recovery_v_per_s * elapsed_s, max(knee_v - _BACKOFF_V, memory.cap_v))
    if cap_v >= target_v:
        return ProtectionMemory()
    return ProtectionMemory(cap_v=cap_v, knee_v=knee_v, since_knee_s=since_s)


_UNKNOWN = "unknown_fault"
"""Stands for the key of an event that was not read."""


def obey_bms(draft: Draft, context: Context) -> None:
    """Set the current limits to 0 in the directions that the BMS cuts; a charge stop lowers CVL as well.

    Settings of the BMS that contradict each other stop charging, too: with register 300 at or above 315 no curve of
    charging lies between them, and nobody knows which of them is wrong.
    """
    snapshot, ratings = context.snapshot, context.ratings
    full_v, cutoff_v = ratings.fully_charged_cell_v, ratings.over_voltage_cell_v
    if full_v >= cutoff_v:
        draft.stop_charge(0.0, LimitCode.CROSSED_CUTOFFS, value=full_v, threshold=cutoff_v)
    for key, stops in causes_of(snapshot, ratings):
        if Stops.CHARGE in stops:
            draft.stop_charge(0.0, LimitCode.BMS_FAULT, detail=key)
        if Stops.DISCHARGE in stops:
            draft.lower(DCL, 0.0, LimitCode.BMS_FAULT, detail=key)


def causes_of(snapshot: Snapshot, ratings: Ratings) -> list[tuple[str, Stops]]:
    """Return why the BMS cuts a direction, by the key of its event, and which."""
    if not snapshot.open_events and snapshot.pack.status is not BmsStatus.FAULT and not snapshot.cause_unread:
        return []
    kinds = [kind_of(number) for number in snapshot.open_events]
    causes = [(kind.key, kind.stops_with(ratings.switches)) for kind in kinds if kind.stops]
    if snapshot.cause_unread:
        causes.append((_UNKNOWN, Stops.CHARGE))
    elif not causes and snapshot.pack.status is BmsStatus.FAULT:
        faults = (kind.key for kind in kinds if kind.severity is Severity.FAULT)
        causes = [(next(faults, _UNKNOWN), Stops.CHARGE)]
    return causes


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


def apply_inhibits(draft: Draft, context: Context) -> None:
    """Apply what the user has stopped by hand. A charge stop lowers CVL too: CCL does not bind every solar charger."""
    inhibited = context.settings.inhibited
    if inhibited.charge:
        draft.stop_charge(0.0, LimitCode.MANUAL, detail="charge")
    if inhibited.discharge:
        draft.lower(DCL, 0.0, LimitCode.MANUAL, detail="discharge")


def final_clamp(draft: Draft, context: Context) -> None:
    """Force CVL into [floor, ceiling], and CCL and DCL into [0, the user's maximum]; NaN becomes the safe end.

    The floor gives way to the CVL to which a charge that obeys no CCL is pressed down, and to nothing else.
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
