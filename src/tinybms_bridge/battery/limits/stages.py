"""The stages of the charge-limit engine in groups, and what is remembered between two steps.

Of one unit: ``observe`` (readings, freshness, count), ``protect`` (stages 3 to 5). Of the battery: ``move_on`` and
``wish`` (stages 1 and 2), ``bound`` (stages 7 to 9). Where the unit is the battery, ``engine.step`` puts all of them
together; where there are several, ``packs`` does.
"""

import math
from dataclasses import dataclass, field

from tinybms_bridge.battery.freshness import FRESH, HOLD, STARTING, Freshness, FreshnessMemory, advance
from tinybms_bridge.battery.limits.balancing import apply_balancing, hold_a, next_balancing
from tinybms_bridge.battery.limits.balancing_memory import NO_BALANCING, REST, BalancingMemory
from tinybms_bridge.battery.limits.charge_stop import (
    NO_SWITCH,
    StopMemory,
    SwitchMemory,
    follow_stop,
    follow_switch,
    set_stop_level,
)
from tinybms_bridge.battery.limits.context import Context, make_context, ramp_floor
from tinybms_bridge.battery.limits.derating import (
    SensorMemory,
    derate,
    lost_sensors,
    next_sensors,
    stop_for_temperature,
)
from tinybms_bridge.battery.limits.discharge import CALM, DischargeMemory, limit_discharge
from tinybms_bridge.battery.limits.draft import Draft, base
from tinybms_bridge.battery.limits.enforcement import EnforcementMemory, enforce
from tinybms_bridge.battery.limits.evidence import next_evidence
from tinybms_bridge.battery.limits.evidence_memory import NO_EVIDENCE, Evidence
from tinybms_bridge.battery.limits.feed_in import FeedInMemory, charges_past_ccl
from tinybms_bridge.battery.limits.fit import ChemistryMemory, next_chemistry
from tinybms_bridge.battery.limits.model import CCL, CVL, DCL, Limits
from tinybms_bridge.battery.limits.policy import (
    PolicyMemory,
    RebulkMemory,
    apply_policy,
    bms_says_full,
    fills_past_the_window,
    full_charge_due,
    full_charge_is_old,
    next_policy,
    next_rebulk,
)
from tinybms_bridge.battery.limits.protection import (
    ProtectionMemory,
    apply_freshness,
    apply_inhibits,
    final_clamp,
    obey_bms,
    protect_cells,
)
from tinybms_bridge.battery.limits.rates import RateMemory, limit_rates, lowest_wish_v, remember
from tinybms_bridge.battery.limits.readings import ReadingMemory, loose_wires, next_readings
from tinybms_bridge.battery.limits.resistance import ResistanceMemory, next_resistance
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.limits.soc_count import (
    NO_ANCHORS,
    RestMemory,
    SocMemory,
    SocSource,
    next_anchors,
    next_count,
    next_rest,
    with_count,
)
from tinybms_bridge.battery.limits.states import (
    StateMemory,
    apply_state,
    cells_say,
    next_state,
)
from tinybms_bridge.battery.quick import maker, quick, replace
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = [
    "Memory",
    "Observed",
    "Protected",
    "bound",
    "context_of",
    "elapsed_since",
    "forgotten",
    "limits_of",
    "move_on",
    "observe",
    "protect",
    "read_sensors",
    "set_right",
    "wish",
]


