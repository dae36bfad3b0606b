"""What is kept of every unit: counters and what was learned belong to a battery, and are found by its serial number.

Pure: which state counts when a unit is met, and the document that keeps them all.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import Memory
from tinybms_bridge.battery.saved_state import SavedState

__all__ = ["NO_SERIAL", "STATE_VERSION", "SavedBattery", "SavedUnits", "battery_memory", "key_by_name", "unit_key"]

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


_MOST_COUNTER_S = 2**32
"""A lifetime counter of 32 bits."""


def key_by_name(pack: str, serial: str = NO_SERIAL) -> str:
    """Return the key of a unit that is known by its pack: one without a serial number, or with that of another one."""
    return f"{serial[:_LONGEST_SERIAL]} pack {pack}".strip()


_LONGEST_SERIAL = 40
"""What is left beside the name of a pack; that of a TinyBMS has 24 digits."""


def battery_memory(memory: Memory) -> Memory:
    """Return the memory of one unit as that of a battery which it becomes a part of: without what is of the unit."""
    return Memory(
        states=memory.states,
        policy=memory.policy,
        rates=memory.rates,
        stop=memory.stop,
        balancing=memory.balancing,
        feed_in=memory.feed_in,
        rebulk=memory.rebulk,
        chemistry=memory.chemistry,
    )


@dataclass(frozen=True, slots=True)
class SavedBattery:
    """What is kept of a battery of several packs, beside that of its units."""

    state: SavedState = field(default_factory=SavedState)
    """Its counters, and where the parts of the engine stood that are of the battery."""
    lifetime_s: int = 0
    """Its own lifetime counter."""
    counters_s: Mapping[str, int] = field(default_factory=dict)
    """Lifetime counter of each pack at that time."""

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        clock = {"lifetime_s": self.lifetime_s, "counters_s": dict(self.counters_s)}
        return {"state": self.state.to_document(), "clock": clock}

    @classmethod
    def from_document(cls, document: Mapping[Any, Any]) -> "SavedBattery":
        """Return it from a document; whatever is missing or makes no sense keeps its start value."""
        clock = document.get("clock")
        lifetime_s, counters_s = 0, dict[str, int]()
        if isinstance(clock, Mapping):
            lifetime_s = _counter(clock.get("lifetime_s")) or 0
            found = clock.get("counters_s")
            if isinstance(found, Mapping):
                read = {str(name)[:_LONGEST_KEY]: _counter(each) for name, each in islice(found.items(), _MOST_UNITS)}
                counters_s = {name: each for name, each in read.items() if each is not None}
        return cls(SavedState.from_document(document.get("state")), lifetime_s, counters_s)


def _counter(value: object) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_COUNTER_S
    return value if good and isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class SavedUnits:
    """The states of all units, and which of them is in use."""

    units: Mapping[str, SavedState] = field(default_factory=dict)
    """By key, the one that was met last at the end."""
    unclaimed: SavedState | None = None
    """A state from before any unit was met; the first one adopts it."""
    current: str | None = None
    """Key of the unit that was met last; None before the first."""
    packs: Mapping[str, str] = field(default_factory=dict)
    """Of several packs: the key of the unit of each."""
    battery: SavedBattery | None = None
    """Of several packs: what is kept of the battery; None before there were several."""

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
        adopts = key not in self.units and self.current is None
        state = self.units.get(key) or (self.unclaimed if adopts else None) or SavedState()
        kept = self._kept_beside(key, self.packs.values())
        unclaimed = None if adopts else self.unclaimed
        return replace(self, units={**kept, key: state}, unclaimed=unclaimed, current=key)

    def of_battery(self) -> SavedBattery:
        """Return what is kept of the battery of several packs; before there were several, that of the unit in use."""
        if self.battery is not None:
            return self.battery
        return SavedBattery(replace(self.state, memory=battery_memory(self.state.memory)))

    def of_pack(self, pack: str) -> SavedState:
        """Return what is kept of the unit of a pack, as far as it is known."""
        key = self.packs.get(pack)
        return SavedState() if key is None else self.units.get(key) or SavedState()

    def energy_of_pack(self, pack: str) -> EnergyTotals:
        """Return the counters of the unit of a pack; of the battery for an empty name."""
        return self.of_pack(pack).energy if pack else self.of_battery().state.energy

    def meet_as(self, pack: str, key: str, *, same: bool = False) -> "SavedUnits":
        """Return this with a unit as that of a pack: with its own state, with the unclaimed one, or with start values.

        A state from before there was a unit, and of one without a serial number, is adopted by the first pack.
        ``same``: it is the unit that was there, and has told its number only now: what is new by its number goes on.
        """
        before = self.packs.get(pack)
        if before == key:
            return self
        state, unclaimed = self.units.get(key), self.unclaimed
        if state is None and same and before is not None:
            state = self.units.get(before)
        elif state is None and unclaimed is not None and not self.packs:
            state, unclaimed = unclaimed, None
        elif state is None and not self.packs and self.current == NO_SERIAL:
            state = self.units.get(NO_SERIAL)
        packs = {name: each for name, each in self.packs.items() if each != key} | {pack: key}
        kept = self._kept_beside(key, packs.values())
        return replace(self, units={**kept, key: state or SavedState()}, unclaimed=unclaimed, packs=packs)

    def is_double(self, serial: str) -> bool:
        """Return whether several units have this serial number: then each of them is known by its pack."""
        return serial != NO_SERIAL and any(key == key_by_name(name, serial) for name, key in self.packs.items())

    def with_double(self, serial: str, pack: str) -> "SavedUnits":
        """Return this with the unit of a pack, which was known by its serial number, as one of several that have it."""
        key = key_by_name(pack, serial)
        state = self.units.get(serial) or SavedState()
        others = {other: each for other, each in self.units.items() if other not in (serial, key)}
        return replace(self, units={**others, key: state}, packs={**self.packs, pack: key})

    def _kept_beside(self, key: str, in_use: Collection[str]) -> dict[str, SavedState]:
        """Return what is kept beside a unit: those in use, and the others that were met last."""
        others = [other for other in self.units if other != key]
        spare = [other for other in others if other not in in_use]
        gone = set(spare[: max(0, len(others) - _MOST_UNITS + 1)])
        return {other: self.units[other] for other in others if other not in gone}

    def with_packs(self, states: Mapping[str, SavedState], battery: SavedBattery) -> "SavedUnits":
        """Return this with new states of the units of packs, by pack, and of the battery."""
        new = {self.packs[name]: state for name, state in states.items() if name in self.packs}
        others = {key: state for key, state in self.units.items() if key not in new}
        return replace(self, units={**others, **new}, battery=battery)

    def urgent_after(self, saved: "SavedUnits") -> bool:
        """Return whether a restart from ``saved`` would matter."""
        if self.current != saved.current or self.packs != saved.packs:
            return True
        if (self.battery is None) is not (saved.battery is None) or self.state.urgent_after(saved.state):
            return True
        battery, before = self.battery, saved.battery
        if battery is not None and before is not None and battery.state.urgent_after(before.state):
            return True
        return any(
            self.units[key].urgent_after(saved.units.get(key) or SavedState())
            for key in self.packs.values()
            if key in self.units
        )

    def to_document(self) -> dict[str, object]:
        """Return a JSON-ready document."""
        document: dict[str, object] = {
            "version": STATE_VERSION,
            "unit": self.current,
            "units": {key: state.to_document() for key, state in self.units.items()},
        }
        if self.packs:
            document["packs"] = dict(self.packs)
        if self.battery is not None:
            document["battery"] = self.battery.to_document()
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
        unclaimed, battery = document.get("unclaimed"), document.get("battery")
        current, packs = document.get("unit"), document.get("packs")
        named = islice(packs.items(), _MOST_UNITS) if isinstance(packs, Mapping) else ()
        return cls(
            units=units,
            unclaimed=None if unclaimed is None else SavedState.from_document(unclaimed),
            current=current if isinstance(current, str) and current in units else None,
            packs={str(name)[:_LONGEST_KEY]: key for name, key in named if isinstance(key, str) and key in units},
            battery=SavedBattery.from_document(battery) if isinstance(battery, Mapping) else None,
        )
