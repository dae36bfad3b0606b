"""What must survive a restart: the energy counters, and where the charge-limit engine stood."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    NO_BALANCING,
    NO_EVIDENCE,
    BalancingMemory,
    ChemistryMemory,
    DischargeMemory,
    Evidence,
    FeedInMemory,
    Memory,
    PolicyMemory,
    ProtectionMemory,
    RateMemory,
    RebulkMemory,
    ResistanceMemory,
    SensorMemory,
    SocMemory,
    StateMemory,
    StopMemory,
)
from tinybms_bridge.battery.saved_parts import (
    read_balancing,
    read_chemistry,
    read_discharge,
    read_energy,
    read_evidence,
    read_feed_in,
    read_policy,
    read_protection,
    read_rates,
    read_rebulk,
    read_resistance,
    read_sensors,
    read_soc,
    read_states,
    read_stop,
)

__all__ = ["SavedState"]

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
    states: StateMemory = field(default_factory=StateMemory)
    policy: PolicyMemory = field(default_factory=PolicyMemory)
    protection: ProtectionMemory = field(default_factory=ProtectionMemory)
    rates: RateMemory = field(default_factory=RateMemory)
    """The limits that were last in force."""
    too_cold_or_hot: bool = False
    discharge: DischargeMemory = field(default_factory=DischargeMemory)
    """The pause, and that the user's curve has ended discharging."""
    resistance: ResistanceMemory = field(default_factory=ResistanceMemory)
    """What is learned of the cells."""
    stop: StopMemory = field(default_factory=StopMemory)
    sensors: SensorMemory = field(default_factory=SensorMemory)
    chemistry: ChemistryMemory = field(default_factory=ChemistryMemory)
    """The verdict alone: what leads to one takes an hour and begins anew."""
    balancing: BalancingMemory = NO_BALANCING
    """Without the present phase, which begins anew."""
    feed_in: FeedInMemory = field(default_factory=FeedInMemory)
    rebulk: RebulkMemory = field(default_factory=RebulkMemory)
    charging_told: bool = False
    """Whether the owner has been told what the values by chemistry change."""
    soc: SocMemory = field(default_factory=SocMemory)
    """The bridge's count, and the BMS's at the same moment: its change since then is what a restart has missed."""
    evidence: Evidence = NO_EVIDENCE
    """Without what is learned of the resistance, which is saved once."""

    @classmethod
    def of(cls, energy: EnergyTotals, memory: Memory) -> "SavedState":
        """Return what is to be saved of the engine's memory."""
        rates = memory.rates
        return cls(
            energy=energy,
            states=memory.states,
            policy=memory.policy,
            protection=memory.protection,
            rates=RateMemory(rates.cvl_v, rates.ccl_a, rates.dcl_a, at_lifetime_s=rates.at_lifetime_s),
            too_cold_or_hot=memory.too_cold_or_hot,
            discharge=DischargeMemory(memory.discharge.pause, memory.discharge.emptied),
            resistance=ResistanceMemory(memory.resistance.factors),
            stop=StopMemory(memory.stop.level_v),
            sensors=memory.sensors,
            chemistry=ChemistryMemory(memory.chemistry.lowest),
            balancing=memory.balancing.lasting,
            soc=replace(memory.soc, taken_at_s=None, current_a=0.0, idle_s=0.0),
            feed_in=FeedInMemory(
                memory.feed_in.seen_at_lifetime_s, unheeded_at_lifetime_s=memory.feed_in.unheeded_at_lifetime_s
            ),
            rebulk=memory.rebulk,
            evidence=replace(memory.evidence, factors=(), looked_at_s=NO_EVIDENCE.looked_at_s),
        )

    def memory(self) -> Memory:
        """Return the memory with which the engine starts again."""
        return Memory(
            states=self.states,
            policy=self.policy,
            protection=self.protection,
            rates=self.rates,
            too_cold_or_hot=self.too_cold_or_hot,
            discharge=self.discharge,
            resistance=self.resistance,
            stop=self.stop,
            sensors=self.sensors,
            chemistry=self.chemistry,
            balancing=self.balancing,
            soc=self.soc,
            feed_in=self.feed_in,
            rebulk=self.rebulk,
            evidence=replace(self.evidence, factors=self.resistance.factors),
        )

    def urgent_after(self, saved: "SavedState") -> bool:
        """Return whether a restart from ``saved`` would matter.

        It does when a latch has changed or a limit has fallen since, or when the energy counters have moved so far
        that a GX, which adds them up, would see them go back.
        """
        now, before = self.rates, saved.rates
        return (
            _latches(self) != _latches(saved)
            or self.energy.charged_wh - saved.energy.charged_wh >= _COUNTED_WH
            or self.energy.discharged_wh - saved.energy.discharged_wh >= _COUNTED_WH
            or _fell(now.cvl_v, before.cvl_v, ratio=1.0, by=_FALL_V)
            or _fell(self.stop.level_v, saved.stop.level_v, ratio=1.0, by=_FALL_V)
            or _fell(now.ccl_a, before.ccl_a, ratio=_FALL_RATIO, by=_FALL_A)
            or _fell(now.dcl_a, before.dcl_a, ratio=_FALL_RATIO, by=_FALL_A)
        )

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        rates = self.rates
        return {
            "energy": asdict(self.energy),
            "charge": asdict(self.states),
            "policy": asdict(self.policy),
            "protection": asdict(self.protection),
            "sensors": asdict(self.sensors),
            "chemistry": {"lowest": str(self.chemistry.lowest)},
            "pause": asdict(self.discharge.pause),
            "resistance": {"factors": list(self.resistance.factors)},
            "balancing": self.balancing.to_document(),
            "soc": {
                "percent": self.soc.percent,
                "bms_percent": self.soc.bms_percent,
                "lifetime_s": self.soc.lifetime_s,
                "since_full_ah": self.soc.since_full_ah,
                **asdict(self.soc.anchors),
            },
            "feed_in": {
                "seen_at_lifetime_s": self.feed_in.seen_at_lifetime_s,
                "unheeded_at_lifetime_s": self.feed_in.unheeded_at_lifetime_s,
            },
            "rebulk": {"low_s": self.rebulk.low_s, "begun_at_s": list(self.rebulk.begun_at_s)},
            "evidence": self.evidence.to_document(),
            "told": {"charge_defaults": self.charging_told},
            "limits": {
                "cvl_v": rates.cvl_v,
                "ccl_a": rates.ccl_a,
                "dcl_a": rates.dcl_a,
                "at_lifetime_s": rates.at_lifetime_s,
            },
            "stopped": {
                "too_cold_or_hot": self.too_cold_or_hot,
                "empty": self.discharge.emptied,
                "charge_level_v": self.stop.level_v,
            },
        }

    @classmethod
    def from_document(cls, document: object) -> "SavedState":
        """Return the state from a document; whatever is missing or makes no sense keeps its start value."""
        stopped = _part(document, "stopped")
        return cls(
            energy=read_energy(_part(document, "energy")),
            states=read_states(_part(document, "charge")),
            policy=read_policy(_part(document, "policy")),
            protection=read_protection(_part(document, "protection")),
            rates=read_rates(_part(document, "limits")),
            too_cold_or_hot=stopped.get("too_cold_or_hot") is True,
            discharge=read_discharge(_part(document, "pause"), stopped),
            resistance=read_resistance(_part(document, "resistance")),
            stop=read_stop(stopped),
            sensors=read_sensors(_part(document, "sensors")),
            chemistry=read_chemistry(_part(document, "chemistry")),
            balancing=read_balancing(_part(document, "balancing")),
            soc=read_soc(_part(document, "soc")),
            charging_told=_part(document, "told").get("charge_defaults") is True,
            feed_in=read_feed_in(_part(document, "feed_in")),
            rebulk=read_rebulk(_part(document, "rebulk")),
            evidence=read_evidence(_part(document, "evidence")),
        )


