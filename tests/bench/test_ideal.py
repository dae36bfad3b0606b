"""The ideal charger."""

from dataclasses import replace

import pytest

from tinybms_bridge.bench.battery import BatteryPlan, OddCell
from tinybms_bridge.bench.ideal import ideal_charge
from tinybms_bridge.bench.loop import play
from tinybms_bridge.bench.metrics import measure
from tinybms_bridge.bench.runner import engine_for
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.weather import Constant, Steps
from tinybms_bridge.victron.devices import INVERTER_EFFICIENCY
from tinybms_bridge.victron.dvcc import SystemPlan


def test_all_sun_is_harvested_while_there_is_room(calm: Scenario) -> None:
    """3 kW for an hour into a battery that is half empty."""
    assert ideal_charge(calm).solar_wh == pytest.approx(3000.0, rel=0.01)


def test_a_full_battery_takes_nothing(calm: Scenario) -> None:
    """Off grid only the loads are left."""
    full = replace(calm, battery=replace(calm.battery, soc=1.0))

    assert ideal_charge(full).solar_wh == pytest.approx(400.0 / INVERTER_EFFICIENCY, rel=0.05)


def test_every_cell_is_filled_as_if_it_were_alone(calm: Scenario) -> None:
    """A pack of unequal cells ends as full as one of equal cells."""
    battery = BatteryPlan(soc=0.95, odd=(OddCell(5, soc_offset=0.03),), soc_spread=0.02)
    scenario = replace(calm, battery=battery, sun=Constant(6000.0), hours=3.0)

    assert ideal_charge(scenario).soc_percent > 99.0


def test_no_cell_is_charged_beyond_full(calm: Scenario) -> None:
    """The state of charge ends where register 300 is."""
    scenario = replace(calm, battery=replace(calm.battery, soc=0.97), sun=Constant(9000.0), hours=4.0)

    assert 99.0 < ideal_charge(scenario).soc_percent < 100.1


def test_the_best_of_the_day_is_kept(calm: Scenario) -> None:
    """A load in the evening takes away what the sun has brought."""
    load = Steps(400.0, ((12.5 * 3600.0, 6000.0),))
    made = ideal_charge(replace(calm, load=load))

    assert made.highest_soc_percent > made.soc_percent + 5.0
    assert made.highest_soc_percent == pytest.approx(ideal_charge(replace(calm, hours=0.5)).soc_percent, abs=0.2)


def test_what_is_sold_is_harvested(calm: Scenario) -> None:
    """Under feed-in a full battery wastes nothing that buyers take."""
    system = SystemPlan(feed_in=True, island=False, export_max_w=10_000.0)
    scenario = replace(calm, battery=replace(calm.battery, soc=1.0), system=system, sun=Constant(6000.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx(6000.0, rel=0.01)


def test_buyers_have_their_limit(calm: Scenario) -> None:
    """What they do not take stays in the panels."""
    system = SystemPlan(feed_in=True, island=False, export_max_w=940.0)
    scenario = replace(calm, battery=replace(calm.battery, soc=1.0), system=system, sun=Constant(6000.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx((940.0 + 400.0) / INVERTER_EFFICIENCY, rel=0.05)


def test_cold_cells_are_not_charged(calm: Scenario) -> None:
    """The ideal charger obeys register 320 as everybody has to."""
    battery = replace(calm.battery, temperature_c=-10.0)
    scenario = replace(calm, battery=battery, ambient=Constant(-10.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx(400.0 / INVERTER_EFFICIENCY, rel=0.01)
    assert ideal_charge(scenario).soc_percent == pytest.approx(50.0, abs=0.1)


def test_the_bms_bounds_the_current(calm: Scenario) -> None:
    """Register 318 counts for the ideal charger too."""
    battery = replace(calm.battery, charge_cutoff_a=20.0)

    assert ideal_charge(replace(calm, battery=battery)).solar_wh < 1600.0


def test_loads_empty_the_battery_down_to_its_end(calm: Scenario) -> None:
    """And not beyond: at register 301 the loads stay dark."""
    battery = replace(calm.battery, soc=0.05)
    scenario = replace(calm, battery=battery, sun=Constant(0.0), load=Constant(4000.0))

    assert -1.0 < ideal_charge(scenario).soc_percent < 2.5


def test_no_charger_beats_the_ideal_one(calm: Scenario) -> None:
    """The engine's harvest is less, or as much."""
    scenario = replace(calm, battery=BatteryPlan(soc=0.95), sun=Constant(6000.0))
    metrics = measure(play(scenario, engine_for(scenario)), ideal_charge(scenario))

    assert 0.0 < metrics.energy_lost_percent < 50.0
    assert metrics.soc_short_percent > 0.0
