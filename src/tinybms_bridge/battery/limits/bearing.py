"""What the packs of a battery bear together, in the place of the stages that protect a single pack.

Each pack has its own limits, with their reasons. Here they lower the draft of the battery: CVL to what the cells of any
pack need into which current can flow, the currents by the shares of the packs, and all of them for packs that are
silent or that join.

The reasons of its numbers: charge-control.md#several-packs.
"""

import math
from collections.abc import Collection, Mapping

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.fit import least_flow_a
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Limits, Quantity, Reason
from tinybms_bridge.battery.limits.pack_step import Bounds, PackMemory
from tinybms_bridge.battery.limits.parallel import Apart
from tinybms_bridge.battery.limits.sharing import PackLimit, Share, SharedLimit, share_limit
from tinybms_bridge.battery.quick import replace
from tinybms_bridge.battery.snapshot import Ratings

__all__ = [
    "bear_together",
    "carries_nothing",
    "charge_limits",
    "discharge_limits",
    "mind_the_joining",
    "mind_the_silent",
    "reckoned",
    "with_unit_words",
    "without",
]

_NEAR_COLD_K = 3.0
"""Nobody knows how cold the cells of a silent pack are; packs in one place are no further apart than this."""

_PLAIN = frozenset({LimitCode.CONFIGURED, LimitCode.BMS_CURRENT_CUTOFF})
"""What every pack has: it is its share that binds then."""

_EMPTYING = frozenset({LimitCode.NEAR_EMPTY, LimitCode.EMPTY, LimitCode.CELL_VOLTAGE, LimitCode.SOC})
"""A silent pack that was limited for one of these counts as empty after a while, as one that is seen would be."""


def carries_nothing(bounds: Bounds) -> bool:
    """Return whether no current flows through a pack: one whose voltage is apart is not connected then."""
    return abs(bounds.snapshot.pack.current_a) <= least_flow_a(bounds.context.ratings)


def without(alone: Collection[str], parts: list[PackLimit]) -> list[PackLimit]:
    """Return what each pack bears, where some are not connected and give nothing."""
    return [replace(part, gives=False) if part.name in alone else part for part in parts] if alone else parts


def _capacity_ah(pack: PackMemory | None, ratings: Ratings, seen: int) -> float:
    """Return the capacity of a pack; of one that was never seen the mean of the others."""
    if pack is not None and pack.bounds is not None:
        return pack.bounds.capacity_ah
    return ratings.capacity_ah / max(1, seen)


def charge_limits(
    seen: Mapping[str, Bounds],
    packs: Mapping[str, PackMemory],
    missing: Mapping[str, float],
    ratings: Ratings,
    shares: Mapping[str, Share],
) -> list[PackLimit]:
    """Return what each pack bears of a charge."""
    parts = [
        PackLimit(name, each.capacity_ah, each.limits.ccl_a, shares[name].charge, gives=not packs[name].cut.blocked)
        for name, each in seen.items()
    ]
    for name in missing:
        pack = packs.get(name)
        known = None if pack is None else pack.bounds
        limit_a = math.inf if known is None else known.last_ccl_a
        blocked = pack is not None and pack.cut.blocked
        parts.append(PackLimit(name, _capacity_ah(pack, ratings, len(seen)), limit_a, seen=False, gives=not blocked))
    return parts


