"""The engine with a pack of single-particle cells: what no table was made to please."""

from dataclasses import replace

import pytest

from tinybms_lab.bench.battery import CellModel
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import Column


@pytest.mark.parametrize("name", ["feed-in", "li-ion-feed-in", "weak-cell-feed-in"])
def test_the_end_of_a_charge_is_safe_and_plates_nothing(name: str) -> None:
    """Under feed-in, where CCL is not heard: nothing trips, 10 mV of room, no lithium on the electrode."""
    scenario = SCENARIOS[name].shortened(1.0)
    scenario = replace(scenario, battery=replace(scenario.battery, model=CellModel.SINGLE_PARTICLE))

    run = play(scenario, engine_for(scenario))

    assert not run.trips
    cutoff_v = scenario.battery.ratings().over_voltage_cell_v
    assert max(run.trace.column(Column.HIGHEST_V)) < cutoff_v - 0.010
    assert min(run.trace.column(Column.ANODE_V)) > 0.0
    flows = zip(run.trace.column(Column.CURRENT_A), run.trace.column(Column.STEP_S), strict=True)
    charge_ah = sum(current_a * step_s / 3600.0 for current_a, step_s in flows)
    before = scenario.battery.build()
    room_ah = sum(cell.capacity_ah for cell in before.cells) / len(before.cells)
    stored_percent = run.trace.column(Column.SOC_PERCENT)[-1] - 100.0 * before.soc
    assert stored_percent == pytest.approx(100.0 * charge_ah / room_ah, abs=0.1)


@pytest.mark.parametrize("name", ["cold-derated-sale", "cold-derated-lfp-8", "cold-derated-lfp-4"])
def test_the_first_minutes_of_cold_cells_plate_nothing(name: str) -> None:
    """The bridge starts at 4 °C with the sun on; the electrode keeps 20 mV while CVL looks for its step."""
    scenario = SCENARIOS[name].shortened(0.1)
    scenario = replace(scenario, battery=replace(scenario.battery, model=CellModel.SINGLE_PARTICLE))

    run = play(scenario, engine_for(scenario))

    assert min(run.trace.column(Column.ANODE_V)) > 0.020
