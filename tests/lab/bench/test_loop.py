"""The closed loop as a whole, how long its steps are, and what readings demand by themselves."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot, Temperatures
from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.controllers import SentLimits, Statistics
from tinybms_lab.bench.dirt import Frozen, Outliers, SensorPlan
from tinybms_lab.bench.loop import Simulation, StepSize, demands, play
from tinybms_lab.bench.protections import Protection
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Fault, FaultKind, FaultPlayer, ForeignSource, Scenario
from tinybms_lab.bench.scenarios import SCENARIOS
from tinybms_lab.bench.trace import STATES, Column, Run
from tinybms_lab.bench.weather import ClearSky, Constant, Pulses, Steps
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY
from tinybms_lab.gx.dvcc import SystemPlan

CALM = Snapshot(
    sequence=1,
    taken_at_s=0.0,
    pack=PackValues(53.0, 0.0, 50.0),
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


BULK = SentLimits(57.6, 180.0, 270.0, ChargeState.BULK)
START_S = 9.0 * 3600.0


def steps(
    scenario: Scenario,
    highest_v: float = 3.35,
    lowest_v: float = 3.34,
    coldest_c: float = 25.0,
    sent: SentLimits | None = BULK,
    seconds: float = 1200.0,
) -> list[tuple[float, float]]:
    """Return time since the start and length of each step, with a battery that stays as it is."""
    pace, faults = StepSize(scenario), FaultPlayer(scenario)
    now_s, taken = scenario.start_s, []
    while now_s < scenario.start_s + seconds:
        faults.advance(now_s, ChargeState.BULK)
        step_s = pace.step_s(now_s, faults)
        taken.append((now_s - scenario.start_s, step_s))
        now_s += step_s
        pace.observe(now_s, highest_v, lowest_v, coldest_c, sent)
    return taken


def plain(**changes: object) -> Scenario:
    """Return a scenario in which nothing happens."""
    return Scenario("plain", "", sun=Constant(1000.0), **changes)  # type: ignore[arg-type]  # fields by name


def test_calm_times_have_long_steps() -> None:
    """After a minute in which nothing has happened."""
    taken = steps(plain())

    assert {step_s for time_s, step_s in taken if time_s < 60.0} == {1.0}
    assert {step_s for time_s, step_s in taken if time_s > 80.0} == {10.0}


@pytest.mark.parametrize(
    ("case", "longest_s"),
    [({"highest_v": 3.50}, 3.0), ({"lowest_v": 2.9}, 1.0), ({"coldest_c": 0.5}, 1.0), ({"sent": None}, 1.0)],
)
def test_where_it_matters_the_steps_are_short(case: dict[str, float], longest_s: float) -> None:
    """Near full and settled a loop of the GX; near empty, near the cold cutoff and without frames a second."""
    assert max(step_s for _, step_s in steps(plain(), **case)) == longest_s  # type: ignore[arg-type]  # by name


def test_near_full_it_takes_minutes_to_settle() -> None:
    """CVL and state have to stay for three minutes first."""
    taken = steps(plain(), highest_v=3.5)

    assert {step_s for time_s, step_s in taken if time_s < 180.0} == {1.0}
    assert {step_s for time_s, step_s in taken if time_s > 200.0} == {3.0}


@pytest.mark.parametrize("edge_s", [300.0, 333.0, 600.0])
def test_an_edge_is_met_at_its_second(edge_s: float) -> None:
    """Short steps begin a few seconds before, and last for a minute."""
    load = Pulses(400.0, 9000.0, START_S + edge_s, 10_000.0, 5000.0)
    taken = steps(plain(load=load))

    assert edge_s in [time_s for time_s, _ in taken]
    assert {step_s for time_s, step_s in taken if edge_s - 5.0 <= time_s < edge_s + 60.0} == {1.0}


def test_a_fault_is_met_at_its_second() -> None:
    """As an edge of sun or load."""
    fault = Fault(FaultKind.BMS_SILENT, START_S + 400.0, 5.0)
    times_s = [time_s for time_s, _ in steps(plain(faults=(fault,)))]

    assert 400.0 in times_s
    assert 405.0 in times_s


def test_a_fault_is_watched_while_it_lasts() -> None:
    """A restart of ten minutes is no calm time."""
    fault = Fault(FaultKind.GX_RESTART, START_S + 300.0, 600.0)

    assert {step_s for time_s, step_s in steps(plain(faults=(fault,))) if 300.0 <= time_s < 960.0} == {1.0}


def test_a_change_of_the_limits_makes_the_steps_short() -> None:
    """A charge state or a CVL that has just changed is watched second by second."""
    scenario = plain()
    pace, faults = StepSize(scenario), FaultPlayer(scenario)
    now_s = scenario.start_s
    for second in range(300):
        now_s = scenario.start_s + second
        pace.step_s(now_s, faults)
        pace.observe(now_s, 3.35, 3.34, 25.0, BULK)
    assert pace.step_s(now_s, faults) == 10.0

    pace.observe(now_s, 3.35, 3.34, 25.0, SentLimits(57.5, 5.0, 270.0, ChargeState.FLOAT))

    assert pace.step_s(now_s, faults) == 1.0


def test_a_scenario_may_have_longer_steps() -> None:
    """A month of seasons takes 15 s where a day takes one."""
    taken = steps(plain(step_s=15.0, longest_step_s=120.0), highest_v=3.5)

    assert {step_s for _, step_s in taken} == {15.0, 45.0}


@given(hours=st.floats(0.01, 2.0), longest_s=st.floats(1.0, 300.0))
def test_the_steps_end_with_the_scenario(hours: float, longest_s: float) -> None:
    """No step goes beyond the end, and none has no length."""
    scenario = Scenario("short", "", sun=ClearSky(3000.0), hours=hours, longest_step_s=longest_s)
    pace, faults = StepSize(scenario), FaultPlayer(scenario)
    now_s = scenario.start_s
    while now_s < scenario.end_s - 1e-6:
        step_s = pace.step_s(now_s, faults)
        assert 0.0 < step_s <= scenario.end_s - now_s + 1e-9
        now_s += step_s
        pace.observe(now_s, 3.35, 3.34, 25.0, BULK)


def test_every_reading_is_played_while_it_matters() -> None:
    """Around outliers the steps are the time between two readings."""
    dirt = Outliers(400.0, 5.0, ((0, 0.4),))
    taken = steps(plain(dirt=(dirt,), poll_s=0.5))

    assert {step_s for time_s, step_s in taken if 400.0 <= time_s < 420.0} == {0.5}
    assert {step_s for time_s, step_s in taken if time_s > 500.0} == {10.0}


def test_lasting_dirt_is_watched_second_by_second() -> None:
    """A frozen line of ten minutes is no calm time, and not every reading matters either."""
    taken = steps(plain(dirt=(Frozen(300.0, 600.0),)))

    assert {step_s for time_s, step_s in taken if 320.0 <= time_s < 890.0} == {1.0}


EXACT = SensorPlan(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
NOON_S = 12.0 * 3600.0


class Fixed:
    """A controller that always says the same."""

    name = "fixed"

    def __init__(self, cvl_v: float = 57.6, ccl_a: float = 180.0, dcl_a: float = 270.0) -> None:
        self.sent = SentLimits(cvl_v, ccl_a, dcl_a, ChargeState.BULK)
        self.restarts = 0
        self.samples: list[Snapshot | None] = []

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return the same limits."""
        self.samples.append(snapshot)
        return replace(self.sent, decided_s=now_s)

    def restart(self) -> None:
        """Count."""
        self.restarts += 1


