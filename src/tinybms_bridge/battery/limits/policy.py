"""What the user wants of the battery beyond keeping it safe: charge profiles, an SOC window, and full charges in time.

A battery is full when the BMS says so, or when the highest cell has been at full charge with a small current for a
while, whatever its counted SOC: so a pack on weak sun gets its float, and one at rest is not full twice.
"""

from dataclasses import dataclass, replace

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import LimitCode, Quantity
from tinybms_bridge.battery.limits.policy_settings import ChargeProfile, PolicySettings
from tinybms_bridge.battery.snapshot import BmsStatus

__all__ = ["PolicyMemory", "apply_policy", "full_charge_due", "next_policy"]

_FULL_CELL_MARGIN_V = 0.02
_TAIL_C_RATE = 0.03
_TAIL_S = 120.0
_DAY_S = 86400.0
_WINDOW_CCL_A = 1.0
"""Above the window CCL stays a little above 0, since 0 would stop the sun for the loads as well."""


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """What is remembered; all of it survives a restart."""

    full: bool = False
    full_soc_percent: float = 100.0
    """SOC at which the battery was found full."""
    full_at_lifetime_s: int | None = None
    """Lifetime counter of the BMS at the last full charge; it counts in sleep and while the bridge is off."""
    tail_s: float = 0.0
    above_window: bool = False
    below_window: bool = False
    full_once_done: bool = False
    force_charge: bool = False


def next_policy(memory: PolicyMemory, context: Context, elapsed_s: float) -> PolicyMemory:
    """Return the memory after ``elapsed_s`` more seconds with this sample."""
    policy = context.settings.policy
    soc_percent = context.snapshot.pack.soc_percent
    memory = _note_full(memory, context, elapsed_s)
    once = policy.profile is ChargeProfile.FULL_ONCE
    room = policy.soc_window_hysteresis_percent
    upper, lower = _upper_soc(policy), policy.soc_min_percent
    return replace(
        memory,
        full_once_done=once and (memory.full_once_done or memory.full),
        above_window=upper < 100.0 and soc_percent >= upper - (room if memory.above_window else 0.0),
        below_window=lower > 0.0 and soc_percent <= lower + (room if memory.below_window else 0.0),
        force_charge=policy.force_charge_start_percent > 0.0
        and (
            soc_percent <= policy.force_charge_start_percent
            or (memory.force_charge and soc_percent < policy.force_charge_stop_percent)
        ),
    )


def full_charge_due(memory: PolicyMemory, context: Context) -> bool:
    """Return whether the window has kept the battery from a full charge for too long, or one was asked for."""
    policy = context.settings.policy
    if policy.profile is ChargeProfile.FULL_ONCE:
        return not memory.full_once_done
    if policy.profile is ChargeProfile.STORAGE or policy.full_charge_interval_days <= 0.0:
        return False
    if memory.full_at_lifetime_s is None:
        return True
    since_s = context.snapshot.pack.lifetime_s - memory.full_at_lifetime_s
    return since_s < 0 or since_s >= policy.full_charge_interval_days * _DAY_S


def apply_policy(draft: Draft, context: Context, memory: PolicyMemory) -> None:
    """Lower the draft to what the user's wishes allow."""
    policy, soc_percent = context.settings.policy, context.snapshot.pack.soc_percent
    if memory.above_window and not full_charge_due(memory, context):
        ccl_a = 0.0 if policy.profile is ChargeProfile.STORAGE else _WINDOW_CCL_A
        upper = _upper_soc(policy)
        detail = str(policy.profile)
        draft.lower(
            Quantity.CVL, context.resting_v, LimitCode.SOC_WINDOW, value=soc_percent, threshold=upper, detail=detail
        )
        draft.lower(Quantity.CCL, ccl_a, LimitCode.SOC_WINDOW, value=soc_percent, threshold=upper, detail=detail)
    if memory.below_window:
        draft.lower(
            Quantity.DCL,
            0.0,
            LimitCode.SOC_WINDOW,
            value=soc_percent,
            threshold=policy.soc_min_percent,
            detail="minimum",
        )


def _upper_soc(policy: PolicySettings) -> float:
    if policy.profile is ChargeProfile.STORAGE:
        return min(policy.soc_max_percent, policy.storage_soc_percent)
    return policy.soc_max_percent


def _note_full(memory: PolicyMemory, context: Context, elapsed_s: float) -> PolicyMemory:
    pack, states = context.snapshot.pack, context.settings.states
    if memory.full:
        drop_percent = max(1.0, states.float_soc_percent - states.float_exit_soc_percent)
        still = pack.soc_percent >= memory.full_soc_percent - drop_percent
        return replace(memory, full=still, tail_s=0.0)
    tail_s = memory.tail_s + elapsed_s if _at_full_voltage(context) else 0.0
    if pack.status is not BmsStatus.FULLY_CHARGED and tail_s < _TAIL_S:
        return replace(memory, tail_s=tail_s)
    return replace(memory, full=True, full_soc_percent=pack.soc_percent, full_at_lifetime_s=pack.lifetime_s, tail_s=0.0)


def _at_full_voltage(context: Context) -> bool:
    """Whether the highest cell is at full charge while next to no current flows."""
    ratings, snapshot = context.ratings, context.snapshot
    tail_a = max(ratings.charge_finished_current_a, _TAIL_C_RATE * ratings.capacity_ah)
    at_voltage = snapshot.cells.max_v >= ratings.fully_charged_cell_v - _FULL_CELL_MARGIN_V
    return at_voltage and 0.0 <= snapshot.pack.current_a <= tail_a
