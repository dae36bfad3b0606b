"""What must survive a restart: the energy counters, and where the charge-limit engine stood."""

from dataclasses import dataclass, field, replace

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import BalancingMemory, Memory, Pause, ProtectionMemory
from tinybms_bridge.battery.limits.discharge import LONGEST_PAUSE_S, NO_PAUSE
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.limits.policy import MOST_A_DAY
from tinybms_bridge.battery.limits.resistance import LEAST_FACTOR, MOST_FACTOR
from tinybms_bridge.battery.saved_fields import Counter, Declaration, Items, Number, Saving

__all__ = ["NOT_SAVED", "SAVING", "SavedState"]

_FALL_V = 0.3
_FALL_RATIO = 0.5
_FALL_A = 1.0
"""A CVL this much lower, or a current below this share less this much, is worth a write of its own."""

_COUNTED_WH = 100.0
"""One step of the counters in frame 0x378."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """State that outlives the process. No part grows stale: an old one may only lower limits, for some minutes."""

    energy: EnergyTotals = field(default_factory=EnergyTotals)
    memory: Memory = field(default_factory=Memory)
    """The memory with which the engine starts again."""
    charging_told: bool = False
    """Whether the owner has been told what the values by chemistry change."""

    @classmethod
    def of(cls, energy: EnergyTotals, memory: Memory, *, charging_told: bool = False) -> "SavedState":
        """Return what is to be saved of the engine's memory."""
        return _with_factors(SAVING.lasting(cls(energy, memory, charging_told)))

    def urgent_after(self, saved: "SavedState") -> bool:
        """Return whether a restart from ``saved`` would matter.

        It does when a latch has changed or a limit has fallen since, or when the energy counters have moved so far
        that a GX, which adds them up, would see them go back.
        """
        now, before = self.memory, saved.memory
        return (
            _latches(self) != _latches(saved)
            or self.energy.charged_wh - saved.energy.charged_wh >= _COUNTED_WH
            or self.energy.discharged_wh - saved.energy.discharged_wh >= _COUNTED_WH
            or _fell(now.rates.cvl_v, before.rates.cvl_v, ratio=1.0, by=_FALL_V)
            or _fell(now.stop.level_v, before.stop.level_v, ratio=1.0, by=_FALL_V)
            or _fell(now.rates.ccl_a, before.rates.ccl_a, ratio=_FALL_RATIO, by=_FALL_A)
            or _fell(now.rates.dcl_a, before.rates.dcl_a, ratio=_FALL_RATIO, by=_FALL_A)
        )

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        return SAVING.document(self)

    @classmethod
    def from_document(cls, document: object) -> "SavedState":
        """Return the state from a document; whatever is missing or makes no sense keeps its start value."""
        return _with_factors(SAVING.read(document))


_MOST_AH, _MOST_CELLS = 655.35, 16
"""The largest capacity that register 306 can hold, and the most cells of a TinyBMS."""
_COUNTED_AH = Number(-10_000.0, 10_000.0)
_DRIFT_A = Number(-10.0, 10.0)
"""More than passes between two full charges, and than any sensor of such a battery is off."""
_CELSIUS = Number(-100.0, 200.0)
"""No sensor of a battery reads anything outside."""
_SOC_PERCENT = Number(most=101.0)
"""The SOC of a BMS may be a little above 100 %. Where it makes no sense the start value, 100 %, counts for a full
battery: one that is taken for full and is not would not be charged."""
_VOLTAGE_V = Number(above_least=True)
"""A voltage of 0 was never in force."""
_SHARE = Number(most=1.0)
_HELD = Items(Number(most=100.0), _MOST_CELLS)
"""No cell holds so many times what the middle one does."""

