"""Readings of the BMS, and what the line makes of them."""

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_lab.bench.dirt import (
    Dirt,
    DirtPlayer,
    DirtyField,
    Frozen,
    Outliers,
    Replaced,
    SensorPlan,
    Sensors,
    StandingCounter,
    generator,
)

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


def reading(number: int, at_s: float) -> Snapshot:
    """Return a reading of four cells that differs from every other one."""
    pack = PackValues(13.2, float(number), 50.0, lifetime_s=1000 + number)
    return Snapshot(number, at_s, pack, Cells((3.3,) * 4), Temperatures(24.0, 25.0, 26.0))


def played(*plan: Dirt, count: int = 20, seed: int = 1) -> list[Snapshot]:
    """Return what arrives of one reading a second, from the start of a scenario at 100 s."""
    player = DirtPlayer(plan, 100.0, seed)
    return [player.spoil(reading(n, 100.0 + n), 100.0 + n) for n in range(count)]


def hit(readings: list[Snapshot], cell: int = 1) -> list[int]:
    """Return the numbers of the readings in which a cell (from 0) is off."""
    return [r.sequence for r in readings if r.cells.voltages_v[cell] != 3.3]


def test_without_a_plan_nothing_is_spoiled() -> None:
    """What arrives is what was read."""
    assert played() == [reading(n, 100.0 + n) for n in range(20)]


@pytest.mark.parametrize(("every", "expected"), [(0, [5]), (1, [5, 6, 7, 8, 9, 10]), (3, [5, 8]), (2, [5, 7, 9])])
def test_outliers_hit_the_readings_of_their_plan(every: int, expected: list[int]) -> None:
    """One, each, every second, every third; from the first second to, and not including, the last."""
    readings = played(Outliers(5.0, 6.0, ((1, 0.4),), every=every))

    assert hit(readings) == expected
    assert readings[5].cells.voltages_v == (3.3, 3.7, 3.3, 3.3)


@pytest.mark.parametrize(("in_sum", "expected_v"), [(False, 13.2), (True, 12.75)])
def test_the_sum_follows_where_the_plan_says_so(in_sum: bool, expected_v: float) -> None:
    """Register 36 is a measurement of its own, or a sum: nobody outside of the BMS knows."""
    spoiled = played(Outliers(5.0, 6.0, ((1, -0.45),), in_sum=in_sum))[5]

    assert spoiled.pack.voltage_v == pytest.approx(expected_v)


def test_chance_hits_one_cell_at_a_time_and_repeats() -> None:
    """By the seed."""
    plan = Outliers(0.0, 400.0, ((1, 0.4), (2, -0.4)), chance=0.2)
    first, again, other = (played(plan, count=400, seed=seed) for seed in (1, 1, 2))
    by_chance = [r for r in first[1:] if r.cells != Cells((3.3,) * 4)]

    assert first == again != other
    assert 40 < len(by_chance) < 120
    assert {sum(v != 3.3 for v in r.cells.voltages_v) for r in by_chance} == {1}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (DirtyField.BOARD, None, Temperatures(None, 25.0, 26.0)),
        (DirtyField.EXTERNAL_1, -60.1, Temperatures(24.0, -60.1, 26.0)),
        (DirtyField.EXTERNAL_2, 200.0, Temperatures(24.0, 25.0, 200.0)),
    ],
)
def test_a_sensor_shows_something_else(field: DirtyField, value: float | None, expected: Temperatures) -> None:
    """For its time; the others go on."""
    readings = played(Replaced(5.0, 5.0, field, value))

    assert readings[7].temperatures == expected
    assert readings[4].temperatures == readings[10].temperatures == Temperatures(24.0, 25.0, 26.0)


def test_the_counted_charge_shows_something_else() -> None:
    """And nothing else of the pack."""
    assert played(Replaced(5.0, 5.0, DirtyField.SOC, 655.35))[5].pack == replace(
        reading(5, 0.0).pack, soc_percent=655.35
    )


def test_a_frozen_image_is_answered_in_time() -> None:
    """Number and time of the reply are new, everything that the BMS says is old."""
    readings = played(Frozen(5.0, 5.0))

    assert readings[9] == replace(readings[5], sequence=9, taken_at_s=109.0)
    assert readings[10] == reading(10, 110.0)


def test_a_counter_may_stand_alone() -> None:
    """The current goes on moving."""
    spoiled = played(StandingCounter(5.0, 5.0))[9]

    assert (spoiled.pack.lifetime_s, spoiled.pack.current_a) == (1005, 9.0)


@pytest.mark.parametrize(
    ("dirt", "close"),
    [
        (Outliers(100.0, 60.0, ((0, 0.4),)), {99.0: False, 100.0: True, 150.0: True, 170.0: True, 176.0: False}),
        (Frozen(100.0, 60.0), {99.0: False, 100.0: True, 150.0: False, 170.0: True, 176.0: False}),
    ],
)
def test_every_reading_matters_around_a_change(dirt: Dirt, close: dict[float, bool]) -> None:
    """And as long as outliers may come."""
    player = DirtPlayer((dirt,), 0.0, 1)

    assert {time_s: player.close(time_s) for time_s in close} == close
    assert (player.active(99.0), player.active(159.0), player.active(160.0)) == (False, True, False)


def test_the_next_change_is_told() -> None:
    """Begin, end, and never again."""
    player = DirtPlayer((Frozen(100.0, 60.0),), 1000.0, 1)

    assert [player.next_change_s(t) for t in (0.0, 1100.0, 1160.0)] == [1100.0, 1160.0, float("inf")]
