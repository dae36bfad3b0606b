"""The judge of the BMS's protections."""

from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.judge import RECOVERY_S, Judge, Protection

RATINGS = BatteryPlan().ratings()
CALM_V = [3.30, 3.31]


def judge_after(
    cells_v: list[float] | None = None,
    current_a: float = 0.0,
    temperatures_c: tuple[float, ...] = (25.0, 25.0),
    ratings: Ratings = RATINGS,
) -> Judge:
    """Return a judge that has seen one second of this."""
    judge = Judge(ratings)
    judge.observe(1.0, 1.0, cells_v or CALM_V, current_a, temperatures_c)
    return judge


def test_a_calm_pack_trips_nothing() -> None:
    """No protection is open, and current may flow both ways."""
    judge = judge_after()

    assert (judge.trips, judge.open, judge.faulted, judge.takes, judge.gives) == ([], (), False, True, True)


@pytest.mark.parametrize(
    ("cells_v", "current_a", "temperatures_c", "protection"),
    [
        ([3.40, 3.7501], 0.0, (25.0,), Protection.OVER_VOLTAGE),
        ([3.40, 2.799], 0.0, (25.0,), Protection.DISCHARGED),
        (CALM_V, 200.1, (25.0,), Protection.CHARGE_CURRENT),
        (CALM_V, -300.1, (25.0,), Protection.DISCHARGE_CURRENT),
        (CALM_V, 0.0, (25.0, 60.1), Protection.OVER_HEAT),
        (CALM_V, 5.0, (0.9, 25.0), Protection.COLD_CHARGE),
    ],
)
def test_each_threshold_trips_its_protection(
    cells_v: list[float], current_a: float, temperatures_c: tuple[float, ...], protection: Protection
) -> None:
    """Registers 315, 301, 318, 317, 319 and 320, once each."""
    judge = judge_after(cells_v, current_a, temperatures_c)

    assert [trip.protection for trip in judge.trips] == [protection]
    assert judge.trips[0].time_s == 1.0


@pytest.mark.parametrize(
    ("cells_v", "current_a", "temperatures_c"),
    [
        ([3.40, 3.75], 0.0, (25.0,)),
        ([3.40, 2.80], 0.0, (25.0,)),
        (CALM_V, 200.0, (25.0,)),
        (CALM_V, -300.0, (25.0,)),
        (CALM_V, 0.0, (60.0,)),
        (CALM_V, 5.0, (1.0,)),
    ],
)
def test_thresholds_are_strict(cells_v: list[float], current_a: float, temperatures_c: tuple[float, ...]) -> None:
    """A value at its threshold trips nothing: above and below, not at (protocol reference, section 5.1)."""
    assert judge_after(cells_v, current_a, temperatures_c).trips == []


def test_an_under_voltage_is_also_a_discharge_too_deep() -> None:
    """Several protections may be open together."""
    judge = judge_after([2.49, 3.2])

    assert {trip.protection for trip in judge.trips} == {Protection.UNDER_VOLTAGE, Protection.DISCHARGED}
    assert (judge.takes, judge.gives) == (False, False)


def test_the_peak_cutoff_counts_where_it_is_lower() -> None:
    """Register 305 below register 317 trips first."""
    ratings = replace(RATINGS, discharge_peak_current_a=100.0)

    assert judge_after(current_a=-150.0, ratings=ratings).trips[0].protection is Protection.DISCHARGE_CURRENT


def test_firmware_without_a_peak_cutoff_has_the_other() -> None:
    """A reserved register 305 is no cutoff of 0 A."""
    ratings = replace(RATINGS, discharge_peak_current_a=None)

    assert judge_after(current_a=-299.0, ratings=ratings).trips == []


def test_cold_alone_trips_nothing() -> None:
    """Without charge current the BMS has nothing to interrupt."""
    assert judge_after(current_a=0.5, temperatures_c=(-5.0,)).trips == []
    assert judge_after(current_a=-50.0, temperatures_c=(-5.0,)).trips == []


@pytest.mark.parametrize(
    ("cells_v", "takes", "gives"),
    [([3.40, 3.76], False, True), ([3.40, 2.79], True, False), ([3.40, 2.4], False, False)],
)
def test_only_the_direction_is_cut_that_the_bms_cuts(cells_v: list[float], takes: bool, gives: bool) -> None:
    """Over-voltage leaves the loads on, a discharged cell the charger, under-voltage neither."""
    judge = judge_after(cells_v)

    assert (judge.takes, judge.gives) == (takes, gives)


@pytest.mark.parametrize(
    ("protection", "warning"),
    [(Protection.COLD_CHARGE, True), (Protection.DISCHARGED, True), (Protection.OVER_VOLTAGE, False)],
)
def test_a_warning_is_no_fault(protection: Protection, warning: bool) -> None:
    """Register 50 shows a fault for faults only."""
    assert protection.is_warning is warning


def test_a_protection_recovers_after_its_time() -> None:
    """Register 332: the cause has to be gone for five seconds."""
    judge = judge_after([3.40, 3.76])
    times_s = [2.0 + n for n in range(int(RECOVERY_S))]
    for time_s in times_s[:-1]:
        judge.observe(time_s, 1.0, CALM_V, 0.0, (25.0,))
    still_open = judge.open

    judge.observe(times_s[-1], 1.0, CALM_V, 0.0, (25.0,))

    assert still_open == (Protection.OVER_VOLTAGE,)
    assert judge.open == ()


def test_a_cause_that_comes_back_starts_the_time_again() -> None:
    """The switch stays open as long as the cause returns; it is still one trip."""
    judge = judge_after([3.40, 3.76])
    for time_s in range(2, 12):
        cells_v = [3.40, 3.76] if time_s % 4 == 0 else CALM_V
        judge.observe(float(time_s), 1.0, cells_v, 0.0, (25.0,))

    assert judge.open == (Protection.OVER_VOLTAGE,)
    assert len(judge.trips) == 1


def test_a_second_trip_counts_again() -> None:
    """After a recovery the same protection may trip again."""
    judge = judge_after([3.40, 3.76])
    judge.observe(10.0, 10.0, CALM_V, 0.0, (25.0,))
    judge.observe(11.0, 1.0, [3.40, 3.76], 0.0, (25.0,))

    assert [trip.time_s for trip in judge.trips] == [1.0, 11.0]


def test_charging_in_the_cold_stays_stopped_until_it_is_warm() -> None:
    """The warning does not end because the current has ended."""
    judge = judge_after(current_a=5.0, temperatures_c=(0.0,))
    for time_s in range(2, 60):
        judge.observe(float(time_s), 1.0, CALM_V, 0.0, (0.0,))
    assert not judge.takes

    judge.observe(70.0, 10.0, CALM_V, 0.0, (1.5,))

    assert judge.takes


@pytest.mark.parametrize("protection", list(Protection))
def test_every_protection_has_an_event_of_the_bms(protection: Protection) -> None:
    """The engine gets to know the cause by its event (protocol reference, section 3)."""
    assert 0x02 <= protection.event_id <= 0x37
    assert protection.label