class Scripted(Fixed):
    """A controller whose limits depend on the time since its first decision."""

    def __init__(self, script: Callable[[float], SentLimits]) -> None:
        super().__init__()
        self.script = script
        self.start_s: float | None = None

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return what the script says."""
        self.start_s = now_s if self.start_s is None else self.start_s
        return self.script(now_s - self.start_s)


def column(run: Run, name: Column) -> list[float]:
    """Return a column as a list."""
    return list(run.trace.column(name))


def test_a_run_covers_its_scenario(calm: Scenario) -> None:
    """From the first second to the last, without a gap."""
    run = play(calm, Fixed())
    ends_s, steps_s = column(run, Column.TIME_S), column(run, Column.STEP_S)

    assert ends_s[-1] == pytest.approx(calm.end_s)
    assert sum(steps_s) == pytest.approx(3600.0)
    assert all(b - a == pytest.approx(s) for a, b, s in zip(ends_s, ends_s[1:], steps_s[1:], strict=False))


def test_charge_is_conserved(calm: Scenario) -> None:
    """What flowed through the terminals is what the cells hold more, less what bled and leaked away."""
    simulation = Simulation(calm, Fixed())
    before_ah = [cell.soc * cell.capacity_ah for cell in simulation.pack.cells]
    run = simulation.run()
    flowed_ah = (
        sum(
            current_a * step_s
            for current_a, step_s in zip(column(run, Column.CURRENT_A), column(run, Column.STEP_S), strict=True)
        )
        / 3600.0
    )

    assert flowed_ah > 40.0
    for cell, held_ah, bled_ah in zip(simulation.pack.cells, before_ah, simulation.pack.bled_ah, strict=True):
        assert cell.soc * cell.capacity_ah == pytest.approx(held_ah + flowed_ah - bled_ah, abs=1e-6)


def test_energy_is_conserved(calm: Scenario) -> None:
    """Power of the panels = battery + loads with their losses + cables, within what a step of 10 s blurs."""
    run = play(calm, Fixed())
    names = (Column.STEP_S, Column.SOLAR_W, Column.SERVED_W, Column.CURRENT_A, Column.PACK_V)
    solar_j = battery_j = served_j = 0.0
    for step_s, solar_w, served_w, current_a, pack_v in zip(*(column(run, name) for name in names), strict=True):
        solar_j += solar_w * step_s
        battery_j += current_a * pack_v * step_s
        served_j += served_w * step_s

    assert solar_j == pytest.approx(3000.0 * 3600.0, rel=0.02)
    assert solar_j == pytest.approx(battery_j + served_j / INVERTER_EFFICIENCY, rel=0.005)


def test_two_runs_are_alike(sunny: Scenario) -> None:
    """Noise, clouds and cells repeat to the last bit."""
    first, second = play(sunny, engine_for(sunny)), play(sunny, engine_for(sunny))

    for name in Column:
        pairs = zip(column(first, name), column(second, name), strict=True)
        assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in pairs)


def test_the_bms_samples_the_truth(calm: Scenario) -> None:
    """With exact sensors a sample is what the cells are."""
    controller = Fixed()
    simulation = Simulation(replace(calm, sensors=EXACT), controller)
    for _ in range(5):
        simulation.step(1.0)
    open_v = simulation.pack.cell_voltages_at(simulation.pack.current_a)
    simulation.step(1.0)
    snapshot = controller.samples[-1]

    assert snapshot is not None
    assert snapshot.cells.voltages_v == pytest.approx(open_v, abs=1e-4)
    assert snapshot.ratings is not None
    assert snapshot.ratings.series_cells == 16


def test_a_decision_waits_for_the_next_burst(calm: Scenario) -> None:
    """In steps of a second the limits are on the bus one second after they were decided."""
    simulation = Simulation(calm, Fixed())
    for _ in range(10):
        simulation.step(1.0)
    run = Run(calm, "fixed", simulation.trace, ())
    starts_s = [end_s - 1.0 for end_s in column(run, Column.TIME_S)]
    waits_s = [s - d for s, d in zip(starts_s, column(run, Column.DECIDED_S), strict=True) if not math.isnan(d)]

    assert set(waits_s) == {1.0}


def test_a_cvl_reaches_the_chargers_within_burst_and_loop(calm: Scenario) -> None:
    """One second for the burst, up to three for the loop: then the current is gone."""
    low, high = SentLimits(51.2, 180.0, 270.0, ChargeState.BULK), SentLimits(57.6, 180.0, 270.0, ChargeState.BULK)
    simulation = Simulation(calm, Scripted(lambda since_s: high if since_s < 30.0 else low))
    currents_a = []
    for _ in range(45):
        simulation.step(1.0)
        currents_a.append(simulation.pack.current_a)

    assert currents_a[29] > 40.0
    assert currents_a[30] > 40.0
    assert max(currents_a[36:]) < 1.0


def test_chargers_follow_the_cvl(calm: Scenario) -> None:
    """The battery ends at the CVL, not above it."""
    battery = replace(calm.battery, soc=0.985)
    run = play(replace(calm, battery=battery, sun=Constant(6000.0)), Fixed(cvl_v=55.0))

    assert column(run, Column.PACK_V)[-1] == pytest.approx(55.0, abs=0.05)
    assert max(column(run, Column.PACK_V)) < 55.15


def test_feed_in_with_too_much_sun_ends_at_cvl_and_four_tenths(calm: Scenario) -> None:
    """CCL does not help there: it is not applied."""
    plan = SystemPlan(feed_in=True, island=False, export_max_w=500.0)
    battery = replace(calm.battery, soc=0.995)
    scenario = replace(calm, battery=battery, system=plan, sun=Constant(6000.0))
    run = play(scenario, Fixed(cvl_v=55.0, ccl_a=0.0))

    assert column(run, Column.PACK_V)[-1] == pytest.approx(55.4, abs=0.05)


def test_ccl_zero_stops_the_charge_off_grid(calm: Scenario) -> None:
    """The sun serves the loads and nothing else."""
    run = play(calm, Fixed(ccl_a=0.0))

    assert max(column(run, Column.CURRENT_A)[20:]) < 0.5
    assert column(run, Column.SOLAR_W)[-1] == pytest.approx(400.0 / INVERTER_EFFICIENCY, rel=0.02)


def test_an_island_goes_dark_at_dcl_zero_only(calm: Scenario) -> None:
    """A DCL of 1 A does not hinder a load of 400 W."""
    dark = replace(calm, sun=Constant(0.0))

    assert column(play(dark, Fixed(dcl_a=1.0)), Column.SERVED_W)[-1] == pytest.approx(400.0, rel=0.01)
    assert column(play(dark, Fixed(dcl_a=0.0)), Column.SERVED_W)[-1] == 0.0


def test_a_load_that_goes_off_surges_into_the_battery(calm: Scenario) -> None:
    """Its current has nowhere else to go until the chargers notice."""
    load = Steps(8000.0, ((NOON_S + 600.0, 0.0),))
    run = play(replace(calm, load=load, sun=Constant(9000.0)), Fixed(ccl_a=10.0))
    currents_a = dict(zip(column(run, Column.TIME_S), column(run, Column.CURRENT_A), strict=True))

    assert currents_a[NOON_S + 599.0] < 15.0
    assert currents_a[NOON_S + 601.0] > 100.0
    assert currents_a[NOON_S + 606.0] < 15.0


def test_a_protection_opens_the_switch(calm: Scenario) -> None:
    """A controller without limits: the judge stops what it does not."""
    battery = replace(calm.battery, soc=0.995, charge_cutoff_a=60.0)
    run = play(replace(calm, battery=battery, sun=Constant(6000.0)), Fixed(cvl_v=64.0))
    tripped = {trip.protection for trip in run.trips}

    assert tripped == {Protection.CHARGE_CURRENT, Protection.OVER_VOLTAGE}
    assert 0.0 in column(run, Column.CURRENT_A)[60:]


def test_silence_of_the_bms_shows_in_the_samples(calm: Scenario) -> None:
    """The controller keeps the old sample, which gets older; then a new one comes."""
    controller = Fixed()
    silence = Fault(FaultKind.BMS_SILENT, NOON_S + 100.0, 20.0)
    run = play(replace(calm, faults=(silence,)), controller)
    ages_s = [time_s for time_s, bad in zip(column(run, Column.TIME_S), column(run, Column.FAULTY), strict=True) if bad]

    assert len(ages_s) == 20
    assert len({id(sample) for sample in controller.samples}) == len(controller.samples) - 20


def test_demands_appear_when_the_bms_is_silent(calm: Scenario) -> None:
    """After three seconds without a sample the trace says that CCL has to be 0."""
    silence = Fault(FaultKind.BMS_SILENT, NOON_S + 100.0, 20.0)
    run = play(replace(calm, faults=(silence,)), Fixed())
    demanded_s = [
        time_s
        for time_s, demand_a in zip(column(run, Column.TIME_S), column(run, Column.CCL_DEMAND_A), strict=True)
        if demand_a == 0.0
    ]

    assert (demanded_s[0] - NOON_S, demanded_s[-1] - NOON_S) == (104.0, 120.0)


def test_a_restart_of_the_bridge_is_heard_by_nobody(calm: Scenario) -> None:
    """No frame for its time; the controller forgets once; after three seconds the GX stops."""
    controller = Fixed()
    restart = Fault(FaultKind.BRIDGE_RESTART, NOON_S + 100.0, 8.0)
    run = play(replace(calm, faults=(restart,)), controller)
    silent_s = [
        t for t, cvl_v in zip(column(run, Column.TIME_S), column(run, Column.CVL_V), strict=True) if math.isnan(cvl_v)
    ]
    currents_a = dict(zip(column(run, Column.TIME_S), column(run, Column.CURRENT_A), strict=True))

    assert controller.restarts == 1
    assert [t - NOON_S for t in silent_s if t > NOON_S + 50.0] == [101.0 + n for n in range(9)]
    assert currents_a[NOON_S + 106.0] == 0.0
    assert currents_a[NOON_S + 130.0] > 40.0


def test_a_restart_of_the_gx_leaves_the_chargers_for_a_minute(calm: Scenario) -> None:
    """Then they stop by themselves, until it is back."""
    restart = Fault(FaultKind.GX_RESTART, NOON_S + 100.0, 90.0)
    run = play(replace(calm, faults=(restart,)), Fixed())
    currents_a = dict(zip(column(run, Column.TIME_S), column(run, Column.CURRENT_A), strict=True))

    assert currents_a[NOON_S + 150.0] > 40.0
    assert currents_a[NOON_S + 175.0] == 0.0
    assert currents_a[NOON_S + 210.0] > 40.0


def test_the_bridge_restarts_in_every_state_that_is_reached(sunny: Scenario) -> None:
    """Each state of the run has its gap without frames."""
    battery = replace(sunny.battery, soc=0.82, capacity_ah=60.0)
    run = play(replace(sunny, battery=battery, restart_in_each_state=True, longest_step_s=1.0), engine_for(sunny))
    states = column(run, Column.STATE)
    lasting = {int(s) for s in states if s >= 0 and states.count(s) > 120}
    before_gap = {int(a) for a, b in pairwise(states) if a >= 0 > b}

    assert len(lasting) >= 2
    assert lasting <= before_gap


def test_a_failing_cell_grows_worse(calm: Scenario) -> None:
    """Its resistance rises with the hours, and nobody else's."""
    battery = replace(calm.battery, odd=(OddCell(3, failing_per_h=3.0),))
    simulation = Simulation(replace(calm, battery=battery), Fixed())
    simulation.run()
    factors = [cell.resistance_factor for cell in simulation.pack.cells]

    assert factors[3] == pytest.approx(4.0, rel=0.01)
    assert factors[0] == factors[15] == 1.0


