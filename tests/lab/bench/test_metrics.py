"""Measures, on traces made by hand, and which protections of the BMS were avoidable."""

import math
from collections.abc import Callable, Sequence

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.flows import Ideal
from tinybms_lab.bench.metrics import FROST_GRACE_S, Metrics, avoidable_trips, longest_disobedience_s, measure
from tinybms_lab.bench.protections import Protection, ProtectionTrip
from tinybms_lab.bench.trace import STATES, Column, Run, Trace
from tinybms_lab.gx.dvcc import SystemPlan

MakeTrace = Callable[[Sequence[dict[Column, float]]], Trace]
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
    return avoidable_trips(make_run(timed, [ProtectionTrip(first_s + after_s, Protection.COLD_CHARGE)]))


@pytest.mark.parametrize(
    "protection",
    [Protection.OVER_VOLTAGE, Protection.UNDER_VOLTAGE, Protection.CHARGE_CURRENT, Protection.OVER_HEAT],
)
def test_most_protections_are_avoidable(make_run: MakeRun, protection: Protection) -> None:
    """Limits in time keep clear of them, in an island too."""
    assert avoidable_trips(make_run([{}], [ProtectionTrip(1.0, protection)] * 2)) == {protection.label: 2}


@pytest.mark.parametrize("protection", [Protection.DISCHARGED, Protection.DISCHARGE_CURRENT])
def test_an_island_hears_no_discharge_limit(make_run: MakeRun, protection: Protection) -> None:
    """On a grid it is heard."""
    trips = [ProtectionTrip(1.0, protection)]

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


FLOAT = float(STATES.index(ChargeState.FLOAT))
BULK = float(STATES.index(ChargeState.BULK))
NAN = float("nan")


def metrics_of(run: Run, solar_wh: float = 1000.0, soc_percent: float = 90.0) -> Metrics:
    """Return the measures against an ideal charger that is made up."""
    return measure(run, Ideal(solar_wh, soc_percent, soc_percent))


def test_the_highest_cell_is_the_highest_of_all_time(make_run: MakeRun) -> None:
    """With its distance to the cutoff of 3.75 V and to full charge at 3.60 V."""
    metrics = metrics_of(make_run([{Column.HIGHEST_V: v} for v in (3.4, 3.65, 3.5)]))

    assert metrics.highest_cell_v == 3.65
    assert metrics.headroom_mv == pytest.approx(100.0)
    assert metrics.overshoot_mv == pytest.approx(50.0)


def test_a_cell_below_full_does_not_overshoot(make_run: MakeRun) -> None:
    """Overshoot is never negative."""
    assert metrics_of(make_run([{Column.HIGHEST_V: 3.5}])).overshoot_mv == 0.0


def test_the_lowest_cell_is_the_lowest_of_all_time(make_run: MakeRun) -> None:
    """Whatever the others did."""
    assert metrics_of(make_run([{Column.LOWEST_V: v} for v in (3.3, 2.9, 3.1)])).lowest_cell_v == 2.9


def test_time_in_states_adds_up(make_run: MakeRun) -> None:
    """Long steps count as long; time without frames is told apart."""
    rows = [{Column.STATE: BULK, Column.STEP_S: 10.0}] * 3 + [{Column.STATE: FLOAT}] * 5 + [{Column.STATE: -1.0}] * 2

    assert metrics_of(make_run(rows)).state_s == {"BULK": 30.0, "FLOAT": 5.0, "-": 2.0}


def test_energy_lost_is_what_an_ideal_charger_takes_more(make_run: MakeRun) -> None:
    """An hour at 900 W against 1000 Wh."""
    metrics = metrics_of(make_run([{Column.SOLAR_W: 900.0, Column.STEP_S: 60.0}] * 60), solar_wh=1000.0)

    assert metrics.energy_lost_wh == pytest.approx(100.0)
    assert metrics.energy_lost_percent == pytest.approx(10.0)


def test_nothing_is_lost_at_night(make_run: MakeRun) -> None:
    """Where the ideal charger harvests nothing there is no percentage."""
    assert metrics_of(make_run([{Column.SOLAR_W: 0.0}]), solar_wh=0.0).energy_lost_percent == 0.0


def test_charge_short_is_counted_at_the_end(make_run: MakeRun) -> None:
    """What selling hides in the energy lost."""
    run = make_run([{Column.SOC_PERCENT: 95.0}, {Column.SOC_PERCENT: 66.0}])

    assert metrics_of(run, soc_percent=99.0).soc_short_percent == pytest.approx(33.0)


def test_trips_are_counted_by_name(make_run: MakeRun) -> None:
    """Each protection with its own number."""
    trips = [
        ProtectionTrip(1.0, Protection.OVER_VOLTAGE),
        ProtectionTrip(9.0, Protection.OVER_VOLTAGE),
        ProtectionTrip(5.0, Protection.OVER_HEAT),
    ]

    assert metrics_of(make_run([{}], trips)).trips == {"over-voltage": 2, "over-heat": 1}


def test_time_to_float_begins_with_the_sun(make_run: MakeRun) -> None:
    """A night before counts for nothing."""
    rows = [{Column.SUN_W: 0.0}] * 100 + [{Column.SUN_W: 500.0}] * 60 + [{Column.STATE: FLOAT}]

    assert metrics_of(make_run(rows)).time_to_float_s == pytest.approx(60.0)


def test_a_float_of_the_night_before_does_not_count(make_run: MakeRun) -> None:
    """It was reached without this day's sun."""
    rows = [{Column.SUN_W: 0.0, Column.STATE: FLOAT}] * 10 + [{Column.STATE: BULK}] * 10

    assert metrics_of(make_run(rows)).time_to_float_s is None


