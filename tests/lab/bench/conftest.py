"""Fixtures of the bench's tests: traces made by hand, and results that are played once for all tests."""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.protections import ProtectionTrip
from tinybms_lab.bench.runner import ScenarioResult, play_scenario
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios import LONG, SCENARIOS
from tinybms_lab.bench.trace import STATES, Column, Run, Trace
from tinybms_lab.bench.weather import ClearSky, Constant

_USUAL = {
    Column.STEP_S: 1.0,
    Column.SUN_W: 3000.0,
    Column.SOLAR_W: 2000.0,
    Column.LOAD_W: 400.0,
    Column.SERVED_W: 400.0,
    Column.CURRENT_A: 30.0,
    Column.PACK_V: 54.0,
    Column.HIGHEST_V: 3.40,
    Column.LOWEST_V: 3.35,
    Column.SOC_PERCENT: 90.0,
    Column.COUNTED_PERCENT: 90.0,
    Column.COLDEST_C: 25.0,
    Column.HOTTEST_C: 25.0,
    Column.CVL_V: 57.6,
    Column.CCL_A: 180.0,
    Column.DCL_A: 270.0,
    Column.STATE: float(STATES.index(ChargeState.BULK)),
    Column.CCL_DEMAND_A: math.inf,
    Column.DCL_DEMAND_A: math.inf,
    Column.FAULTY: 0.0,
    Column.ANODE_V: math.nan,
    Column.SHOWN_PERCENT: 90.0,
    Column.SPREAD_AH: 2.0,
    Column.FULL: 0.0,
    Column.BALANCING: 0.0,
}

_WHOLE = ("cell-high", "drift-low")
"""Of the long ones these are played to their end: a balance that has to be reached, and a count that drifts."""
_EXCERPT_H = 67.0
"""Of the others two days and the afternoon of a third."""
_IN_PART = {*LONG, "packs-month"} - set(_WHOLE)
_PLAYED = {
    name: scenario
    if name not in _IN_PART
    else replace(scenario.shortened(_EXCERPT_H), bar=replace(scenario.bar, balanced_after_days=math.inf))
    for name, scenario in SCENARIOS.items()
}
"""Scenarios as the tests play them; the command ``bench charge`` plays all of each."""
MakeTrace = Callable[[Sequence[dict[Column, float]]], Trace]
MakeRun = Callable[..., Run]


@pytest.fixture(name="make_trace")
def _make_trace() -> MakeTrace:
    """Return a maker of traces: each row says only what differs from a calm second of charging."""

    def make(rows: Sequence[dict[Column, float]]) -> Trace:
        trace = Trace()
        time_s = 0.0
        for row in rows:
            step_s = row.get(Column.STEP_S, 1.0)
            values = {**_USUAL, Column.DECIDED_S: time_s, **row}
            time_s = values[Column.TIME_S] = row.get(Column.TIME_S, time_s + step_s)
            trace.add([values[column] for column in Column])
        return trace

    return make


@pytest.fixture(name="make_run")
def _make_run(make_trace: MakeTrace) -> MakeRun:
    """Return a maker of runs of 16 LFP cells off grid."""

    def make(rows: Sequence[dict[Column, float]], trips: Sequence[ProtectionTrip] = (), **scenario: object) -> Run:
        plan = Scenario("by hand", "rows of a test", **scenario)  # type: ignore[arg-type]  # fields by name
        return Run(plan, "engine", make_trace(rows), tuple(trips))

    return make


@pytest.fixture(name="calm")
def _calm() -> Scenario:
    """Return an hour of charging off grid with cells that are all alike."""
    battery = BatteryPlan(soc=0.5, capacity_spread=0.0, soc_spread=0.0, resistance_spread=0.0)
    return Scenario("calm", "an hour of sun", battery=battery, sun=Constant(3000.0), start_h=12.0, hours=1.0)


@pytest.fixture(name="sunny")
def _sunny() -> Scenario:
    """Return an hour under a clear sky."""
    return Scenario("sunny", "an hour of sun", sun=ClearSky(6000.0), start_h=12.0, hours=1.0)


@pytest.fixture(name="played", scope="session")
def _played() -> dict[str, Scenario]:
    """Return the scenarios as the tests play them."""
    return _PLAYED


@pytest.fixture(name="engine_results", scope="session")
def _engine_results(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[ScenarioResult]]]:
    """Return the results, still to come, of all scenarios that this session asks for, in the order of its tests.

    They are played on all processors; each for all tests together, with the engine alone.
    """
    names = dict.fromkeys(
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "engine_result" in item.fixturenames
    )
    pool = ProcessPoolExecutor(os.cpu_count() or 1, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield {name: pool.submit(play_scenario, _PLAYED[name], baseline=False) for name in names}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.fixture(name="engine_result")
def _engine_result(name: str, engine_results: dict[str, Future[ScenarioResult]]) -> ScenarioResult:
    """Return the result of the scenario that is the parameter ``name`` of a test."""
    return engine_results[name].result()