def _latches(state: SavedState) -> tuple[object, ...]:
    """Return what changes by itself only once in a while."""
    policy, evidence = state.policy, state.evidence
    return (
        replace(state.states, hold_elapsed_s=0.0, recovered_s=0.0, fed_in_s=0.0),
        replace(policy, full_soc_percent=0.0, full_at_lifetime_s=None, tail_s=0.0, uneven_s=0.0),
        policy.full_at_lifetime_s is None,
        state.protection.cap_v is None,
        state.too_cold_or_hot,
        state.discharge.emptied,
        state.discharge.pause.on,
        state.discharge.pause.length_s,
        state.stop.level_v is None,
        state.sensors.external_1_c is None,
        state.sensors.external_2_c is None,
        state.chemistry.lowest,
        state.sensors.blind_s > 0.0,
        state.charging_told,
        state.feed_in.seen,
        state.feed_in.unheeded,
        state.rebulk.begun_at_s,
        state.balancing.day,
        state.balancing.day_at_lifetime_s,
        state.balancing.spread_ah is None,
        state.soc.anchors,
        (evidence.capacity_ah, evidence.cells, evidence.seen, evidence.unlearned),
    )


def _part(document: object, name: str) -> Mapping[str, object]:
    part = document.get(name) if isinstance(document, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _fell(now: float | None, before: float | None, *, ratio: float, by: float) -> bool:
    return now is not None and before is not None and now < before * ratio - by
