"""What must survive a restart: the energy counters and where the charge state machine stood."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits.model import ChargeState
from tinybms_bridge.battery.limits.states import StateMemory

__all__ = ["SavedState"]


@dataclass(frozen=True, slots=True)
class SavedState:
    """State that outlives the process."""

    energy: EnergyTotals = field(default_factory=EnergyTotals)
    states: StateMemory = field(default_factory=StateMemory)

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        return {"version": 1, "energy": asdict(self.energy), "charge": asdict(self.states)}

    @classmethod
    def from_document(cls, document: object) -> "SavedState":
        """Return the state from a document; whatever is missing or makes no sense keeps its start value."""
        if not isinstance(document, Mapping):
            return cls()
        energy, charge = document.get("energy"), document.get("charge")
        return cls(energy=_energy(energy), states=_states(charge))


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