def test_air_warms_the_cells(calm: Scenario) -> None:
    """The pack follows its environment."""
    battery = replace(calm.battery, temperature_c=0.0)
    run = play(replace(calm, battery=battery, ambient=Constant(20.0)), Fixed(ccl_a=0.0))
    coldest_c = column(run, Column.COLDEST_C)

    assert coldest_c[0] < 0.1
    assert 10.0 < coldest_c[-1] < 15.0


def test_the_engine_charges_to_float() -> None:
    """The plainest run of all, with our engine."""
    battery = BatteryPlan(soc=0.93, capacity_spread=0.0, soc_spread=0.0)
    scenario = Scenario("float", "", battery=battery, sun=Constant(6000.0), hours=1.5)
    run = play(scenario, engine_for(scenario))

    assert STATES.index(ChargeState.FLOAT) in column(run, Column.STATE)
    assert run.trips == ()


def test_long_steps_change_little() -> None:
    """Calm times in steps of ten seconds end where steps of one second end."""
    base = replace(SCENARIOS["sunny-day"], start_h=9.0, hours=2.0)
    fine = replace(base, longest_step_s=1.0)
    coarse_run, fine_run = (play(scenario, engine_for(scenario)) for scenario in (base, fine))

    assert len(coarse_run.trace) < 0.5 * len(fine_run.trace)
    for name, tolerance in ((Column.SOC_PERCENT, 0.1), (Column.PACK_V, 0.05), (Column.HOTTEST_C, 0.1)):
        assert column(coarse_run, name)[-1] == pytest.approx(column(fine_run, name)[-1], abs=tolerance)