@quick
@dataclass(frozen=True, slots=True)
class Memory:
    """What the engine remembers between two steps."""

    states: StateMemory = field(default_factory=StateMemory)
    freshness: FreshnessMemory = field(default_factory=FreshnessMemory)
    last_step_s: float | None = None
    last_fresh: Limits | None = None
    """The last limits that were decided from fresh data."""
    policy: PolicyMemory = field(default_factory=PolicyMemory)
    protection: ProtectionMemory = field(default_factory=ProtectionMemory)
    rates: RateMemory = field(default_factory=RateMemory)
    too_cold_or_hot: bool = False
    """Charging is stopped by the temperature."""
    dcl_left: float = 1.0
    """The fraction of DCL that temperature leaves."""
    sensors: SensorMemory = field(default_factory=SensorMemory)
    stop: StopMemory = field(default_factory=StopMemory)
    rest: RestMemory | None = None
    """What the cells would show without current; None while data is not fresh."""
    chemistry: ChemistryMemory = field(default_factory=ChemistryMemory)
    enforcement: EnforcementMemory = field(default_factory=EnforcementMemory)
    readings: ReadingMemory = field(default_factory=ReadingMemory)
    switch: SwitchMemory = NO_SWITCH
    resistance: ResistanceMemory = field(default_factory=ResistanceMemory)
    discharge: DischargeMemory = CALM
    balancing: BalancingMemory = NO_BALANCING
    soc: SocMemory = field(default_factory=SocMemory)
    """The bridge's count; without one the BMS's is the state of charge."""
    feed_in: FeedInMemory = field(default_factory=FeedInMemory)
    rebulk: RebulkMemory = field(default_factory=RebulkMemory)
    evidence: Evidence = NO_EVIDENCE
    """What its owner should know of the battery."""

    @property
    def sample(self) -> Snapshot | None:
        """The latest sample that can be used, with the state of charge that counts: what is shown."""
        sample = self.readings.sample
        return None if sample is None else with_count(sample, self.soc)

    @property
    def counted(self) -> Snapshot | None:
        """What counts of the last readings."""
        return self.readings.counted


@dataclass(slots=True)
class Observed:
    """What one step makes of the readings of one unit, before anything is decided."""

    elapsed_s: float
    """Since the last step."""
    freshness: FreshnessMemory
    new_sample: bool
    readings: ReadingMemory
    counted: Snapshot | None
    """What counts of the last readings, with the state of charge that counts."""
    soc: SocMemory
    rest: RestMemory | None = None
    chemistry: ChemistryMemory = field(default_factory=ChemistryMemory)

    @property
    def fresh(self) -> bool:
        """Whether time and history go on."""
        return self.freshness.state is FRESH

    @property
    def fresh_s(self) -> float:
        """Time for which fresh data speaks."""
        return self.elapsed_s if self.fresh else 0.0

    @property
    def undecided(self) -> bool:
        """Whether data was old already before anything was decided."""
        return self.freshness.state is HOLD


_new_limits, _new_observed = maker(Limits), Observed


def observe(
    snapshot: Snapshot | None, settings: LimitSettings, memory: Memory, rates: RateMemory, now_s: float
) -> Observed:
    """Confirm the readings of one unit, and count its state of charge; ``rates`` are those of its battery."""
    elapsed_s = elapsed_since(memory.last_step_s, now_s)
    starting = memory.freshness.state is STARTING
    readings = next_readings(memory.readings, snapshot, settings, starting, memory.sensors.soc_percent)
    freshness = advance(memory.freshness, readings.latest, settings.freshness, now_s)
    counted, soc = readings.counted, memory.soc
    fresh = freshness.state is FRESH
    rest, chemistry = None, memory.chemistry
    if counted is not None and (ratings := counted.ratings) is not None:
        if settings.soc_source is SocSource.BMS:
            soc = SocMemory()
        elif fresh:
            soc = next_count(soc, counted, ratings, settings.freshness.fresh_timeout_s)
        counted = with_count(counted, soc)
        if fresh:
            rest = next_rest(memory.rest, counted, ratings, elapsed_s)
            chemistry = next_chemistry(chemistry, counted, ratings, settings, rates.cvl_v, elapsed_s)
    new_sample = freshness.last_sequence != memory.freshness.last_sequence
    return _new_observed(elapsed_s, freshness, new_sample, readings, counted, soc, rest, chemistry)


def context_of(
    seen: Observed,
    counted: Snapshot,
    ratings: Ratings,
    settings: LimitSettings,
    battery: Memory,
    chemistry: ChemistryMemory,
    feed_in: FeedInMemory,
) -> Context:
    """Return the inputs of the stages for one unit; ``battery`` is the memory of its battery."""
    day, rates = battery.balancing.day, battery.rates
    context = make_context(counted, ratings, settings, seen.rest, chemistry.lowest, feed_in=feed_in.seen, balancing=day)
    return ramp_floor(context, rates.cvl_v, rates.waiting_s + seen.elapsed_s if seen.fresh and seen.new_sample else 0.0)


