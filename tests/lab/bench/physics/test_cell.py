"""The single-particle cell."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bench.battery import BatteryPlan, CellModel, OddCell
from tinybms_lab.bench.physics import PARAMETERS, SingleParticleCell, lowest_anode_v
from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP, LTO, ChemistryModel
from tinybms_lab.bms.pack import SimulatedPack

_KINDS = st.sampled_from([CHEMISTRIES[name] for name in PARAMETERS])
_STEPS = st.lists(st.tuples(st.floats(0.0, 3600.0), st.floats(-300.0, 300.0)), max_size=20)


@given(_KINDS, st.floats(0.05, 0.95), _STEPS)
def test_charge_is_conserved(chemistry: ChemistryModel, soc: float, steps: list[tuple[float, float]]) -> None:
    """What a cell holds is what it held plus what flowed."""
    cell = SingleParticleCell(chemistry, 100.0, soc)
    for dt_s, current_a in steps:
        cell.step(dt_s, current_a, 25.0)

    assert cell.soc * 100.0 == pytest.approx(soc * 100.0 + sum(dt * a for dt, a in steps) / 3600.0, abs=1e-6)


@given(_KINDS, st.floats(0.0, 1.0), st.floats(-30.0, 50.0), _STEPS)
def test_no_abuse_gives_a_voltage_that_is_none(
    chemistry: ChemistryModel, soc: float, ambient_c: float, steps: list[tuple[float, float]]
) -> None:
    """Overcharge, deep discharge, frost, 60C: finite, and within the stops of the chemistry."""
    cell = SingleParticleCell(chemistry, 5.0, soc, temperature_c=ambient_c)
    for dt_s, current_a in steps:
        cell.step(dt_s, min(max(current_a, -150.0), 150.0), ambient_c)
        volts = (cell.voltage_v(0.0), cell.voltage_v(current_a), *cell.tangent(current_a), cell.anode_v())

        assert all(math.isfinite(v) for v in volts)
        assert chemistry.floor_v <= volts[1] <= chemistry.ceiling_v
        assert volts[3] > 0.0
        assert cell.temperature_c >= ambient_c - 1e-9


@given(_KINDS, st.floats(0.1, 0.9), st.floats(0.1, 200.0), st.floats(-10.0, 40.0))
def test_charge_and_discharge_bend_the_voltage_alike(
    chemistry: ChemistryModel, soc: float, current_a: float, temperature_c: float
) -> None:
    """The reaction is symmetric: what a current adds in one direction it takes in the other."""
    cell = SingleParticleCell(chemistry, 100.0, soc, temperature_c=temperature_c)
    rest_v = cell.voltage_v(0.0)

    assert cell.voltage_v(current_a) > rest_v
    assert cell.voltage_v(current_a) - rest_v == pytest.approx(rest_v - cell.voltage_v(-current_a))


@given(_KINDS, st.floats(0.1, 0.9), st.floats(-200.0, 200.0), st.floats(-10.0, 40.0))
def test_the_tangent_touches(chemistry: ChemistryModel, soc: float, current_a: float, temperature_c: float) -> None:
    """Right at its current, and right beside it to second order."""
    cell = SingleParticleCell(chemistry, 100.0, soc, temperature_c=temperature_c)
    open_v, ohm = cell.tangent(current_a)

    assert open_v + current_a * ohm == pytest.approx(cell.voltage_v(current_a), abs=1e-9)
    assert open_v + (current_a + 0.1) * ohm == pytest.approx(cell.voltage_v(current_a + 0.1), abs=1e-5)


@given(_KINDS, st.floats(0.25, 0.75), st.floats(-50.0, 50.0))
def test_a_cell_comes_to_rest(chemistry: ChemistryModel, soc: float, current_a: float) -> None:
    """After days without current it shows the voltage at rest of what it holds."""
    cell = SingleParticleCell(chemistry, 100.0, soc)
    cell.step(900.0, current_a, 25.0)
    cell.step(2e5, 0.0, 25.0)

    assert cell.voltage_v(0.0) == pytest.approx(PARAMETERS[chemistry.name].open_v(cell.soc), abs=1e-4)


@given(_KINDS, st.floats(0.2, 0.8), st.floats(20.0, 400.0))
def test_size_changes_nothing_but_size(chemistry: ChemistryModel, soc: float, capacity_ah: float) -> None:
    """A cell of another capacity at the same rate shows the same voltage."""
    small, large = SingleParticleCell(chemistry, 1.0, soc), SingleParticleCell(chemistry, capacity_ah, soc)
    small.step(600.0, 0.3, 25.0)
    large.step(600.0, 0.3 * capacity_ah, 25.0)

    assert small.voltage_v(0.3) == pytest.approx(large.voltage_v(0.3 * capacity_ah), abs=1e-9)
    assert small.temperature_c == pytest.approx(large.temperature_c)


def test_a_cold_cell_plates_where_a_warm_one_does_not() -> None:
    """0.5C near full at 0 and 25 °C: the measure of the cold criterion."""
    warm, cold = (SingleParticleCell(LFP, 280.0, 0.85, temperature_c=c) for c in (25.0, 0.0))
    for cell in (warm, cold):
        cell.step(300.0, 140.0, cell.temperature_c)

    assert warm.anode_v() > 0.02
    assert cold.anode_v() < 0.0


def test_resistance_is_that_of_a_cell_of_this_size() -> None:
    """280 Ah of LFP: 0.4 to 0.6 mΩ when warm, about three times as much in frost, as makers' tables show for pulses."""
    ohms = [SingleParticleCell(LFP, 280.0, 0.5, temperature_c=c).ohmic_ohm for c in (25.0, 0.0)]

    assert 0.0004 < ohms[0] < 0.0006
    assert 2.0 < ohms[1] / ohms[0] < 3.5


def test_a_kind_without_parameters_is_refused() -> None:
    """LTO stays with the table."""
    with pytest.raises(ValueError, match="lto"):
        SingleParticleCell(LTO, 100.0, 0.5)


def test_a_plan_makes_a_pack_of_them() -> None:
    """The same differences between the cells as with the table, odd ones included."""
    odd = (OddCell(3, capacity_factor=0.9, resistance_factor=2.0, soc_offset=0.01),)
    table = BatteryPlan(odd=odd).build()
    particles = BatteryPlan(odd=odd, model=CellModel.SINGLE_PARTICLE).build()

    assert all(isinstance(cell, SingleParticleCell) for cell in particles.cells)
    for ours, theirs in zip(particles.cells, table.cells, strict=True):
        assert (ours.soc, ours.capacity_ah) == (theirs.soc, theirs.capacity_ah)
        assert (ours.resistance_factor, ours.temperature_c) == (theirs.resistance_factor, theirs.temperature_c)


def test_only_particles_know_their_anode() -> None:
    """The table has none: no figure is better than a wrong one."""
    assert math.isnan(lowest_anode_v(SimulatedPack.build(LFP, 4)))
    assert 0.05 < lowest_anode_v(BatteryPlan(model=CellModel.SINGLE_PARTICLE).build()) < 0.2