def test_a_dead_bus_is_heard_by_nobody(calm: Scenario) -> None:
    """The controller decides on; after three seconds the GX stops everything, until a frame arrives again."""
    controller = Fixed()
    dead = Fault(FaultKind.CAN_DEAD, NOON_S + 100.0, 20.0)
    run = play(replace(calm, faults=(dead,), longest_step_s=1.0), controller)
    currents_a = dict(zip(column(run, Column.TIME_S), column(run, Column.CURRENT_A), strict=True))

    assert len(controller.samples) == 3600
    assert currents_a[NOON_S + 110.0] == 0.0
    assert currents_a[NOON_S + 140.0] > 40.0


def test_a_machine_that_sleeps_decides_nothing(calm: Scenario) -> None:
    """When it wakes up it has the sample of before, until the line answers."""
    controller = Fixed()
    faults = (
        Fault(FaultKind.SUSPENDED, NOON_S + 100.0, 60.0),
        Fault(FaultKind.BMS_SILENT, NOON_S + 159.0, 5.0),
    )
    run = play(replace(calm, faults=faults, longest_step_s=1.0), controller)
    demands_a = dict(zip(column(run, Column.TIME_S), column(run, Column.CCL_DEMAND_A), strict=True))
    taken_s = [sample.taken_at_s for sample in controller.samples if sample is not None]

    assert len(controller.samples) == 3600 - 60
    assert max(b - a for a, b in pairwise(taken_s)) == 65.0
    assert demands_a[NOON_S + 162.0] == 0.0


