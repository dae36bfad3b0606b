"""One of several packs: what its cells bear and what its BMS lets through, whatever the battery as a whole wishes.

It is the part of the engine that belongs to a unit: readings, freshness, count, cell protection, derating, state of its
BMS. Charge state, wishes, rates and clamp belong to the battery (``packs``).

The reasons of its numbers: charge-control.md#several-packs.
"""

import dataclasses
import math
from dataclasses import dataclass

from tinybms_bridge.battery.bms_event_kinds import Stops
from tinybms_bridge.battery.limits.charge_stop import StopMemory, set_stop_level
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import base
from tinybms_bridge.battery.limits.enforcement import EnforcementMemory
from tinybms_bridge.battery.limits.fit import least_flow_a
from tinybms_bridge.battery.limits.model import CVL, Limits, Reason
from tinybms_bridge.battery.limits.policy import PolicyMemory
from tinybms_bridge.battery.limits.protection import causes_of
from tinybms_bridge.battery.limits.settings import Inhibited, LimitSettings
from tinybms_bridge.battery.limits.stages import (
    Memory,
    context_of,
    forgotten,
    limits_of,
    observe,
    protect,
    read_sensors,
    set_right,
)
from tinybms_bridge.battery.quick import by_settings, quick, replace
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["Bounds", "Cut", "PackMemory", "step_pack"]

_OPENS_WITHIN_S = 3.0
"""A switch is open so soon after its BMS has told of the cause; who charges on after that is connected."""

_NO_ENFORCEMENT, _NO_STOP = EnforcementMemory(), StopMemory()


@quick
@dataclass(frozen=True, slots=True)
class Bounds:
    """What one pack bears: the outcome of its last step with fresh data."""

    context: Context
    limits: Limits
    """Its own limits, with their reasons."""
    cvl_v: float
    """CVL that its cells need; infinite while they need none below that of the battery."""
    cvl_reason: Reason | None
    stopped: bool
    """Whether it bears no charge at all now."""
    enforced_a: float
    """Charge current that temperature leaves it; infinite where it leaves all."""
    in_doubt: bool
    """Whether its readings have to be confirmed before anything rises."""
    last_ccl_a: float = 0.0
    """CCL with the last sample: a pack that is silent is not limited by its silence a second time."""

    @property
    def snapshot(self) -> Snapshot:
        """What counts of its last readings."""
        return self.context.snapshot

    @property
    def capacity_ah(self) -> float:
        """Register 306."""
        return self.context.ratings.capacity_ah


@quick
@dataclass(frozen=True, slots=True)
class Cut:
    """Whether its BMS lets charge in."""

    since_s: float | None = None
    """For how long it has had a cause to cut charging; None: it has none."""
    connected: bool = False
    """Whether it has been seen to charge all the same: then it counts as connected until the cause has ended."""
    blocked: bool = False
    """Whether nothing flows in and nothing will: the pack leaves the sums of charging."""

    @property
    def opening(self) -> bool:
        """Whether the switch may be about to open: what flows in ends by itself, then, within seconds."""
        return self.since_s is not None and not (self.connected or self.blocked)


_NO_CUT = Cut()


@quick
@dataclass(frozen=True, slots=True)
class PackMemory:
    """What is remembered of one of several packs."""

    engine: Memory
    """Of its own part of the engine; what is of the battery has its start values."""
    bounds: Bounds | None = None
    """What it bears, as it was decided last; None before anything was."""
    cut: Cut = _NO_CUT

    @property
    def discharge_blocked(self) -> bool:
        """Whether nothing is to flow out of it: its BMS has cut the load, or it is empty."""
        return self.bounds is not None and not self.bounds.limits.dcl_a > 0.0


