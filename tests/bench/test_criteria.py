"""The bar."""

import math
from dataclasses import replace

import pytest

from tinybms_bridge.bench.criteria import CRITERIA, violations
from tinybms_bridge.bench.metrics import Metrics
from tinybms_bridge.bench.scenario import Scenario

SCENARIO = Scenario("plain", "")
GOOD = Metrics(
    scenario="plain",
    controller="engine",
    highest_cell_v=3.63,
    headroom_mv=120.0,
    overshoot_mv=30.0,
    lowest_cell_v=3.3,
    state_s={"FLOAT": 3600.0},
    reversals_per_h=2.0,
    reversals=9,
    energy_lost_wh=100.0,
    energy_lost_percent=1.0,
    trips={"cold charge": 1},
    time_to_float_s=600.0,
    reduction_delay_s=1.0,
    ccl_rise_a_per_s=6.0,
    ccl_ramp_a_per_s=6.0,
    cvl_lowest_v=51.2,
    floor_v=51.2,
    unserved_wh=0.0,
    soc_short_percent=1.0,
)


def test_a_good_run_holds_everything() -> None:
    """Two turns an hour, a second of delay and the ramp itself are within the bar."""
    assert violations(GOOD, SCENARIO) == ()


@pytest.mark.parametrize(
    ("broken", "name", "text"),
    [
        (replace(GOOD, trips={"over-voltage": 2}), "over-voltage", "over-voltage protection tripped 2 times"),
        (
            replace(GOOD, headroom_mv=9.0, highest_cell_v=3.741),
            "headroom",
            "highest cell 3.741 V, 9 mV below its cut-off",
        ),
        (replace(GOOD, reversals_per_h=3.0), "turns", "CVL turned 3 times within an hour of steady state"),
        (replace(GOOD, reduction_delay_s=2.0), "delay", "a demanded reduction came after 2 s"),
        (replace(GOOD, ccl_rise_a_per_s=20.0), "ramp", "CCL rose by 20.0 A/s, its ramp is 6.0 A/s"),
        (replace(GOOD, time_to_float_s=None), "no float", "FLOAT was not reached"),
        (replace(GOOD, cvl_lowest_v=51.1), "floor", "CVL 51.1 V, the floor is 51.2 V"),
    ],
)
def test_each_criterion_is_named_with_its_number(broken: Metrics, name: str, text: str) -> None:
    """One short word for the table, one sentence for the reader."""
    found = violations(broken, SCENARIO)

    assert [(violation.name, violation.text) for violation in found] == [(name, text)]


def test_everything_that_does_not_hold_is_told() -> None:
    """Not only the first."""
    worst = replace(
        GOOD,
        trips={"over-voltage": 1},
        headroom_mv=-5.0,
        reversals_per_h=99.0,
        reduction_delay_s=60.0,
        ccl_rise_a_per_s=99.0,
        time_to_float_s=None,
        cvl_lowest_v=0.0,
    )

    assert len(violations(worst, SCENARIO)) == len(CRITERIA)


def test_float_is_not_asked_of_a_night() -> None:
    """A scenario without enough sun says so."""
    assert violations(replace(GOOD, time_to_float_s=None), replace(SCENARIO, expects_float=False)) == ()


def test_without_a_ramp_every_rise_is_allowed() -> None:
    """The user may switch it off."""
    assert violations(replace(GOOD, ccl_rise_a_per_s=99.0, ccl_ramp_a_per_s=math.inf), SCENARIO) == ()


def test_a_cvl_on_the_floor_holds_after_rounding() -> None:
    """The wire has steps of 0.1 V; a floor between two of them is not broken by rounding."""
    assert violations(replace(GOOD, cvl_lowest_v=27.6, floor_v=27.64), SCENARIO) == ()
