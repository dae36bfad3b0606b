"""Readings of the BMS."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.bench.noise import generator
from tinybms_bridge.bench.sensors import SensorPlan, Sensors

EXACT = SensorPlan(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, idle_a=0.8)


def test_exact_sensors_read_the_truth_in_their_resolution() -> None:
    """Cells in 0.1 mV, current in 10 mA, temperature in 0.1 °C."""
    sensors = Sensors(EXACT, 4, seed=1)

    assert sensors.cells_v([3.33336, 3.4, 3.5, 3.6]) == (3.3334, 3.4, 3.5, 3.6)
    assert sensors.current_a(12.3456) == 12.35
    assert sensors.temperature_c(21.26) == 21.3


@pytest.mark.parametrize("true_a", [0.0, 0.5, -0.5, 0.8, -0.8])
def test_small_currents_read_zero(true_a: float) -> None:
    """Within the activity threshold of the board register 38 is exactly 0."""
    assert Sensors(EXACT, 4, seed=1).current_a(true_a) == 0.0


@pytest.mark.parametrize("true_a", [0.9, -0.9, 100.0])
def test_larger_currents_are_read(true_a: float) -> None:
    """Beyond the threshold the reading is the whole current, not the part above it."""
    assert Sensors(EXACT, 4, seed=1).current_a(true_a) == pytest.approx(true_a)


def test_each_cell_has_an_error_of_its_own_that_stays() -> None:
    """A calibration error does not average out."""
    sensors = Sensors(SensorPlan(cell_error_v=0.01, cell_noise_v=0.0001), 8, seed=2)
    readings = []
    for _ in range(300):
        sensors.tick()
        readings.append(sensors.cells_v([3.5] * 8))
    errors_v = [statistics.fmean(cell) - 3.5 for cell in zip(*readings, strict=True)]

    assert max(errors_v) - min(errors_v) > 0.002
    assert all(abs(error_v) <= 0.0101 for error_v in errors_v)


def test_noise_has_the_size_of_the_plan() -> None:
    """The engine meets as much noise as the scenario says."""
    sensors = Sensors(SensorPlan(cell_error_v=0.0, cell_noise_v=0.003), 4, seed=3)
    readings = []
    for _ in range(500):
        sensors.tick()
        readings.append(sensors.cells_v([3.5] * 4)[0])

    assert statistics.stdev(readings) == pytest.approx(0.003, rel=0.15)


def test_noise_changes_with_each_sample_only() -> None:
    """Between two samples a reading stays: it is one sample."""
    sensors = Sensors(SensorPlan(), 4, seed=4)
    first = sensors.cells_v([3.5] * 4)

    assert sensors.cells_v([3.5] * 4) == first
    sensors.tick()
    assert sensors.cells_v([3.5] * 4) != first


def test_the_same_seed_gives_the_same_noise() -> None:
    """Engine and baseline see the same readings of the same truth."""
    one, two = (Sensors(SensorPlan(), 16, seed=9) for _ in range(2))
    for _ in range(10):
        one.tick()
        two.tick()

    assert one.cells_v([3.4] * 16) == two.cells_v([3.4] * 16)
    assert one.current_a(50.0) == two.current_a(50.0)


def test_the_gain_error_grows_with_the_current() -> None:
    """Half a percent of 200 A is 1 A."""
    plan = SensorPlan(current_gain_error=0.005, current_offset_a=0.0, current_noise_a=0.0)

    assert Sensors(plan, 4, seed=1).current_a(200.0) == pytest.approx(201.0)


@given(seed=st.integers(0, 2**31), samples=st.integers(0, 1200))
def test_a_reading_never_strays_far(seed: int, samples: int) -> None:
    """Noise is bounded in practice: six standard deviations and the calibration error."""
    sensors = Sensors(SensorPlan(), 4, seed=seed)
    for _ in range(samples):
        sensors.tick()

    assert all(abs(v - 3.4) < 0.002 + 6 * 0.0005 for v in sensors.cells_v([3.4] * 4))


def test_a_generator_repeats_itself() -> None:
    """Chance depends on the seed and nothing else."""
    assert generator(5).random() == generator(5).random()
    assert generator(5).random() != generator(6).random()
