"""What the user wants of the battery beyond keeping it safe: charge profiles, an SOC window, full charges in time.

A battery is full when the BMS says so, or when the mean of its cells without their current has been at the charge
voltage with a small current for a while, whatever its counted SOC: so a pack on weak sun gets its float, and one at
rest is not full twice. A *full charge* lasts longer where FLOAT goes by SOC: until the BMS says so, which is when it
sets its SOC right, or an hour at the most.

Where one cell is full and the others are far from it, nothing is full. Such a pack is given hours for its balancer, and
then its charge is over as well, but it does not count as a full one.

When a battery that was full is charged again, FLOAT ends. Where FLOAT follows full, a little discharge is no reason for
a new charge: cells that stand at their highest voltage each day age faster than those that rest between 90 and 100 %.
It begins again when the cells show that the battery has been used, when the count says so, or when the last full charge
is too long ago; at most twice a day, so that nothing that was overlooked can bring the cells up and down.

The reasons of its numbers: charge-control.md#profiles-soc-window-full-charges.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.model import DCL, LimitCode
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.settings import ChargeProfile, PolicySettings
from tinybms_bridge.battery.limits.times import DAY_S
from tinybms_bridge.battery.quick import maker, quick
from tinybms_bridge.battery.snapshot import BmsStatus

__all__ = [
    "MOST_A_DAY",
    "PolicyMemory",
    "RebulkMemory",
    "apply_policy",
    "bms_says_full",
    "fills_past_the_window",
    "full_charge_due",
    "full_charge_is_old",
    "next_policy",
    "next_rebulk",
]


_TAIL_S = 120.0
_FULL_CHARGE_MAX_S = 3600.0
_UNEVEN_S = 14400.0
"""As long as a hold: what the balancer has not brought together in this time it will not today."""
_UNEVEN_SHORT_S = 1800.0
"""Where balancing has days of its own, a highest cell at its voltage gains the others nothing: in half an hour 150 mA
of bleeding are 0.08 Ah."""
_ENDED_EARLY = frozenset({0x38, 0x39})
"""With these open, status 0x92 means that the charger does not fit, not that the battery is full (protocol 5.3)."""
_NO_BOUND_PERCENT = 100.0
_FULL_ONCE, _STORAGE = ChargeProfile.FULL_ONCE, ChargeProfile.STORAGE
_WINDOW_CCL_A = 1.0
"""Above the window CCL stays a little above 0, since 0 would stop the sun for the loads as well."""


@quick
@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """What is remembered; all of it survives a restart."""

    full: bool = False
    full_soc_percent: float = 100.0
    """Highest SOC since the battery was found full."""
    full_at_lifetime_s: int | None = None
    """Lifetime counter of the BMS at the last full charge; it counts in sleep and while the bridge is off."""
    tail_s: float = 0.0
    """Time at the charge voltage with a small current; once full, the time goes on."""
    uneven: bool = False
    """The charge is over although most cells are far from full: the highest one was at its voltage for hours."""
    uneven_s: float = 0.0
    """Time in which the highest cell alone was at the charge voltage, with a small current."""
    above_window: bool = False
    below_window: bool = False
    full_once_done: bool = False
    force_charge: bool = False


_new_memory = maker(PolicyMemory)


def next_policy(memory: PolicyMemory, context: Context, elapsed_s: float) -> PolicyMemory:
    """Return the memory after ``elapsed_s`` more seconds with this sample."""
    policy, pack, soc = context.settings.policy, context.snapshot.pack, context.soc
    tail_s, uneven_s = _at_voltage_s(memory, context, elapsed_s)
    full = _is_full(memory, context, tail_s)
    uneven = not full and _is_uneven(memory, context, uneven_s)
    charged = full and (bms_says_full(context) or _is_charged(memory, context, tail_s))
    once = policy.profile is _FULL_ONCE
    room, upper, lower = policy.soc_window_hysteresis_percent, _upper_soc(policy), policy.soc_min_percent
    return _new_memory(
        full=full,
        full_soc_percent=_full_soc_percent(memory, pack.soc_percent) if full or uneven else memory.full_soc_percent,
        full_at_lifetime_s=pack.lifetime_s if charged else memory.full_at_lifetime_s,
        tail_s=0.0 if memory.full and not full else tail_s,
        uneven=uneven,
        uneven_s=0.0 if full or (memory.uneven and not uneven) else uneven_s,
        full_once_done=once and (memory.full_once_done or charged),
        above_window=upper < _NO_BOUND_PERCENT and soc.percent >= upper - (room if memory.above_window else 0.0),
        below_window=lower > 0.0 and soc.to_discharge_percent <= lower + (room if memory.below_window else 0.0),
        force_charge=policy.force_charge_start_percent > 0.0 and _asks_for_charge(memory, context),
    )


def full_charge_is_old(memory: PolicyMemory, context: Context) -> bool:
    """Return whether the last full charge is longer ago than the user wants; False where none was seen."""
    interval_days, at_s = context.settings.policy.full_charge_interval_days, memory.full_at_lifetime_s
    return at_s is not None and interval_days > 0.0 and context.snapshot.pack.lifetime_s - at_s >= interval_days * DAY_S


def full_charge_due(memory: PolicyMemory, context: Context) -> bool:
    """Return whether the window has kept the battery from a full charge for too long, or one was asked for."""
    policy = context.settings.policy
    if policy.profile is _FULL_ONCE:
        return not memory.full_once_done
    if policy.profile is _STORAGE or policy.full_charge_interval_days <= 0.0:
        return False
    if memory.full_at_lifetime_s is None:
        return True
    return context.snapshot.pack.lifetime_s < memory.full_at_lifetime_s or full_charge_is_old(memory, context)


def fills_past_the_window(memory: PolicyMemory, context: Context) -> bool:
    """Return whether the upper bound of the user is ignored now in order to fill the battery."""
    policy = context.settings.policy
    bounded = policy.profile is _FULL_ONCE or policy.soc_max_percent < _NO_BOUND_PERCENT
    return bounded and full_charge_due(memory, context)


def apply_policy(draft: Draft, context: Context, memory: PolicyMemory) -> None:
    """Lower the draft to what the user's wishes allow."""
    policy, soc = context.settings.policy, context.soc
    if memory.above_window and not full_charge_due(memory, context):
        ccl_a = 0.0 if policy.profile is _STORAGE else _WINDOW_CCL_A
        upper = _upper_soc(policy)
        detail = str(policy.profile)
        draft.stop_charge(ccl_a, LimitCode.SOC_WINDOW, value=soc.percent, threshold=upper, detail=detail)
    if memory.below_window:
        draft.lower(
            DCL,
            0.0,
            LimitCode.SOC_WINDOW,
            value=soc.to_discharge_percent,
            threshold=policy.soc_min_percent,
            detail="minimum",
        )


