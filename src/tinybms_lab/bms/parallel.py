"""Packs electrically in parallel: what flows through each of them, solved exactly; no clock, no BMS.

Each pack is a voltage behind a resistance. Its two switches are those of a dual port: an open charge switch still
passes a discharge, and the other way round, since each transistor has a diode. The voltage of the bus follows from the
sum of the currents, so that currents between packs of different charge appear by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinybms_lab.bms.pack import Cell, SimulatedPack

__all__ = ["Branch", "Split", "branch_of", "split"]

_SLOPE_STEP = 0.002
"""State of charge over which the slope of an open-circuit curve is taken."""
_SHORT_S = 1.0
"""Within so long no pack moves far enough to matter to the others."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One pack, its cable and its contacts, as seen from the bus."""

    emf_v: float
    ohm: float
    """Above 0."""
    takes: bool = True
    """Whether current may flow in."""
    gives: bool = True
    """Whether current may flow out."""

    def current_a(self, bus_v: float) -> float:
        """Return what flows at a voltage of the bus; positive charges the pack."""
        current_a = (bus_v - self.emf_v) / self.ohm
        return current_a if (self.takes if current_a > 0.0 else self.gives) else 0.0


@dataclass(frozen=True, slots=True)
class Split:
    """What a total current becomes."""

    bus_v: float
    """0 without a pack."""
    currents_a: tuple[float, ...]
    """Of each branch, in their order; their sum is the total, or as much of it as the switches let through."""
    emf_v: float
    """All packs that carry current, as one source: its voltage without current."""
    ohm: float
    """Its resistance."""

    @property
    def total_a(self) -> float:
        """What flows through all of them."""
        return sum(self.currents_a)


def split(branches: Sequence[Branch | None], total_a: float) -> Split:
    """Return how a total current divides; None stands for a pack that is pulled.

    A current that the switches of no pack let through does not flow. Exact for any switches: the sum of the currents
    rises with the voltage of the bus in straight pieces, which meet where a pack changes direction.
    """
    there = [branch for branch in branches if branch is not None]
    if not there:
        return Split(0.0, (0.0,) * len(branches), 0.0, 1.0)
    bus_v = _bus_v(there, total_a)
    currents_a = tuple([0.0 if branch is None else branch.current_a(bus_v) for branch in branches])
    carrying = [branch for branch in there if branch.current_a(bus_v)] or there
    ohm = 1.0 / sum([1.0 / branch.ohm for branch in carrying])
    return Split(bus_v, currents_a, bus_v - sum(currents_a) * ohm, ohm)


def _bus_v(there: Sequence[Branch], total_a: float) -> float:
    siemens = sum([1.0 / branch.ohm for branch in there])
    bus_v = (total_a + sum([branch.emf_v / branch.ohm for branch in there])) / siemens
    if all(branch.takes if bus_v > branch.emf_v else branch.gives for branch in there):
        return bus_v
    knees = sorted([(branch.emf_v, _sum_a(there, branch.emf_v)) for branch in there])
    lowest_v, least_a = knees[0]
    if total_a <= least_a:
        gives = sum([1.0 / branch.ohm for branch in there if branch.gives])
        return lowest_v + (total_a - least_a) / gives if gives else lowest_v
    for (low_v, low_a), (high_v, high_a) in pairwise(knees):
        if total_a < high_a:
            return low_v + (high_v - low_v) * (total_a - low_a) / (high_a - low_a)
        if total_a == high_a == low_a:
            return (low_v + high_v) / 2.0  # nothing flows anywhere between the two
    highest_v, most_a = knees[-1]
    takes = sum([1.0 / branch.ohm for branch in there if branch.takes])
    return highest_v + (total_a - most_a) / takes if takes else highest_v


def _sum_a(there: Sequence[Branch], bus_v: float) -> float:
    return sum([branch.current_a(bus_v) for branch in there])


def branch_of(
    pack: SimulatedPack,
    cable_ohm: float,
    *,
    takes: bool = True,
    gives: bool = True,
    ahead_s: float = 0.0,
    tangents: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Branch:
    """Return a pack as a branch whose voltage is right ``ahead_s`` seconds from now, if the current stays.

    A step that lasts longer than a second would else let packs whose voltage is steep overtake each other: so the
    charge that flows until its end, and what builds up or fades of the polarisation, count as resistance and voltage.
    ``tangents``: those of the pack, where they are known already.
    """
    open_v, ohms = pack.tangents() if tangents is None else tangents
    emf_v, ohm = sum(open_v), sum(ohms) + cable_ohm
    if ahead_s > _SHORT_S:
        for cell, cell_v in zip(pack.cells, open_v, strict=True):
            faded_v = 0.0
            if isinstance(cell, Cell):
                left = cell.faded(ahead_s)
                faded_v = cell.polarisation_v * (1.0 - left)
                ohm += cell.polarisation_ohm * (1.0 - left)
                cell_v -= cell.polarisation_v  # noqa: PLW2901 -- the curve alone, whose slope is wanted
            emf_v -= faded_v
            rise_v = cell.chemistry.ocv_v(cell.soc + _SLOPE_STEP) - cell_v
            ohm += max(rise_v, 0.0) / _SLOPE_STEP * ahead_s / 3600.0 / cell.capacity_ah
    return Branch(emf_v, ohm, takes, gives)
