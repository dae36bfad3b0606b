"""Which protections could have been avoided."""

from collections.abc import Callable

import pytest

from tinybms_bridge.bench.judge import Protection, Trip
from tinybms_bridge.bench.trace import Column, Run
from tinybms_bridge.bench.trips import FROST_GRACE_S, avoidable_trips
from tinybms_bridge.victron.dvcc import SystemPlan

MakeRun = Callable[..., Run]
ISLAND, GRID = SystemPlan(island=True), SystemPlan(island=False)
_WARM: dict[Column, float] = {}
_FROST = {Column.CCL_DEMAND_A: 0.0}


def frost(warm_s: int, frost_s: int) -> list[dict[Column, float]]:
    """Return rows of a second: warm, then frost."""
    return [_WARM] * warm_s + [_FROST] * frost_s


def cold(make_run: MakeRun, rows: list[dict[Column, float]], after_s: float) -> dict[str, int]:
    """Return what is avoidable of one trip of cold charge, so long after the first row."""
    first_s = 9.0 * 3600.0
    timed = [{**row, Column.TIME_S: first_s + 1.0 + second} for second, row in enumerate(rows)]
    return avoidable_trips(make_run(timed, [Trip(first_s + after_s, Protection.COLD_CHARGE)]))


@pytest.mark.parametrize(
    "protection",
    [Protection.OVER_VOLTAGE, Protection.UNDER_VOLTAGE, Protection.CHARGE_CURRENT, Protection.OVER_HEAT],
)
def test_most_protections_are_avoidable(make_run: MakeRun, protection: Protection) -> None:
    """Limits in time keep clear of them, in an island too."""
    assert avoidable_trips(make_run([{}], [Trip(1.0, protection)] * 2)) == {protection.label: 2}


@pytest.mark.parametrize("protection", [Protection.DISCHARGED, Protection.DISCHARGE_CURRENT])
def test_an_island_hears_no_discharge_limit(make_run: MakeRun, protection: Protection) -> None:
    """On a grid it is heard."""
    trips = [Trip(1.0, protection)]

    assert avoidable_trips(make_run([{}], trips, system=ISLAND)) == {}
    assert avoidable_trips(make_run([{}], trips, system=GRID)) == {protection.label: 1}


def test_frost_needs_a_while_to_stop_a_charge(make_run: MakeRun) -> None:
    """A trip with the first frost is nobody's fault; a later one is."""
    rows = frost(100, 100)

    assert cold(make_run, rows, 100.0 + FROST_GRACE_S) == {}
    assert cold(make_run, rows, 101.0 + FROST_GRACE_S) == {"cold charge": 1}


def test_an_open_switch_teaches_nothing(make_run: MakeRun) -> None:
    """Only charging counts: after a trip no current shows that the limits are not heard."""
    rows = [*frost(0, 10), *[{**_FROST, Column.CURRENT_A: 0.0}] * 500, *frost(0, 40)]

    assert cold(make_run, rows, 530.0) == {}
    assert cold(make_run, rows, 531.0) == {"cold charge": 1}


def test_readings_around_the_threshold_are_one_frost(make_run: MakeRun) -> None:
    """Noise gives no new grace; ten minutes of warmth do."""
    assert cold(make_run, frost(0, 20) + frost(60, 10), 81.0) == {"cold charge": 1}
    assert cold(make_run, frost(0, 300) + frost(700, 10), 1005.0) == {}
