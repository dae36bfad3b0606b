"""The charge-limit engine for several packs in parallel, which are one battery for the GX.

Each pack has its own part of the engine (``pack_step``): what it measures, bears and lets through. Charge state, wishes
of the user, rates and clamp are of the battery, and see all packs as one (``as_one``): with a state machine for each
pack and the lowest CVL of them, one counter that drifts would keep the others from ever being full. Between the two, in
the place of stages 3 to 5, stands what the packs bear together (``sharing``).

What becomes of a pack that does not fit the others:

- silent: it is still in parallel, and nobody sees its cells. Charging stops for ``hold_s``, as with one pack. Then CVL
  rests, charging goes on as if the pack still took the share of its capacity, but not within 3 K of a cold limit, and
  discharging goes on without it;
- joining, further than ``join_delta_v`` from the others: it takes or gives nearly all of the current. Until it has come
  near, CCL is at most the limit of the pack with the lowest voltage, DCL that of the highest;
- odd, with another number of cells or chemistry: as a silent one.

The reasons of its numbers: charge-control.md#several-packs.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tinybms_bridge.battery.freshness import FRESH, HOLD, STARTING, Freshness
from tinybms_bridge.battery.limits.as_one import Charge, combine_ratings, combine_snapshots
from tinybms_bridge.battery.limits.bearing import (
    bear_together,
    carries_nothing,
    charge_limits,
    discharge_limits,
    mind_the_joining,
    mind_the_silent,
    reckoned,
    with_unit_words,
    without,
)
from tinybms_bridge.battery.limits.feed_in import next_feed_in
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, LimitCode, Limits
from tinybms_bridge.battery.limits.pack_step import Bounds, PackMemory, step_pack
from tinybms_bridge.battery.limits.parallel import (
    JOIN_CELL_V,
    Apart,
    BatteryClock,
    next_apart,
    next_clock,
)
from tinybms_bridge.battery.limits.presets import rank
from tinybms_bridge.battery.limits.roll import Roll, call_roll
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.limits.sharing import (
    Share,
    least_total_a,
    next_means,
    next_shares,
    share_limit,
)
from tinybms_bridge.battery.limits.soc_count import next_rest, with_count
from tinybms_bridge.battery.limits.stages import (
    Memory,
    Observed,
    bound,
    context_of,
    elapsed_since,
    limits_of,
    move_on,
    wish,
)
from tinybms_bridge.battery.quick import quick, replace
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.battery.state import PackCondition

__all__ = ["Decision", "PacksMemory", "PacksSettings", "begin_packs", "see_pack", "step_battery", "step_packs"]


_LONGEST_ROUND_S = 1.0
"""No pack is read less often; what takes longer is a pause, and no round."""


@dataclass(frozen=True, slots=True)
class PacksSettings:
    """What the engine of several packs may be told."""

    limits: LimitSettings = field(default_factory=LimitSettings)
    stop_when_missing: bool = False
    """Whether a silent pack stops the whole battery, as the only one would."""
    join_delta_v: float | None = None
    """A pack whose voltage is further from that of the others joins; None = 0.05 V for each cell."""


@quick
@dataclass(frozen=True, slots=True)
class PacksMemory:
    """What is remembered of several packs."""

    battery: Memory = field(default_factory=Memory)
    """Of the parts of the engine that are of the battery."""
    packs: Mapping[str, PackMemory] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    clock: BatteryClock = field(default_factory=BatteryClock)
    apart: Apart = field(default_factory=Apart)
    missing_since_s: Mapping[str, float] = field(default_factory=dict)
    """Monotonic time since which a pack is not seen."""
    back_s: Mapping[str, float] = field(default_factory=dict)
    """Monotonic time at which packs have come back that have not been there for long since."""
    first_s: float | None = None
    """Monotonic time at which the first pack was there."""
    credited: Mapping[str, int] = field(default_factory=dict)
    """The samples with which limits could rise last."""
    credited_s: float | None = None
    """Monotonic time at which they could."""
    round_s: float = 0.0
    """How long it took until each pack had been read once."""
    means_a: Mapping[str, float] = field(default_factory=dict)
    """Means of the currents of the packs over some rounds."""
    sequence: int = 0
    wish_v: float = math.inf
    """CVL of the last wish of the battery."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of a battery of several packs, and what part each of them has."""

    limits: Limits | None
    """None: none can be decided."""
    freshness: Freshness
    combined: Snapshot | None
    """The battery as it is shown, with every cell of ``members``; None before the first sample."""
    counted: Snapshot | None
    """The same of what counts of the last readings."""
    members: tuple[str, ...] = ()
    conditions: Mapping[str, PackCondition] = field(default_factory=dict)
    charge: Mapping[str, float] = field(default_factory=dict)
    """Share of each pack in charging, as it is reckoned."""
    discharge: Mapping[str, float] = field(default_factory=dict)


