"""What readings demand by themselves."""

import math
from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import Cells, PackState, Snapshot, Temperatures
from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.demands import demands

CALM = Snapshot(
    sequence=1,
    taken_at_s=0.0,
    pack=PackState(53.0, 0.0, 50.0),
    cells=Cells((3.3, 3.31)),
    temperatures=Temperatures(None, 25.0, 25.0),
    ratings=BatteryPlan().ratings(),
)


def test_a_calm_sample_demands_nothing() -> None:
    """Both limits are the algorithm's own affair."""
    assert demands(CALM, 1.0) == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("snapshot", "bounds"),
    [
        (replace(CALM, cells=Cells((3.3, 3.76))), (0.0, math.inf)),
        (replace(CALM, cells=Cells((2.49, 3.3))), (0.0, 0.0)),
        (replace(CALM, temperatures=Temperatures(None, 0.9, 25.0)), (0.0, math.inf)),
        (replace(CALM, temperatures=Temperatures(None, 25.0, 60.1)), (0.0, 0.0)),
    ],
)
def test_where_the_bms_cuts_the_limit_has_to_be_zero(snapshot: Snapshot, bounds: tuple[float, float]) -> None:
    """In the direction that the BMS cuts, and only there."""
    assert demands(snapshot, 1.0) == bounds


@pytest.mark.parametrize(("age_s", "ccl_a"), [(0.0, math.inf), (3.0, math.inf), (3.1, 0.0), (60.0, 0.0)])
def test_an_old_sample_allows_no_charging(age_s: float, ccl_a: float) -> None:
    """Longer than a GX would wait; the loads are left alone."""
    assert demands(CALM, age_s) == (ccl_a, math.inf)


def test_a_missing_sensor_demands_nothing() -> None:
    """What is not measured cannot be too cold."""
    assert demands(replace(CALM, temperatures=Temperatures()), 1.0) == (math.inf, math.inf)
