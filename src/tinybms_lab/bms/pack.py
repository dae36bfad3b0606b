"""A pack of series cells as physics: charge, voltage under current, warmth, bleeding. No clock, no BMS."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tinybms_lab.bms.chemistry import ChemistryModel

__all__ = ["BLEED_A", "Cell", "PackCell", "SimulatedPack", "warmed_c"]

BLEED_A = 0.150
"""Balancing current per cell of a v2.2 board (tinybms-protocol.md, 5.5)."""

_THERMAL_TAU_S = 3600.0
_GOLDEN_RATIO = 0.6180339887498949


class PackCell(Protocol):
    """What a pack needs of a cell, whatever model is inside."""

    chemistry: ChemistryModel
    capacity_ah: float
    resistance_factor: float
    temperature_c: float
    leak_a: float

    @property
    def soc(self) -> float:
        """State of charge, 0..1; setting it gives a rested cell where a model knows of rest."""
        ...

    @soc.setter
    def soc(self, soc: float) -> None: ...

    @property
    def ohmic_ohm(self) -> float:
        """Resistance that answers at once, under the current of the last step."""
        ...

    def voltage_v(self, current_a: float) -> float:
        """Return the terminal voltage while ``current_a`` flows in (positive) or out."""
        ...

    def tangent(self, current_a: float) -> tuple[float, float]:
        """Return voltage without current and resistance of the straight line that touches the cell's at a current."""
        ...

    def step(self, dt_s: float, current_a: float, ambient_c: float) -> None:
        """Let ``current_a`` flow for ``dt_s`` seconds."""
        ...


@dataclass(slots=True)
class Cell:
    """One cell: what it is and what state it is in."""

    chemistry: ChemistryModel
    capacity_ah: float
    soc: float
    """State of charge, 0..1; may leave the range when the pack is abused."""
    resistance_factor: float = 1.0
    """Resistance against that of a new cell of this capacity."""
    temperature_c: float = 25.0
    polarisation_v: float = 0.0
    """Voltage across the slow part of the resistance; positive after charging."""
    leak_a: float = 0.0
    """Current through a fault inside the cell; drains it and is seen by nobody."""

    @property
    def ohmic_ohm(self) -> float:
        """Resistance that answers at once."""
        return self.chemistry.ohmic_ohm_ah * self.resistance_factor / self.capacity_ah

    @property
    def polarisation_ohm(self) -> float:
        """Resistance that builds up with time."""
        return self.chemistry.polarisation_ohm_ah * self.resistance_factor / self.capacity_ah

    def voltage_v(self, current_a: float) -> float:
        """Return the terminal voltage while ``current_a`` flows in (positive) or out, within the chemistry's stops."""
        chemistry = self.chemistry
        sagged_v = chemistry.ocv_v(self.soc) + self.polarisation_v + current_a * self.ohmic_ohm
        if sagged_v < chemistry.floor_v:
            return chemistry.floor_v
        return min(sagged_v, chemistry.ceiling_v)

    def tangent(self, current_a: float) -> tuple[float, float]:  # noqa: ARG002 -- this cell's line is straight
        """See ``PackCell.tangent``."""
        return self.voltage_v(0.0), self.ohmic_ohm

    def faded(self, dt_s: float) -> float:
        """Return the share of a polarisation that is left after ``dt_s`` seconds without current."""
        return math.exp(-dt_s / self.chemistry.polarisation_tau_s)

    def step(self, dt_s: float, current_a: float, ambient_c: float) -> None:
        """Let ``current_a`` flow for ``dt_s`` seconds; exact for any length of step at constant current."""
        capacity_ah, polarisation_ohm = self.capacity_ah, self.polarisation_ohm
        self.soc += current_a * dt_s / 3600.0 / capacity_ah
        settled_v = current_a * polarisation_ohm
        self.polarisation_v = settled_v + (self.polarisation_v - settled_v) * self.faded(dt_s)
        heat_w = current_a**2 * self.ohmic_ohm + self.polarisation_v**2 / polarisation_ohm
        heat_capacity_j_k = self.chemistry.heat_capacity_j_k_ah * capacity_ah
        self.temperature_c = warmed_c(self.temperature_c, dt_s, heat_w, heat_capacity_j_k, ambient_c)


def warmed_c(temperature_c: float, dt_s: float, heat_w: float, heat_capacity_j_k: float, ambient_c: float) -> float:
    """Return the temperature of a cell after ``dt_s`` seconds of a constant heat; it cools in an hour."""
    settled_c = ambient_c + heat_w * _THERMAL_TAU_S / heat_capacity_j_k
    return settled_c + (temperature_c - settled_c) * math.exp(-dt_s / _THERMAL_TAU_S)