def forgotten(memory: Memory, seen: Observed, now_s: float) -> Memory:
    """Return the memory after a step in which nothing could be decided."""
    return replace(
        memory,
        freshness=seen.freshness,
        last_step_s=now_s,
        rest=seen.rest,
        readings=seen.readings,
        soc=seen.soc,
    )


def wish(
    context: Context,
    memory: Memory,
    policy: PolicyMemory,
    states: StateMemory,
    balancing: BalancingMemory,
    elapsed_s: float,
) -> Draft:
    """Return the draft after the stages that are of the battery as a whole: base, charge state and wishes."""
    draft = base(context)
    draft.lowest_v = lowest_wish_v(memory.rates, elapsed_s)
    apply_state(draft, context, states, policy.uneven, hold_a(balancing, context))
    set_stop_level(draft, context, memory.stop)
    apply_policy(draft, context, policy)
    draft.lowest_v = -math.inf
    apply_balancing(draft, context, balancing)
    return draft


@dataclass(slots=True)
class Protected:
    """What the stages that protect one unit remember."""

    protection: ProtectionMemory
    switch: SwitchMemory
    dcl_left: float
    too_cold_or_hot: bool
    resistance: ResistanceMemory
    evidence: Evidence
    discharge: DischargeMemory


def protect(
    draft: Draft,
    context: Context,
    memory: Memory,
    seen: Observed,
    soc: SocMemory,
    sensors: SensorMemory,
    now_s: float,
    *,
    starting: bool,
) -> Protected:
    """Lower the draft to what the cells of one unit bear and its BMS lets through (stages 3 to 5).

    ``starting``: no limits were in force before.
    """
    readings, fresh = seen.readings, seen.fresh
    protection = protect_cells(draft, context, memory.protection, seen.fresh_s)
    switch = memory.switch
    if fresh:
        switch = follow_switch(draft, context, readings.window, switch, seen.elapsed_s)
    dcl_left = derate(draft, context, seen.freshness.age_s(now_s), sensors, memory.dcl_left)
    too_cold_or_hot = stop_for_temperature(draft, context, memory.too_cold_or_hot, sensors)
    resistance, evidence = memory.resistance, memory.evidence
    if fresh and seen.new_sample:
        resistance = next_resistance(resistance, context.snapshot, context.ratings, sure=not readings.in_doubt)
        evidence = next_evidence(evidence, context, soc, resistance, sure=not readings.in_doubt)
    discharge = limit_discharge(
        draft, context, memory.discharge, resistance, seen.fresh_s, fresh=fresh, starting=starting
    )
    obey_bms(draft, context)
    return Protected(protection, switch, dcl_left, too_cold_or_hot, resistance, evidence, discharge)


def bound(
    draft: Draft,
    context: Context,
    memory: Memory,
    freshness: FreshnessMemory,
    now_s: float,
    elapsed_s: float,
    *,
    disobeyed: bool,
    new_sample: bool,
    in_doubt: bool,
) -> tuple[StopMemory, EnforcementMemory, RateMemory]:
    """Hold the draft to what is true of the battery whatever its cells bear (stages 6 to 9).

    These are the age of the data and what is inhibited, what flows although it may not, the rates and the clamp.
    Returns what is remembered of it.
    """
    apply_freshness(draft, context, freshness, now_s, memory.last_fresh)
    apply_inhibits(draft, context)
    stop, fresh = memory.stop, freshness.state is FRESH
    if not fresh:
        enforcement = EnforcementMemory(memory.enforcement.level_v)
    else:
        stop = follow_stop(draft, context, memory.stop, memory.rates, elapsed_s, disobeyed=disobeyed)
        enforcement = enforce(draft, context, memory.enforcement, memory.rates, elapsed_s, disobeyed=disobeyed)
    rates = limit_rates(draft, context, memory.rates, elapsed_s, fresh=fresh, new_sample=new_sample, in_doubt=in_doubt)
    final_clamp(draft, context)
    if not freshness.state.may_send:
        return stop, enforcement, replace(memory.rates, running=False)
    return stop, enforcement, remember(rates, draft, context)


def elapsed_since(last_step_s: float | None, now_s: float) -> float:
    """Return the time since the last step; 0 for the first one and for a clock that went backwards."""
    elapsed_s = 0.0 if last_step_s is None else now_s - last_step_s
    return elapsed_s if 0.0 <= elapsed_s < math.inf else 0.0


