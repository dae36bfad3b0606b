"""The battery: a snapshot becomes accepted, limits, alarms, notices and energy, and one state for all who read it.

Everything here runs on the event loop in well under a millisecond; nothing waits for a disk, a service or a lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from tinybms_bridge.battery.alarm_rules import AlarmMemory, AlarmSettings, evaluate
from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.energy import EnergyCounter, EnergyTotals
from tinybms_bridge.battery.freshness import Freshness, stale_from_s
from tinybms_bridge.battery.limits import (
    Chemistry,
    Evidence,
    Inhibited,
    Limits,
    LimitSettings,
    Memory,
    RemarkCode,
    in_wire_steps,
    remarks_on,
    step,
)
from tinybms_bridge.battery.limits.discharge import end_pause
from tinybms_bridge.battery.limits.readings import ReadingMemory, place_of_cells
from tinybms_bridge.battery.limits.soc_count import SocMemory, set_count
from tinybms_bridge.battery.notices import Communication, NoticeMemory, Notices, NoticeSettings, evaluate_notices
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, PlausibilityVerdict, judge
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Identity, Ratings, Snapshot
from tinybms_bridge.battery.state import MAIN_PACK, BatteryState, PackState
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    EventCode,
    FreshnessChanged,
    LimitsDecided,
    Noted,
    NoticesChanged,
    SnapshotAccepted,
    SnapshotRejected,
)
from tinybms_bridge.words import message

__all__ = ["Battery", "BatterySettings"]

_SOURCE = "battery"

_TELL_AGAIN_S = 600.0
"""A loose wire gives outliers for days: its alarm tells of that, each single one need not."""


_LEAP_PERCENT = 1.0
"""No current does that between two readings."""


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """Settings of the stages."""

    limits: LimitSettings = field(default_factory=LimitSettings)
    plausibility: PlausibilitySettings = field(default_factory=PlausibilitySettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)


class Battery:
    """Turns snapshots into limits and the state of the battery.

    Args:
        bus: Where changes are published.
        settings: May be replaced at any time; see ``apply``.
        saved: What has survived a restart.
        identity: Returns who the BMS is.
        saved_energy: Returns what of the present counters is on the disk.

    """

    def __init__(
        self,
        bus: Bus,
        settings: BatterySettings,
        saved: SavedState | None = None,
        *,
        identity: Callable[[], Identity | None] = lambda: None,
        saved_energy: Callable[[EnergyTotals], EnergyTotals] = lambda present: present,
    ) -> None:
        saved = saved or SavedState()
        self._identity = identity
        self._saved_energy = saved_energy
        self._notices = NoticeMemory()
        self._decided_s = 0.0
        self._made: tuple[Sequence[object], BatteryState] = (object(),), BatteryState()
        self.settings = settings
        """May be replaced at any time; in force from the next step."""
        self.inhibited = Inhibited()
        """What the user has stopped by hand; stays in force when the settings are replaced."""
        self.rejected = 0
        """Snapshots that were not believed, since the start."""
        self._rejected_before = 0
        self.last_verdict = PlausibilityVerdict()
        """Judgement of the last sample."""
        self._bus = bus
        self._energy = EnergyCounter(saved.energy)
        self._plausibility = PlausibilityMemory()
        self.charging_told = saved.charging_told
        """Whether the owner has been told what the values by chemistry change."""
        self._memory = saved.memory
        self._shown: tuple[Snapshot | None, SocMemory | None, Snapshot | None] = None, None, None
        self._alarms = AlarmMemory()
        self._limits: Limits | None = None
        self._last_fresh: Limits | None = None
        self._told_s: dict[tuple[int, ...], float] = {}
        self._ignored = ""
        self._joined = settings.limits, Inhibited(), settings.limits

    @property
    def freshness(self) -> Freshness:
        """How much the last good sample can be trusted."""
        return self._memory.freshness.state

    @property
    def decided_s(self) -> float:
        """Monotonic time of the last decision."""
        return self._decided_s

    @property
    def stale_from_s(self) -> float:
        """Monotonic time after which freshness ends, or silence begins, if nothing better comes until then."""
        return stale_from_s(self._memory.freshness, self.settings.limits.freshness)

    @property
    def frozen_since_s(self) -> float | None:
        """Monotonic time since which the readings stand still; None while they move, and for missing samples."""
        freshness = self._memory.freshness
        return freshness.motion.changed_s if freshness.frozen else None

    @property
    def counter_stands(self) -> bool:
        """Whether the lifetime counter of the BMS stands while its readings move."""
        return self._memory.freshness.motion.counter_stands()

    @property
    def snapshot(self) -> Snapshot | None:
        """The last accepted sample, without what cannot be true in it and with the state of charge that counts."""
        sample, soc, shown = self._shown
        if sample is not self._memory.readings.sample or soc is not self._memory.soc:
            sample, soc, shown = self._memory.readings.sample, self._memory.soc, self._memory.sample
            self._shown = sample, soc, shown
        return shown

    @property
    def readings(self) -> ReadingMemory:
        """The last readings, what counts of them, and what is in doubt."""
        return self._memory.readings

    @property
    def limits(self) -> Limits | None:
        """The limits in force, whether or not they may be sent."""
        return self._limits

    def apply(self, settings: BatterySettings) -> None:
        """Put settings in force, from the next decision on."""
        self.settings = settings

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
            state = BatteryState(parts[2], {MAIN_PACK: PackState(*parts[:2])}, *parts[3:])
            self._made = parts, state
        return state

    @property
    def doubted(self) -> tuple[int, int]:
        """Snapshots that were not believed, since the last reset, and readings of a cell that did not count."""
        return self.rejected - self._rejected_before, self.readings.doubts.count

    def reset_statistics(self) -> None:
        """Count the snapshots that are not believed from 0 again."""
        self._rejected_before = self.rejected

    @property
    def notices(self) -> Notices:
        """The notices in force."""
        return self._notices.notices

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
            self._bus.publish(NoticesChanged(before, self.notices), _SOURCE)

    @property
    def lowest_chemistry(self) -> Chemistry:
        """The lowest chemistry that the cells leave possible."""
        return self._memory.chemistry.lowest

    @property
    def measured_capacity_ah(self) -> float | None:
        """What the battery holds, as two ways between full and near empty have shown; None: not known."""
        return self._memory.evidence.capacity_ah

    @property
    def alarms(self) -> Alarms:
        """The alarms in force."""
        return self._alarms.alarms

    @property
    def energy(self) -> EnergyTotals:
        """The energy counters."""
        return self._energy.totals

    def saved_state(self) -> SavedState:
        """Return what must survive a restart."""
        return SavedState.of(self._energy.totals, self._memory, charging_told=self.charging_told)

    def begin_with(self, saved: SavedState) -> None:
        """Go on with another unit: its counters and what was learned of it, and nothing of the one before."""
        before, old_limits, old_alarms = self._memory, self._limits, self.alarms
        self._energy = EnergyCounter(saved.energy)
        self._plausibility = PlausibilityMemory()
        self.charging_told = saved.charging_told
        self._memory = saved.memory
        self._alarms = AlarmMemory()
        self._limits = self._last_fresh = None
        self._announce(before, old_limits, old_alarms)

    def end_pause(self) -> bool:
        """End a pause of discharging of an empty battery, as a person wishes; False when there was none."""
        discharge = self._memory.discharge
        if not discharge.pause.on:
            return False
        self._memory = replace(self._memory, discharge=end_pause(discharge))
        return True

    @property
    def soc_percent(self) -> float | None:
        """The bridge's count of the state of charge; None while there is none, or the BMS's counts."""
        return self._memory.soc.percent

    def set_soc(self, percent: float) -> None:
        """Go on from a state of charge that was written to the BMS and read back: both counts are that one now."""
        if self._memory.soc.percent is not None:
            self._memory = replace(self._memory, soc=set_count(self._memory.soc, percent))

    def accept(self, snapshot: Snapshot, now_s: float) -> bool:
        """Take a sample from the BMS; True when it was believed and used."""
        verdict, self._plausibility = judge(self._plausibility, snapshot, self.settings.plausibility)
        self.last_verdict = verdict
        if not verdict.accepted:
            self.rejected += 1
            self._bus.publish(SnapshotRejected(snapshot, verdict, self.rejected), _SOURCE)
            self.tick(now_s)
            return False
        self._tell_ignored(verdict)
        held = self.freshness in (Freshness.HOLD, Freshness.SILENT)  # what is not believed is not counted
        self._decide(snapshot, now_s)
        if self.readings.counted is not None and not held:
            self._energy.add(self.readings.counted)
        return True

    def tick(self, now_s: float) -> None:
        """Decide anew at ``now_s``; call it at least once a second so that missing samples are noticed."""
        self._decide(None, now_s)

    def _decide(self, snapshot: Snapshot | None, now_s: float) -> None:
        """Decide from a new sample, or None: from what is known."""
        before, old_limits, old_alarms = self._memory, self._limits, self._alarms
        self._decided_s = now_s
        limits, self._memory = step(snapshot, self._limit_settings(), before, now_s)
        if snapshot is not None and self.snapshot is not None:
            self._bus.publish(SnapshotAccepted(self.snapshot), _SOURCE)
            self._tell_outliers(before, now_s)
            self._tell_leap(before.soc, self._memory.soc)
            if self._memory.evidence is not before.evidence and self.snapshot.ratings is not None:
                self._tell_evidence(before.evidence, self._memory.evidence, self.snapshot.ratings)
        self._limits = None if limits is None else in_wire_steps(limits)
        if self._limits is not None and self._limits.freshness is Freshness.FRESH:
            self._last_fresh = self._limits
        counted = self.readings.counted or self.snapshot
        if counted is not None:
            loose = bool(self.readings.doubts.loose)
            self._alarms = evaluate(old_alarms, counted, self.freshness, self.settings.alarms, now_s, loose_wire=loose)
        self._announce(before, old_limits, old_alarms.alarms)

    def _tell_ignored(self, verdict: PlausibilityVerdict) -> None:
        """Say on the bus which fields are not used, once while it is the same ones."""
        cause = verdict.cause
        if cause and cause != self._ignored:
            self._bus.publish(
                Noted(Severity.WARNING, message(EventCode.READING_ABSURD, fields=verdict.messages)), _SOURCE
            )
        self._ignored = cause

    def _tell_leap(self, before: SocMemory, after: SocMemory) -> None:
        """Say on the bus where the BMS's count has leaped and the bridge's has not followed."""
        old, new, percent = before.bms_percent, after.bms_percent, after.percent
        if old is None or new is None or percent is None or abs(new - old) < _LEAP_PERCENT:
            return
        if before.percent is not None and abs(percent - before.percent - (new - old)) >= _LEAP_PERCENT:
            told = message(EventCode.SOC_LEAP, before_percent=old, after_percent=new, soc_percent=percent)
            self._bus.publish(Noted(Severity.INFO, told), _SOURCE)

    def _tell_evidence(self, before: Evidence, after: Evidence, ratings: Ratings) -> None:
        """Say on the bus what is newly found of the battery, and what is no longer so; a restart repeats nothing."""
        old, new = ({(each.code, each.cells): each for each in remarks_on(found, ratings)} for found in (before, after))
        for key, remark in new.items():
            if key not in old:
                known = remark.code is RemarkCode.RESISTANCE_NOT_LEARNED
                severity = Severity.INFO if known else Severity.WARNING
                self._bus.publish(Noted(severity, remark.message), _SOURCE)
        for code in {code for code, _ in old} - {code for code, _ in new}:
            self._bus.publish(Noted(Severity.INFO, message(f"battery.{code}.over")), _SOURCE)

    def _tell_outliers(self, before: Memory, now_s: float) -> None:
        """Say on the bus which readings did not count; of the same cells not more often than every ten minutes."""
        doubts = self.readings.doubts
        if doubts.count == before.readings.doubts.count:
            return
        for outlier in doubts.latest:
            told_s = self._told_s.get(outlier.cells)
            if told_s is None or now_s - told_s >= _TELL_AGAIN_S:
                self._told_s[outlier.cells] = now_s
                told = message(
                    EventCode.READING_OUTLIER,
                    place=place_of_cells(outlier.cells),
                    off_v=outlier.off_v,
                    count=doubts.count,
                )
                self._bus.publish(Noted(Severity.WARNING, told), _SOURCE)

    def _limit_settings(self) -> LimitSettings:
        """Return the settings with what is stopped by hand; the same object until one changes, as stages know it by."""
        limits, inhibited, joined = self._joined
        if limits is not self.settings.limits or inhibited is not self.inhibited:
            limits, inhibited = self.settings.limits, self.inhibited
            joined = replace(limits, inhibited=inhibited) if inhibited.charge or inhibited.discharge else limits
            self._joined = limits, inhibited, joined
        return joined

    def _announce(self, before: Memory, old_limits: Limits | None, old_alarms: Alarms) -> None:
        after, publish = self._memory, self._bus.publish
        if self._limits != old_limits:
            publish(LimitsDecided(self._limits), _SOURCE)
        if after.freshness.state is not before.freshness.state:
            publish(FreshnessChanged(before.freshness.state, after.freshness.state, after.freshness.frozen), _SOURCE)
        if after.states.state is not before.states.state:
            publish(ChargeStateChanged(before.states.state, after.states.state), _SOURCE)
        if self.alarms.levels != old_alarms.levels:
            publish(AlarmsChanged(old_alarms, self.alarms), _SOURCE)