class SimulatedPack:
    """Cells in series, cell 1 (lowest potential) first.

    Args:
        cells: 4 to 16 cells.
        ambient_c: temperature of the room.
        bleed_a: balancing current of a bleeding cell.

    Raises:
        ValueError: a number of cells that a TinyBMS cannot have.

    """

    def __init__(self, cells: Sequence[PackCell], *, ambient_c: float = 25.0, bleed_a: float = BLEED_A) -> None:
        if not 4 <= len(cells) <= 16:
            raise ValueError(f"a TinyBMS has 4 to 16 cells in series, got {len(cells)}")
        self.cells = tuple(cells)
        self.ambient_c = ambient_c
        self.bleed_a = bleed_a
        self.current_a = 0.0
        """Current of the last step; positive = into the pack."""
        self.net_ah = 0.0
        """Charge that went in less charge that came out at the terminals since the start."""
        self.bled_ah = [0.0] * len(cells)
        """Charge each cell lost by balancing since the start."""

    @classmethod
    def build(
        cls,
        chemistry: ChemistryModel,
        count: int,
        *,
        capacity_ah: float = 100.0,
        soc: float = 0.6,
        capacity_spread: float = 0.005,
        soc_spread: float = 0.002,
        resistance_spread: float = 0.08,
        ambient_c: float = 25.0,
    ) -> "SimulatedPack":
        """Return a rested pack whose cells differ by a fixed pattern, so that every run is alike.

        Args:
            chemistry: kind of cell.
            count: number of cells in series, 4..16.
            capacity_ah: mean capacity.
            soc: mean state of charge, 0..1.
            capacity_spread: largest deviation of a capacity, as a fraction of it.
            soc_spread: largest deviation of a state of charge, as a difference.
            resistance_spread: largest deviation of a resistance, as a fraction of it.
            ambient_c: temperature of room and cells.

        Raises:
            ValueError: an argument out of its range.

        """
        if capacity_ah <= 0:
            raise ValueError(f"capacity must be above 0 Ah, got {capacity_ah}")
        if not 0.0 <= soc <= 1.0:
            raise ValueError(f"state of charge must be 0..1, got {soc}")
        cells = [
            Cell(chemistry, capacity_ah * (1.0 + a), min(max(soc + b, 0.0), 1.0), 1.0 + c, ambient_c)
            for a, b, c in zip(
                _pattern(count, capacity_spread, 1),
                _pattern(count, soc_spread, 7),
                _pattern(count, resistance_spread, 4),
                strict=True,
            )
        ]
        return cls(cells, ambient_c=ambient_c)

    def step(self, dt_s: float, current_a: float, bleeding: Collection[int] = ()) -> None:
        """Let ``current_a`` flow for ``dt_s`` seconds while the cells with these indexes (from 0) bleed.

        Raises:
            ValueError: negative time, or a number that is not finite.

        """
        if not (math.isfinite(current_a) and math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"cannot step {dt_s} s at {current_a} A")
        self.current_a = current_a
        self.net_ah += current_a * dt_s / 3600.0
        for index, cell in enumerate(self.cells):
            bled_a = self.bleed_a if index in bleeding else 0.0
            self.bled_ah[index] += bled_a * dt_s / 3600.0
            cell.step(dt_s, current_a - bled_a - cell.leak_a, self.ambient_c)

    @property
    def cell_voltages_v(self) -> tuple[float, ...]:
        """Terminal voltages under the current of the last step."""
        return self.cell_voltages_at(self.current_a)

    def cell_voltages_at(self, current_a: float) -> tuple[float, ...]:
        """Return the terminal voltages that the cells would show under another current now."""
        return tuple([cell.voltage_v(current_a) for cell in self.cells])

    def tangents(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return, for each cell, voltage and resistance of the straight line that is right about the last current."""
        open_v, ohms = zip(*[cell.tangent(self.current_a) for cell in self.cells], strict=True)
        return open_v, ohms

    @property
    def voltage_v(self) -> float:
        """Sum of the cell voltages."""
        return sum(self.cell_voltages_v)

    @property
    def resting_voltage_v(self) -> float:
        """Sum of the voltages that the cells would show without current now."""
        return sum(self.cell_voltages_at(0.0))

    @property
    def ohmic_ohm(self) -> float:
        """Sum of the resistances that answer at once."""
        return sum(cell.ohmic_ohm for cell in self.cells)

    @property
    def soc(self) -> float:
        """True state of charge: charge held over capacity, of all cells together, 0..1."""
        return sum([c.soc * c.capacity_ah for c in self.cells]) / sum([c.capacity_ah for c in self.cells])

    @property
    def temperatures_c(self) -> tuple[float, ...]:
        """Cell temperatures."""
        return tuple([cell.temperature_c for cell in self.cells])


def _pattern(count: int, spread: float, offset: int) -> list[float]:
    """Return ``count`` well-spread numbers within ±``spread`` whose mean is 0."""
    raw = [((i + offset) * offset * _GOLDEN_RATIO) % 1.0 for i in range(1, count + 1)]
    mean = sum(raw) / count if count else 0.0
    reach = max((abs(x - mean) for x in raw), default=0.0) or 1.0
    return [(x - mean) / reach * spread for x in raw]