def begin_packs(battery: Memory, packs: Mapping[str, Memory], clock: BatteryClock | None = None) -> PacksMemory:
    """Return the memory with which a battery begins, from what was saved of it and of its units."""
    return PacksMemory(
        battery=battery,
        packs={name: PackMemory(memory) for name, memory in packs.items()},
        clock=clock or BatteryClock(),
    )


def step_packs(
    samples: Mapping[str, Snapshot | None],
    settings: PacksSettings,
    memory: PacksMemory,
    now_s: float,
    *,
    enabled: Collection[str],
    doubled: Collection[str] = (),
) -> tuple[Decision, PacksMemory]:
    """Decide at ``now_s`` from new samples by pack; a pack without a new one may be left out.

    ``enabled``: the packs that belong to the battery, in their order. ``doubled``: those of them that are another one,
    heard a second time. Call it at least once a second, as ``engine.step``.
    """
    for name in enabled:
        memory = see_pack(name, samples.get(name), settings, memory, now_s)
    return step_battery(settings, memory, now_s, enabled=enabled, doubled=doubled)


def see_pack(
    name: str, snapshot: Snapshot | None, settings: PacksSettings, memory: PacksMemory, now_s: float
) -> PacksMemory:
    """Return the memory after a new sample of one pack, or None: after a look at it."""
    before = memory.packs.get(name) or PackMemory(Memory())
    after = step_pack(snapshot, settings.limits, before, memory.battery, memory.wish_v, now_s)
    return replace(memory, packs={**memory.packs, name: after})


