"""The same profiles by PyBaMM's single-particle model, with its own parameter sets."""

import os
from collections.abc import Callable
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"  # it would call a server

import pybamm

from rigs.physics.profiles import Profile
from tinybms_lab.bench.physics import PARAMETERS, CellParameters
from tinybms_lab.bench.physics.parameters import GAS_J_MOL_K, ZERO_C_K, Electrode, arrhenius

__all__ = ["VERSION", "play"]

VERSION: str = pybamm.__version__
_SHELLS = 300
"""Of each particle. With 100 its surface is up to 6 mV further off where graphite is nearly empty."""


def play(profile: Profile) -> list[float]:
    """Return PyBaMM's voltages at the end of each step of a profile."""
    ours = PARAMETERS[profile.chemistry]
    kelvin = profile.temperature_c + ZERO_C_K
    simulation = pybamm.Simulation(
        pybamm.lithium_ion.SPM({"contact resistance": "true"}),
        parameter_values=_values(ours, profile.start_soc, kelvin),
        var_pts={"x_n": 5, "x_s": 5, "x_p": 5, "r_n": _SHELLS, "r_p": _SHELLS},
        solver=pybamm.IDAKLUSolver(rtol=1e-7, atol=1e-8),
    )
    volts = []
    for dt_s, c_rate in profile.steps:
        # PyBaMM counts a discharge as positive.
        simulation.step(dt_s, inputs={"Current function [A]": -c_rate * ours.capacity_ah}, save=False)
        volts.append(float(simulation.solution["Voltage [V]"].entries[-1]))
    return volts


def _values(ours: CellParameters, soc: float, kelvin: float) -> Any:  # noqa: ANN401 -- pybamm has no types
    values = pybamm.ParameterValues(ours.name)
    gone = 1.0 - soc
    negative = ours.negative.full - gone * ours.negative_window
    positive = ours.positive.full + gone * ours.positive_window
    values.update(
        {
            "Current function [A]": "[input]",
            "Ambient temperature [K]": kelvin,
            "Initial temperature [K]": kelvin,
            "Reference temperature [K]": 298.15,
            # The sets know no temperature here; the model's are ours, with sources.
            "Negative particle diffusivity [m2.s-1]": _diffusivity(ours.negative),
            "Positive particle diffusivity [m2.s-1]": _diffusivity(ours.positive),
            "Initial concentration in negative electrode [mol.m-3]": negative * ours.negative.most_mol_m3,
            "Initial concentration in positive electrode [mol.m-3]": positive * ours.positive.most_mol_m3,
            "Contact resistance [Ohm]": ours.series_ohm_ah
            / ours.capacity_ah
            / arrhenius(ours.series_activation_j_mol, kelvin),
            "Upper voltage cut-off [V]": 6.0,
            "Lower voltage cut-off [V]": 0.5,
        }
    )
    return values


def _diffusivity(electrode: Electrode) -> Callable[[Any, Any], Any]:
    def at(_sto: Any, temperature: Any) -> Any:  # noqa: ANN401 -- symbols of pybamm
        faster = pybamm.exp(electrode.diffusion_activation_j_mol / GAS_J_MOL_K * (1.0 / 298.15 - 1.0 / temperature))
        return electrode.diffusivity_m2_s * faster

    return at
