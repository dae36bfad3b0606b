import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits.resistance import (
    ResistanceMemory,
    cell_resistance_ohm,
    current_adds_v,
    next_resistance,
    rested_v,
)
from tinybms_bridge.battery.snapshot import Ratings, Snapshot


@pytest.mark.parametrize(
    ("celsius", "millivolts"),
    [(25.0, 2.0), (45.0, 2.0), (12.5, 4.0), (0.0, 6.0), (-20.0, 6.0), (None, 2.0), (math.nan, 2.0)],
)
def test_the_estimate_by_temperature(celsius: float | None, millivolts: float) -> None:
    """2 mV for each 0.01C at 25 °C, three times as much at 0 °C, a line between, level outside."""
    assert cell_resistance_ohm(280.0, celsius) * 2.8 == pytest.approx(millivolts / 1000.0)


@pytest.mark.parametrize("capacity_ah", [0.0, -5.0, math.nan, math.inf])
def test_without_a_capacity_the_voltage_is_taken_as_it_is(capacity_ah: float) -> None:
    """A register that makes no sense invents no voltage."""
    assert rested_v(3.3, 50.0, capacity_ah) == 3.3


def test_what_the_current_adds_is_taken_away() -> None:
    """A charge lifts a cell above its rested voltage, a load pulls it below."""
    assert rested_v(3.40, 50.0, 100.0, 25.0) == pytest.approx(3.30)
    assert rested_v(3.10, -50.0, 100.0, 25.0) == pytest.approx(3.20)
    assert rested_v(3.30, 0.0, 100.0, 25.0) == 3.30


def test_the_coldest_sensor_counts(sample: Callable[..., Snapshot], make_ratings: Callable[..., Ratings]) -> None:
    """The current of a sample and its coldest reading decide what is added."""
    snapshot: Any = sample(current_a=10.0, temperatures_c=(25.0, 0.0, 20.0))

    assert current_adds_v(snapshot, make_ratings(capacity_ah=100.0)) == pytest.approx(0.06)


@given(st.floats(5.0, 1000.0), st.none() | st.floats(-40.0, 80.0))
def test_colder_is_never_less(capacity_ah: float, celsius: float | None) -> None:
    """The estimate stays between its two ends at any temperature."""
    warm, cold = cell_resistance_ohm(capacity_ah, 25.0), cell_resistance_ohm(capacity_ah, 0.0)

    assert warm <= cell_resistance_ohm(capacity_ah, celsius) <= cold


class Steps:
    """Feeds levels of the current, ten samples a second, to what learns the resistance."""

    def __init__(self, sample: Callable[..., Snapshot], ratings: Ratings, ohms: tuple[float, ...]) -> None:
        self._sample, self._ratings, self.ohms = sample, ratings, ohms
        self.memory = ResistanceMemory()
        self.now_s, self.number = 1000.0, 0

    def level(self, current_a: float, seconds: float = 14.0, *, every_s: float = 0.1, **more: Any) -> None:
        """Let a current flow."""
        sure, rest_v = more.pop("sure", True), more.pop("rest_v", 3.3)
        for n in range(round(seconds / every_s)):
            self.now_s, self.number = self.now_s + every_s, self.number + 1
            noise_v = 0.0004 * math.sin(self.number)
            cells_v = tuple(round(rest_v + noise_v + ohm * current_a, 4) for ohm in self.ohms)
            snapshot = self._sample(
                cells_v=cells_v,
                current_a=current_a + 0.1 * (n % 2),
                sequence=self.number,
                taken_at_s=self.now_s,
                **more,
            )
            self.memory = next_resistance(self.memory, snapshot, self._ratings, sure=sure)


@pytest.fixture
def steps(sample: Callable[..., Snapshot], make_ratings: Callable[..., Ratings]) -> Steps:
    """Return 16 cells of 100 Ah with 1 mΩ each, half of the estimate, one of them with three times as much."""
    return Steps(sample, make_ratings(capacity_ah=100.0), (*(0.001,) * 15, 0.003))


def test_two_steps_that_agree_teach_each_cell(steps: Steps) -> None:
    """A pack of mixed age: the weak cell is known by its own resistance."""
    steps.level(0.0)
    steps.level(-50.0)
    assert steps.memory.factors == ()
    steps.level(0.0)
    assert steps.memory.factors == pytest.approx((*(0.5,) * 15, 1.5), rel=0.1)


def test_cold_cells_teach_the_same_factor(steps: Steps) -> None:
    """What is learned in frost is a multiple of the estimate for frost."""
    steps.ohms = (0.003,) * 16
    for current_a in (0.0, -50.0, 0.0):
        steps.level(current_a, temperatures_c=(0.0,))
    assert steps.memory.factors == pytest.approx((0.5,) * 16, rel=0.1)


