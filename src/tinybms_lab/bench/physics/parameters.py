"""Published parameters of two cells: what their electrodes are made of and how they answer.

``PRADA_2013``: A123 26650, LFP and graphite, 2.3 Ah. E. Prada et al., J. Electrochem. Soc. 160 (2013) A616;
open-circuit curve of LFP by S. Afshar et al., arXiv:1709.03970 (2017), of graphite by Chen 2020; exchange current of
LFP by A. G. Kashkooli et al., J. Appl. Electrochem. 47 (2017) 281.

``CHEN_2020``: LG M50 21700, NMC 811 and graphite with silicon oxide, 5 Ah. C.-H. Chen et al., J. Electrochem. Soc. 167
(2020) 080534.

Both give diffusivities at 25 °C only. Their activation energies: graphite 30.3 kJ/mol (M. Ecker et al.,
J. Electrochem. Soc. 162 (2015) A1836), NMC 25 kJ/mol (S. E. J. O'Kane et al., Phys. Chem. Chem. Phys. 24 (2022) 7909),
LFP like graphite (assumed: its particles are so small that they bind nothing). What lies in series (electrolyte, foils,
terminals, busbars) is in neither model: it is chosen, with the reason beside it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

__all__ = [
    "CHEN_2020",
    "FARADAY_C_MOL",
    "GAS_J_MOL_K",
    "PARAMETERS",
    "PRADA_2013",
    "ZERO_C_K",
    "CellParameters",
    "Electrode",
    "arrhenius",
]

FARADAY_C_MOL = 96485.33212
GAS_J_MOL_K = 8.314462618
ZERO_C_K = 273.15
_REFERENCE_K = 298.15


def arrhenius(activation_j_mol: float, temperature_k: float) -> float:
    """Return a rate at a temperature as a multiple of that at 25 °C."""
    return math.exp(activation_j_mol / GAS_J_MOL_K * (1.0 / _REFERENCE_K - 1.0 / temperature_k))


@dataclass(frozen=True, slots=True)
class Electrode:
    """One electrode; its particles are spheres of one size."""

    open_v: Callable[[float], float]
    """Potential against lithium at a stoichiometry."""
    thickness_m: float
    active_fraction: float
    """Share of the volume that stores lithium."""
    most_mol_m3: float
    radius_m: float
    diffusivity_m2_s: float
    """At 25 °C."""
    diffusion_activation_j_mol: float
    reaction_a_m2: float
    """Exchange current in A/m² over (mol/m³)^1.5, at 25 °C."""
    reaction_activation_j_mol: float
    full: float
    """Stoichiometry of the full cell."""

    def holds_ah(self, area_m2: float) -> float:
        """Return what all its places for lithium hold, on so much foil."""
        return area_m2 * self.thickness_m * self.active_fraction * self.most_mol_m3 * FARADAY_C_MOL / 3600.0

    def surface_m2(self, area_m2: float) -> float:
        """Return the surface of its particles."""
        return 3.0 * self.active_fraction / self.radius_m * self.thickness_m * area_m2

    def diffusion_s(self, temperature_k: float) -> float:
        """Return the square of the radius over the diffusivity."""
        faster = arrhenius(self.diffusion_activation_j_mol, temperature_k)
        return self.radius_m**2 / (self.diffusivity_m2_s * faster)

    def exchange_a_m2(self, electrolyte_mol_m3: float, temperature_k: float) -> float:
        """Return the exchange current density over the square root of x (1 - x), with x the stoichiometry."""
        faster = arrhenius(self.reaction_activation_j_mol, temperature_k)
        return self.reaction_a_m2 * faster * math.sqrt(electrolyte_mol_m3) * self.most_mol_m3


@dataclass(frozen=True)
class CellParameters:
    """A cell that was measured; a cell of another size is as many of them side by side."""

    name: str
    negative: Electrode
    positive: Electrode
    area_m2: float
    electrolyte_mol_m3: float
    empty_v: float
    """Open-circuit voltage of the empty cell."""
    series_ohm_ah: float
    """Resistance of electrolyte, foils, terminals and busbars at 25 °C, times capacity."""
    series_activation_j_mol: float = 15_000.0
    """Of the conductivity of LiPF6 in carbonates between 0 and 25 °C (A. Nyman et al., Electrochim. Acta 53 (2008)
    6356; L. O. Valøen and J. N. Reimers, J. Electrochem. Soc. 152 (2005) A882)."""

    @cached_property
    def capacity_ah(self) -> float:
        """Charge between the full cell and the empty one, at rest: by bisection."""
        low_ah, high_ah = (
            0.0,
            min(
                self.negative.full * self.negative.holds_ah(self.area_m2),
                (1.0 - self.positive.full) * self.positive.holds_ah(self.area_m2),
            ),
        )
        for _ in range(80):
            middle_ah = (low_ah + high_ah) / 2.0
            if self._open_v_after(middle_ah) > self.empty_v:
                low_ah = middle_ah
            else:
                high_ah = middle_ah
        return low_ah

    def _open_v_after(self, gone_ah: float) -> float:
        negative = self.negative.full - gone_ah / self.negative.holds_ah(self.area_m2)
        positive = self.positive.full + gone_ah / self.positive.holds_ah(self.area_m2)
        return self.positive.open_v(positive) - self.negative.open_v(negative)

    @cached_property
    def negative_window(self) -> float:
        """How much fuller the negative electrode of a full cell is than that of an empty one."""
        return self.capacity_ah / self.negative.holds_ah(self.area_m2)

    @cached_property
    def positive_window(self) -> float:
        """How much emptier the positive electrode of a full cell is than that of an empty one."""
        return self.capacity_ah / self.positive.holds_ah(self.area_m2)

    def open_v(self, soc: float) -> float:
        """Return the voltage at rest at a state of charge of 0..1."""
        return self._open_v_after((1.0 - soc) * self.capacity_ah)


def _graphite_v(x: float) -> float:
    """Chen 2020: graphite with silicon oxide."""
    return (
        1.9793 * math.exp(-39.3631 * x)
        + 0.2482
        - 0.0909 * math.tanh(29.8538 * (x - 0.1234))
        - 0.04478 * math.tanh(14.9159 * (x - 0.2769))
        - 0.0205 * math.tanh(30.4444 * (x - 0.6103))
    )


def _lfp_v(x: float) -> float:
    """Afshar 2017."""
    return 3.4077 - 0.020269 * x + 0.5 * math.exp(-150.0 * x) - 0.9 * math.exp(-30.0 * (1.0 - x))


def _nmc_v(x: float) -> float:
    """Chen 2020."""
    return (
        4.4875
        - 0.8090 * x
        - 0.0428 * math.tanh(18.5138 * (x - 0.5542))
        - 17.7326 * math.tanh(15.7890 * (x - 0.3117))
        + 17.5842 * math.tanh(15.9308 * (x - 0.3120))
    )


PRADA_2013 = CellParameters(
    name="Prada2013",
    negative=Electrode(
        open_v=_graphite_v,
        thickness_m=34e-6,
        active_fraction=0.58,
        most_mol_m3=30555.0,
        radius_m=5e-6,
        diffusivity_m2_s=3e-15,
        diffusion_activation_j_mol=30_300.0,
        reaction_a_m2=6.48e-7,
        reaction_activation_j_mol=35_000.0,
        full=0.81,
    ),
    positive=Electrode(
        open_v=_lfp_v,
        thickness_m=80e-6,
        active_fraction=0.374,
        most_mol_m3=22806.0,
        radius_m=50e-9,
        diffusivity_m2_s=5.9e-18,
        diffusion_activation_j_mol=30_300.0,
        reaction_a_m2=6e-7,
        reaction_activation_j_mol=39_570.0,
        full=0.0038,
    ),
    area_m2=0.18,
    electrolyte_mol_m3=1200.0,
    empty_v=2.0,
    # 0.16 mΩ of a prismatic cell of 280 Ah: makers' tables say 0.15 to 0.2 mΩ at 1 kHz, where nothing else answers.
    series_ohm_ah=0.045,
)
"""LFP."""

CHEN_2020 = CellParameters(
    name="Chen2020",
    negative=Electrode(
        open_v=_graphite_v,
        thickness_m=85.2e-6,
        active_fraction=0.75,
        most_mol_m3=33133.0,
        radius_m=5.86e-6,
        diffusivity_m2_s=3.3e-14,
        diffusion_activation_j_mol=30_300.0,
        reaction_a_m2=6.48e-7,
        reaction_activation_j_mol=35_000.0,
        full=29866.0 / 33133.0,
    ),
    positive=Electrode(
        open_v=_nmc_v,
        thickness_m=75.6e-6,
        active_fraction=0.665,
        most_mol_m3=63104.0,
        radius_m=5.22e-6,
        diffusivity_m2_s=4e-15,
        diffusion_activation_j_mol=25_000.0,
        reaction_a_m2=3.42e-6,
        reaction_activation_j_mol=17_800.0,
        full=17038.0 / 63104.0,
    ),
    area_m2=0.065 * 1.58,
    electrolyte_mol_m3=1000.0,
    empty_v=2.5,
    # With the reactions 33 mΩ of a cell of 5 Ah within a second, as pulses of an LG M50 show (20 to 25 mΩ at 1 kHz).
    series_ohm_ah=0.030,
)
"""Li-ion."""

PARAMETERS: Mapping[str, CellParameters] = MappingProxyType({"lfp": PRADA_2013, "li-ion": CHEN_2020})
"""By the name of the chemistry; for LTO no complete published set was found."""
