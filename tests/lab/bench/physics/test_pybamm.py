"""The cell against PyBaMM's solver, by the curves that `make rig-physics` left behind."""

import json
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.bench.physics import PARAMETERS, SingleParticleCell
from tinybms_lab.bms.chemistry import CHEMISTRIES

_STORED = json.loads(Path(__file__).with_name("pybamm.json").read_text(encoding="utf-8"))


def _name(curve: dict[str, Any]) -> str:
    _, rate, _ = curve["steps"][0]
    return f"{curve['chemistry']} {rate:+g}C {curve['temperature_c']:g} °C"


@pytest.mark.parametrize("curve", _STORED["curves"], ids=_name)
def test_the_cell_shows_what_pybamm_shows(curve: dict[str, Any]) -> None:
    """Charge, discharge and the rest after it, at 0.05C to 1C, at 25 and 0 °C: never more than the bound apart."""
    capacity_ah, temperature_c = PARAMETERS[curve["chemistry"]].capacity_ah, curve["temperature_c"]
    cell = SingleParticleCell(
        CHEMISTRIES[curve["chemistry"]], capacity_ah, curve["start_soc"], temperature_c=temperature_c
    )
    theirs_v = iter(curve["volts"])
    for dt_s, rate, times in curve["steps"]:
        for _ in range(times):
            cell.step(dt_s, rate * capacity_ah, temperature_c)
            cell.temperature_c = temperature_c
            assert cell.voltage_v(rate * capacity_ah) == pytest.approx(next(theirs_v), abs=_STORED["bound_v"])
    assert next(theirs_v, None) is None


def test_the_curves_tell_where_they_are_from() -> None:
    """A number without a source is none."""
    assert "PyBaMM" in _STORED["source"]
    assert len(_STORED["curves"]) == 32
