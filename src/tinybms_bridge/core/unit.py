"""One unit: what is believed of its readings, what was learned of it, its counters and alarms, and what is told of it.

The battery of one pack has one, that of several has one for each pack. Nothing is decided here.
"""

from dataclasses import replace

from tinybms_bridge.battery.alarm_rules import AlarmMemory, AlarmSettings, evaluate
from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.energy import EnergyCounter, EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Chemistry, Evidence, Memory, RemarkCode, remarks_on
from tinybms_bridge.battery.limits.discharge import end_pause
from tinybms_bridge.battery.limits.readings import ReadingMemory, place_of_cells
from tinybms_bridge.battery.limits.soc_count import SocMemory, set_count
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, PlausibilityVerdict, judge
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import EventCode, Noted, SnapshotRejected
from tinybms_bridge.words import message

__all__ = ["SOURCE", "Unit"]

SOURCE = "battery"
"""Who publishes what is told here."""

_TELL_AGAIN_S = 600.0
"""A loose wire gives outliers for days: its alarm tells of that, each single one need not."""

_LEAP_PERCENT = 1.0
"""No current does that between two readings."""


class Unit:
    """What is known of one unit.

    Args:
        bus: Where what is noticed is published.
        saved: What has survived a restart.
        pack: Name of its pack, of several; empty for the only one.

    """

    def __init__(self, bus: Bus, saved: SavedState, pack: str = "") -> None:
        self.pack = pack
        """Name of its pack, of several; empty for the only one."""
        self.rejected = 0
        """Snapshots that were not believed, since the start."""
        self.last_verdict = PlausibilityVerdict()
        """Judgement of the last sample."""
        self._bus = bus
        self._rejected_before = 0
        self._told_s: dict[tuple[int, ...], float] = {}
        self._ignored = ""
        self._shown: tuple[Snapshot | None, SocMemory | None, Snapshot | None] = None, None, None
        self._begin(saved)

    def _begin(self, saved: SavedState) -> None:
        self._energy = EnergyCounter(saved.energy)
        self._plausibility = PlausibilityMemory()
        self.charging_told = saved.charging_told
        """Whether the owner has been told what the values by chemistry change."""
        self.memory = saved.memory
        """The memory of the engine."""
        self.alarm_memory = AlarmMemory()
        """The alarms, with what waits for its delay."""

    def begin_with(self, saved: SavedState) -> None:
        """Go on with another unit: its counters and what was learned of it, and nothing of the one before."""
        self._begin(saved)

    def saved_state(self) -> SavedState:
        """Return what must survive a restart."""
        return SavedState.of(self._energy.totals, self.memory, charging_told=self.charging_told)

    @property
    def snapshot(self) -> Snapshot | None:
        """The last accepted sample, without what cannot be true in it and with the state of charge that counts."""
        sample, soc, shown = self._shown
        if sample is not self.memory.readings.sample or soc is not self.memory.soc:
            sample, soc, shown = self.memory.readings.sample, self.memory.soc, self.memory.sample
            self._shown = sample, soc, shown
        return shown

    @property
    def readings(self) -> ReadingMemory:
        """The last readings, what counts of them, and what is in doubt."""
        return self.memory.readings

    @property
    def freshness(self) -> Freshness:
        """How much the last good sample can be trusted."""
        return self.memory.freshness.state

    @property
    def frozen_since_s(self) -> float | None:
        """Monotonic time since which the readings stand still; None while they move, and for missing samples."""
        freshness = self.memory.freshness
        return freshness.motion.changed_s if freshness.frozen else None

    @property
    def counter_stands(self) -> bool:
        """Whether the lifetime counter of the BMS stands while its readings move."""
        return self.memory.freshness.motion.counter_stands()

    @property
    def doubted(self) -> tuple[int, int]:
        """Snapshots that were not believed, since the last reset, and readings of a cell that did not count."""
        return self.rejected - self._rejected_before, self.readings.doubts.count

    def reset_statistics(self) -> None:
        """Count the snapshots that are not believed from 0 again."""
        self._rejected_before = self.rejected

    @property
    def lowest_chemistry(self) -> Chemistry:
        """The lowest chemistry that the cells leave possible."""
        return self.memory.chemistry.lowest

    @property
    def measured_capacity_ah(self) -> float | None:
        """What the pack holds, as two ways between full and near empty have shown; None: not known."""
        return self.memory.evidence.capacity_ah

    @property
    def alarms(self) -> Alarms:
        """The alarms in force."""
        return self.alarm_memory.alarms

    @property
    def energy(self) -> EnergyTotals:
        """The energy counters."""
        return self._energy.totals

    @property
    def soc_percent(self) -> float | None:
        """The bridge's count of the state of charge; None while there is none, or the BMS's counts."""
        return self.memory.soc.percent

    def set_soc(self, percent: float) -> None:
        """Go on from a state of charge that was written to the BMS and read back: both counts are that one now."""
        if self.memory.soc.percent is not None:
            self.memory = replace(self.memory, soc=set_count(self.memory.soc, percent))

    def end_pause(self) -> bool:
        """End a pause of discharging of an empty pack, as a person wishes; False when there was none."""
        discharge = self.memory.discharge
        if not discharge.pause.on:
            return False
        self.memory = replace(self.memory, discharge=end_pause(discharge))
        return True

    def believes(self, snapshot: Snapshot, settings: PlausibilitySettings) -> bool:
        """Return whether a sample can be true; what is not is published."""
        verdict, self._plausibility = judge(self._plausibility, snapshot, settings)
        self.last_verdict = verdict
        if not verdict.accepted:
            self.rejected += 1
            self._bus.publish(SnapshotRejected(snapshot, verdict, self.rejected, self.pack), SOURCE)
            return False
        self._tell_ignored(verdict)
        return True

    def count_energy(self) -> None:
        """Count the energy of the last readings, as far as they count."""
        if self.readings.counted is not None:
            self._energy.add(self.readings.counted)

    def watch(self, settings: AlarmSettings, now_s: float) -> None:
        """Judge the alarms again."""
        counted = self.readings.counted or self.snapshot
        if counted is not None:
            loose = bool(self.readings.doubts.loose)
            self.alarm_memory = evaluate(self.alarm_memory, counted, self.freshness, settings, now_s, loose_wire=loose)

    def tell(self, before: Memory, now_s: float) -> None:
        """Publish what a new sample has shown since the memory was ``before``."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        self._tell_outliers(before, now_s)
        self._tell_leap(before.soc, self.memory.soc)
        if self.memory.evidence is not before.evidence and snapshot.ratings is not None:
            self._tell_evidence(before.evidence, self.memory.evidence, snapshot.ratings)

    def _tell_ignored(self, verdict: PlausibilityVerdict) -> None:
        """Say on the bus which fields are not used, once while it is the same ones."""
        cause = verdict.cause
        if cause and cause != self._ignored:
            told = message(EventCode.READING_ABSURD, fields=verdict.messages)
            self._bus.publish(Noted(Severity.WARNING, told, pack=self.pack), SOURCE)
        self._ignored = cause

    def _tell_leap(self, before: SocMemory, after: SocMemory) -> None:
        """Say on the bus where the BMS's count has leaped and the bridge's has not followed."""
        old, new, percent = before.bms_percent, after.bms_percent, after.percent
        if old is None or new is None or percent is None or abs(new - old) < _LEAP_PERCENT:
            return
        if before.percent is not None and abs(percent - before.percent - (new - old)) >= _LEAP_PERCENT:
            told = message(EventCode.SOC_LEAP, before_percent=old, after_percent=new, soc_percent=percent)
            self._bus.publish(Noted(Severity.INFO, told, pack=self.pack), SOURCE)

    def _tell_evidence(self, before: Evidence, after: Evidence, ratings: Ratings) -> None:
        """Say on the bus what is newly found of the battery, and what is no longer so; a restart repeats nothing."""
        old, new = ({(each.code, each.cells): each for each in remarks_on(found, ratings)} for found in (before, after))
        for key, remark in new.items():
            if key not in old:
                known = remark.code is RemarkCode.RESISTANCE_NOT_LEARNED
                severity = Severity.INFO if known else Severity.WARNING
                self._bus.publish(Noted(severity, remark.message, pack=self.pack), SOURCE)
        for code in {code for code, _ in old} - {code for code, _ in new}:
            self._bus.publish(Noted(Severity.INFO, message(f"battery.{code}.over"), pack=self.pack), SOURCE)

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
                self._bus.publish(Noted(Severity.WARNING, told, pack=self.pack), SOURCE)