def step_pack(
    snapshot: Snapshot | None, settings: LimitSettings, memory: PackMemory, battery: Memory, wish_v: float, now_s: float
) -> PackMemory:
    """Return the memory of a pack after a new sample, or None: at a look at what is known.

    ``battery`` is the memory of the battery, ``wish_v`` the CVL that it wishes. Without fresh data the bounds stay.
    """
    own, before = _of_pack(settings), memory.engine
    seen = observe(snapshot, own, before, battery.rates, now_s)
    counted = seen.counted
    if counted is None or counted.ratings is None or not seen.fresh:
        return replace(memory, engine=forgotten(before, seen, now_s))
    context = context_of(seen, counted, counted.ratings, own, battery, seen.chemistry, battery.feed_in)
    if not context.decidable:
        return replace(memory, engine=forgotten(before, seen, now_s), bounds=None)
    sensors = read_sensors(context, before, seen.elapsed_s)
    policy = _policy_for(battery.policy, context)
    soc = set_right(seen.soc, context, policy, battery.balancing, before.discharge)
    draft = base(context)
    set_stop_level(draft, context, battery.stop)
    if wish_v < draft[CVL]:
        draft[CVL] = wish_v
    first = len(draft.reasons)
    protected = protect(draft, context, before, seen, soc, sensors, now_s, starting=not battery.rates.running)
    limits = limits_of(
        draft,
        context,
        seen.freshness.state,
        policy,
        battery.states,
        _NO_ENFORCEMENT,
        _NO_STOP,
        battery.balancing,
        sensors=sensors,
        readings=seen.readings,
        soc=soc,
        evidence=protected.evidence,
    )
    reason = next((each for each in reversed(draft.reasons[first:]) if each.quantity is CVL), None)
    bounds = Bounds(
        context,
        limits,
        math.inf if reason is None else reason.limit,
        reason,
        draft.stopped,
        draft.enforced_a,
        seen.readings.in_doubt,
        limits.ccl_a if seen.new_sample or memory.bounds is None else memory.bounds.last_ccl_a,
    )
    engine = Memory(
        freshness=seen.freshness,
        last_step_s=now_s,
        last_fresh=limits,
        protection=protected.protection,
        too_cold_or_hot=protected.too_cold_or_hot,
        dcl_left=protected.dcl_left,
        sensors=sensors,
        rest=seen.rest,
        chemistry=seen.chemistry,
        readings=seen.readings,
        switch=protected.switch,
        resistance=protected.resistance,
        discharge=protected.discharge,
        soc=soc,
        evidence=protected.evidence,
    )
    return PackMemory(engine, bounds, _follow_cut(memory.cut, bounds, seen.elapsed_s))


@by_settings
def _of_pack(settings: LimitSettings) -> LimitSettings:
    """Return the settings without what is of the battery: its greatest currents and what is stopped by hand."""
    return dataclasses.replace(settings, max_charge_current_a=None, max_discharge_current_a=None, inhibited=Inhibited())


def _policy_for(policy: PolicyMemory, context: Context) -> PolicyMemory:
    """Return what of a full battery counts for this pack: cells that contradict are not full with the others."""
    if not (policy.full or policy.uneven) or context.rest.max_v >= context.no_longer_full_cell_v:
        return policy
    return replace(policy, full=False, uneven=False)


def _follow_cut(before: Cut, bounds: Bounds, elapsed_s: float) -> Cut:
    """Return whether charge flows in, where its BMS has a cause to cut it.

    A cause may be told before the switch opens, and some cause cuts nothing: who charges on after some seconds is
    connected, and bears what it bears.
    """
    snapshot, ratings = bounds.snapshot, bounds.context.ratings
    if not any(Stops.CHARGE in stops for _, stops in causes_of(snapshot, ratings)):
        return _NO_CUT if before.since_s is not None else before
    since_s = 0.0 if before.since_s is None else min(before.since_s + elapsed_s, _OPENS_WITHIN_S)
    flows = snapshot.pack.current_a > least_flow_a(ratings)
    connected = before.connected or (flows and since_s >= _OPENS_WITHIN_S)
    return Cut(since_s, connected, not (connected or flows))
