"""Several simulated BMS whose packs are one battery in parallel: what one current, or sun and house, makes of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.bms.chemistry import LFP, ChemistryModel
from tinybms_lab.bms.device import BmsOptions, SimulatedBms
from tinybms_lab.bms.environment import CurrentProfile
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.parallel import Branch, split
from tinybms_lab.bms.settings import default_settings

__all__ = ["CABLE_OHM", "DRIVE_S", "MOST_PACKS", "BankUnit", "BatteryBank", "pack_names", "unequal_units"]

MOST_PACKS = 16
"""As many as a bridge takes."""
CABLE_OHM = 0.002
"""Two metres of 50 mm² and the contacts of fuse and bus bar."""
DRIVE_S = 0.25
"""Time between two looks at how the current divides, where no GX drives it."""
_OFFER_C = 0.05
"""What a BMS sees of a charger, or a load, behind its open switch: enough to be noticed, too little to trip anything
should the switch close before the next look."""


def pack_names(count: int) -> tuple[str, ...]:
    """Return the names of so many packs: a, b, c and on."""
    return tuple("abcdefghijklmnop"[:count])


@dataclass(slots=True)
class BankUnit:
    """One pack and its BMS."""

    bms: SimulatedBms
    capacity_ah: float
    cable_ohm: float = CABLE_OHM
    plugged: bool = True
    """Whether its poles are on the bus."""


class BatteryBank:
    """Packs in parallel. Implements ``Terminals`` of a GX: it drives the sum, the network divides it.

    Args:
        units: the packs by name.
        ahead_s: pack time until the next look at the network; currents are chosen so that they fit at its end.

    """

    def __init__(self, units: Mapping[str, BankUnit], *, ahead_s: float = 0.0) -> None:
        self.units: Mapping[str, BankUnit] = MappingProxyType(dict(units))
        self._ahead_s = ahead_s
        self._total_a = 0.0

    @property
    def voltage_v(self) -> float:
        """Voltage of the bus now; 0 with no pack on it. See ``Terminals``."""
        return split(list(self._branches()), self._total_a).bus_v

    def set_current_a(self, current_a: float) -> None:
        """Drive this current through all packs together from now on; see ``Terminals``."""
        self._total_a = current_a
        branches = list(self._branches())
        flows_a = split(branches, current_a).currents_a
        # What each BMS would see with its switches closed: a charger that is not let in has to be found first.
        closed = [branch and replace(branch, takes=True, gives=True) for branch in branches]
        offers_a = split(closed, current_a).currents_a
        for unit, branch, flow_a, offer_a in zip(self.units.values(), branches, flows_a, offers_a, strict=True):
            barred = branch is not None and not (branch.takes if offer_a > 0.0 else branch.gives)
            most_a = _OFFER_C * unit.capacity_ah
            unit.bms.set_current_a(min(max(offer_a, -most_a), most_a) if barred and not flow_a else flow_a)

    def pull(self, name: str) -> None:
        """Take a pack off the bus. Raises KeyError for a name that there is not."""
        self.units[name].plugged = False
        self.set_current_a(self._total_a)

    def plug(self, name: str) -> None:
        """Put it back, whatever its voltage is by now. Raises as ``pull``."""
        self.units[name].plugged = True
        self.set_current_a(self._total_a)

    async def drive(self, profile: CurrentProfile, clock: Clock) -> None:
        """Let the current of a profile, of all packs together, flow until cancelled."""
        first = next(iter(self.units.values())).bms
        while True:
            segment, _ = profile.at(first.pack_time_s)
            self.set_current_a(segment.current_a(self.voltage_v))
            await clock.sleep(DRIVE_S)

    def _branches(self) -> Iterator[Branch | None]:
        for unit in self.units.values():
            yield unit.bms.branch(unit.cable_ohm, self._ahead_s) if unit.plugged else None


@dataclass(frozen=True, slots=True)
class _Difference:
    """How one pack of a demonstration differs from what was asked for."""

    capacity: float = 1.0
    soc: float = 0.0
    """Added to the state of charge, 0..1."""
    resistance: float = 1.0


_DIFFERENCES = (
    _Difference(),
    _Difference(soc=-0.03),
    _Difference(capacity=0.85, soc=0.02, resistance=1.3),
    _Difference(capacity=0.95, soc=-0.01, resistance=1.1),
)
"""As packs of a house are that were bought in two years; the fifth is like the first again."""


_BY_CAPACITY = (317, 318)
"""Largest currents, which an owner sets lower for a smaller pack."""


@dataclass(frozen=True, slots=True)
class _Bought:
    chemistry: ChemistryModel = LFP
    cells: int = 16
    capacity_ah: float = 100.0
    soc: float = 0.6
    ambient_c: float = 25.0
    options: BmsOptions = field(default_factory=BmsOptions)


def unequal_units(
    clock: Clock,
    count: int,
    *,
    chemistry: ChemistryModel = LFP,
    cells: int = 16,
    capacity_ah: float = 100.0,
    soc: float = 0.6,
    ambient_c: float = 25.0,
    options: BmsOptions | None = None,
) -> dict[str, BankUnit]:
    """Return packs a, b, c and on, each of them a bit different, and each BMS with a serial number of its own.

    Raises:
        ValueError: not 1 to 16 packs, or an argument out of its range.

    """
    if not 1 <= count <= MOST_PACKS:
        raise ValueError(f"a battery has 1 to {MOST_PACKS} packs, got {count}")
    bought = _Bought(chemistry, cells, capacity_ah, soc, ambient_c, options or BmsOptions())
    return {name: _unit(clock, index, bought) for index, name in enumerate(pack_names(count))}


def _unit(clock: Clock, index: int, bought: _Bought) -> BankUnit:
    differs = _DIFFERENCES[index % len(_DIFFERENCES)]
    capacity_ah = bought.capacity_ah * differs.capacity
    pack = SimulatedPack.build(
        bought.chemistry,
        bought.cells,
        capacity_ah=capacity_ah,
        soc=min(max(bought.soc + differs.soc, 0.0), 1.0),
        ambient_c=bought.ambient_c,
    )
    for cell in pack.cells:
        cell.resistance_factor *= differs.resistance
    options = replace(bought.options, serial=_numbered(bought.options.serial, index))
    delivered = default_settings(bought.chemistry, options.board, bought.cells, bought.capacity_ah)
    less = {address: round(delivered[address] * differs.capacity) for address in _BY_CAPACITY}
    settings = less if differs.capacity < 1.0 else None
    bms = SimulatedBms(
        pack, clock, chemistry=bought.chemistry, capacity_ah=capacity_ah, options=options, settings=settings
    )
    return BankUnit(bms, capacity_ah)


def _numbered(serial: bytes, index: int) -> bytes:
    """Return the serial number of a later unit of the same series."""
    number = int.from_bytes(serial[-2:]) + index
    return serial[:-2] + (number & 0xFFFF).to_bytes(2)