def test_balancing_near_full_counts_as_the_end_of_a_charge(make_run: MakeRun) -> None:
    """Cells that are apart are kept from FLOAT; far from full that is no excuse."""
    rows = [{Column.TIME_S: t, Column.SUN_W: 1.0, Column.STATE: BULK, Column.BALANCING: 1.0} for t in (1.0, 2.0, 3.0)]
    rows[0][Column.SOC_PERCENT], rows[1][Column.SOC_PERCENT], rows[2][Column.SOC_PERCENT] = 50.0, 50.0, 90.0

    assert metrics_of(make_run(rows)).time_to_float_s == pytest.approx(2.0)


def test_a_float_far_from_full_does_not_count(make_run: MakeRun) -> None:
    """A count that is too high says FLOAT at 83 %; an ideal charger gets 99 %, so it counts from 94 % on."""
    rows = [{Column.STATE: FLOAT, Column.SOC_PERCENT: float(soc)} for soc in range(83, 99)]
    metrics = metrics_of(make_run(rows), soc_percent=99.0)

    assert metrics.time_to_float_s == pytest.approx(94.0 - 83.0)


def test_the_charge_is_told_with_its_extremes(make_run: MakeRun) -> None:
    """Lowest, highest and last."""
    metrics = metrics_of(make_run([{Column.SOC_PERCENT: soc} for soc in (60.0, 40.0, 75.0, 70.0)]))

    assert (metrics.soc_range_percent, metrics.soc_end_percent) == ((40.0, 75.0), 70.0)


def test_a_battery_that_stays_full_became_full_once(make_run: MakeRun) -> None:
    """Only one that was used in between becomes full again."""
    socs = (90.0, 97.5, 95.0, 98.0, 92.0, 96.0, 99.0)

    assert metrics_of(make_run([{Column.SOC_PERCENT: soc} for soc in socs]), soc_percent=99.0).full_charges == 2


@pytest.mark.parametrize(("delay_s", "expected_s"), [(0, 0.0), (1, 1.0), (7, 7.0)])
def test_the_delay_is_how_long_a_demand_is_not_met(make_run: MakeRun, delay_s: int, expected_s: float) -> None:
    """From the sample that demands it to the frame that obeys."""
    demanded = {Column.CCL_DEMAND_A: 0.0}
    rows: list[dict[Column, float]] = [{}] * 5 + [demanded] * delay_s + [{**demanded, Column.CCL_A: 0.0}] * 5

    assert metrics_of(make_run(rows)).reduction_delay_s == expected_s


def test_the_delay_of_the_discharge_limit_counts_too(make_run: MakeRun) -> None:
    """The longer one of the two."""
    rows: list[dict[Column, float]] = [{Column.CCL_DEMAND_A: 0.0}] * 2 + [{Column.DCL_DEMAND_A: 0.0}] * 4

    assert metrics_of(make_run(rows)).reduction_delay_s == 4.0


def test_a_demand_that_goes_away_starts_again(make_trace: MakeTrace) -> None:
    """Two short delays are no long one."""
    demanded = {Column.CCL_DEMAND_A: 0.0}
    trace = make_trace([demanded, demanded, {}, demanded, demanded, demanded])

    assert longest_disobedience_s(trace, Column.CCL_A, Column.CCL_DEMAND_A) == 3.0


def test_silence_obeys(make_trace: MakeTrace) -> None:
    """A bridge that sends nothing promises nothing."""
    trace = make_trace([{Column.CCL_DEMAND_A: 0.0, Column.CCL_A: NAN}] * 10)

    assert longest_disobedience_s(trace, Column.CCL_A, Column.CCL_DEMAND_A) == 0.0


def test_the_lowest_cvl_is_kept_beside_the_floor(make_run: MakeRun) -> None:
    """16 cells of 3.20 V; frames that were not sent have no CVL."""
    metrics = metrics_of(make_run([{Column.CVL_V: v} for v in (57.6, 52.3, NAN, 55.0)]))

    assert (metrics.cvl_lowest_v, metrics.least_cvl_v) == pytest.approx((52.3, 50.8))


def test_a_run_without_frames_has_no_lowest_cvl(make_run: MakeRun) -> None:
    """Nothing was sent, so nothing was too low."""
    assert math.isinf(metrics_of(make_run([{Column.CVL_V: NAN}])).cvl_lowest_v)


@pytest.mark.parametrize(("system", "unserved_wh"), [(SystemPlan(), 300.0), (SystemPlan(island=False), 0.0)])
def test_only_an_island_leaves_loads_unserved(make_run: MakeRun, system: SystemPlan, unserved_wh: float) -> None:
    """Elsewhere the grid serves them."""
    rows = [{Column.LOAD_W: 400.0, Column.SERVED_W: 100.0, Column.STEP_S: 60.0}] * 60

    assert metrics_of(make_run(rows, system=system)).unserved_wh == pytest.approx(unserved_wh)


def test_turns_are_counted_within_any_hour(make_run: MakeRun) -> None:
    """Two turns within an hour and one much later: two an hour, three in all."""
    rows: list[dict[Column, float]] = []
    for turn_s in (1000, 2000, 3000, 9000):
        stay = turn_s - len(rows)
        level_v = 57.5 if len(rows) == 0 else (57.4 if rows[-1][Column.CVL_V] > 57.45 else 57.5)
        rows += [{Column.CVL_V: level_v, Column.STATE: FLOAT}] * stay
    rows.append({Column.CVL_V: 57.5 if rows[-1][Column.CVL_V] < 57.45 else 57.4, Column.STATE: FLOAT})
    metrics = metrics_of(make_run(rows))

    assert metrics.reversals == 3
    assert metrics.reversals_per_h == 2.0
