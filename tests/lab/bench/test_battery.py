"""Batteries of the scenarios."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_lab.bench.battery import BatteryPlan, OddCell, floor_v, least_cvl_v

EVEN = BatteryPlan(soc=0.8, capacity_spread=0.0, soc_spread=0.0, resistance_spread=0.0)


def test_ratings_are_those_of_the_simulated_bms() -> None:
    """The engine is judged with the settings that the simulator gives this chemistry."""
    ratings = BatteryPlan(chemistry="lfp", cells=16, capacity_ah=280.0).ratings()

    assert (ratings.fully_charged_cell_v, ratings.over_voltage_cell_v, ratings.under_voltage_cell_v) == (3.6, 3.75, 2.5)
    assert (ratings.series_cells, ratings.capacity_ah) == (16, 280.0)
    assert (ratings.charge_over_current_a, ratings.discharge_over_current_a) == (200.0, 300.0)


@pytest.mark.parametrize(("chemistry", "full_v"), [("lfp", 3.6), ("li-ion", 4.15), ("lto", 2.7)])
def test_every_chemistry_has_its_own_voltages(chemistry: str, full_v: float) -> None:
    """Register 300 follows the cells."""
    assert BatteryPlan(chemistry=chemistry).ratings().fully_charged_cell_v == pytest.approx(full_v)


def test_cells_are_unequal_by_default() -> None:
    """Equal cells would make every scenario easy."""
    cells = BatteryPlan().build().cells

    assert len({round(cell.capacity_ah, 3) for cell in cells}) > 8
    assert max(cell.soc for cell in cells) - min(cell.soc for cell in cells) > 0.01


def test_a_cell_of_less_capacity_was_full_with_the_others() -> None:
    """It misses the same charge to full, so its state of charge is lower when the pack is not full."""
    pack = replace(EVEN, odd=(OddCell(3, capacity_factor=0.8),)).build()
    weak, usual = pack.cells[3], pack.cells[0]

    assert weak.capacity_ah == pytest.approx(0.8 * usual.capacity_ah)
    assert (1.0 - weak.soc) * weak.capacity_ah == pytest.approx((1.0 - usual.soc) * usual.capacity_ah)


def test_a_weak_cell_has_its_resistance_whatever_its_capacity() -> None:
    """Three times the resistance means three times, also where capacity is lost."""
    pack = replace(EVEN, odd=(OddCell(3, capacity_factor=0.8, resistance_factor=3.0),)).build()

    assert pack.cells[3].ohmic_ohm == pytest.approx(3.0 * pack.cells[0].ohmic_ohm)


def test_an_unequal_cell_is_fuller() -> None:
    """The offset counts in state of charge."""
    pack = replace(EVEN, odd=(OddCell(5, soc_offset=0.03),)).build()

    assert pack.cells[5].soc == pytest.approx(0.83)


def test_two_builds_are_two_packs() -> None:
    """A run never changes the battery of the next."""
    plan = BatteryPlan()
    first, second = plan.build(), plan.build()
    first.step(3600.0, 50.0)

    assert second.cells[0].soc == plan.build().cells[0].soc


@pytest.mark.parametrize(
    ("plan", "settings", "floor"),
    [
        (BatteryPlan(), LimitSettings(), 51.2),
        (BatteryPlan(chemistry="li-ion", cells=14), LimitSettings(), 50.4),
        (BatteryPlan(chemistry="lto", cells=12), LimitSettings(), 27.6),
        (BatteryPlan(cells=4), LimitSettings(floor_cell_v=3.3), 13.2),
    ],
)
def test_the_floor_follows_chemistry_and_settings(plan: BatteryPlan, settings: LimitSettings, floor: float) -> None:
    """The bar is the floor that the engine promises."""
    assert floor_v(plan.ratings(), settings) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("plan", "settings", "least"),
    [
        (BatteryPlan(), LimitSettings(), 50.8),
        (BatteryPlan(cells=4), LimitSettings(), 12.4),
        (BatteryPlan(cells=4), LimitSettings(floor_cell_v=2.75), 10.8),
        (BatteryPlan(cells=4), LimitSettings(floor_cell_v=2.65), 10.6),
    ],
)
def test_the_floor_gives_way_to_a_charge(plan: BatteryPlan, settings: LimitSettings, least: float) -> None:
    """By 0.4 V, but no further than 0.2 V per cell above the cutoff, and never upwards."""
    assert least_cvl_v(plan.ratings(), settings) == pytest.approx(least)
