"""The battery of a scenario: which cells, how unequal, and the settings of its BMS."""

from dataclasses import dataclass
from enum import Enum

from tinybms_bridge.battery.limits import PRESETS, LimitSettings, Preset, chemistry_of
from tinybms_bridge.battery.snapshot import Ratings, Switches
from tinybms_lab.bench.physics import SingleParticleCell
from tinybms_lab.bms.chemistry import CHEMISTRIES, CellSettings, ChemistryModel
from tinybms_lab.bms.pack import SimulatedPack

__all__ = ["BatteryPlan", "BmsKind", "CellModel", "OddCell", "floor_v", "least_cvl_v", "target_cell_v"]

_BELOW_FLOOR_V = 0.4
"""Where chargers obey no CCL they stand so much above CVL: on the floor they would charge a pack of 12 V on."""
_ABOVE_CUTOFF_V = 0.2


class BmsKind(Enum):
    """Which BMS watches the cells. Nobody has seen on hardware which one a TinyBMS is."""

    COUNTING = "counting"
    """It bleeds while it reads a charge current, and opens its switches for protections only."""
    DUAL_PORT = "dual port"
    """That of the user manual (tinybms-protocol.md, 5.3): its charger switch opens at register 300 as well."""
    SINGLE_PORT = "single port"
    """The same with one switch for both directions, which darkens the house."""


_SWITCHES = {
    BmsKind.COUNTING: Switches.UNKNOWN,
    BmsKind.DUAL_PORT: Switches.TWO_FETS,
    BmsKind.SINGLE_PORT: Switches.SINGLE,
}


class CellModel(Enum):
    """What a cell is made of in a run."""

    TABLE = "table"
    """An open-circuit curve, a resistance that answers at once, and one that builds up."""
    SINGLE_PARTICLE = "single-particle"
    """Published electrodes: LFP and Li-ion only."""


@dataclass(frozen=True, slots=True)
class OddCell:
    """How one cell differs from what it should be."""

    index: int
    """From 0."""
    capacity_factor: float = 1.0
    resistance_factor: float = 1.0
    soc_offset: float = 0.0
    """Added to its state of charge, 0..1."""
    failing_per_h: float = 0.0
    """How much its resistance grows in an hour, as a multiple of a new cell's."""


@dataclass(frozen=True, slots=True)
class BatteryPlan:
    """Cells and ratings."""

    chemistry: str = "lfp"
    cells: int = 16
    capacity_ah: float = 280.0
    soc: float = 0.8
    """At the start, 0..1."""
    capacity_spread: float = 0.02
    soc_spread: float = 0.01
    resistance_spread: float = 0.1
    odd: tuple[OddCell, ...] = ()
    temperature_c: float = 25.0
    """Of the cells at the start."""
    charge_cutoff_a: float = 200.0
    """Register 318."""
    discharge_cutoff_a: float = 300.0
    """Register 317."""
    peak_cutoff_a: float = 400.0
    """Register 305."""
    soc_error_percent: float = 0.0
    """How far the BMS's count is above the truth at the start."""
    bms: BmsKind = BmsKind.COUNTING
    registers: CellSettings | None = None
    """Settings of the BMS for each cell; None: those that the simulator gives this chemistry."""
    finished_a: float = 1.0
    """Register 304."""
    restart_percent: float | None = None
    """Register 321, where bit 2 of register 329 is set; None: the bit is not set."""
    stated_capacity: float = 1.0
    """Register 306 as a multiple of the true capacity."""
    model: CellModel = CellModel.TABLE

    @property
    def kind(self) -> ChemistryModel:
        """The cells."""
        return CHEMISTRIES[self.chemistry]

    def build(self) -> SimulatedPack:
        """Return the pack. A cell of smaller capacity was full together with the others (a top-balanced pack)."""
        pack = SimulatedPack.build(
            self.kind,
            self.cells,
            capacity_ah=self.capacity_ah,
            soc=self.soc,
            capacity_spread=self.capacity_spread,
            soc_spread=self.soc_spread,
            resistance_spread=self.resistance_spread,
            ambient_c=self.temperature_c,
        )
        for odd in self.odd:
            cell = pack.cells[odd.index]
            cell.soc = 1.0 - (1.0 - cell.soc) / odd.capacity_factor + odd.soc_offset
            cell.capacity_ah *= odd.capacity_factor
            # A resistance belongs to the cell as built, not to the capacity that is left.
            cell.resistance_factor *= odd.resistance_factor * odd.capacity_factor
        return _of_particles(pack) if self.model is CellModel.SINGLE_PARTICLE else pack

    def ratings(self) -> Ratings:
        """Return the BMS's settings: those that the simulator gives this chemistry."""
        settings = self.registers or self.kind.settings
        return Ratings(
            series_cells=self.cells,
            fully_charged_cell_v=settings.fully_charged_mv / 1000.0,
            fully_discharged_cell_v=settings.fully_discharged_mv / 1000.0,
            over_voltage_cell_v=settings.over_voltage_mv / 1000.0,
            under_voltage_cell_v=settings.under_voltage_mv / 1000.0,
            charge_over_current_a=self.charge_cutoff_a,
            discharge_over_current_a=self.discharge_cutoff_a,
            discharge_peak_current_a=self.peak_cutoff_a,
            over_heat_c=float(settings.over_heat_c),
            low_temperature_charge_c=float(settings.low_temperature_charge_c),
            capacity_ah=self.capacity_ah * self.stated_capacity,
            allowed_disbalance_mv=float(settings.allowed_disbalance_mv),
            charge_finished_current_a=self.finished_a,
            switches=_SWITCHES[self.bms],
            early_balancing_cell_v=settings.early_balancing_mv / 1000.0,
            charge_restart=self.restart_percent is not None,
            charge_restart_percent=self.restart_percent,
        )


def _of_particles(pack: SimulatedPack) -> SimulatedPack:
    """Return a pack of single-particle cells that differ from one another as those of ``pack`` do."""
    cells = [
        SingleParticleCell(cell.chemistry, cell.capacity_ah, cell.soc, cell.resistance_factor, cell.temperature_c)
        for cell in pack.cells
    ]
    return SimulatedPack(cells, ambient_c=pack.ambient_c, bleed_a=pack.bleed_a)


def target_cell_v(chemistry: str, full_v: float) -> float:
    """Return where a cell is full enough (charging-physics.md, 2); ``full_v``: register 300."""
    return {"lfp": min(3.50, full_v - 0.08), "li-ion": full_v - 0.04, "lto": full_v - 0.06}[chemistry]


def floor_v(ratings: Ratings, settings: LimitSettings) -> float:
    """Return the lowest CVL while no charge has to be ended by it."""
    preset: Preset = PRESETS[settings.chemistry or chemistry_of(ratings)]
    cell_v = preset.floor_v if settings.floor_cell_v is None else settings.floor_cell_v
    return cell_v * ratings.series_cells


def least_cvl_v(ratings: Ratings, settings: LimitSettings) -> float:
    """Return the lowest CVL that may ever be sent: where nothing else ends a charge, the floor gives way."""
    cutoff_v = (ratings.under_voltage_cell_v + _ABOVE_CUTOFF_V) * ratings.series_cells
    highest_v = floor_v(ratings, settings)
    return min(max(highest_v - _BELOW_FLOOR_V, cutoff_v), highest_v)
