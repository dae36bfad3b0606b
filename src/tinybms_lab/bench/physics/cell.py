"""A cell by the single-particle model: diffusion into one sphere per electrode, and the reaction at its surface."""

import math
from typing import NamedTuple

from tinybms_lab.bench.physics.diffusion import MODES, Response, response
from tinybms_lab.bench.physics.parameters import (
    FARADAY_C_MOL,
    GAS_J_MOL_K,
    PARAMETERS,
    ZERO_C_K,
    CellParameters,
    Electrode,
    arrhenius,
)
from tinybms_lab.bms.chemistry import ChemistryModel
from tinybms_lab.bms.pack import SimulatedPack, warmed_c

__all__ = ["SingleParticleCell", "lowest_anode_v"]

_STEPS_PER_K = 4.0
"""Temperatures are taken to a quarter of a kelvin: rates change by 1 % in that."""
_MOST_CACHED = 4096
_BEYOND = 0.05
"""A curve of an electrode is followed so far beyond its ends: there it is beyond every voltage of a cell."""
_LEAST_REACTING = 1e-4
"""A surface is never emptier or fuller than this for the reaction, which would stand still."""


class _Warmth(NamedTuple):
    """What a temperature makes of a cell of 1 Ah."""

    slope_v: float
    """2 R T / F."""
    negative_h: float
    """Current over twice the exchange current, for 1C and a surface that is half full; times sqrt(x (1 - x)) / 0.5."""
    positive_h: float
    series_ohm_ah: float
    negative_s: float
    positive_s: float


class _Kinetics:
    """What cells of one kind share: their rates by temperature, and by length of step."""

    def __init__(self, parameters: CellParameters) -> None:
        self.parameters = parameters
        self._warmth: dict[int, _Warmth] = {}
        self._responses: dict[tuple[float, int], tuple[Response, Response]] = {}

    def warmth(self, quarter_c: int) -> _Warmth:
        """Return the rates at so many quarters of a degree Celsius."""
        found = self._warmth.get(quarter_c)
        if found is None:
            found = self._warmth[quarter_c] = self._rates(quarter_c / _STEPS_PER_K + ZERO_C_K)
        return found

    def responses(self, dt_s: float, quarter_c: int) -> tuple[Response, Response]:
        """Return how negative and positive particle answer to a step."""
        found = self._responses.get((dt_s, quarter_c))
        if found is None:
            if len(self._responses) >= _MOST_CACHED:
                self._responses.clear()
            warmth = self.warmth(quarter_c)
            found = (response(warmth.negative_s, dt_s), response(warmth.positive_s, dt_s))
            self._responses[dt_s, quarter_c] = found
        return found

    def _rates(self, temperature_k: float) -> _Warmth:
        parameters = self.parameters
        return _Warmth(
            2.0 * GAS_J_MOL_K * temperature_k / FARADAY_C_MOL,
            self._against_exchange(parameters.negative, temperature_k),
            self._against_exchange(parameters.positive, temperature_k),
            parameters.series_ohm_ah / arrhenius(parameters.series_activation_j_mol, temperature_k),
            parameters.negative.diffusion_s(temperature_k),
            parameters.positive.diffusion_s(temperature_k),
        )

    def _against_exchange(self, electrode: Electrode, temperature_k: float) -> float:
        """Return 1C, as a current density, over twice the exchange current density without sqrt(x (1 - x))."""
        parameters = self.parameters
        one_c_a_m2 = parameters.capacity_ah / electrode.surface_m2(parameters.area_m2)
        return one_c_a_m2 / (2.0 * electrode.exchange_a_m2(parameters.electrolyte_mol_m3, temperature_k))


_KINETICS = {name: _Kinetics(parameters) for name, parameters in PARAMETERS.items()}


