"""Measures of the long run, on traces made by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.lives import Life, live, most_charge_c, most_within
from tinybms_lab.bench.protections import Opening
from tinybms_lab.bench.scenario import Bar
from tinybms_lab.bench.trace import STATES, Column, Run

MakeRun = Callable[..., Run]
Row = dict[Column, float]
HOUR_S = 3600.0
SUSTAIN = float(STATES.index(ChargeState.SUSTAIN))


def hours(row: Row, count: int) -> list[Row]:
    """Return steps of an hour."""
    return [{Column.STEP_S: HOUR_S, **row}] * count


def life_of(make_run: MakeRun, rows: Sequence[Row], **scenario: object) -> Life:
    """Return the measures of 280 Ah of LFP cells that run from midnight."""
    return live(make_run(rows, start_h=0.0, **scenario))


def test_a_calm_hour_hurts_nothing(make_run: MakeRun) -> None:
    """Every measure is that of a battery that suffers nothing, but for what it was."""
    life = life_of(make_run, [{}] * 10)
    expected = Life(spread_begin_ah=2.0, spread_end_ah=2.0, top_percent=90.0, balanced_after_days=None)

    assert life == expected


def test_hours_at_high_voltage_are_those_of_a_day(make_run: MakeRun) -> None:
    """Two usual days with half an hour, and a balancing day with four."""
    high, low = {Column.HIGHEST_V: 3.50}, {Column.HIGHEST_V: 3.49}
    usual = [*hours(low, 23), {Column.STEP_S: HOUR_S / 2.0, **high}, {Column.STEP_S: HOUR_S / 2.0, **low}]
    life = life_of(make_run, [*usual, *hours(high, 4), *hours(low, 20), *usual])

    assert life.high_h_per_day == pytest.approx(5.0 / 3.0)
    assert life.high_h_usual_day == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("dcl_a", "turns"),
    [
        ([270.0] * 20, 0),
        ([270.0 - n for n in range(20)], 0),
        ([200.0, 260.0] * 10, 19),
        ([200.0, 201.5] * 10, 0),
        ([200.0, 150.0, 150.0, 200.0] + [200.0] * 16, 1),
    ],
)
def test_a_dcl_that_saws_turns(make_run: MakeRun, dcl_a: list[float], turns: int) -> None:
    """It falls near empty, as it should; a step of the wire is no turn."""
    rows = [{Column.DCL_A: 270.0}, {Column.STEP_S: 400.0, Column.DCL_A: 270.0}, *({Column.DCL_A: a} for a in dcl_a)]

    assert life_of(make_run, rows).dcl_turns_per_h == turns


def test_loads_that_jump_are_not_steady(make_run: MakeRun) -> None:
    """Within five minutes of a jump DCL may turn."""
    rows = [{Column.LOAD_W: 400.0 if n % 100 < 50 else 9000.0, Column.DCL_A: 200.0 + n % 2 * 50.0} for n in range(400)]

    assert life_of(make_run, rows).dcl_turns_per_h == 0


@pytest.mark.parametrize(
    ("spreads_ah", "days"), [([8.4, 5.0, 1.0, 1.0], 2.0), ([8.4, 1.0, 2.0, 1.0], 3.0), ([8.4] * 4, None), ([0.0], 0.0)]
)
def test_cells_are_alike_once_they_stay_so(make_run: MakeRun, spreads_ah: list[float], days: float | None) -> None:
    """Below 0.5 % of 280 Ah; a row is the end of a day."""
    rows = [{Column.STEP_S: 24.0 * HOUR_S, Column.SPREAD_AH: spread} for spread in spreads_ah]
    life = life_of(make_run, rows)

    assert (life.balanced_after_days, life.spread_begin_ah, life.spread_end_ah) == (days, spreads_ah[0], spreads_ah[-1])


def test_the_count_is_judged_by_what_is_shown(make_run: MakeRun) -> None:
    """Whatever the BMS counts; not before the bridge had its time, and not while nothing is shown."""
    rows = [
        *hours({Column.SHOWN_PERCENT: 50.0}, 5),
        *hours({Column.SHOWN_PERCENT: 87.5, Column.COUNTED_PERCENT: 40.0}, 5),
        *hours({Column.SHOWN_PERCENT: float("nan")}, 1),
    ]

    assert life_of(make_run, rows, bar=Bar(count_from_h=5.5)).count_error_percent == pytest.approx(2.5)


@pytest.mark.parametrize(("full_percent", "error"), [(91.0, 8.0), (70.0, 26.0)])
def test_full_is_what_the_target_holds(make_run: MakeRun, full_percent: float, error: float) -> None:
    """A battery that is full at 91 % has 51 % of it left at 42 %, and 43 % are shown; one at 70 % is not full."""
    rows = [
        *hours({Column.SHOWN_PERCENT: 100.0, Column.SOC_PERCENT: full_percent}, 5),
        *hours({Column.SHOWN_PERCENT: 43.0, Column.SOC_PERCENT: 42.0 if full_percent > 80.0 else 69.0}, 5),
    ]

    assert life_of(make_run, rows, bar=Bar(count_from_h=5.5, full_percent=88.0)).count_error_percent == error


@pytest.mark.parametrize(
    ("chemistry", "coldest_c", "share_c", "plates"),
    [
        ("lfp", 0.0, 0.01, False),
        ("lfp", 0.0, 0.03, True),
        ("lfp", 5.0, 0.14, False),
        ("lfp", 5.0, 0.15, True),
        ("li-ion", 10.0, 0.37, True),
        ("lfp", 25.0, 1.0, False),
        ("lto", -10.0, 1.0, False),
    ],
)
def test_cold_cells_take_little(
    make_run: MakeRun, chemistry: str, coldest_c: float, share_c: float, plates: bool
) -> None:
    """A fifth above the curve of the study; LTO plates nothing."""
    rows = [{Column.STEP_S: 60.0, Column.COLDEST_C: coldest_c, Column.CURRENT_A: 280.0 * share_c}] * 3
    battery = BatteryPlan(chemistry=chemistry)

    assert life_of(make_run, rows, battery=battery).plating_min == (3.0 if plates else 0.0)


@pytest.mark.parametrize(("seconds", "minutes"), [(30, 0.0), (31, 31.0 / 60.0), (90, 1.5)])
def test_chargers_may_take_seconds_to_follow(make_run: MakeRun, seconds: int, minutes: float) -> None:
    """Where they hear no CCL; after half a minute all of it counts."""
    rows = [{Column.COLDEST_C: 5.0, Column.CURRENT_A: 60.0}] * seconds + [{}] * 10

    assert life_of(make_run, rows).plating_min == pytest.approx(minutes)


@pytest.mark.parametrize(("anode_v", "minutes"), [(0.01, 0.0), (-0.01, 3.0)])
def test_an_electrode_that_is_known_tells_plating(make_run: MakeRun, anode_v: float, minutes: float) -> None:
    """Whatever the curve says."""
    row = {Column.STEP_S: 60.0, Column.COLDEST_C: 0.0, Column.CURRENT_A: 100.0, Column.ANODE_V: anode_v}

    assert life_of(make_run, [row] * 3).plating_min == minutes


def test_the_curve_of_the_cold_rises() -> None:
    """From nothing at 0 °C to the BMS's own cutoff."""
    allowed = [most_charge_c("lfp", celsius) for celsius in range(-5, 30)]

    assert allowed == sorted(allowed)
    assert most_charge_c("lfp", 7.5) == pytest.approx(0.21)


