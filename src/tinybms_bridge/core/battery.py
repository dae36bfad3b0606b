"""The battery: a snapshot becomes accepted, limits, alarms, notices and energy, and one state for all who read it.

Everything here runs on the event loop in well under a millisecond; nothing waits for a disk, a service or a lock.
Several packs as one battery: ``core.parallel``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from tinybms_bridge.battery.alarm_rules import AlarmSettings
from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness, stale_from_s
from tinybms_bridge.battery.limits import Chemistry, Inhibited, Limits, LimitSettings, Memory, in_wire_steps, step
from tinybms_bridge.battery.limits.readings import ReadingMemory
from tinybms_bridge.battery.notices import Communication, NoticeMemory, Notices, NoticeSettings, evaluate_notices
from tinybms_bridge.battery.plausibility import PlausibilitySettings, PlausibilityVerdict
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.battery.state import MAIN_PACK, BatteryState, PackState
from tinybms_bridge.core.unit import SOURCE, Unit
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    FreshnessChanged,
    LimitsDecided,
    NoticesChanged,
    SnapshotAccepted,
)

__all__ = ["Battery", "BatterySettings", "Decider"]


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """Settings of the stages."""

    limits: LimitSettings = field(default_factory=LimitSettings)
    plausibility: PlausibilitySettings = field(default_factory=PlausibilitySettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    stop_when_missing: bool = False
    """Of several packs: whether a silent one stops the whole battery."""
    join_delta_v: float | None = None
    """Of several packs: one further from the others joins; None = 0.05 V for each cell."""


class Decider:
    """What the batteries of one and of several packs share: settings, inhibits, notices, and what is announced."""

    def __init__(self, bus: Bus, settings: BatterySettings) -> None:
        self.settings = settings
        """May be replaced at any time; in force from the next step."""
        self.inhibited = Inhibited()
        """What the user has stopped by hand; stays in force when the settings are replaced."""
        self._bus = bus
        self._decided_s = 0.0
        self._limits: Limits | None = None
        self._last_fresh: Limits | None = None
        self._notices = NoticeMemory()
        self._joined = settings.limits, Inhibited(), settings.limits

    @property
    def decided_s(self) -> float:
        """Monotonic time of the last decision."""
        return self._decided_s

    @property
    def limits(self) -> Limits | None:
        """The limits in force, whether or not they may be sent."""
        return self._limits

    @property
    def notices(self) -> Notices:
        """The notices in force."""
        return self._notices.notices

    @property
    def snapshot(self) -> Snapshot | None:
        """The battery as it was last measured."""
        raise NotImplementedError

    def apply(self, settings: BatterySettings) -> None:
        """Put settings in force, from the next decision on."""
        self.settings = settings

    def look(self, communication: Communication, now_s: float, *, configuration_ok: bool = True) -> None:
        """Judge the notices again, and publish what changed."""
        before = self.notices
        self._notices = evaluate_notices(
            self._notices,
            self.snapshot,
            self._limits,
            communication,
            self.settings.notices,
            now_s,
            configuration_ok=configuration_ok,
        )
        active = {name: level for name, level in self.notices.levels.items() if before.levels.get(name) != level}
        if any(level or name in before.levels for name, level in active.items()):
            self._bus.publish(NoticesChanged(before, self.notices), SOURCE)

    def _limit_settings(self) -> LimitSettings:
        """Return the settings with what is stopped by hand; the same object until one changes, as stages know it by."""
        limits, inhibited, joined = self._joined
        if limits is not self.settings.limits or inhibited is not self.inhibited:
            limits, inhibited = self.settings.limits, self.inhibited
            joined = replace(limits, inhibited=inhibited) if inhibited.charge or inhibited.discharge else limits
            self._joined = limits, inhibited, joined
        return joined

    def _announce(
        self, before: Memory, after: Memory, old_limits: Limits | None, old_alarms: Alarms, alarms: Alarms
    ) -> None:
        publish = self._bus.publish
        if self._limits != old_limits:
            publish(LimitsDecided(self._limits), SOURCE)
        if after.freshness.state is not before.freshness.state:
            publish(FreshnessChanged(before.freshness.state, after.freshness.state, after.freshness.frozen), SOURCE)
        if after.states.state is not before.states.state:
            publish(ChargeStateChanged(before.states.state, after.states.state), SOURCE)
        if alarms.levels != old_alarms.levels:
            publish(AlarmsChanged(old_alarms, alarms), SOURCE)


class Battery(Decider):
    """Turns snapshots into limits and the state of a battery of one pack.

    Args:
        bus: Where changes are published.
        settings: May be replaced at any time; see ``apply``.
        saved: What has survived a restart.
        identity: Returns who the BMS is.
        saved_energy: Returns what of the present counters is on the disk.
        name: Of the pack.

    """

    def __init__(
        self,
        bus: Bus,
        settings: BatterySettings,
        saved: SavedState | None = None,
        *,
        identity: Callable[[], Identity | None] = lambda: None,
        saved_energy: Callable[[EnergyTotals], EnergyTotals] = lambda present: present,
        name: str = MAIN_PACK,
    ) -> None:
        super().__init__(bus, settings)
        self.unit = Unit(bus, saved or SavedState())
        """What is known of the only unit."""
        self._name = name
        self._identity = identity
        self._saved_energy = saved_energy
        self._made: tuple[Sequence[object], BatteryState] = (object(),), BatteryState()

    @property
    def units(self) -> dict[str, Unit]:
        """What is known of each unit, by the name of its pack."""
        return {self._name: self.unit}

    @property
    def rejected(self) -> int:
        """Snapshots that were not believed, since the start."""
        return self.unit.rejected

    @property
    def last_verdict(self) -> PlausibilityVerdict:
        """Judgement of the last sample."""
        return self.unit.last_verdict

    @property
    def freshness(self) -> Freshness:
        """How much the last good sample can be trusted."""
        return self.unit.freshness

    @property
    def stale_from_s(self) -> float:
        """Monotonic time after which freshness ends, or silence begins, if nothing better comes until then."""
        return stale_from_s(self.unit.memory.freshness, self.settings.limits.freshness)

    @property
    def frozen_since_s(self) -> float | None:
        """Monotonic time since which the readings stand still; None while they move, and for missing samples."""
        return self.unit.frozen_since_s

    @property
    def counter_stands(self) -> bool:
        """Whether the lifetime counter of the BMS stands while its readings move."""
        return self.unit.counter_stands

    @property
    def snapshot(self) -> Snapshot | None:
        """The last accepted sample, without what cannot be true in it and with the state of charge that counts."""
        return self.unit.snapshot

    @property
    def readings(self) -> ReadingMemory:
        """The last readings, what counts of them, and what is in doubt."""
        return self.unit.readings

    def state(self) -> BatteryState:
        """Return what is known and in force now: the same object until something of it changes."""
        energy, fresh = self.energy, self.freshness is Freshness.FRESH
        parts = (
            self.snapshot,
            self._identity(),
            self._decided_s,
            self.freshness,
            self._limits,
            None if fresh else self._last_fresh,
            self.alarms,
            self.notices,
            energy,
            self._saved_energy(energy),
            self.settings.limits.freshness.fresh_timeout_s,
            self.frozen_since_s,
        )
        made, state = self._made
        if not all(map(is_, parts, made)):
            state = BatteryState(parts[2], {self._name: PackState(*parts[:2])}, *parts[3:])
            self._made = parts, state
        return state

    @property
    def lowest_chemistry(self) -> Chemistry:
        """The lowest chemistry that the cells leave possible."""
        return self.unit.lowest_chemistry

    @property
    def measured_capacity_ah(self) -> float | None:
        """What the battery holds, as two ways between full and near empty have shown; None: not known."""
        return self.unit.measured_capacity_ah

    @property
    def alarms(self) -> Alarms:
        """The alarms in force."""
        return self.unit.alarms

    @property
    def energy(self) -> EnergyTotals:
        """The energy counters."""
        return self.unit.energy

    def saved_state(self) -> SavedState:
        """Return what must survive a restart."""
        return self.unit.saved_state()

    def begin_with(self, saved: SavedState) -> None:
        """Go on with another unit: its counters and what was learned of it, and nothing of the one before."""
        before, old_limits, old_alarms = self.unit.memory, self._limits, self.alarms
        self.unit.begin_with(saved)
        self._limits = self._last_fresh = None
        self._announce(before, self.unit.memory, old_limits, old_alarms, self.alarms)

    def end_pause(self) -> bool:
        """End a pause of discharging of an empty battery, as a person wishes; False when there was none."""
        return self.unit.end_pause()

    @property
    def soc_percent(self) -> float | None:
        """The bridge's count of the state of charge; None while there is none, or the BMS's counts."""
        return self.unit.soc_percent

    def set_soc(self, percent: float) -> None:
        """Go on from a state of charge that was written to the BMS and read back: both counts are that one now."""
        self.unit.set_soc(percent)

    def accept(self, snapshot: Snapshot, now_s: float) -> bool:
        """Take a sample from the BMS; True when it was believed and used."""
        if not self.unit.believes(snapshot, self.settings.plausibility):
            self.tick(now_s)
            return False
        held = self.freshness in (Freshness.HOLD, Freshness.SILENT)  # what is not believed is not counted
        self._decide(snapshot, now_s)
        if not held:
            self.unit.count_energy()
        return True

    def tick(self, now_s: float) -> None:
        """Decide anew at ``now_s``; call it at least once a second so that missing samples are noticed."""
        self._decide(None, now_s)

    def _decide(self, snapshot: Snapshot | None, now_s: float) -> None:
        """Decide from a new sample, or None: from what is known."""
        unit = self.unit
        before, old_limits, old_alarms = unit.memory, self._limits, unit.alarms
        self._decided_s = now_s
        limits, unit.memory = step(snapshot, self._limit_settings(), before, now_s)
        if snapshot is not None and unit.snapshot is not None:
            self._bus.publish(SnapshotAccepted(unit.snapshot, self._name), SOURCE)
            unit.tell(before, now_s)
        self._limits = None if limits is None else in_wire_steps(limits)
        if self._limits is not None and self._limits.freshness is Freshness.FRESH:
            self._last_fresh = self._limits
        unit.watch(self.settings.alarms, now_s)
        self._announce(before, unit.memory, old_limits, old_alarms, unit.alarms)