class SingleParticleCell:
    """A cell of any size, made like the one whose parameters were published.

    Left out: gradients in the electrolyte, hysteresis of LFP, ageing, heat of diffusion.

    Args:
        chemistry: kind of cell: its parameters, heat capacity and stops.
        capacity_ah: charge between empty and full, at rest.
        soc: state of charge of the rested cell, 0..1.
        resistance_factor: its resistance, of reaction and in series, against that of a new cell of this capacity.
        temperature_c: of the cell.

    Raises:
        ValueError: a chemistry without published parameters.

    """

    __slots__ = (
        "_current_a",
        "_kinetics",
        "_negative",
        "_negative_h",
        "_negative_v",
        "_open_v",
        "_positive",
        "_positive_h",
        "_soc",
        "_warmth",
        "capacity_ah",
        "chemistry",
        "leak_a",
        "resistance_factor",
        "temperature_c",
    )

    def __init__(
        self,
        chemistry: ChemistryModel,
        capacity_ah: float,
        soc: float,
        resistance_factor: float = 1.0,
        temperature_c: float = 25.0,
    ) -> None:
        if chemistry.name not in _KINETICS:
            raise ValueError(f"no single-particle parameters for {chemistry.name}; there are {', '.join(_KINETICS)}")
        self.chemistry = chemistry
        self.capacity_ah = capacity_ah
        self.resistance_factor = resistance_factor
        self.temperature_c = temperature_c
        self.leak_a = 0.0
        self._kinetics = _KINETICS[chemistry.name]
        self._current_a = 0.0
        self.soc = soc

    @property
    def soc(self) -> float:
        """State of charge, 0..1; may leave the range when the pack is abused. Setting it gives a rested cell."""
        return self._soc

    @soc.setter
    def soc(self, soc: float) -> None:
        self._soc = soc
        self._negative = [0.0] * MODES
        self._positive = [0.0] * MODES
        self._warmth = self._kinetics.warmth(round(self.temperature_c * _STEPS_PER_K))
        self._surface(0.0, 0.0)

    @property
    def ohmic_ohm(self) -> float:
        """Resistance that answers at once to a small change of the current of the last step."""
        return self.tangent(self._current_a)[1]

    def anode_v(self) -> float:
        """Return the potential of the negative electrode's surface against lithium, under the last current.

        Below 0 V lithium plates. The drop in the electrode's electrolyte is left out: margins are a little smaller.
        """
        c_rate = self._current_a / self.capacity_ah * self.resistance_factor
        return self._negative_v - self._warmth.slope_v * math.asinh(c_rate * self._negative_h)

    def voltage_v(self, current_a: float) -> float:
        """Return the terminal voltage while ``current_a`` flows in (positive) or out, within the chemistry's stops."""
        warmth = self._warmth
        c_rate = current_a / self.capacity_ah * self.resistance_factor
        reaction_v = warmth.slope_v * (math.asinh(c_rate * self._negative_h) + math.asinh(c_rate * self._positive_h))
        volts = self._open_v + reaction_v + c_rate * warmth.series_ohm_ah
        if volts < self.chemistry.floor_v:
            return self.chemistry.floor_v
        return min(volts, self.chemistry.ceiling_v)

    def tangent(self, current_a: float) -> tuple[float, float]:
        """Return voltage and resistance of the straight line that touches the cell's at ``current_a``."""
        warmth, larger = self._warmth, self.resistance_factor / self.capacity_ah
        negative = current_a * larger * self._negative_h
        positive = current_a * larger * self._positive_h
        slope = self._negative_h / math.sqrt(1.0 + negative**2) + self._positive_h / math.sqrt(1.0 + positive**2)
        ohm = larger * (warmth.slope_v * slope + warmth.series_ohm_ah)
        return self.voltage_v(current_a) - current_a * ohm, ohm

    def step(self, dt_s: float, current_a: float, ambient_c: float) -> None:
        """Let ``current_a`` flow for ``dt_s`` seconds; exact for any length of step at constant current and warmth."""
        parameters = self._kinetics.parameters
        quarter_c = round(self.temperature_c * _STEPS_PER_K)
        per_s = current_a / self.capacity_ah / 3600.0
        self._soc += per_s * dt_s
        self._current_a = current_a
        self._warmth = self._kinetics.warmth(quarter_c)
        negative, positive = self._kinetics.responses(dt_s, quarter_c)
        filling = per_s * parameters.negative_window
        emptying = -per_s * parameters.positive_window
        self._negative = [m * left + filling * gain for m, (left, gain) in zip(self._negative, negative, strict=True)]
        self._positive = [m * left + emptying * gain for m, (left, gain) in zip(self._positive, positive, strict=True)]
        self._surface(sum(self._negative), sum(self._positive))
        heat_w = current_a * (self.voltage_v(current_a) - self._open_v)
        heat_capacity_j_k = self.chemistry.heat_capacity_j_k_ah * self.capacity_ah
        self.temperature_c = warmed_c(self.temperature_c, dt_s, abs(heat_w), heat_capacity_j_k, ambient_c)

    def _surface(self, negative_offset: float, positive_offset: float) -> None:
        """Take what the surfaces hold beyond the mean of their particles."""
        parameters, gone = self._kinetics.parameters, 1.0 - self._soc
        negative = parameters.negative.full - gone * parameters.negative_window + negative_offset
        positive = parameters.positive.full + gone * parameters.positive_window + positive_offset
        self._negative_v = parameters.negative.open_v(min(max(negative, -_BEYOND), 1.0 + _BEYOND))
        self._open_v = parameters.positive.open_v(min(max(positive, -_BEYOND), 1.0 + _BEYOND)) - self._negative_v
        self._negative_h = self._warmth.negative_h / _reacting(negative)
        self._positive_h = self._warmth.positive_h / _reacting(positive)


def _reacting(x: float) -> float:
    """Return sqrt(x (1 - x)) of a stoichiometry, never 0."""
    x = min(max(x, _LEAST_REACTING), 1.0 - _LEAST_REACTING)
    return math.sqrt(x * (1.0 - x))


def lowest_anode_v(pack: SimulatedPack) -> float:
    """Return the lowest potential of a negative electrode against lithium; NaN for cells that know none."""
    return min((cell.anode_v() for cell in pack.cells if isinstance(cell, SingleParticleCell)), default=math.nan)
