"""The bar."""

from dataclasses import replace

import pytest

from tinybms_lab.bench.changes import Rise
from tinybms_lab.bench.criteria import CRITERIA, violations
from tinybms_lab.bench.flows import FlowFinding
from tinybms_lab.bench.lives import Life
from tinybms_lab.bench.metrics import Metrics
from tinybms_lab.bench.scenario import Bar, Scenario, UserProfile

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
    avoidable_trips={},
    time_to_float_s=600.0,
    reduction_delay_s=1.0,
    ccl_rise=Rise(6.0, 6.0, 1.9),
    cvl_rise=Rise(0.02, 0.02, 0.005),
    cvl_lowest_v=51.2,
    least_cvl_v=51.2,
    unserved_wh=0.0,
    soc_short_percent=1.0,
    soc_range_percent=(60.0, 99.0),
    soc_end_percent=98.0,
    full_charges=1,
)


LONG = Scenario(
    "long",
    "",
    bar=Bar(
        high_h_per_day=1.0,
        high_h_usual_day=0.5,
        count_error_percent=3.0,
        balanced_after_days=20.0,
        top_percent=99.0,
        empty_trips=1,
    ),
)
WORN = Life(
    high_h_per_day=7.5,
    high_h_usual_day=7.0,
    dcl_turns_per_h=801.0,
    spread_begin_ah=8.4,
    spread_end_ah=3.4,
    balanced_after_days=None,
    count_error_percent=12.0,
    plating_min=13.0,
    hard_openings=5,
    idle_days=2,
    false_sustain_h=8.4,
    top_percent=96.0,
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
        (replace(GOOD, ccl_rise=Rise(20.0, 6.0, 1.9)), "ramp", "CCL rose by 20.0 A/s, its ramp is 6.0 A/s"),
        (replace(GOOD, cvl_rise=Rise(0.2, 0.02, 0.005)), "jump", "CVL rose by 0.200 V/s, its ramp is 0.020 V/s"),
        (
            replace(GOOD, time_to_float_s=None),
            "no float",
            "FLOAT was not reached with a battery that is nearly full",
        ),
        (replace(GOOD, cvl_lowest_v=51.1), "floor", "CVL 51.1 V, the least is 51.2 V"),
        (
            replace(GOOD, avoidable_trips={"cold charge": 3, "over-heat": 1}),
            "trips",
            "protections tripped that limits can prevent: cold charge 3 times, over-heat 1 times",
        ),
        (
            replace(GOOD, soc_short_percent=3.1),
            "short",
            "the battery ends 3.1 % short of an ideal charger's, allowed are 3.0 %",
        ),
        (
            replace(GOOD, findings=(FlowFinding("CCL at least 90 A", 0.0, "A", 30.0, kept=False),)),
            "flow",
            "CCL at least 90 A: 0.0 A (30 s outside)",
        ),
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
        trips={"over-voltage": 1, "discharged": 5},
        headroom_mv=-5.0,
        reversals_per_h=99.0,
        reduction_delay_s=60.0,
        ccl_rise=Rise(99.0, 6.0, 1.9),
        cvl_rise=Rise(9.0, 0.02, 0.005),
        time_to_float_s=None,
        cvl_lowest_v=0.0,
        avoidable_trips={"cold charge": 1},
        soc_short_percent=50.0,
        findings=(FlowFinding("CCL at least 90 A", 0.0, "A", 30.0, kept=False),),
        life=replace(WORN, high_h_usual_day=0.0, top_percent=100.0),
    )
    wished = replace(SCENARIO, user_profile=UserProfile(full_charges=2))

    assert len(violations(worst, LONG)) == len(CRITERIA)  # a ramp has two names, a wish was not made
    assert {v.name for v in violations(worst, wished)} ^ {v.name for v in violations(worst, SCENARIO)} == {
        "wish",
        "short",
        "SUSTAIN",
        "no charge",
    }


def test_float_is_not_asked_of_a_night() -> None:
    """A scenario without enough sun says so."""
    assert violations(replace(GOOD, time_to_float_s=None), replace(SCENARIO, expects_float=False)) == ()


def test_over_voltage_is_told_once() -> None:
    """It has a criterion of its own."""
    found = violations(replace(GOOD, trips={"over-voltage": 1}, avoidable_trips={"over-voltage": 1}), SCENARIO)

    assert [violation.name for violation in found] == ["over-voltage"]


