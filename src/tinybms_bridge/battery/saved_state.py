"""What must survive a restart: the energy counters, and where the charge-limit engine stood."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits.cell_protection import ProtectionMemory
from tinybms_bridge.battery.limits.model import ChargeState
from tinybms_bridge.battery.limits.policy import PolicyMemory
from tinybms_bridge.battery.limits.states import StateMemory

__all__ = ["SavedState"]

_MOST_SOC_PERCENT = 101.0
"""The SOC of a BMS may be a little above 100 %."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """State that outlives the process."""

    energy: EnergyTotals = field(default_factory=EnergyTotals)
    states: StateMemory = field(default_factory=StateMemory)
    policy: PolicyMemory = field(default_factory=PolicyMemory)
    protection: ProtectionMemory = field(default_factory=ProtectionMemory)

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        return {
            "version": 1,
            "energy": asdict(self.energy),
            "charge": asdict(self.states),
            "policy": asdict(self.policy),
            "protection": asdict(self.protection),
        }

    @classmethod
    def from_document(cls, document: object) -> "SavedState":
        """Return the state from a document; whatever is missing or makes no sense keeps its start value."""
        if not isinstance(document, Mapping):
            return cls()
        return cls(
            energy=_energy(document.get("energy")),
            states=_states(document.get("charge")),
            policy=_policy(document.get("policy")),
            protection=_protection(document.get("protection")),
        )


def _energy(document: object) -> EnergyTotals:
    if not isinstance(document, Mapping):
        return EnergyTotals()
    values = {f.name: _positive(document.get(f.name)) for f in fields(EnergyTotals)}
    return EnergyTotals(**values)


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0.0 else 0.0


def _states(document: object) -> StateMemory:
    if not isinstance(document, Mapping):
        return StateMemory()
    try:
        state = ChargeState(str(document.get("state")))
    except ValueError:
        state = ChargeState.BULK
    return StateMemory(
        state=state,
        float_latched=document.get("float_latched") is True,
        hold_elapsed_s=_positive(document.get("hold_elapsed_s")),
        hold_spent=document.get("hold_spent") is True,
    )


def _policy(document: object) -> PolicyMemory:
    if not isinstance(document, Mapping):
        return PolicyMemory()
    full_at = document.get("full_at_lifetime_s")
    known = isinstance(full_at, int) and not isinstance(full_at, bool) and 0 <= full_at < 1 << 32
    return PolicyMemory(
        full=document.get("full") is True,
        full_soc_percent=_percent(document.get("full_soc_percent")),
        full_at_lifetime_s=full_at if known else None,
        tail_s=_positive(document.get("tail_s")),
        above_window=document.get("above_window") is True,
        below_window=document.get("below_window") is True,
        full_once_done=document.get("full_once_done") is True,
        force_charge=document.get("force_charge") is True,
    )


def _percent(value: object) -> float:
    """Return a state of charge; 100 for what is none, since a full battery that is not full would not be charged."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= _MOST_SOC_PERCENT:
        return 100.0
    return float(value)


def _protection(document: object) -> ProtectionMemory:
    """Return the controller's memory; it is whole or not there."""
    if not isinstance(document, Mapping):
        return ProtectionMemory()
    cap_v, knee_v = _positive(document.get("cap_v")), _positive(document.get("knee_v"))
    if not cap_v or not knee_v:
        return ProtectionMemory()
    return ProtectionMemory(cap_v=cap_v, knee_v=knee_v, since_knee_s=_positive(document.get("since_knee_s")))