NOT_SAVED = {
    "memory.freshness": "nothing is fresh after a restart: the first good samples tell",
    "memory.last_step_s": "monotonic time of the process that is gone",
    "memory.last_fresh": "limits are decided anew before any is sent",
    "memory.dcl_left": "follows from the next readings of the sensors",
    "memory.rest": "an average over a minute, which begins again wherever data was missing",
    "memory.enforcement": "what chargers obey shows again within minutes; that they do not is in feed_in",
    "memory.readings": "nothing rests on readings of before: several good ones are needed first",
    "memory.switch": "the state of the BMS tells within a sample whether its switch is open",
    "memory.rates.since_rise_s": "begins again, so that CVL rises no sooner than after a start",
    "memory.rates.running": "nothing is in force after a restart",
    "memory.rates.since_fall_s": "begins again, like the time since CVL rose",
    "memory.rates.waiting_s": "time of a ramp within the process that is gone",
    "memory.rates.paused_s": "doubts about readings begin again with the readings",
    "memory.stop.over_s": "seconds in which a fall of CVL is prepared, taken again",
    "memory.stop.attempt": "an attempt to lower CVL is begun again from its level",
    "memory.chemistry.rest_s": "what leads to a verdict takes an hour and begins again; the verdict is saved",
    "memory.chemistry.taken_ah": "what leads to a verdict begins again; the verdict is saved",
    "memory.chemistry.low_s": "what leads to a verdict begins again; the verdict is saved",
    "memory.resistance.seen": "a single step is confirmed by a second one of the same process",
    "memory.resistance.level": "a sample, and samples of before do not count",
    "memory.resistance.level_s": "belongs to that sample",
    "memory.resistance.moved": "a sample, and samples of before do not count",
    "memory.discharge.limit_a": "follows from the next sample",
    "memory.discharge.held_a": "follows from the next sample; DCL in force is saved with the limits",
    "memory.discharge.low_s": "seconds of present samples",
    "memory.discharge.sagging_s": "seconds of present samples",
    "memory.discharge.charging_s": "seconds of present samples",
    "memory.discharge.cut": "the state of the BMS tells it",
    "memory.balancing.phase": "the present phase begins again with the next sample",
    "memory.balancing.phase_s": "belongs to the phase",
    "memory.balancing.level_v": "belongs to the phase",
    "memory.balancing.waited_s": "belongs to the phase",
    "memory.balancing.away_ah": "belongs to the phase",
    "memory.balancing.seen_s": "a spread is seen anew in each charge",
    "memory.balancing.seen_ah": "a spread is seen anew in each charge",
    "memory.balancing.seen_work_ah": "a spread is seen anew in each charge",
    "memory.balancing.raised_a": "the hold current is raised again where that is needed",
    "memory.balancing.unbled_s": "seconds of present samples",
    "memory.soc.taken_at_s": "monotonic time; what a restart missed is taken from the BMS's own count",
    "memory.soc.current_a": "no current is integrated across a restart",
    "memory.soc.idle_s": "seconds of present samples",
    "memory.feed_in.above_s": "seconds of present samples",
    "memory.feed_in.passed": "what is not yet shown begins again",
    "memory.evidence.factors": "saved once, with the resistance from which they come",
    "memory.evidence.looked_at_s": "monotonic time of the process that is gone",
}
"""What begins again after a restart, with the reason."""


def _mended_balancing(memory: BalancingMemory) -> BalancingMemory:
    """Without a spread there is no balancing day, and without a beginning nothing was bled since."""
    bled_ah = 0.0 if memory.bled_from_lifetime_s is None else memory.bled_ah
    return replace(memory, day=memory.day and memory.spread_ah is not None, bled_ah=bled_ah)