def step_battery(
    settings: PacksSettings,
    memory: PacksMemory,
    now_s: float,
    *,
    enabled: Collection[str],
    doubled: Collection[str] = (),
) -> tuple[Decision, PacksMemory]:
    """Decide at ``now_s`` from what was seen of the packs last."""
    limits_settings, battery = settings.limits, memory.battery
    elapsed_s = elapsed_since(battery.last_step_s, now_s)
    hold_s = limits_settings.freshness.hold_s
    roll = call_roll(
        memory.packs,
        memory.missing_since_s,
        memory.back_s,
        battery.freshness,
        memory.first_s,
        now_s,
        enabled=enabled,
        doubled=doubled,
        hold_s=hold_s,
        stop_when_missing=settings.stop_when_missing,
    )
    memory = replace(memory, missing_since_s=roll.missing, back_s=roll.back_s, first_s=roll.first_s)
    if not roll.seen:
        return _unseen(settings, memory, roll, now_s)
    packs, seen, missing, held, freshness = roll.packs, roll.seen, roll.missing, roll.held, roll.freshness
    clock = next_clock(memory.clock, {name: each.snapshot.pack.lifetime_s for name, each in seen.items()}, elapsed_s)
    apart = next_apart(
        memory.apart,
        {name: each.snapshot.pack.voltage_v for name, each in seen.items()},
        _join_v(settings, seen),
        now_s,
        [name for name, each in seen.items() if not carries_nothing(each)],
    )
    joining = apart.joining(now_s)
    alone = apart.packs - joining
    conditions = {name: PackCondition.JOINING if name in joining else each for name, each in roll.conditions.items()}
    ratings = combine_ratings(*[each.context.ratings for each in (*seen.values(), *held.values())])
    whole, shown = _combined(seen, held, packs, ratings, memory.sequence + 1, clock.lifetime_s)
    sequences = {name: packs[name].engine.freshness.last_sequence for name in seen}
    new_sample = all(memory.credited.get(name) != sequence for name, sequence in sequences.items())
    is_fresh = freshness.state is FRESH
    rest = next_rest(battery.rest, whole, ratings, elapsed_s) if is_fresh else battery.rest
    chemistry = min((packs[name].engine.chemistry for name in seen), key=lambda each: rank(each.lowest))
    feed_in = battery.feed_in
    if is_fresh:
        feed_in = next_feed_in(
            feed_in,
            whole,
            ratings,
            battery.rates,
            elapsed_s,
            battery.enforcement.told_a,
            passed=battery.enforcement.passed,
        )
    view = Observed(elapsed_s, freshness, new_sample, battery.readings, whole, battery.soc, rest, chemistry)
    context = context_of(view, whole, ratings, limits_settings, battery, chemistry, feed_in)
    means_a, shares = _next_shares(memory, seen, whole, ratings, elapsed_s, joins=bool(joining))
    memory = replace(memory, clock=clock, apart=apart, shares=shares, means_a=means_a, sequence=memory.sequence + 1)
    if freshness.state is STARTING or not context.decidable or (freshness.state is HOLD and battery.last_fresh is None):
        battery = replace(battery, freshness=freshness, last_step_s=now_s, rest=rest)
        outcome = Decision(None, freshness.state, shown, whole, tuple(seen), conditions)
        return outcome, replace(memory, battery=battery)
    moved = (battery.policy, battery.states, battery.balancing, battery.rebulk)
    if is_fresh:
        moved = move_on(context, battery, elapsed_s)
    policy, states, balancing, rebulk = moved
    draft = wish(context, battery, policy, states, balancing, elapsed_s)
    wish_v = draft[CVL]
    charge = without(alone, charge_limits(seen, packs, missing, ratings, shares))
    discharge = without(alone, discharge_limits(seen, packs, missing, ratings, shares, now_s - hold_s, roll.back_s))
    bear_together(draft, seen, packs, charge, discharge)
    mind_the_silent(draft, context, missing, now_s, hold_s)
    mind_the_joining(draft, seen, packs, joining, apart)
    in_doubt = any(each.in_doubt for each in seen.values())
    stop, enforcement, rates = bound(
        draft,
        context,
        battery,
        freshness,
        now_s,
        elapsed_s,
        disobeyed=feed_in.disobeyed,
        new_sample=new_sample,
        in_doubt=in_doubt,
    )
    limits = limits_of(draft, context, freshness.state, policy, states, enforcement, stop, balancing)
    limits = with_unit_words(limits, seen)
    if new_sample:
        round_s = 0.0 if memory.credited_s is None else min(now_s - memory.credited_s, _LONGEST_ROUND_S)
        memory = replace(memory, credited=sequences, credited_s=now_s, round_s=round_s)
    after = Memory(
        states=states,
        freshness=freshness,
        last_step_s=now_s,
        last_fresh=limits if is_fresh else battery.last_fresh,
        policy=policy,
        rates=rates,
        stop=stop,
        rest=rest,
        enforcement=enforcement,
        balancing=balancing,
        feed_in=feed_in,
        rebulk=rebulk,
        chemistry=chemistry,
    )
    outcome = Decision(
        limits,
        freshness.state,
        shown,
        whole,
        tuple(seen),
        conditions,
        reckoned(charge, silent_takes=True),
        reckoned(discharge, silent_takes=False),
    )
    return outcome, replace(memory, battery=after, wish_v=wish_v)


