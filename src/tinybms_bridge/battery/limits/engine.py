"""The charge-limit engine: the stages in their fixed order.

First of all the readings are confirmed and the state of charge is counted. Then come 1 base, 2 charge states and the
user's wishes, 3 cell protection, 4 derating, 5 state of the BMS, 6 freshness and inhibits, 7 CVL against what flows
although it may not, 8 rates, 9 final clamp. Each may only lower what the one before allowed, except the first, which
sets, and the last, which clamps: so the clamp comes after the rates, and nothing passes around it.
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
from tinybms_bridge.battery.limits.feed_in import FeedInMemory, charges_past_ccl, next_feed_in
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
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["Memory", "step"]


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


_new_limits, _new_memory = maker(Limits), maker(Memory)


def step(
    snapshot: Snapshot | None, settings: LimitSettings, memory: Memory, now_s: float
) -> tuple[Limits | None, Memory]:
    """Decide the limits at ``now_s`` (monotonic) from the latest accepted sample.

    Returns the limits and the memory for the next step. The limits are None while nothing can be decided and nothing
    may be sent: before the first sample, before the BMS's own settings are known, when no safe CVL follows from them,
    or when data is already old before anything was decided. Call it for every new sample and at least once a second,
    so that missing samples are noticed. A sample that is not whole counts as none. Every stage sees what is confirmed
    of the last samples, never one sample.
    """
    elapsed_s = _elapsed_s(memory, now_s)
    starting = memory.freshness.state is STARTING
    readings = next_readings(memory.readings, snapshot, settings, starting, memory.sensors.soc_percent)
    freshness = advance(memory.freshness, readings.latest, settings.freshness, now_s)
    counted, soc = readings.counted, memory.soc
    fresh = freshness.state is FRESH
    undecided = freshness.state is HOLD and memory.last_fresh is None
    new_sample = freshness.last_sequence != memory.freshness.last_sequence
    context, rest, chemistry, fresh_s = None, None, memory.chemistry, elapsed_s if fresh else 0.0
    feed_in = memory.feed_in
    if counted is not None and (ratings := counted.ratings) is not None:
        if settings.soc_source is SocSource.BMS:
            soc = SocMemory()
        elif fresh:
            soc = next_count(soc, counted, ratings, settings.freshness.fresh_timeout_s)
        counted = with_count(counted, soc)
        if fresh:
            rest = next_rest(memory.rest, counted, ratings, elapsed_s)
            chemistry = next_chemistry(chemistry, counted, ratings, settings, memory.rates.cvl_v, elapsed_s)
            enforced = memory.enforcement
            feed_in = next_feed_in(
                feed_in, counted, ratings, memory.rates, elapsed_s, enforced.told_a, passed=enforced.passed
            )
        day, lowest = memory.balancing.day, chemistry.lowest
        context = make_context(counted, ratings, settings, rest, lowest, feed_in=feed_in.seen, balancing=day)
        rise_s = memory.rates.waiting_s + elapsed_s if fresh and new_sample else 0.0
        context = ramp_floor(context, memory.rates.cvl_v, rise_s)
    if context is None or undecided or not context.decidable:
        return None, replace(memory, freshness=freshness, last_step_s=now_s, rest=rest, readings=readings, soc=soc)
    policy, states, sensors, balancing = memory.policy, memory.states, memory.sensors, memory.balancing
    rebulk = memory.rebulk
    if fresh:
        policy, states, sensors, balancing, rebulk = _move_on(context, memory, elapsed_s)
        soc = _set_right(soc, context, policy, balancing, memory.discharge)
    draft = base(context)
    draft.lowest_v = lowest_wish_v(memory.rates, elapsed_s)
    apply_state(draft, context, states, policy.uneven, hold_a(balancing, context))
    set_stop_level(draft, context, memory.stop)
    apply_policy(draft, context, policy)
    draft.lowest_v = -math.inf
    apply_balancing(draft, context, balancing)
    protection = protect_cells(draft, context, memory.protection, fresh_s)
    switch = memory.switch
    if fresh:
        switch = follow_switch(draft, context, readings.window, switch, elapsed_s)
    age_s = freshness.age_s(now_s)
    dcl_left = derate(draft, context, age_s, sensors, memory.dcl_left)
    too_cold_or_hot = stop_for_temperature(draft, context, memory.too_cold_or_hot, sensors)
    resistance, evidence = memory.resistance, memory.evidence
    if fresh and new_sample:
        resistance = next_resistance(resistance, context.snapshot, context.ratings, sure=not readings.in_doubt)
        evidence = next_evidence(evidence, context, soc, resistance, sure=not readings.in_doubt)
    discharge = limit_discharge(
        draft, context, memory.discharge, resistance, fresh_s, fresh=fresh, starting=not memory.rates.running
    )
    obey_bms(draft, context)
    apply_freshness(draft, context, freshness, now_s, memory.last_fresh)
    apply_inhibits(draft, context)
    stop = memory.stop
    if not fresh:
        enforcement = EnforcementMemory(memory.enforcement.level_v)
    else:
        disobeyed = feed_in.disobeyed
        stop = follow_stop(draft, context, memory.stop, memory.rates, elapsed_s, disobeyed=disobeyed)
        enforcement = enforce(draft, context, memory.enforcement, memory.rates, elapsed_s, disobeyed=disobeyed)
    rates = limit_rates(
        draft, context, memory.rates, elapsed_s, fresh=fresh, new_sample=new_sample, in_doubt=readings.in_doubt
    )
    final_clamp(draft, context)
    limits = _limits(
        draft, context, freshness.state, policy, states, sensors, enforcement, stop, readings, balancing, soc, evidence
    )
    return limits, _new_memory(
        states=states,
        freshness=freshness,
        last_step_s=now_s,
        last_fresh=limits if fresh else memory.last_fresh,
        policy=policy,
        protection=protection,
        rates=remember(rates, draft, context) if limits.may_send else replace(memory.rates, running=False),
        too_cold_or_hot=too_cold_or_hot,
        dcl_left=dcl_left,
        sensors=sensors,
        stop=stop,
        chemistry=chemistry,
        rest=rest,
        enforcement=enforcement,
        readings=readings,
        switch=switch,
        resistance=resistance,
        discharge=discharge,
        balancing=balancing,
        soc=soc,
        feed_in=feed_in,
        rebulk=rebulk,
        evidence=evidence,
    )


def _elapsed_s(memory: Memory, now_s: float) -> float:
    """Return the time since the last step; 0 for the first one and for a clock that went backwards."""
    elapsed_s = 0.0 if memory.last_step_s is None else now_s - memory.last_step_s
    return elapsed_s if 0.0 <= elapsed_s < math.inf else 0.0


def _move_on(
    context: Context, memory: Memory, elapsed_s: float
) -> tuple[PolicyMemory, StateMemory, SensorMemory, BalancingMemory, RebulkMemory]:
    """Move what depends on time and history on; only with fresh data."""
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
    sensors = next_sensors(
        memory.sensors,
        snapshot.temperatures,
        context.settings.keep_lost_sensor,
        elapsed_s,
        snapshot.pack.counted_by_bms_percent,
    )
    return policy, states, sensors, balancing, rebulk


def _set_right(
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


def _limits(
    draft: Draft,
    context: Context,
    freshness: Freshness,
    policy: PolicyMemory,
    states: StateMemory,
    sensors: SensorMemory,
    enforcement: EnforcementMemory,
    stop: StopMemory,
    readings: ReadingMemory,
    balancing: BalancingMemory,
    soc: SocMemory,
    evidence: Evidence,
) -> Limits:
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
        lost_sensors=lost_sensors(sensors, context.snapshot.temperatures),
        chemistry=context.fit.chemistry.chemistry,
        chemistry_decided=context.fit.chemistry.decided,
        soc_known=context.snapshot.pack.soc_known,
        loose_wires=loose_wires(readings.doubts) if readings.doubts.loose else (),
        uncontrolled=stop.attempt.in_vain or enforcement.attempt.in_vain,
        ccl_ignored=enforcement.ccl_ignored,
        balancing=balancing,
        soc=soc.anchors,
        evidence=evidence,
        full_voltage_refused=context.charging.full_voltage_refused,
    )