def discharge_limits(
    seen: Mapping[str, Bounds],
    packs: Mapping[str, PackMemory],
    missing: Mapping[str, float],
    ratings: Ratings,
    shares: Mapping[str, Share],
    emptied_before_s: float,
    settling: Collection[str],
) -> list[PackLimit]:
    """Return what each pack bears of a discharge.

    A silent pack that was nearly empty counts as empty when it is missing since before ``emptied_before_s``. One that
    is ``settling`` has just come back: its limit binds, but it is not counted on as long as others carry the loads.
    """
    parts = [
        PackLimit(name, each.capacity_ah, each.limits.dcl_a, shares[name].discharge, gives=each.limits.dcl_a > 0.0)
        for name, each in seen.items()
    ]
    if any(part.gives and part.name not in settling for part in parts):
        parts = [replace(part, seen=False) if part.name in settling else part for part in parts]
    for name, since_s in missing.items():
        pack = packs.get(name)
        known = None if pack is None else pack.bounds
        limit_a, gives = math.inf, True
        if known is not None:
            reason = known.limits.binding(DCL)
            emptied = reason is not None and reason.code in _EMPTYING and since_s < emptied_before_s
            limit_a, gives = known.limits.dcl_a, known.limits.dcl_a > 0.0 and not emptied
        parts.append(PackLimit(name, _capacity_ah(pack, ratings, len(seen)), limit_a, seen=False, gives=gives))
    return parts


def bear_together(
    draft: Draft,
    seen: Mapping[str, Bounds],
    packs: Mapping[str, PackMemory],
    charge: list[PackLimit],
    discharge: list[PackLimit],
) -> None:
    """Lower the draft to what the packs bear together, in the place of stages 3 to 5.

    ``packs`` are those that are seen and those that are missing.
    """
    known = {name: pack.bounds for name, pack in packs.items() if pack.bounds is not None}
    open_only = all(
        each.cvl_reason is not None and each.cvl_reason.code is LimitCode.SWITCH_OPEN for each in seen.values()
    )
    for name, each in known.items():
        reason, cut = each.cvl_reason, packs[name].cut
        if reason is None or cut.blocked or (reason.code is LimitCode.SWITCH_OPEN and not open_only):
            continue
        if reason.code is LimitCode.BMS_FAULT and cut.opening:
            continue
        _repeat(draft, CVL, each.cvl_v, reason, name)
    for name, each in known.items():
        reason, cut = each.limits.binding(CCL), packs[name].cut
        if not each.stopped or reason is None or cut.blocked:
            continue
        if cut.opening:
            _repeat(draft, CCL, 0.0, reason, name)
        else:
            draft.stop_charge(
                0.0,
                reason.code,
                value=reason.value,
                threshold=reason.threshold,
                detail=reason.detail,
                cell=reason.cell,
                pack=name,
            )
    together = share_limit(charge, silent_takes=True)
    if not together.pack and together.limit_a == 0.0:
        draft.stop_charge(0.0, LimitCode.PACK_BLOCKED, detail="charge")
    else:
        _lower_current(draft, CCL, together, known)
    enforced = [
        replace(part, limit_a=known[part.name].enforced_a if part.name in known else math.inf) for part in charge
    ]
    draft.enforced_a = min(draft.enforced_a, share_limit(enforced, silent_takes=True).limit_a)
    together = share_limit(discharge, silent_takes=False)
    if not together.pack and together.limit_a == 0.0:
        reason = next((each.limits.binding(DCL) for each in seen.values()), None)
        if len(seen) == 1 and reason is not None:
            _repeat(draft, DCL, 0.0, reason, next(iter(seen)))
        draft.lower(DCL, 0.0, LimitCode.PACK_BLOCKED, detail="discharge")
    else:
        _lower_current(draft, DCL, together, known)


def _lower_current(draft: Draft, quantity: Quantity, together: SharedLimit, known: Mapping[str, Bounds]) -> None:
    bounds = known.get(together.pack)
    reason = None if bounds is None else bounds.limits.binding(quantity)
    if reason is None or reason.code in _PLAIN:
        draft.lower(
            quantity,
            together.limit_a,
            LimitCode.PACK_SHARE,
            value=together.share,
            threshold=together.own_a,
            pack=together.pack,
        )
    else:
        _repeat(draft, quantity, together.limit_a, reason, together.pack)


def _repeat(draft: Draft, quantity: Quantity, limit: float, reason: Reason, pack: str) -> None:
    """Lower a limit of the battery for the cause that a pack has."""
    draft.lower(
        quantity,
        limit,
        reason.code,
        value=reason.value,
        threshold=reason.threshold,
        detail=reason.detail,
        wait_s=reason.wait_s,
        cell=reason.cell,
        pack=pack,
    )