def _unseen(settings: PacksSettings, memory: PacksMemory, roll: Roll, now_s: float) -> tuple[Decision, PacksMemory]:
    """Decide while no pack is seen: as with one pack, from what was known last."""
    packs, freshness, conditions = roll.packs, roll.freshness, roll.conditions
    known = {name: pack.bounds for name, pack in packs.items() if pack.bounds is not None}
    battery = memory.battery
    if not known or battery.last_fresh is None or freshness.state is STARTING:
        after = replace(battery, freshness=freshness, last_step_s=now_s, rest=None)
        return Decision(None, freshness.state, None, None, (), conditions), replace(memory, battery=after)
    ratings = combine_ratings(*[each.context.ratings for each in known.values()])
    whole, shown = _combined(known, {}, packs, ratings, memory.sequence, memory.clock.lifetime_s)
    elapsed_s = elapsed_since(battery.last_step_s, now_s)
    chemistry = battery.chemistry
    view = Observed(elapsed_s, freshness, False, battery.readings, whole, battery.soc, None, chemistry)
    context = context_of(view, whole, ratings, settings.limits, battery, chemistry, battery.feed_in)
    draft = wish(context, battery, battery.policy, battery.states, battery.balancing, elapsed_s)
    missing = memory.missing_since_s
    charge = charge_limits({}, packs, missing, ratings, memory.shares)
    discharge = discharge_limits({}, packs, missing, ratings, memory.shares, -math.inf, ())
    for quantity, parts in ((CCL, charge), (DCL, discharge)):
        last = share_limit([replace(each, seen=True) for each in parts], silent_takes=True)
        draft.lower(
            quantity, last.limit_a, LimitCode.PACK_SHARE, value=last.share, threshold=last.own_a, pack=last.pack
        )
    stop, enforcement, rates = bound(
        draft,
        context,
        battery,
        freshness,
        now_s,
        elapsed_s,
        disobeyed=battery.feed_in.disobeyed,
        new_sample=False,
        in_doubt=False,
    )
    limits = limits_of(
        draft, context, freshness.state, battery.policy, battery.states, enforcement, stop, battery.balancing
    )
    after = replace(
        battery,
        freshness=freshness,
        last_step_s=now_s,
        rest=None,
        stop=stop,
        enforcement=enforcement,
        rates=rates,
    )
    outcome = Decision(limits, freshness.state, shown, whole, tuple(known), conditions)
    return outcome, replace(memory, battery=after)


def _next_shares(
    memory: PacksMemory,
    seen: Mapping[str, Bounds],
    whole: Snapshot,
    ratings: Ratings,
    elapsed_s: float,
    *,
    joins: bool,
) -> tuple[Mapping[str, float], Mapping[str, Share]]:
    """Return the means of the currents of the packs, and their shares; what makes packs equal is no share."""
    rates = memory.battery.rates
    currents_a = {name: each.snapshot.pack.current_a for name, each in seen.items()}
    capacities_ah = {name: each.capacity_ah for name, each in seen.items()}
    allowed_a = rates.ccl_a if whole.pack.current_a > 0.0 else rates.dcl_a
    least_a = math.inf if joins else least_total_a(ratings.capacity_ah, ratings.least_current_a, allowed_a)
    means_a = next_means(memory.means_a, currents_a, memory.round_s, elapsed_s)
    return means_a, next_shares(memory.shares, means_a, capacities_ah, least_a, elapsed_s)


def _combined(
    seen: Mapping[str, Bounds],
    held: Mapping[str, Bounds],
    packs: Mapping[str, PackMemory],
    ratings: Ratings,
    sequence: int,
    lifetime_s: int,
) -> tuple[Snapshot, Snapshot]:
    """Return the battery as it counts, with the cells into and out of which current can flow, and as it is shown."""
    counted = [each.snapshot for each in seen.values()]
    charges = [_charge_of(each) for each in (*seen.values(), *held.values())]
    moving = [
        each.snapshot for name, each in seen.items() if not (packs[name].cut.blocked or packs[name].discharge_blocked)
    ]
    filled = [each.snapshot for name, each in seen.items() if not packs[name].cut.blocked]
    whole = combine_snapshots(
        counted,
        charges,
        ratings,
        sequence=sequence,
        lifetime_s=lifetime_s,
        members=moving or counted,
        filled=filled or counted,
    )
    shown = combine_snapshots(
        [
            with_count(packs[name].engine.readings.sample or each.snapshot, packs[name].engine.soc)
            for name, each in seen.items()
        ],
        charges,
        ratings,
        sequence=sequence,
        lifetime_s=lifetime_s,
        filled=filled or counted,
    )
    return whole, shown


def _charge_of(bounds: Bounds) -> Charge:
    pack = bounds.snapshot.pack
    return Charge(pack.soc_percent, bounds.capacity_ah, pack.soc_known, pack.bms_soc_percent)


def _join_v(settings: PacksSettings, seen: Mapping[str, Bounds]) -> float:
    if settings.join_delta_v is not None:
        return settings.join_delta_v
    return JOIN_CELL_V * next(iter(seen.values())).context.ratings.series_cells