@pytest.mark.parametrize(
    ("first_a", "second_a", "more"),
    [
        pytest.param(0.0, -7.0, {}, id="a step below ten dead bands of the sensor"),
        pytest.param(0.0, -50.0, {"sure": False}, id="readings in doubt"),
        pytest.param(0.0, -50.0, {"seconds": 9.0}, id="levels that do not last"),
        pytest.param(0.0, -50.0, {"every_s": 10.0, "seconds": 60.0}, id="samples too rare to tell a step"),
    ],
)
def test_what_teaches_nothing(steps: Steps, first_a: float, second_a: float, more: dict[str, Any]) -> None:
    """A current that may be something else, a sample that may be wrong, a level that is none."""
    for _ in range(5):
        steps.level(first_a, **more)
        steps.level(second_a, **more)
    assert steps.memory.factors == ()


@pytest.mark.parametrize("odd_ohm", [0.0, -0.001, 0.0001, 0.006])
def test_cells_that_do_not_move_alike_teach_nothing(steps: Steps, odd_ohm: float) -> None:
    """A cell that stands still, or leaps, is a reading and no resistance."""
    steps.ohms = (*(0.001,) * 15, odd_ohm)
    for current_a in (0.0, -50.0) * 3:
        steps.level(current_a)
    assert steps.memory.factors == ()


def test_voltages_that_stand_still_teach_nothing(steps: Steps) -> None:
    """An image in which only the current moves is no cell without resistance."""
    steps.ohms = (0.0,) * 16
    for current_a in (0.0, -50.0) * 3:
        steps.level(current_a)
    assert steps.memory.factors == ()


def test_steps_that_contradict_teach_nothing(steps: Steps) -> None:
    """Each step shows another resistance: none of them is believed."""
    steps.level(0.0)
    for number in range(6):
        steps.ohms = (0.001 * 2.0 ** (number % 2),) * 16
        steps.level(-50.0 if number % 2 == 0 else -110.0)
        steps.ohms = (0.001,) * 16
    assert all(0.3 <= factor <= 3.0 for factor in steps.memory.factors)


def test_a_slow_change_is_no_step(steps: Steps) -> None:
    """The sun of a morning moves charge and temperature as well."""
    for current_a in range(0, 100, 2):
        steps.level(float(current_a), 1.0)
    assert steps.memory.factors == ()


@pytest.mark.parametrize(("ohm", "factor"), [(0.0002, 0.3), (0.020, 3.0)])
def test_what_is_learned_is_bounded(steps: Steps, ohm: float, factor: float) -> None:
    """No less than three tenths of the estimate, and no more than three times."""
    steps.ohms = (ohm,) * 16
    for current_a in (0.0, -50.0) * 2:
        steps.level(current_a)
    assert steps.memory.factors == (factor,) * 16


def test_ageing_is_followed(steps: Steps) -> None:
    """Later steps move what is learned, half of the way each."""
    for current_a in (0.0, -50.0) * 2:
        steps.level(current_a)
    steps.ohms = (0.002,) * 16
    for current_a in (0.0, -50.0) * 6:
        steps.level(current_a)
    assert steps.memory.factors == pytest.approx((1.0,) * 16, rel=0.1)


def test_a_step_of_the_clock_teaches_nothing_wrong(steps: Steps) -> None:
    """Samples that go back in time are no level that lasts."""
    for current_a in (0.0, -50.0) * 3:
        steps.level(current_a, 1.0)
        steps.now_s -= 50.0
    assert steps.memory.factors == ()


def test_a_steady_level_makes_few_new_memories(steps: Steps) -> None:
    """Once a second, not with each sample."""
    steps.level(-20.0, 1.0)
    seen = set()
    for _ in range(50):
        steps.level(-20.0, 0.1)
        seen.add(id(steps.memory))
    assert len(seen) < 15


def test_a_single_step_is_a_bound(steps: Steps) -> None:
    """More than the estimate after one step: DCL is careful before a second one has confirmed it."""
    steps.ohms = (*(0.002,) * 15, 0.004)
    assert steps.memory.bounds_of(16) == ()
    steps.level(0.0)
    steps.level(-50.0)
    assert steps.memory.factors == ()
    assert steps.memory.bounds_of(16) == pytest.approx((*(1.0,) * 15, 2.0), rel=0.1)
    assert steps.memory.bounds_of(8) == ()


def test_a_load_that_is_cut_at_once_is_a_bound(steps: Steps) -> None:
    """A burst that the BMS ends after two seconds shows how much the resistance is at least; less shows nothing."""
    steps.level(0.0)
    steps.level(-50.0, 2.5)
    steps.level(0.0)
    assert steps.memory.seen == ()
    steps.ohms = (0.003,) * 16
    steps.level(-50.0, 2.5)
    steps.level(0.0)
    assert steps.memory.factors == ()
    assert steps.memory.bounds_of(16) == pytest.approx((1.5,) * 16, rel=0.1)
