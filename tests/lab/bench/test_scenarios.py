"""The scenario set: what it has to hold, and that all of it runs."""

import dataclasses
import math

import pytest

from tinybms_bridge.battery.limits import ChargeProfile
from tinybms_lab.bench.battery import BmsKind
from tinybms_lab.bench.flows import ideal_charge
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.metrics import measure
from tinybms_lab.bench.runner import baseline_for
from tinybms_lab.bench.scenario import FaultKind, Scenario
from tinybms_lab.bench.scenarios import DIRTY, LONG, SCENARIOS, UNCONFIGURED
from tinybms_lab.bench.weather import Clouds, Pulses, Seasons

EVERY = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)


@EVERY
def test_every_scenario_runs_with_the_firmware(scenario: Scenario) -> None:
    """Its first minutes give finite measures. The engine plays all of it in test_acceptance."""
    short = scenario.shortened(0.1)
    measures = dataclasses.asdict(measure(play(short, baseline_for(short)), ideal_charge(short)))
    numbers = {name: value for name, value in measures.items() if isinstance(value, float)}

    assert all(math.isfinite(value) for value in numbers.values()), numbers
    assert sum(measures["state_s"].values()) == pytest.approx(360.0)


@EVERY
def test_names_are_fit_for_files_and_anchors(scenario: Scenario) -> None:
    """Small letters, digits and hyphens; with a title."""
    assert set(scenario.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(scenario.name) <= 20
    assert scenario.title


@EVERY
def test_the_installation_fits_the_battery(scenario: Scenario) -> None:
    """Under feed-in CCL binds nobody: chargers that exceed the BMS's cutoff would make every controller fail."""
    system, battery = scenario.system, scenario.battery
    strongest_w = max(scenario.sun.at(scenario.start_s + 60.0 * minute) for minute in range(24 * 60))
    least_v = battery.cells * battery.ratings().fully_charged_cell_v * 0.9

    assert not system.feed_in or min(system.solar_max_a, strongest_w / least_v) < battery.charge_cutoff_a


def test_every_chemistry_is_there() -> None:
    """LFP, Li-ion and LTO."""
    assert {s.battery.chemistry for s in SCENARIOS.values()} == {"lfp", "li-ion", "lto"}


def test_packs_from_four_to_sixteen_cells_are_there() -> None:
    """The whole range of a TinyBMS."""
    assert {4, 8, 12, 14, 16} <= {s.battery.cells for s in SCENARIOS.values()}


def test_every_fault_is_there() -> None:
    """Silence of the BMS, restart of the GX, and restarts of the bridge in every state."""
    kinds = {fault.kind for s in SCENARIOS.values() for fault in s.faults}

    assert {FaultKind.BMS_SILENT, FaultKind.GX_RESTART} <= kinds
    assert any(s.restart_in_each_state for s in SCENARIOS.values())


def test_faults_lie_within_their_scenario() -> None:
    """A fault after the end would prove nothing."""
    for scenario in SCENARIOS.values():
        for fault in scenario.faults:
            assert scenario.start_s < fault.at_s < fault.at_s + fault.for_s < scenario.end_s


def test_every_system_is_there() -> None:
    """Island, grid without sale, feed-in, and feed-in with more sun than buyers."""
    systems = {(s.system.island, s.system.feed_in) for s in SCENARIOS.values()}

    assert {(True, False), (False, False), (False, True)} <= systems
    assert any(s.system.export_max_w < 5000.0 for s in SCENARIOS.values())


def test_hard_weather_is_there() -> None:
    """Clouds, load steps of 10 kW, a month of seasons, frost."""
    profiles = [type(s.sun) for s in SCENARIOS.values()]

    assert Clouds in profiles
    assert Seasons in profiles
    assert any(isinstance(s.load, Pulses) and s.load.high - s.load.low >= 10_000.0 for s in SCENARIOS.values())
    assert any(s.ambient.at(s.start_s) < 0.0 for s in SCENARIOS.values())


def test_odd_cells_are_there() -> None:
    """Unequal, weak and failing ones."""
    odd = [cell for s in SCENARIOS.values() for cell in s.battery.odd]

    assert any(cell.soc_offset for cell in odd)
    assert any(cell.capacity_factor == 0.8 and cell.resistance_factor == 3.0 for cell in odd)
    assert any(cell.failing_per_h for cell in odd)


def test_instruments_disagree_both_ways() -> None:
    """0.3 V too little and too much."""
    offsets_v = {s.system.charger_offset_v for s in SCENARIOS.values()}

    assert {-0.3, 0.0, 0.3} <= offsets_v


def test_a_day_and_a_month_are_there() -> None:
    """24 hours, and 30 days in longer steps."""
    assert SCENARIOS["sunny-day"].hours == 24.0
    assert SCENARIOS["seasons"].hours == 30 * 24.0
    assert SCENARIOS["seasons"].step_s > 1.0


def test_most_scenarios_know_the_defaults_only() -> None:
    """The bridge has to be right without a line of configuration."""
    default = Scenario("default", "").settings

    assert all(s.settings == default and s.user_profile is None for s in UNCONFIGURED.values())


def test_settings_come_with_what_they_are_for() -> None:
    """Whoever changes the settings says what has to come of it."""
    default = Scenario("default", "").settings
    configured = [s for name, s in SCENARIOS.items() if name not in UNCONFIGURED and s.settings != default]

    assert configured
    assert all(s.user_profile is not None for s in configured)


def test_bad_input_comes_with_what_has_to_flow() -> None:
    """A scenario of dirt without bounds would judge nothing of what it is about."""
    assert all(s.bounds for s in DIRTY.values())


def test_bad_input_lies_within_its_scenario() -> None:
    """Dirt after the end would prove nothing."""
    for scenario in DIRTY.values():
        for dirt in scenario.dirt:
            assert 0.0 < dirt.after_s < dirt.after_s + dirt.for_s < scenario.hours * 3600.0


def test_months_are_there() -> None:
    """Of 30 and 60 days, with a count that drifts either way and an end of charge that the BMS finds in between."""
    months = LONG.values()
    offsets_a = {s.sensors.current_offset_a for s in months if any(f.kind is FaultKind.BMS_FULL for f in s.faults)}

    assert {-0.3, 0.3} <= offsets_a
    assert {30, 60} <= {round(s.hours / 24.0) for s in months}
    assert {("lfp", 16), ("lfp", 8), ("lfp", 4), ("li-ion", 14), ("lto", 12)} <= {
        (s.battery.chemistry, s.battery.cells) for s in months if s.hours > 600.0
    }


def test_every_bms_is_there() -> None:
    """The one that counts, and the one of the manual with either port."""
    assert {s.battery.bms for s in LONG.values()} == set(BmsKind)


@pytest.mark.parametrize("feed_in", [False, True])
def test_a_cell_that_is_too_full_is_there(feed_in: bool) -> None:
    """With a day from which on it has to be like the others."""
    found = [s for s in LONG.values() if s.system.feed_in is feed_in and math.isfinite(s.bar.balanced_after_days)]

    assert any(cell.soc_offset == 0.03 for s in found for cell in s.battery.odd)


def test_units_that_are_set_wrong_are_there() -> None:
    """Registers 300, 303, 306, 308, 318 and 320, a sensor that reads small currents as none, cells of mixed age."""
    batteries = [s.battery for s in SCENARIOS.values()]
    ratings = [battery.ratings() for battery in batteries]

    assert any(r.fully_charged_cell_v > 3.65 for r in ratings if r.over_voltage_cell_v < 4.0)
    assert any(r.early_balancing_cell_v == 3.2 and r.allowed_disbalance_mv == 15.0 for r in ratings)
    assert {0.7, 1.3} <= {battery.stated_capacity for battery in batteries}
    assert {0.2, 0.7, 1.0, 1.2} <= {round(b.charge_cutoff_a / b.capacity_ah, 3) for b in batteries}
    assert {-20.0, 0.0, 1.0} <= {r.low_temperature_charge_c for r in ratings if r.over_voltage_cell_v > 3.0}
    assert any(cell.capacity_factor == 0.75 for battery in batteries for cell in battery.odd)


@pytest.mark.parametrize("feed_in", [False, True])
def test_what_users_ask_for_is_there(feed_in: bool) -> None:
    """Storage, a window, a full charge and a stop by hand; each also while no CCL is heard."""
    settings = [s.settings for s in SCENARIOS.values() if s.system.feed_in is feed_in]
    profiles = {s.policy.profile for s in settings}

    assert set(ChargeProfile) <= profiles
    assert any(s.policy.soc_max_percent < 100.0 and s.policy.profile is ChargeProfile.NORMAL for s in settings)
    assert any(s.inhibited.charge for s in settings)


def test_wishes_about_discharging_are_there() -> None:
    """A lower bound, force charge, a stop of the loads, a full charge in time."""
    settings = [s.settings for s in SCENARIOS.values()]

    assert any(s.policy.soc_min_percent > 0.0 for s in settings)
    assert any(s.policy.force_charge_start_percent > 0.0 for s in settings)
    assert any(s.inhibited.discharge for s in settings)
    assert any(s.policy.soc_max_percent < 100.0 and s.policy.full_charge_interval_days > 0.0 for s in settings)


@pytest.mark.parametrize(("hours", "expected"), [(0.5, 0.5), (99.0, 4.0)])
def test_a_shortened_scenario_is_never_longer(hours: float, expected: float) -> None:
    """And it is the same in everything else."""
    scenario = Scenario("plain", "")
    shortened = scenario.shortened(hours)

    assert shortened.hours == expected
    assert dataclasses.replace(shortened, hours=scenario.hours) == scenario
