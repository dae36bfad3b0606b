"""What is kept of every unit: counters and what was learned belong to a battery, and are found by its serial number.

Pure: which state counts when a unit is met, and the document that keeps them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.saved_state import SavedState

__all__ = ["NO_SERIAL", "STATE_VERSION", "SavedUnits", "unit_key"]

STATE_VERSION = 2
"""Version of the document. Version 1 held one state, of whatever unit was there."""

NO_SERIAL = ""
"""Key of all units without a serial number of their own."""

_MOST_UNITS = 32
"""Units of which something is kept; the one that was met the longest time ago makes room."""

_LONGEST_KEY = 64


def unit_key(serial_number: str) -> str:
    """Return the key of a unit: its serial number, or ``NO_SERIAL`` for one that was never written (all 0 or all F)."""
    digits = serial_number.strip().upper()[:_LONGEST_KEY]
    return NO_SERIAL if set(digits) <= {"0"} or set(digits) == {"F"} else digits


@dataclass(frozen=True, slots=True)
class SavedUnits:
    """The states of all units, and which of them is in use."""

    units: Mapping[str, SavedState] = field(default_factory=dict)
    """By key, the one that was met last at the end."""
    unclaimed: SavedState | None = None
    """A state from before any unit was met; the first one adopts it."""
    current: str | None = None
    """Key of the unit that was met last; None before the first."""

    @property
    def state(self) -> SavedState:
        """The state in use."""
        found = self.unclaimed if self.current is None else self.units.get(self.current)
        return found or SavedState()

    def energy_of(self, key: str | None) -> EnergyTotals:
        """Return the counters with which a unit would begin."""
        return self.state.energy if key is None else self.meet(key).state.energy

    def with_state(self, state: SavedState) -> "SavedUnits":
        """Return this with a new state of the unit in use."""
        if self.current is None:
            return replace(self, unclaimed=state)
        return replace(self, units={**self.units, self.current: state})

    def meet(self, key: str) -> "SavedUnits":
        """Return this with a unit in use: with its own state, with the unclaimed one, or with the start values."""
        if key == self.current:
            return self
        others = {other: state for other, state in self.units.items() if other != key}
        adopts = key not in self.units and self.current is None
        state = self.units.get(key) or (self.unclaimed if adopts else None) or SavedState()
        kept = dict(islice(others.items(), max(0, len(others) - _MOST_UNITS + 1), None))
        return SavedUnits({**kept, key: state}, None if adopts else self.unclaimed, key)

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        document: dict[str, object] = {
            "version": STATE_VERSION,
            "unit": self.current,
            "units": {key: state.to_document() for key, state in self.units.items()},
        }
        if self.unclaimed is not None:
            document["unclaimed"] = self.unclaimed.to_document()
        return document

    @classmethod
    def from_document(cls, document: object) -> "SavedUnits":
        """Return the states of a document; whatever is missing or makes no sense keeps its start value."""
        if not isinstance(document, Mapping):
            return cls()
        found = document.get("units")
        if not isinstance(found, Mapping):  # version 1
            return cls(unclaimed=SavedState.from_document(document))
        states = {str(key)[:_LONGEST_KEY]: SavedState.from_document(state) for key, state in found.items()}
        units = dict(islice(states.items(), max(0, len(states) - _MOST_UNITS), None))
        unclaimed = document.get("unclaimed")
        current = document.get("unit")
        return cls(
            units=units,
            unclaimed=None if unclaimed is None else SavedState.from_document(unclaimed),
            current=current if isinstance(current, str) and current in units else None,
        )