def test_a_foreign_charger_obeys_nobody(calm: Scenario) -> None:
    """Its current flows beside that of the chargers, up to a voltage of its own, for its time."""
    source = ForeignSource(20.0, until_v=60.0, from_s=100.0, to_s=200.0)
    dark = replace(calm, sun=Constant(0.0), load=Constant(0.0), foreign=source, longest_step_s=1.0)
    currents_a = column(play(dark, Fixed(ccl_a=0.0)), Column.CURRENT_A)
    full_a = column(play(replace(dark, foreign=replace(source, until_v=50.0)), Fixed()), Column.CURRENT_A)

    assert (currents_a[99], currents_a[100], currents_a[199], currents_a[200]) == (0.0, 20.0, 20.0, 0.0)
    assert max(full_a) == 0.0


def test_the_line_spoils_what_the_bridge_sees_and_nothing_else(calm: Scenario) -> None:
    """The cells, the BMS and what is demanded of a controller stay as they are."""
    dirt = Outliers(100.0, 5.0, ((3, 0.9),), every=1)
    clean, dirty = Fixed(), Fixed()
    runs = [play(replace(calm, dirt=plan, hours=0.05), each) for plan, each in (((), clean), ((dirt,), dirty))]
    seen_v = [sample.cells.max_v for sample in dirty.samples if sample is not None]

    assert max(seen_v) > 4.0
    assert max(runs[1].trace.column(Column.HIGHEST_V)) == pytest.approx(max(runs[0].trace.column(Column.HIGHEST_V)))
    assert min(runs[1].trace.column(Column.CCL_DEMAND_A)) == math.inf


class Doubting(Fixed):
    """A controller that doubts each first reading of a second."""

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return the same limits, and whether to read again."""
        sent = super().decide(snapshot, statistics, now_s)
        assert sent is not None
        return replace(sent, in_doubt=now_s % 1.0 < 0.15)


def test_a_bridge_in_doubt_reads_again_at_once(calm: Scenario) -> None:
    """No sooner than counts as another reading, and within the step; the last decision is the one that goes out."""
    controller = Doubting()
    run = play(replace(calm, hours=0.01), controller)
    taken_s = [sample.taken_at_s - NOON_S for sample in controller.samples[:6] if sample is not None]

    assert taken_s == pytest.approx([0.0, 0.08, 0.16, 1.0, 1.08, 1.16])
    assert len({sample.sequence for sample in controller.samples if sample is not None}) == len(controller.samples)
    assert column(run, Column.DECIDED_S)[1] == pytest.approx(NOON_S + 0.16)