def mind_the_silent(draft: Draft, context: Context, missing: Mapping[str, float], now_s: float, hold_s: float) -> None:
    """Lower what is allowed because cells are in parallel that nobody sees."""
    coldest_c = context.snapshot.temperatures.coldest_c
    cold_c = None if coldest_c is None else coldest_c - _NEAR_COLD_K
    cold = (
        cold_c is None or cold_c < context.ratings.low_temperature_charge_c or not context.charging.charges_at(cold_c)
    )
    for name, since_s in missing.items():
        silent_s = now_s - since_s
        if silent_s <= hold_s:
            draft.stop_charge(0.0, LimitCode.PACK_SILENT, value=silent_s, threshold=hold_s, detail="hold", pack=name)
        elif cold:
            draft.stop_charge(0.0, LimitCode.PACK_SILENT, value=coldest_c, detail="cold", pack=name)
        else:
            draft.lower(CVL, context.resting_v, LimitCode.PACK_SILENT, value=silent_s, detail="rest", pack=name)


def mind_the_joining(
    draft: Draft, seen: Mapping[str, Bounds], packs: Mapping[str, PackMemory], joining: Collection[str], apart: Apart
) -> None:
    """Lower the currents to what the one pack bears that takes or gives nearly all of them."""
    if not joining:
        return
    takes = [name for name in seen if name in joining or not packs[name].cut.blocked]
    gives = [name for name in seen if _bears(seen[name].limits, DCL) > 0.0]  # an empty one switches no lights off
    for quantity, names, lowest in ((CCL, takes, True), (DCL, gives, False)):
        if not names:
            continue
        found = (min if lowest else max)(names, key=lambda name: (seen[name].snapshot.pack.voltage_v, name))
        limit_a = _bears(seen[found].limits, quantity)
        draft.lower(quantity, limit_a, LimitCode.PACK_JOINING, value=apart.most_v, threshold=apart.join_v, pack=found)


def _bears(limits: Limits, quantity: Quantity) -> float:
    """Return what a pack bears; one that is cut off by its BMS at this moment, what it would bear without that."""
    reason = limits.binding(quantity)
    if reason is None or reason.code is not LimitCode.BMS_FAULT:
        return limits.ccl_a if quantity is CCL else limits.dcl_a
    return next(each.limit for each in limits.reasons if each.quantity is quantity)


def reckoned(parts: list[PackLimit], *, silent_takes: bool) -> dict[str, float]:
    """Return the share of each pack as it is reckoned; 0 for one that gives nothing."""
    giving = [part for part in parts if part.gives]
    whole_ah = sum(part.capacity_ah for part in giving if part.seen or silent_takes)
    found = {}
    for part in parts:
        of_capacity = part.capacity_ah / whole_ah if whole_ah > 0.0 else 0.0
        found[part.name] = min(1.0, max(of_capacity, part.share or 0.0)) if part.gives else 0.0
    return found


def with_unit_words(limits: Limits, seen: Mapping[str, Bounds]) -> Limits:
    """Return the limits of the battery with what is told of its units: lost sensors and loose wires."""
    lost = tuple([f"{name}: {sensor}" for name, each in seen.items() for sensor in each.limits.lost_sensors])
    wires: list[tuple[int, ...]] = []
    first = 0
    for each in seen.values():
        wires += [tuple([first + cell for cell in wire]) for wire in each.limits.loose_wires]
        first += each.snapshot.cells.count
    full_voltage = next(
        (each.limits.full_voltage_refused for each in seen.values() if each.limits.full_voltage_refused), ""
    )
    if not (lost or wires or full_voltage):
        return limits
    return replace(limits, lost_sensors=lost, loose_wires=tuple(wires), full_voltage_refused=full_voltage)