@pytest.mark.parametrize(
    ("user_profile", "text"),
    [
        (UserProfile(soc_percent=(50.0, 99.0)), None),
        (UserProfile(soc_percent=(61.0, 99.0)), "SOC was at 60.0 to 99.0 %, asked for was 61 to 99 %"),
        (UserProfile(soc_percent=(50.0, 98.0)), "SOC was at 60.0 to 99.0 %, asked for was 50 to 98 %"),
        (UserProfile(soc_end_percent=(97.0, 99.0)), None),
        (UserProfile(soc_end_percent=(50.0, 60.0)), "SOC ended at 98.0 %, asked for was 50 to 60 %"),
        (UserProfile(full_charges=1), None),
        (UserProfile(full_charges=2), "the battery became full 1 times in place of 2"),
        (UserProfile(full_charges=0), "the battery became full 1 times in place of 0"),
    ],
)
def test_a_wish_is_judged_by_the_battery(user_profile: UserProfile, text: str | None) -> None:
    """What the limits were does not matter."""
    found = violations(GOOD, replace(SCENARIO, user_profile=user_profile))

    assert [(violation.name, violation.text) for violation in found] == ([] if text is None else [("wish", text)])


def test_a_wish_takes_the_place_of_a_full_battery() -> None:
    """Whoever stores a battery half full has it half full in the evening."""
    half = replace(GOOD, soc_short_percent=45.0)

    assert violations(half, replace(SCENARIO, user_profile=UserProfile())) == ()
    assert violations(half, replace(SCENARIO, most_short_percent=46.0)) == ()


def test_a_cvl_on_the_floor_holds_after_rounding() -> None:
    """The wire has steps of 0.1 V; a floor between two of them is not broken by rounding."""
    assert violations(replace(GOOD, cvl_lowest_v=27.6, least_cvl_v=27.64), SCENARIO) == ()


@pytest.mark.parametrize(
    ("life", "name", "text"),
    [
        (Life(dcl_turns_per_h=801.0), "DCL turns", "DCL turned 801 times within an hour of steady load"),
        (Life(hard_openings=5), "switch", "the charger switch opened under current 5 times"),
        (Life(plating_min=13.0), "plating", "more current than cold cells take flowed in for 13.0 min"),
        (Life(false_sustain_h=8.4), "SUSTAIN", "SUSTAIN for 8.4 h with a battery that is not empty"),
        (Life(idle_days=2), "no charge", "on 2 days of sun a battery with room was not charged"),
        (Life(high_h_per_day=7.5), "high", "7.50 h a day at high voltage, allowed are 1 h"),
        (Life(high_h_usual_day=0.6), "high", "0.60 h at high voltage on a usual day, allowed are 0.5 h"),
        (Life(top_percent=96.0), "top", "on half of the days the battery gets to 96.0 % only, not 99 %"),
        (Life(count_error_percent=12.0), "count", "the shown SOC was 12.0 % off, allowed are 3 %"),
        (
            Life(balanced_after_days=None, spread_end_ah=3.4),
            "balance",
            "cells alike never, not by day 20; the spread is 3.4 Ah",
        ),
        (
            Life(balanced_after_days=25.0, spread_end_ah=0.9),
            "balance",
            "cells alike after 25.0 days, not by day 20; the spread is 0.9 Ah",
        ),
    ],
)
def test_wear_is_told_with_its_number(life: Life, name: str, text: str) -> None:
    """What the battery suffers in the long run, beside what a scenario allows."""
    (violation,) = violations(replace(GOOD, life=life), LONG)

    assert (violation.name, violation.text) == (name, text)


def test_a_battery_that_is_cut_too_often_is_dark() -> None:
    """Its BMS switched the loads off twice, once was allowed."""
    (violation,) = violations(replace(GOOD, trips={"discharged": 2}), LONG)

    assert (violation.name, violation.text) == ("dark", "the BMS switched the loads off 2 times")


def test_a_short_scenario_demands_nothing_of_a_life() -> None:
    """Hours at high voltage, the count, balance and the top are for those that say so; the rest holds always."""
    told = [violation.name for violation in violations(replace(GOOD, life=WORN), SCENARIO)]

    assert told == ["DCL turns", "switch", "plating", "SUSTAIN", "no charge"]


def test_what_users_ask_for_excuses_a_day_without_charge() -> None:
    """Storage, a window, a stop by hand."""
    wished = replace(SCENARIO, user_profile=UserProfile())

    assert violations(replace(GOOD, life=Life(idle_days=2, false_sustain_h=1.0)), wished) == ()


def test_what_no_limits_can_help_is_excused_by_name() -> None:
    """And nothing else is."""
    excusing = replace(SCENARIO, excused=("plating", "switch"))
    told = [violation.name for violation in violations(replace(GOOD, life=WORN), excusing)]

    assert told == ["DCL turns", "SUSTAIN", "no charge"]
