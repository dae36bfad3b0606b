"""The BMS of a scenario."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import BmsStatus, Temperatures
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.bms import BenchBms
from tinybms_lab.bench.dirt import SensorPlan, Sensors
from tinybms_lab.bms.chemistry import LFP

EXACT = SensorPlan(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, idle_a=0.8)
PLAN = BatteryPlan(cells=4, capacity_ah=100.0)
WARM = (25.0, 25.0, 25.0, 25.0)


def make_bms(plan: BatteryPlan = PLAN, soc_percent: float = 80.0) -> BenchBms:
    """Return a BMS with exact sensors."""
    return BenchBms(plan, soc_percent, Sensors(EXACT, plan.cells, seed=1))


def see(bms: BenchBms, cells_v: Sequence[float], current_a: float, seconds: float = 1.0) -> None:
    """Let the BMS see a step."""
    bms.observe(seconds, seconds, cells_v, current_a, WARM)


def test_a_sample_holds_what_was_observed() -> None:
    """Cells, their sum, current, counted charge, temperatures and settings."""
    bms = make_bms()
    see(bms, (3.30, 3.31, 3.32, 3.33), 20.0)
    snapshot = bms.sample(5.0)

    assert snapshot.cells.voltages_v == (3.30, 3.31, 3.32, 3.33)
    assert snapshot.pack.voltage_v == pytest.approx(13.26)
    assert (snapshot.pack.current_a, snapshot.taken_at_s) == (20.0, 5.0)
    assert (snapshot.temperatures.internal_c, snapshot.temperatures.coldest_c) == (None, 25.0)
    assert snapshot.ratings == PLAN.ratings()


def test_every_sample_is_a_new_one() -> None:
    """The engine tells a new sample by its number."""
    bms = make_bms()
    see(bms, [3.3] * 4, 0.0)

    assert [bms.sample(float(n)).sequence for n in range(3)] == [1, 2, 3]


def test_charge_is_counted_from_the_reading() -> None:
    """10 A for an hour are 10 % of 100 Ah."""
    bms = make_bms(soc_percent=50.0)
    see(bms, [3.3] * 4, 10.0, seconds=3600.0)

    assert bms.soc_percent == pytest.approx(60.0)


def test_a_current_within_the_threshold_is_not_counted() -> None:
    """The count drifts, as on a real board."""
    bms = make_bms(soc_percent=50.0)
    see(bms, [3.3] * 4, 0.7, seconds=3600.0)

    assert bms.soc_percent == 50.0


@pytest.mark.parametrize(("error", "counted"), [(0.0, 80.0), (12.0, 92.0), (-12.0, 68.0), (50.0, 100.0)])
def test_the_count_starts_with_its_error(error: float, counted: float) -> None:
    """A scenario may begin with a wrong count; it stays within 0 to 100 %."""
    assert make_bms(BatteryPlan(cells=4, soc_error_percent=error)).soc_percent == counted


def test_a_charge_completes_at_voltage_with_little_current_and_even_cells() -> None:
    """Then, and only then, the count jumps to 100 % (protocol reference, section 5.3)."""
    bms = make_bms(soc_percent=97.0)
    see(bms, [3.599] * 4, 0.9)

    assert bms.soc_percent == 100.0
    assert bms.sample(1.0).pack.status is BmsStatus.FULLY_CHARGED


@pytest.mark.parametrize(
    ("cells_v", "current_a"),
    [
        ([3.59] * 4, 0.9),
        ([3.60] * 4, 5.0),
        ([3.60, 3.60, 3.60, 3.58], 0.9),
        ([3.60] * 4, 0.5),
        ([3.60] * 4, -0.9),
    ],
)
def test_anything_less_completes_nothing(cells_v: list[float], current_a: float) -> None:
    """Too low, too much current, uneven, idle, or discharging."""
    bms = make_bms(soc_percent=97.0)
    see(bms, cells_v, current_a)

    assert bms.soc_percent < 98.0


def test_fully_charged_ends_with_a_discharge() -> None:
    """Status 0x92 stays while nothing flows."""
    bms = make_bms()
    see(bms, [3.6] * 4, 0.9)
    see(bms, [3.5] * 4, 0.0)
    assert bms.sample(1.0).pack.status is BmsStatus.FULLY_CHARGED

    see(bms, [3.4] * 4, -5.0)

    assert bms.sample(2.0).pack.status is BmsStatus.DISCHARGING


@pytest.mark.parametrize(
    ("current_a", "status"), [(10.0, BmsStatus.CHARGING), (0.5, BmsStatus.IDLE), (-10.0, BmsStatus.DISCHARGING)]
)
def test_the_status_follows_the_current(current_a: float, status: BmsStatus) -> None:
    """Register 50 in ordinary times."""
    bms = make_bms()
    see(bms, [3.3] * 4, current_a)

    assert bms.sample(1.0).pack.status is status


def test_a_fault_shows_with_its_event() -> None:
    """Status 0x9B, and event 0x03 among the open ones."""
    bms = make_bms()
    see(bms, [3.3, 3.3, 3.3, 3.76], 10.0)
    snapshot = bms.sample(1.0)

    assert snapshot.pack.status is BmsStatus.FAULT
    assert snapshot.open_events == (0x03,)


def test_a_warning_shows_as_an_event_only() -> None:
    """A cell below register 301 opens 0x31 and leaves the status."""
    bms = make_bms()
    see(bms, [3.0, 3.0, 3.0, 2.7], -10.0)
    snapshot = bms.sample(1.0)

    assert snapshot.pack.status is BmsStatus.DISCHARGING
    assert snapshot.open_events == (0x31,)


def test_cells_bleed_while_charging() -> None:
    """Only then, only above register 303, only when they differ (protocol reference, section 5.5)."""
    bms = make_bms()
    uneven_v = [3.41, 3.45, 3.41, 3.41]
    see(bms, uneven_v, 10.0)
    assert bms.bleeding == {1}
    assert bms.sample(1.0).cells.balancing == (False, True, False, False)

    see(bms, uneven_v, 0.5)

    assert bms.bleeding == frozenset()


def test_statistics_remember_the_largest_currents() -> None:
    """Registers 103 and 102 never fall."""
    bms = make_bms()
    seen_a = bms.max_charge_a
    see(bms, [3.3] * 4, seen_a + 50.0)
    see(bms, [3.3] * 4, 1.0)
    see(bms, [3.3] * 4, -500.0)

    assert (bms.max_charge_a, bms.max_discharge_a) == (seen_a + 50.0, 500.0)


@pytest.mark.parametrize("current_a", [0.0, 0.5, -5.0])
def test_it_wants_to_bleed_without_a_current(current_a: float) -> None:
    """Register 51 tells what register 52 cannot do while no charge current is read."""
    bms = make_bms()
    see(bms, (3.40, 3.41, 3.45, 3.55), current_a)
    cells = bms.sample(1.0).cells

    assert cells.wanted == (False, False, True, True)
    assert cells.balancing == (False, False, False, False)


def test_settings_of_the_plan_are_told() -> None:
    """What an owner has set, and what a board reads as no current."""
    registers = replace(LFP.settings, early_balancing_mv=3380, allowed_disbalance_mv=50)
    plan = replace(PLAN, registers=registers, finished_a=3.0, restart_percent=95.0, stated_capacity=0.7)
    bms = BenchBms(plan, 80.0, Sensors(replace(EXACT, idle_a=0.08), plan.cells, seed=1))
    ratings = bms.ratings

    assert (ratings.early_balancing_cell_v, ratings.allowed_disbalance_mv) == (3.38, 50.0)
    assert (ratings.charge_finished_current_a, ratings.least_current_a) == (3.0, 0.08)
    assert (ratings.charge_restart, ratings.charge_restart_percent) == (True, 95.0)
    assert ratings.capacity_ah == pytest.approx(70.0)


@pytest.mark.parametrize(
    ("sensors", "expected"),
    [
        (SensorPlan(temperature_noise_c=0.0), Temperatures(None, 25.0, 25.0)),
        (SensorPlan(temperature_noise_c=0.0, board=True), Temperatures(25.0, 25.0, 25.0)),
        (SensorPlan(temperature_noise_c=0.0, board=True, external=False), Temperatures(25.0)),
    ],
)
def test_a_bms_has_the_sensors_of_its_plan(sensors: SensorPlan, expected: Temperatures) -> None:
    """On the cells, on the board, or both."""
    bms = BenchBms(PLAN, 80.0, Sensors(sensors, PLAN.cells, seed=1))
    see(bms, [3.3] * 4, 0.0)

    assert bms.sample(1.0).temperatures == expected
