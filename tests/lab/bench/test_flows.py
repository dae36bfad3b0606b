"""What flowed beside its bounds, and what the ideal charger makes of it."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.flows import FlowFinding, findings, ideal_charge
from tinybms_lab.bench.loop import play
from tinybms_lab.bench.metrics import measure
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Bound, Scenario, What
from tinybms_lab.bench.trace import Column, Run
from tinybms_lab.bench.weather import Constant, Steps
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY
from tinybms_lab.gx.dvcc import SystemPlan

MakeRun = Callable[..., Run]
START_S = 9.0 * 3600.0


def found(make_run: MakeRun, bound: Bound, rows: list[dict[Column, float]]) -> FlowFinding:
    """Return what rows of a second each, from the start of the scenario, make of one bound."""
    timed = [{Column.TIME_S: START_S + 1.0 + n, **row} for n, row in enumerate(rows)]
    (finding,) = findings(make_run(timed, bounds=(bound,)))
    return finding


def test_a_limit_that_stands_is_kept(make_run: MakeRun) -> None:
    """With the value that came nearest to the bound."""
    rows = [{Column.CCL_A: 180.0}] * 5 + [{Column.CCL_A: 175.0}]
    finding = found(make_run, Bound(What.CCL, least=170.0, from_s=0.0), rows)

    assert (finding.kept, finding.found, finding.outside_s) == (True, 175.0, 0.0)
    assert str(finding) == "175.0 A"


def test_a_moment_outside_is_told_with_its_time(make_run: MakeRun) -> None:
    """The longest in a row, and the worst value."""
    low = {Column.CCL_A: 3.0}
    rows = [low, {}, low, low, {Column.CCL_A: 1.0}, {}]
    finding = found(make_run, Bound(What.CCL, least=170.0, from_s=0.0), rows)

    assert str(finding) == "1.0 A (3 s outside)"


@pytest.mark.parametrize(("seconds", "kept"), [(4, True), (5, False)])
def test_some_seconds_may_be_forgiven(make_run: MakeRun, seconds: int, kept: bool) -> None:
    """What a GX and its chargers need to follow."""
    rows: list[dict[Column, float]] = [{}, *[{Column.CURRENT_A: 90.0}] * seconds]
    rows += [{Column.CURRENT_A: 19.0}]
    bound = Bound(What.CURRENT, most=40.0, from_s=0.0, for_s=4.0)

    assert found(make_run, bound, rows).kept is kept


def test_a_bound_has_its_time(make_run: MakeRun) -> None:
    """What is before and after it does not count."""
    rows = [{Column.CURRENT_A: 90.0}] * 3 + [{Column.CURRENT_A: 0.0}] * 3 + [{Column.CURRENT_A: 90.0}] * 3

    assert found(make_run, Bound(What.CURRENT, most=1.0, from_s=3.0, to_s=6.0), rows).kept
    assert not found(make_run, Bound(What.CURRENT, most=1.0, from_s=2.0, to_s=6.0), rows).kept
    assert not found(make_run, Bound(What.CURRENT, most=1.0, from_s=3.0, to_s=7.0), rows).kept


def test_silence_is_no_limit(make_run: MakeRun) -> None:
    """Nothing that is sent is below what has to be sent, and never above what may be."""
    silent = [{Column.CVL_V: math.nan, Column.CCL_A: math.nan, Column.DCL_A: math.nan}]
    below = found(make_run, Bound(What.DCL, least=1.0, from_s=0.0), silent)

    assert (below.kept, str(below)) == (False, "nothing was sent (1 s outside)")
    assert found(make_run, Bound(What.DCL, most=1.0, from_s=0.0), silent).kept
    assert found(make_run, Bound(What.SILENT, most=0.0, from_s=0.0), silent).found == 1.0


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (What.CVL, 57.6),
        (What.CCL, 180.0),
        (What.DCL, 270.0),
        (What.CURRENT, 30.0),
        (What.OVER_CCL, -150.0),
        (What.BELOW_PACK, -3.6),
        (What.CHARGED, 30.0 / 1800.0),
        (What.UNSERVED, 0.0),
        (What.SILENT, 0.0),
    ],
)
def test_everything_has_its_number(make_run: MakeRun, what: What, expected: float) -> None:
    """From two calm seconds of charging."""
    finding = found(make_run, Bound(what, most=1000.0, from_s=0.0), [{}, {}])

    assert finding.found == pytest.approx(expected)
    assert finding.unit == what.unit


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound(What.CCL, least=90.0), "CCL at least 90 A"),
        (Bound(What.CCL, most=0.0, from_s=432.0, to_s=3720.0), "CCL at most 0 A from 0:07:12 until 1:02:00"),
        (
            Bound(What.OVER_CCL, most=12.0, from_s=300.0, for_s=30.0),
            "current above CCL at most 12 A from 0:05:00 but for 30 s in a row",
        ),
    ],
)
def test_a_bound_speaks(bound: Bound, words: str) -> None:
    """For tables and for what is broken."""
    assert str(bound) == words


def test_all_sun_is_harvested_while_there_is_room(calm: Scenario) -> None:
    """3 kW for an hour into a battery that is half empty."""
    assert ideal_charge(calm).solar_wh == pytest.approx(3000.0, rel=0.01)


def test_a_full_battery_takes_nothing(calm: Scenario) -> None:
    """Off grid only the loads are left."""
    full = replace(calm, battery=replace(calm.battery, soc=1.0))

    assert ideal_charge(full).solar_wh == pytest.approx(400.0 / INVERTER_EFFICIENCY, rel=0.05)


def test_every_cell_is_filled_as_if_it_were_alone(calm: Scenario) -> None:
    """A pack of unequal cells ends as full as one of equal cells."""
    battery = BatteryPlan(soc=0.95, odd=(OddCell(5, soc_offset=0.03),), soc_spread=0.02)
    scenario = replace(calm, battery=battery, sun=Constant(6000.0), hours=3.0)

    assert ideal_charge(scenario).soc_percent > 99.0


def test_no_cell_is_charged_beyond_full(calm: Scenario) -> None:
    """The state of charge ends where register 300 is."""
    scenario = replace(calm, battery=replace(calm.battery, soc=0.97), sun=Constant(9000.0), hours=4.0)

    assert 99.0 < ideal_charge(scenario).soc_percent < 100.1


def test_the_best_of_the_day_is_kept(calm: Scenario) -> None:
    """A load in the evening takes away what the sun has brought."""
    load = Steps(400.0, ((12.5 * 3600.0, 6000.0),))
    made = ideal_charge(replace(calm, load=load))

    assert made.highest_soc_percent > made.soc_percent + 5.0
    assert made.highest_soc_percent == pytest.approx(ideal_charge(replace(calm, hours=0.5)).soc_percent, abs=0.2)


def test_what_is_sold_is_harvested(calm: Scenario) -> None:
    """Under feed-in a full battery wastes nothing that buyers take."""
    system = SystemPlan(feed_in=True, island=False, export_max_w=10_000.0)
    scenario = replace(calm, battery=replace(calm.battery, soc=1.0), system=system, sun=Constant(6000.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx(6000.0, rel=0.01)


def test_buyers_have_their_limit(calm: Scenario) -> None:
    """What they do not take stays in the panels."""
    system = SystemPlan(feed_in=True, island=False, export_max_w=940.0)
    scenario = replace(calm, battery=replace(calm.battery, soc=1.0), system=system, sun=Constant(6000.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx((940.0 + 400.0) / INVERTER_EFFICIENCY, rel=0.05)


def test_cold_cells_are_not_charged(calm: Scenario) -> None:
    """The ideal charger obeys register 320 as everybody has to."""
    battery = replace(calm.battery, temperature_c=-10.0)
    scenario = replace(calm, battery=battery, ambient=Constant(-10.0))

    assert ideal_charge(scenario).solar_wh == pytest.approx(400.0 / INVERTER_EFFICIENCY, rel=0.01)
    assert ideal_charge(scenario).soc_percent == pytest.approx(50.0, abs=0.1)


def test_the_bms_bounds_the_current(calm: Scenario) -> None:
    """Register 318 counts for the ideal charger too."""
    battery = replace(calm.battery, charge_cutoff_a=20.0)

    assert ideal_charge(replace(calm, battery=battery)).solar_wh < 1600.0


def test_loads_empty_the_battery_down_to_its_end(calm: Scenario) -> None:
    """And not beyond: at register 301 the loads stay dark."""
    battery = replace(calm.battery, soc=0.05)
    scenario = replace(calm, battery=battery, sun=Constant(0.0), load=Constant(4000.0))

    assert -1.0 < ideal_charge(scenario).soc_percent < 2.5


def test_no_charger_beats_the_ideal_one(calm: Scenario) -> None:
    """The engine's harvest is less, or as much."""
    scenario = replace(calm, battery=BatteryPlan(soc=0.95), sun=Constant(6000.0))
    metrics = measure(play(scenario, engine_for(scenario)), ideal_charge(scenario))

    assert 0.0 < metrics.energy_lost_percent < 50.0
    assert metrics.soc_short_percent > 0.0
