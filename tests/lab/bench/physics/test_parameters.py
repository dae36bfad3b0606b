"""Published parameters."""

from itertools import pairwise

import pytest

from tinybms_lab.bench.physics import CHEN_2020, PARAMETERS, PRADA_2013, CellParameters

_SETS = pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=list(PARAMETERS))


@pytest.mark.parametrize(
    ("parameters", "capacity_ah", "full_v"), [(PRADA_2013, 2.3, 3.6), (CHEN_2020, 5.1, 4.18)], ids=lambda x: str(x)[:24]
)
def test_a_cell_has_the_capacity_and_voltage_of_its_paper(
    parameters: CellParameters, capacity_ah: float, full_v: float
) -> None:
    """2.3 Ah full at 3.6 V; 5 Ah (5.1 at rest) full at 4.2 V."""
    assert parameters.capacity_ah == pytest.approx(capacity_ah, rel=0.01)
    assert parameters.open_v(1.0) == pytest.approx(full_v, abs=0.01)
    assert parameters.open_v(0.0) == pytest.approx(parameters.empty_v, abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "soc", "open_v"),
    [(PRADA_2013, 0.5, 3.266), (PRADA_2013, 0.95, 3.3164), (PRADA_2013, 0.1, 2.978), (CHEN_2020, 0.5, 3.7459)],
)
def test_the_curve_is_the_one_that_was_checked(parameters: CellParameters, soc: float, open_v: float) -> None:
    """Points of the curves as PyBaMM has them."""
    assert parameters.open_v(soc) == pytest.approx(open_v, abs=0.0005)


@_SETS
def test_the_open_circuit_voltage_rises_with_charge(parameters: CellParameters) -> None:
    """From empty to a little beyond full."""
    volts = [parameters.open_v(soc / 200.0) for soc in range(203)]

    assert all(low < high for low, high in pairwise(volts))


@_SETS
def test_cold_slows_everything(parameters: CellParameters) -> None:
    """Diffusion and reaction of both electrodes."""
    for electrode in (parameters.negative, parameters.positive):
        assert electrode.diffusion_s(273.15) > 2.0 * electrode.diffusion_s(298.15)
        assert electrode.exchange_a_m2(1000.0, 273.15) < 0.6 * electrode.exchange_a_m2(1000.0, 298.15)
