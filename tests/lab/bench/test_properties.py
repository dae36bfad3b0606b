"""What holds for any battery, any installation and any controller."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.controllers import SentLimits, Statistics, quantised
from tinybms_lab.bench.criteria import violations
from tinybms_lab.bench.flows import ideal_charge
from tinybms_lab.bench.loop import Simulation
from tinybms_lab.bench.metrics import measure
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.trace import Column
from tinybms_lab.bench.weather import ClearSky, Clouds, Pulses
from tinybms_lab.gx.dvcc import SystemPlan

_CHEMISTRIES = ("lfp", "li-ion", "lto")


@st.composite
def batteries(draw: st.DrawFn) -> BatteryPlan:
    """Return any battery, often with an odd cell."""
    chemistry = draw(st.sampled_from(_CHEMISTRIES))
    cells = draw(st.integers(4, 16))
    odd = OddCell(
        draw(st.integers(0, cells - 1)),
        capacity_factor=draw(st.floats(0.7, 1.0)),
        resistance_factor=draw(st.floats(1.0, 5.0)),
        soc_offset=draw(st.floats(-0.05, 0.03)),
    )
    return BatteryPlan(
        chemistry=chemistry,
        cells=cells,
        capacity_ah=draw(st.floats(60.0, 300.0)),
        soc=draw(st.floats(0.1, 0.97)),
        odd=(odd,),
        temperature_c=draw(st.floats(-10.0, 45.0)),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Return a few minutes of anything."""
    sky = ClearSky(draw(st.floats(0.0, 12_000.0)))
    load = Pulses(draw(st.floats(0.0, 1000.0)), draw(st.floats(0.0, 12_000.0)), 43_260.0, 90.0, 30.0)
    return Scenario(
        "any",
        "",
        battery=draw(batteries()),
        system=SystemPlan(feed_in=draw(st.booleans()), island=draw(st.booleans())),
        sun=Clouds(sky, seed=draw(st.integers(0, 99)), longest_gap_s=60.0, longest_cloud_s=60.0),
        load=load,
        start_h=12.0,
        hours=0.1,
    )


class Unsteady:
    """A controller that says something else every second."""

    name = "unsteady"

    def __init__(self, choices: list[tuple[float, float, float]]) -> None:
        self._choices = choices

    def decide(self, snapshot: Snapshot | None, statistics: Statistics, now_s: float) -> SentLimits | None:
        """Return the next of the choices, as shares of the battery's voltage and cutoffs."""
        if snapshot is None or snapshot.ratings is None:
            return None
        cvl, ccl, dcl = self._choices[int(now_s) % len(self._choices)]
        ratings = snapshot.ratings
        return quantised(
            cvl * ratings.series_cells * ratings.fully_charged_cell_v,
            ccl * ratings.charge_over_current_a,
            dcl * ratings.discharge_over_current_a,
            ChargeState.BULK,
            now_s,
        )

    def restart(self) -> None:
        """Remember nothing."""


@settings(max_examples=25)
@given(
    scenario=scenarios(),
    choices=st.lists(st.tuples(st.floats(0.7, 1.1), st.floats(0.0, 2.0), st.floats(0.0, 2.0)), min_size=1, max_size=5),
)
def test_the_model_stays_sound_under_any_controller(
    scenario: Scenario, choices: list[tuple[float, float, float]]
) -> None:
    """Charge is conserved, power stays within sun and loads, and every number is finite."""
    simulation = Simulation(scenario, Unsteady(choices))
    held_ah = [cell.soc * cell.capacity_ah for cell in simulation.pack.cells]
    trace = simulation.run().trace
    flowed_ah = sum(a * s for a, s in zip(trace.column(Column.CURRENT_A), trace.column(Column.STEP_S), strict=True))

    for cell, before_ah, bled_ah in zip(simulation.pack.cells, held_ah, simulation.pack.bled_ah, strict=True):
        assert math.isclose(cell.soc * cell.capacity_ah, before_ah + flowed_ah / 3600.0 - bled_ah, abs_tol=1e-6)
    for less, more in ((Column.SOLAR_W, Column.SUN_W), (Column.SERVED_W, Column.LOAD_W)):
        pairs = zip(trace.column(less), trace.column(more), strict=True)
        assert all(taken_w <= offered_w + 1e-6 for taken_w, offered_w in pairs)
    for column in (Column.CURRENT_A, Column.PACK_V, Column.HIGHEST_V, Column.HOTTEST_C, Column.COUNTED_PERCENT):
        assert all(math.isfinite(value) for value in trace.column(column))


@settings(max_examples=25)
@given(scenario=scenarios())
def test_the_engine_is_sound_in_any_scenario(scenario: Scenario) -> None:
    """Floor, ramps and delay hold whatever the battery, the weather and the installation are."""
    run = Simulation(scenario, engine_for(scenario)).run()
    broken = {violation.name for violation in violations(measure(run, ideal_charge(scenario)), scenario)}

    assert broken.isdisjoint({"floor", "ramp", "jump", "delay"})
