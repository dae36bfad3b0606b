"""Several packs as one battery: samples of each pack become one set of limits, and one state for all who read it.

A sample costs what is of its pack; what is of the battery is decided at most ten times a second, and at once when a
pack bears less than before. So sixteen packs cost little more than one.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.come_and_go import Told, next_told
from tinybms_bridge.battery.energy import EnergyCounter, EnergyTotals
from tinybms_bridge.battery.freshness import Freshness, stale_from_s
from tinybms_bridge.battery.limits import Limits, in_wire_steps
from tinybms_bridge.battery.limits.pack_step import Bounds, PackMemory
from tinybms_bridge.battery.limits.packs import Decision, PacksSettings, begin_packs, see_pack, step_battery
from tinybms_bridge.battery.limits.parallel import BatteryClock
from tinybms_bridge.battery.notices import Communication
from tinybms_bridge.battery.pack_alarms import alarms_together, cause_of_condition
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedBattery
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.battery.state import BatteryState, PackCondition, PackState
from tinybms_bridge.core.battery import BatterySettings, Decider
from tinybms_bridge.core.unit import SOURCE, Unit
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted, PackSnapshotAccepted, SnapshotAccepted
from tinybms_bridge.words import Message, message

__all__ = ["ParallelBattery"]

_DECIDE_S = 0.1
"""A pack alone is read no more often; what falls is decided at once all the same."""

_LOOK_S = 0.4
"""A pack that was stepped no longer ago need not be looked at again at a tick: its sample has brought it."""

_NOTHING = Decision(None, Freshness.STARTING, None, None)

_BAD = {
    PackCondition.SILENT: Severity.FAULT,
    PackCondition.ODD: Severity.FAULT,
    PackCondition.JOINING: Severity.WARNING,
}
"""Parts that are not as they should be."""


class ParallelBattery(Decider):
    """Turns the samples of several packs into limits and the state of the battery.

    Args:
        bus: Where changes are published.
        settings: May be replaced at any time; see ``apply``.
        names: Every pack, in order.
        saved: What has survived a restart of the battery.
        identity: Returns who the BMS of a pack is.
        saved_energy: Returns what of the present counters of a pack is on the disk; of the battery for an empty name.

    """

    def __init__(
        self,
        bus: Bus,
        settings: BatterySettings,
        names: Collection[str],
        saved: SavedBattery | None = None,
        *,
        identity: Callable[[str], Identity | None] = lambda _pack: None,
        saved_energy: Callable[[str, EnergyTotals], EnergyTotals] = lambda _pack, present: present,
    ) -> None:
        super().__init__(bus, settings)
        saved = saved or SavedBattery()
        self.units = {name: Unit(bus, SavedState(), name) for name in names}
        """What is known of each unit, by the name of its pack."""
        self.enabled: tuple[str, ...] = tuple(names)
        """The packs that are in service, in order."""
        self.doubled: Mapping[str, str] = {}
        """Packs that show a unit which another pack has, with the port of that."""
        self._identity = identity
        self._saved_energy = saved_energy
        self._energy = EnergyCounter(saved.state.energy)
        self._alarms = Alarms()
        self._outcome = _NOTHING
        self._told: dict[str, Told[PackCondition]] = {}
        self._severe: set[str] = set()
        self._version = 0
        self._made: tuple[object, BatteryState] = None, BatteryState()
        clock = BatteryClock(saved.lifetime_s, saved.counters_s)
        self._memory = begin_packs(saved.state.memory, {}, clock)

    @property
    def freshness(self) -> Freshness:
        """How much the data of the battery can be trusted."""
        return self._memory.battery.freshness.state

    @property
    def stale_from_s(self) -> float:
        """Monotonic time after which the data of a pack gets old, or silence begins, if nothing better comes."""
        freshness = self.settings.limits.freshness
        fresh = [
            stale_from_s(unit.memory.freshness, freshness)
            for unit in map(self.units.__getitem__, self.enabled)
            if unit.freshness is Freshness.FRESH
        ]
        battery = self._memory.battery.freshness
        if self.freshness is Freshness.HOLD:
            fresh.append(battery.since_s + freshness.hold_s)
        return min(fresh, default=float("inf"))

    @property
    def frozen_since_s(self) -> float | None:
        """Monotonic time since which the readings of every pack stand still; None while any moves."""
        since_s = [self.units[name].frozen_since_s for name in self.enabled]
        known_s = [each for each in since_s if each is not None]
        return max(known_s) if known_s and len(known_s) == len(since_s) else None

    @property
    def counter_stands(self) -> bool:
        """Whether the lifetime counter of any BMS stands while its readings move."""
        return any(self.units[name].counter_stands for name in self.enabled)

    @property
    def snapshot(self) -> Snapshot | None:
        """The battery as it was last measured: its packs as one."""
        return self._outcome.combined

    @property
    def alarms(self) -> Alarms:
        """The alarms in force: the worst of all packs."""
        return self._alarms

    @property
    def energy(self) -> EnergyTotals:
        """The battery's own counters, which never fall."""
        return self._energy.totals

    @property
    def conditions(self) -> Mapping[str, PackCondition]:
        """What part each pack has."""
        return self._outcome.conditions

    @property
    def any_silent(self) -> bool:
        """Whether a pack is silent, or has come and gone too often to be trusted at once."""
        return any(told.state is PackCondition.SILENT for told in self._told.values())

    def saved_state(self) -> SavedBattery:
        """Return what must survive a restart of the battery; what is of the units they tell."""
        clock = self._memory.clock
        state = SavedState.of(self._energy.totals, self._memory.battery)
        return SavedBattery(state, clock.lifetime_s, clock.counters_s)

    def end_pause(self) -> bool:
        """End a pause of discharging of every empty pack, as a person wishes; False when there was none."""
        ended = [unit.end_pause() for unit in self.units.values()]
        return True in ended

    def begin_with(self, pack: str, saved: SavedState) -> None:
        """Go on with another unit as a pack: its counters and what was learned of it."""
        self.units[pack].begin_with(saved)
        packs = {name: memory for name, memory in self._memory.packs.items() if name != pack}
        self._memory = replace(self._memory, packs=packs)

    def accept(self, pack: str, snapshot: Snapshot, now_s: float) -> bool:
        """Take a sample of a pack; True when it was believed and used."""
        unit = self.units[pack]
        if not unit.believes(snapshot, self.settings.plausibility):
            self.tick(now_s)
            return False
        held = unit.freshness in (Freshness.HOLD, Freshness.SILENT, Freshness.STARTING)
        before, old = unit.memory, self._bounds(pack)
        self._see(pack, snapshot, now_s)
        if unit.snapshot is not None:
            self._bus.publish(PackSnapshotAccepted(unit.snapshot, pack), SOURCE)
            unit.tell(before, now_s)
        if not held:
            unit.count_energy()
        unit.watch(self.settings.alarms, now_s)
        if now_s - self._decided_s >= _DECIDE_S or _is_less(old, self._bounds(pack)):
            self._decide(now_s)
        return True

    def tick(self, now_s: float) -> None:
        """Decide anew at ``now_s``; call it at least once a second so that missing samples are noticed."""
        for name in self.enabled:
            unit = self.units[name]
            last_s = unit.memory.last_step_s
            if last_s is None or now_s - last_s >= _LOOK_S:
                self._see(name, None, now_s)
                unit.watch(self.settings.alarms, now_s)
        self._decide(now_s)

    def look(self, communication: Communication, now_s: float, *, configuration_ok: bool = True) -> None:
        """See ``Decider``; what hangs on limits does not flutter with a pack that comes and goes."""
        in_force = self._limits
        bad = [told for told in self._told.values() if told.state in _BAD]
        if any(told.is_unsteady or told.comes_and_goes(now_s) for told in bad):
            self._limits = None  # their notices stay as they are
        super().look(communication, now_s, configuration_ok=configuration_ok)
        self._limits = in_force

    def state(self) -> BatteryState:
        """Return what is known and in force now: the same object until something of it changes."""
        energy = self.energy
        saved = self._saved_energy("", energy)
        identities = tuple([self._identity(name) for name in self.units])
        parts = (self._version, id(self.notices), id(saved), tuple(map(id, identities)))
        made, state = self._made
        if made == parts:
            return state
        fresh = self.freshness is Freshness.FRESH
        state = BatteryState(
            self._decided_s,
            {name: self._pack_state(name, identity) for name, identity in zip(self.units, identities, strict=True)},
            self.freshness,
            self._limits,
            None if fresh else self._last_fresh,
            self._alarms,
            self.notices,
            energy,
            saved,
            self.settings.limits.freshness.fresh_timeout_s,
            self.frozen_since_s,
            self._outcome.combined,
            self._outcome.members,
        )
        self._made = parts, state
        return state

    def _bounds(self, pack: str) -> Bounds | None:
        memory = self._memory.packs.get(pack)
        return None if memory is None else memory.bounds

    def _see(self, pack: str, snapshot: Snapshot | None, now_s: float) -> None:
        """Step one pack; the unit and the engine have the same memory before and after."""
        unit, memory = self.units[pack], self._memory
        known = memory.packs.get(pack)
        if known is None or known.engine is not unit.memory:
            engine = PackMemory(unit.memory) if known is None else replace(known, engine=unit.memory)
            memory = replace(memory, packs={**memory.packs, pack: engine})
        self._memory = see_pack(pack, snapshot, self._packs_settings(), memory, now_s)
        unit.memory = self._memory.packs[pack].engine

    def _packs_settings(self) -> PacksSettings:
        settings = self.settings
        return PacksSettings(self._limit_settings(), settings.stop_when_missing, settings.join_delta_v)

    def _decide(self, now_s: float) -> None:
        before, old_limits, old_alarms, old = self._memory, self._limits, self._alarms, self._outcome
        self._decided_s = now_s
        self._version += 1
        self._outcome, self._memory = step_battery(
            self._packs_settings(), before, now_s, enabled=self.enabled, doubled=self.doubled.keys()
        )
        outcome = self._outcome
        if outcome.combined is None and old.combined is not None:
            outcome = self._outcome = replace(outcome, combined=old.combined, members=old.members)
        self._limits = None if outcome.limits is None else in_wire_steps(outcome.limits)
        if self._limits is not None and self._limits.freshness is Freshness.FRESH:
            self._last_fresh = self._limits
        if outcome.freshness is Freshness.FRESH and outcome.counted is not None:
            self._energy.add(outcome.counted)
        if outcome.combined is not None and outcome.combined is not old.combined:
            self._bus.publish(SnapshotAccepted(outcome.combined, ""), SOURCE)
        self._tell_conditions(outcome.conditions, now_s)
        self._watch(outcome, now_s)
        self._announce(before.battery, self._memory.battery, old_limits, old_alarms, self._alarms)

    def _watch(self, outcome: Decision, now_s: float) -> None:
        """Judge the alarms of the battery."""
        conditions: list[tuple[AlarmLevel, AlarmCause]] = []
        for name, told in self._told.items():
            if told.state not in _BAD:
                continue
            missing_s = now_s - self._memory.missing_since_s.get(name, now_s)
            if told.present is PackCondition.SILENT and missing_s > self.settings.limits.freshness.hold_s:
                self._severe.add(name)
            cause = self._cause(name, told, self.units[name].memory.freshness.age_s(now_s) or missing_s)
            if cause is not None:
                severe = name in self._severe or told.state is PackCondition.ODD
                conditions.append((AlarmLevel.ALARM if severe else AlarmLevel.WARNING, cause))
        seen = {name: self.units[name].alarms for name in outcome.members if name in outcome.conditions}
        if outcome.freshness is not Freshness.STARTING:
            self._alarms = alarms_together(self._alarms, seen, conditions)

    def _cause(self, name: str, told: Told[PackCondition], silent_s: float = 0.0) -> AlarmCause | None:
        snapshot = self.units[name].snapshot
        usual = next((self.units[each].snapshot for each in self._outcome.members if each != name), None)
        cells = None if snapshot is None else snapshot.cells.count
        expected = None if usual is None else usual.cells.count
        different = cells != expected and cells is not None and expected is not None
        return cause_of_condition(
            name,
            told.state,
            silent_s=silent_s,
            apart_v=self._memory.apart.most_v,
            device=self.doubled.get(name, ""),
            cells=cells if different else None,
            expected=expected if different else None,
            unsteady=told.is_unsteady,
        )

    def _tell_conditions(self, conditions: Mapping[str, PackCondition], now_s: float) -> None:
        """Say on the bus which packs have another part now."""
        for name in self._told.keys() - conditions.keys():
            del self._told[name]
            self._severe.discard(name)
        for name, condition in conditions.items():
            before = self._told.get(name) or Told(PackCondition.STARTING, PackCondition.STARTING)
            told = next_told(before, condition, now_s, was_bad=before.state in _BAD)
            self._told[name] = told
            if told.state is before.state:
                continue
            self._severe.discard(name)
            said = self._said(name, before.state, told)
            if said is not None:
                self._bus.publish(Noted(_BAD.get(condition, Severity.INFO), said, pack=name), SOURCE)

    def _said(self, name: str, before: PackCondition, told: Told[PackCondition]) -> Message | None:
        condition = told.state
        if condition is PackCondition.SILENT:
            return message(EventCode.PACK_SILENT, pack=name)
        if condition is PackCondition.JOINING:
            return message(EventCode.PACK_JOINING, pack=name, apart_v=self._memory.apart.most_v)
        if condition is PackCondition.ODD:
            if name in self.doubled:
                return message(EventCode.SAME_UNIT, pack=name, device=self.doubled[name])
            cause = self._cause(name, told)
            parameters = {} if cause is None else cause.message.parameters
            return message(
                EventCode.PACK_ODD, pack=name, cells=parameters.get("cells"), expected=parameters.get("expected")
            )
        if condition is PackCondition.IN_USE and before is PackCondition.JOINING:
            return message(EventCode.PACK_JOINED, pack=name)
        if condition is PackCondition.IN_USE and before in (PackCondition.SILENT, PackCondition.ODD):
            return message(EventCode.PACK_BACK, pack=name)
        return None

    def _pack_state(self, name: str, identity: Identity | None) -> PackState:
        unit, outcome = self.units[name], self._outcome
        memory = self._memory.packs.get(name)
        if name not in self.enabled:
            return PackState(
                identity=identity,
                condition=PackCondition.OUT_OF_SERVICE,
                freshness=Freshness.SILENT,
                charge_blocked=True,
                discharge_blocked=True,
                energy=unit.energy,
                saved_energy=self._saved_energy(name, unit.energy),
            )
        seen = name in outcome.members and outcome.conditions.get(name) in (
            PackCondition.IN_USE,
            PackCondition.JOINING,
        )
        limits: Limits | None = None
        if seen and memory is not None and memory.bounds is not None:
            limits = in_wire_steps(memory.bounds.limits)
        return PackState(
            unit.snapshot,
            identity,
            outcome.conditions.get(name, PackCondition.STARTING),
            unit.freshness,
            limits,
            memory is not None and memory.cut.blocked,
            memory is not None and memory.discharge_blocked,
            outcome.charge.get(name),
            outcome.discharge.get(name),
            unit.alarms,
            unit.energy,
            self._saved_energy(name, unit.energy),
            unit.frozen_since_s,
        )


_LESS_SHARE, _LESS_V = 0.02, 0.05
"""A curve lowers a limit a little with each sample; that little waits for the next decision."""


def _is_less(before: Bounds | None, after: Bounds | None) -> bool:
    """Return whether a pack bears clearly less than before, so that the battery is to be decided at once."""
    if before is None or after is None:
        return before is not after
    old, new, kept = before.limits, after.limits, 1.0 - _LESS_SHARE
    less = new.ccl_a < kept * old.ccl_a or new.dcl_a < kept * old.dcl_a or after.cvl_v < before.cvl_v - _LESS_V
    return less or after.stopped is not before.stopped