@pytest.mark.parametrize(("current_a", "hard"), [(5.6, 0), (5.7, 1)])
def test_a_switch_may_open_without_current(make_run: MakeRun, current_a: float, hard: int) -> None:
    """0.02C of 280 Ah are 5.6 A."""
    run = replace(make_run([{}]), openings=(Opening(1.0, current_a), Opening(2.0, -50.0)))

    assert live(run).hard_openings == hard


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        ({}, 1),
        ({Column.CURRENT_A: 4.0}, 0),
        ({Column.SUN_W: 0.0}, 0),
        ({Column.SOC_PERCENT: 95.0}, 0),
        ({Column.COLDEST_C: 2.0}, 0),
    ],
)
def test_a_day_of_sun_without_charge_is_told(make_run: MakeRun, changes: Row, idle: int) -> None:
    """Unless the battery is nearly full, the sun does not shine, or frost forbids it."""
    row = {Column.SOC_PERCENT: 60.0, Column.SUN_W: 2000.0, Column.CURRENT_A: 0.0, **changes}

    assert life_of(make_run, hours(row, 24)).idle_days == idle


def test_sustain_is_for_an_empty_battery(make_run: MakeRun) -> None:
    """Two hours at 15 % are right, one at 70 % is not."""
    rows = [
        *hours({Column.STATE: SUSTAIN, Column.SOC_PERCENT: 15.0}, 2),
        *hours({Column.STATE: SUSTAIN, Column.SOC_PERCENT: 70.0}, 1),
    ]

    assert life_of(make_run, rows).false_sustain_h == pytest.approx(1.0)


def test_the_top_is_that_of_a_usual_day(make_run: MakeRun) -> None:
    """A grey day pulls nothing down."""
    rows = [row for soc in (99.0, 60.0, 98.0) for row in hours({Column.SOC_PERCENT: soc}, 24)]

    assert life_of(make_run, rows).top_percent == 98.0


def test_energy_out_of_the_battery_is_counted(make_run: MakeRun) -> None:
    """An hour of 10 A at 54 V; what goes in is another matter."""
    rows = [*hours({Column.CURRENT_A: -10.0}, 1), *hours({Column.CURRENT_A: 30.0}, 1)]

    assert life_of(make_run, rows).discharged_wh == pytest.approx(540.0)


def test_days_on_which_the_bms_says_full_are_counted(make_run: MakeRun) -> None:
    """Once or all day long."""
    rows = [*hours({}, 24), *hours({Column.FULL: 1.0}, 30)]

    assert life_of(make_run, rows).bms_full_days == 2


@pytest.mark.parametrize(("times_s", "most"), [([], 0), ([5.0], 1), ([0.0, 1800.0, 3600.0, 3601.0, 9000.0], 3)])
def test_the_most_within_an_hour(times_s: list[float], most: int) -> None:
    """Wherever the hour begins."""
    assert most_within(times_s, 3600.0) == most
