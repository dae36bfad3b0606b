"""Who of several packs is there: which are seen, which are missing and since when, and how fresh that makes all.

The reasons of its numbers: charge-control.md#several-packs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tinybms_bridge.battery.freshness import FRESH, HOLD, SILENT, STARTING, Freshness, FreshnessMemory
from tinybms_bridge.battery.limits.pack_step import Bounds, PackMemory
from tinybms_bridge.battery.limits.parallel import odd_packs
from tinybms_bridge.battery.state import PackCondition

__all__ = ["Roll", "call_roll"]

_START_WAIT_S = 5.0
"""The other packs are waited for so long after the first one is there: a GX misses its BMS after a few seconds more."""


_SETTLES_S = 60.0
"""A pack that is back gives nothing to count on for so long: where its data comes and goes, DCL would do the same."""


@dataclass(slots=True)
class Roll:
    """Who is there in one step."""

    packs: Mapping[str, PackMemory]
    """Every pack that is in service and of which anything is known."""
    seen: Mapping[str, Bounds]
    """Those whose data is fresh and which fit the others, with what they bear."""
    missing: Mapping[str, float]
    """Those that are in parallel and not seen, with the monotonic time since when."""
    held: Mapping[str, Bounds]
    """Those of the missing whose state of charge still counts."""
    conditions: Mapping[str, PackCondition]
    """What part each pack has."""
    back_s: Mapping[str, float]
    """Those of the seen that came back a short while ago, with the monotonic time when."""
    freshness: FreshnessMemory
    """Of the battery: as long as one pack is seen, it lives."""
    first_s: float | None
    """Monotonic time at which the first pack was there."""


def call_roll(
    known: Mapping[str, PackMemory],
    missing_since_s: Mapping[str, float],
    back_s: Mapping[str, float],
    before: FreshnessMemory,
    first_s: float | None,
    now_s: float,
    *,
    enabled: Collection[str],
    doubled: Collection[str],
    hold_s: float,
    stop_when_missing: bool,
) -> Roll:
    """Return who is there at ``now_s``; the first five are what is remembered of the step before."""
    packs = {name: known[name] for name in enabled if name in known and name not in doubled}
    fresh = {
        name: pack.bounds
        for name, pack in packs.items()
        if pack.engine.freshness.state is FRESH and pack.bounds is not None
    }
    odd = odd_packs({name: bounds.context for name, bounds in fresh.items()})
    seen = {name: bounds for name, bounds in fresh.items() if name not in odd}
    missing = {name: missing_since_s.get(name, now_s) for name in enabled if name not in seen and name not in doubled}
    first_s = first_s if first_s is not None or not seen else now_s
    lives = bool(seen) and not (stop_when_missing and missing)
    freshness = _next_freshness(before, packs, missing, first_s, now_s, hold_s, lives=lives)
    held = {
        name: bounds
        for name, since_s in missing.items()
        if name not in odd and now_s - since_s <= hold_s and (bounds := _bounds_of(packs, name)) is not None
    }
    settling = {name: at_s for name, at_s in back_s.items() if name in seen and now_s - at_s < _SETTLES_S}
    if before.state is not STARTING:
        settling |= {name: now_s for name in seen if name in missing_since_s}
    conditions = _conditions(enabled, {*doubled, *odd}, seen, packs, missing, freshness.state, now_s)
    return Roll(packs, seen, missing, held, conditions, settling, freshness, first_s)


def _bounds_of(packs: Mapping[str, PackMemory], name: str) -> Bounds | None:
    pack = packs.get(name)
    return None if pack is None else pack.bounds


def _next_freshness(
    before: FreshnessMemory,
    packs: Mapping[str, PackMemory],
    missing: Collection[str],
    first_s: float | None,
    now_s: float,
    hold_s: float,
    *,
    lives: bool,
) -> FreshnessMemory:
    """Return how much the data of the battery can be trusted.

    It begins when every pack is there, or a while after the first.
    """
    state = before.state
    if state is STARTING:
        waited = first_s is not None and now_s - first_s >= _START_WAIT_S
        if lives and (not missing or waited):
            state = FRESH
    elif lives:
        state = FRESH
    elif state is FRESH:
        state = HOLD if hold_s > 0.0 else SILENT
    elif state is HOLD and now_s - before.since_s >= hold_s:
        state = SILENT
    last_s = max(
        (
            each.engine.freshness.last_sample_s
            for each in packs.values()
            if each.engine.freshness.last_sample_s is not None
        ),
        default=None,
    )
    frozen = not lives and bool(packs) and all(each.engine.freshness.frozen for each in packs.values())
    since_s = before.since_s if state is before.state else now_s
    return FreshnessMemory(state, since_s, last_sample_s=last_s, frozen=frozen)


def _conditions(
    enabled: Collection[str],
    odd: Collection[str],
    seen: Collection[str],
    packs: Mapping[str, PackMemory],
    missing: Mapping[str, float],
    battery: Freshness,
    now_s: float,
) -> dict[str, PackCondition]:
    found = {}
    for name in enabled:
        pack = packs.get(name)
        if name in odd:
            found[name] = PackCondition.ODD
        elif name in seen:
            found[name] = PackCondition.IN_USE
        elif pack is not None and pack.engine.freshness.state is not STARTING:
            found[name] = PackCondition.SILENT
        else:  # one that has just been put in service, or whose unit is another one, is not yet silent
            begins = battery is STARTING or now_s - missing[name] < _START_WAIT_S
            found[name] = PackCondition.STARTING if begins else PackCondition.SILENT
    return found