def _upper_soc(policy: PolicySettings) -> float:
    if policy.profile is _STORAGE:
        return min(policy.soc_max_percent, policy.storage_soc_percent)
    return policy.soc_max_percent


def _asks_for_charge(memory: PolicyMemory, context: Context) -> bool:
    policy, soc_percent = context.settings.policy, context.soc.to_discharge_percent
    below_stop = memory.force_charge and soc_percent < policy.force_charge_stop_percent
    return below_stop or soc_percent <= policy.force_charge_start_percent


def bms_says_full(context: Context) -> bool:
    """Return whether the BMS says that the battery is fully charged, and neither charger nor cells contradict."""
    snapshot = context.snapshot
    return (
        snapshot.pack.status is BmsStatus.FULLY_CHARGED
        and _ENDED_EARLY.isdisjoint(snapshot.open_events)
        and context.rest.max_v >= context.no_longer_full_cell_v
    )


def _is_full(memory: PolicyMemory, context: Context, tail_s: float) -> bool:
    if bms_says_full(context):
        return True
    return _still_there(memory, context) if memory.full else tail_s >= _TAIL_S


def _is_charged(memory: PolicyMemory, context: Context, tail_s: float) -> bool:
    """Return whether a full charge is done now; where FLOAT follows full, nothing more is charged after that."""
    return not memory.full if context.charging.follows_full else tail_s >= _FULL_CHARGE_MAX_S


def _is_uneven(memory: PolicyMemory, context: Context, uneven_s: float) -> bool:
    if memory.uneven:
        return _still_there(memory, context)
    return uneven_s >= (_UNEVEN_SHORT_S if context.charging.follows_full else _UNEVEN_S)


def _still_there(memory: PolicyMemory, context: Context) -> bool:
    """Return whether neither the count nor the cells say that the battery was discharged since its charge was over."""
    if context.charging.follows_full and full_charge_is_old(memory, context):
        return False  # a battery that only floats is charged in full once in a while
    drop_percent = context.charging.full_drop_percent
    counted = context.snapshot.pack.soc_percent >= memory.full_soc_percent - drop_percent
    return counted and context.rest.max_v >= context.no_longer_full_cell_v


def _full_soc_percent(memory: PolicyMemory, soc_percent: float) -> float:
    return max(memory.full_soc_percent, soc_percent) if memory.full or memory.uneven else soc_percent


def _at_voltage_s(memory: PolicyMemory, context: Context, elapsed_s: float) -> tuple[float, float]:
    """Return the times at the charge voltage with a small current: of a pack, and of its highest cell alone.

    A load in between delays the end, no more. Cells that have come together take the second time back.
    """
    tail_s, uneven_s, snapshot = memory.tail_s, memory.uneven_s, context.snapshot
    if memory.full:
        return tail_s + elapsed_s, 0.0
    pack, series = snapshot.pack, context.ratings.series_cells
    if not snapshot.cells.max_v * series >= context.full_v:
        return max(0.0, tail_s - elapsed_s), uneven_s
    mean_v = pack.voltage_v / series - current_adds_v(snapshot, context.ratings)
    small = 0.0 <= pack.current_a <= context.charging.tail_a
    if not mean_v >= context.full_mean_cell_v:
        return max(0.0, tail_s - elapsed_s), uneven_s + elapsed_s if small else uneven_s
    return tail_s + elapsed_s if small else tail_s, max(0.0, uneven_s - elapsed_s)


_LOW_S = 600.0
"""Longer than a load that makes the cells' voltage without current look too low."""

_LOW_SOC_PERCENT = 90.0
"""A battery that is discharged below this is charged again at once: voltages on the plateau of LFP show it late."""

MOST_A_DAY = 2
"""So often FLOAT gives way to a new charge: the top ages cells, and two charges fill what a day takes out."""


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