_DECLARATION = Declaration(
    sections={
        "energy": "energy",
        "memory.states": "charge",
        "memory.policy": "policy",
        "memory.protection": "protection",
        "memory.rates": "limits",
        "memory.sensors": "sensors",
        "memory.chemistry": "chemistry",
        "memory.resistance": "resistance",
        "memory.discharge.pause": "pause",
        "memory.balancing": "balancing",
        "memory.soc": "soc",
        "memory.soc.anchors": "soc",
        "memory.feed_in": "feed_in",
        "memory.rebulk": "rebulk",
        "memory.evidence": "evidence",
    },
    places={
        "charging_told": ("told", "charge_defaults"),
        "memory.too_cold_or_hot": ("stopped", "too_cold_or_hot"),
        "memory.discharge.emptied": ("stopped", "empty"),
        "memory.stop.level_v": ("stopped", "charge_level_v"),
        "memory.feed_in.disobeyed_at_lifetime_s": ("feed_in", "unheeded_at_lifetime_s"),
    },
    rules={
        "memory.policy.full_soc_percent": _SOC_PERCENT,
        "memory.protection.cap_v": _VOLTAGE_V,
        "memory.protection.knee_v": _VOLTAGE_V,
        "memory.rates.cvl_v": _VOLTAGE_V,
        "memory.stop.level_v": _VOLTAGE_V,
        "memory.sensors.external_1_c": _CELSIUS,
        "memory.sensors.external_2_c": _CELSIUS,
        "memory.sensors.internal_c": _CELSIUS,
        "memory.sensors.soc_percent": _SOC_PERCENT,
        "memory.discharge.pause.length_s": Number(most=LONGEST_PAUSE_S, at_most=True),
        "memory.resistance.factors": Items(Number(LEAST_FACTOR, MOST_FACTOR), _MOST_CELLS),
        "memory.balancing.spread_ah": Number(most=_MOST_AH),
        "memory.balancing.work_ah": Number(most=_MOST_CELLS * _MOST_AH),
        "memory.balancing.bled_ah": Number(most=_MOST_AH),
        "memory.soc.percent": Number(most=100.0),
        "memory.soc.bms_percent": _SOC_PERCENT,
        "memory.soc.since_full_ah": _COUNTED_AH,
        "memory.soc.anchors.off_percent": Number(-100.0, 100.0),
        "memory.soc.anchors.drift_a": _DRIFT_A,
        "memory.rebulk.begun_at_s": Items(Counter(), MOST_A_DAY),
        "memory.evidence.flowing_s": Number(most=UNLEARNED_S, at_most=True),
        "memory.evidence.capacity_ah": Number(0.1, 2.0 * _MOST_AH),
        "memory.evidence.cells": _HELD,
        "memory.evidence.seen": _HELD,
        "memory.evidence.since_full_ah": _COUNTED_AH,
        "memory.evidence.low_ah": _COUNTED_AH,
        "memory.evidence.low_share": _SHARE,
        "memory.evidence.low_cells": Items(_SHARE, _MOST_CELLS),
        "memory.evidence.low_middle": _SHARE,
    },
    not_saved=NOT_SAVED,
    older_keys={"memory.states.float_capped": "float_latched"},
    mended={
        ProtectionMemory: lambda it: it if it.cap_v is not None and it.knee_v is not None else ProtectionMemory(),
        Pause: lambda it: it if it.length_s > 0.0 else NO_PAUSE,
        BalancingMemory: _mended_balancing,
    },
)
"""Everything that is saved, and why the rest is not. A field that is added to a memory is saved, or is named here."""


SAVING = Saving(SavedState, _DECLARATION)
"""Writes and reads a state, and knows all its fields."""


def _with_factors(state: SavedState) -> SavedState:
    """Return the state in which both who use what is learned of the resistance have it."""
    memory = state.memory
    evidence = replace(memory.evidence, factors=memory.resistance.factors)
    return replace(state, memory=replace(memory, evidence=evidence))


def _latches(state: SavedState) -> tuple[object, ...]:
    """Return what changes by itself only once in a while."""
    memory = state.memory
    policy, evidence = memory.policy, memory.evidence
    return (
        replace(memory.states, hold_elapsed_s=0.0, recovered_s=0.0, fed_in_s=0.0),
        replace(policy, full_soc_percent=0.0, full_at_lifetime_s=None, tail_s=0.0, uneven_s=0.0),
        policy.full_at_lifetime_s is None,
        memory.protection.cap_v is None,
        memory.too_cold_or_hot,
        memory.discharge.emptied,
        memory.discharge.pause.on,
        memory.discharge.pause.length_s,
        memory.stop.level_v is None,
        memory.sensors.external_1_c is None,
        memory.sensors.external_2_c is None,
        memory.chemistry.lowest,
        memory.sensors.blind_s > 0.0,
        state.charging_told,
        memory.feed_in.seen,
        memory.feed_in.disobeyed,
        memory.rebulk.begun_at_s,
        memory.balancing.day,
        memory.balancing.day_at_lifetime_s,
        memory.balancing.spread_ah is None,
        memory.soc.anchors,
        (evidence.capacity_ah, evidence.cells, evidence.seen, evidence.unlearned),
    )


def _fell(now: float | None, before: float | None, *, ratio: float, by: float) -> bool:
    return now is not None and before is not None and now < before * ratio - by