def move_on(
    context: Context, memory: Memory, elapsed_s: float
) -> tuple[PolicyMemory, StateMemory, BalancingMemory, RebulkMemory]:
    """Move what depends on time and history of the battery on; only with fresh data."""
    snapshot, rule, ends = context.snapshot, context.charging.float_rule, False
    policy, rebulk = next_policy(memory.policy, context, elapsed_s), memory.rebulk
    balancing = next_balancing(memory.balancing, context, elapsed_s)
    over = (policy.full or policy.uneven) and not balancing.active
    if rule.follows_full and memory.states.float_latched and not over:
        rebulk, ends = next_rebulk(rebulk, context, elapsed_s, due=full_charge_is_old(policy, context))
    states = next_state(
        memory.states,
        context.soc.at_most_percent,
        snapshot.cells.delta_mv,
        context.settings.states,
        elapsed_s,
        cells_say(context),
        known=context.soc.known,
        over=over,
        until_full=fills_past_the_window(policy, context),
        over_ccl=charges_past_ccl(snapshot.pack.current_a, memory.rates.ccl_a, context.ratings),
        rule=rule,
        rebulk=ends or balancing.active,
    )
    return policy, states, balancing, rebulk


def read_sensors(context: Context, memory: Memory, elapsed_s: float) -> SensorMemory:
    """Return the last readings of the sensors of a unit; only with fresh data."""
    snapshot = context.snapshot
    return next_sensors(
        memory.sensors,
        snapshot.temperatures,
        context.settings.keep_lost_sensor,
        elapsed_s,
        snapshot.pack.counted_by_bms_percent,
    )


def set_right(
    soc: SocMemory,
    context: Context,
    policy: PolicyMemory,
    balancing: BalancingMemory,
    discharge: DischargeMemory,
) -> SocMemory:
    """Return the count with what the cells say about it; from the next step on it counts.

    Cells that are balanced are not full for weeks: each time that the highest one has come to its top with most of the
    others near it, the charge is one that has ended uneven.
    """
    at_top = balancing.phase is REST and context.others_near_full
    return next_anchors(
        soc,
        context.preset,
        context.full_share,
        context.rest.min_v,
        context.ratings,
        full=policy.full,
        charged=policy.full and bms_says_full(context),
        uneven=policy.uneven or at_top,
        empty=discharge.pause.on or discharge.emptied,
    )


def limits_of(
    draft: Draft,
    context: Context,
    freshness: Freshness,
    policy: PolicyMemory,
    states: StateMemory,
    enforcement: EnforcementMemory,
    stop: StopMemory,
    balancing: BalancingMemory,
    *,
    sensors: SensorMemory | None = None,
    readings: ReadingMemory | None = None,
    soc: SocMemory | None = None,
    evidence: Evidence = NO_EVIDENCE,
) -> Limits:
    """Return the limits of a draft; what is told of one unit is left out without it."""
    doubts = None if readings is None else readings.doubts
    return _new_limits(
        cvl_v=draft[CVL],
        ccl_a=draft[CCL],
        dcl_a=draft[DCL],
        discharge_voltage_v=context.ratings.fully_discharged_cell_v * context.ratings.series_cells,
        state=states.state,
        freshness=freshness,
        reasons=tuple(draft.reasons),
        force_charge=policy.force_charge,
        full=policy.full,
        uneven=policy.uneven,
        full_charge_due=full_charge_due(policy, context),
        lost_sensors=() if sensors is None else lost_sensors(sensors, context.snapshot.temperatures),
        chemistry=context.fit.chemistry.chemistry,
        chemistry_decided=context.fit.chemistry.decided,
        soc_known=context.snapshot.pack.soc_known,
        loose_wires=loose_wires(doubts) if doubts is not None and doubts.loose else (),
        uncontrolled=stop.attempt.in_vain or enforcement.attempt.in_vain,
        ccl_ignored=enforcement.ccl_ignored,
        balancing=balancing,
        soc=NO_ANCHORS if soc is None else soc.anchors,
        evidence=evidence,
        full_voltage_refused=context.charging.full_voltage_refused,
    )
