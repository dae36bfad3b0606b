"""The BMS of the user manual: what it does at register 300, when a charge is over, and when the next one begins."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import BmsStatus, Switches
from tinybms_bridge.bench.battery import BatteryPlan, BmsKind
from tinybms_bridge.bench.bms import BenchBms
from tinybms_bridge.bench.loop import Simulation
from tinybms_bridge.bench.runner import engine_for
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.sensors import SensorPlan, Sensors
from tinybms_bridge.bench.weather import Constant

EXACT = SensorPlan(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, idle_a=0.8)
DUAL = BatteryPlan(cells=4, capacity_ah=100.0, bms=BmsKind.DUAL_PORT, finished_a=2.0)
SINGLE = replace(DUAL, bms=BmsKind.SINGLE_PORT)
ALIKE = (3.40, 3.40, 3.40, 3.40)
ONE_AT_300 = (3.45, 3.46, 3.45, 3.60)
ALL_AT_300 = (3.60, 3.60, 3.60, 3.60)
WARM = (25.0, 25.0, 25.0, 25.0)


class Charge:
    """A BMS with exact sensors, from second to second."""

    def __init__(self, plan: BatteryPlan) -> None:
        self.bms = BenchBms(plan, 80.0, Sensors(EXACT, plan.cells, seed=1))
        self._now_s = 0.0

    def see(self, cells_v: Sequence[float], offered_a: float = 20.0, seconds: int = 3) -> "Charge":
        """Let chargers offer a current, or loads draw one, with these voltages."""
        for _ in range(seconds):
            self._now_s += 1.0
            self.bms.observe(
                self._now_s, 1.0, cells_v, self.bms.allowed_a(offered_a), WARM, offered_a=max(offered_a, 0.0)
            )
        return self


def test_a_charge_begins_with_what_is_offered() -> None:
    """The charger switch of a dual port closes once a charger was seen."""
    charge = Charge(DUAL)

    assert not charge.bms.takes
    assert charge.see(ALIKE).bms.takes


@pytest.mark.parametrize(("plan", "gives"), [(DUAL, True), (SINGLE, False)])
def test_a_cell_at_register_300_opens_the_switch(plan: BatteryPlan, gives: bool) -> None:
    """A single port has one switch only, and the house is dark; the cell is bled without a current."""
    charge = Charge(plan).see(ALIKE).see(ONE_AT_300)
    bms = charge.bms

    assert (bms.takes, bms.gives) == (False, gives)
    assert bms.bleeding == {3}
    assert [(opening.time_s, opening.current_a) for opening in bms.openings] == [(4.0, 20.0)]


@pytest.mark.parametrize("plan", [DUAL, SINGLE])
def test_the_switch_closes_when_the_cells_are_alike(plan: BatteryPlan) -> None:
    """The imbalance is below register 308."""
    charge = Charge(plan).see(ALIKE).see(ONE_AT_300, seconds=20)

    assert charge.see(ALIKE, seconds=10).bms.takes


def test_full_is_all_cells_at_register_300_with_a_small_current() -> None:
    """Status 0x92, a count of 100 %, and an open charger switch; the loads are served."""
    bms = Charge(DUAL).see(ALIKE).see(ALL_AT_300, 1.5).bms

    assert bms.sample(1.0).pack.status is BmsStatus.FULLY_CHARGED
    assert (bms.soc_percent, bms.takes, bms.gives) == (100.0, False, True)


def test_a_large_current_is_no_end() -> None:
    """The cells are alike at register 300, but more than register 304 flows."""
    assert not Charge(DUAL).see(ALIKE).see(ALL_AT_300, 20.0).bms.full


@pytest.mark.parametrize("plan", [DUAL, SINGLE])
def test_a_full_battery_is_never_topped_up(plan: BatteryPlan) -> None:
    """The charger that stays is ignored until a cell is empty."""
    charge = Charge(plan).see(ALIKE).see(ALL_AT_300, 1.5).see(ALIKE, -50.0, seconds=4000)

    assert not charge.see(ALIKE, 30.0, seconds=60).bms.takes
    assert charge.see((3.0, 3.0, 3.0, 2.79), 30.0, seconds=5).see(ALIKE, seconds=10).bms.takes


def test_with_the_bit_of_register_329_it_is_topped_up() -> None:
    """Below register 321."""
    charge = Charge(replace(DUAL, restart_percent=95.0)).see(ALIKE).see(ALL_AT_300, 1.5)

    assert not charge.see(ALIKE, -50.0, seconds=300).bms.takes
    assert charge.see(ALIKE, -50.0, seconds=200).see(ALIKE).bms.takes


@pytest.mark.parametrize(
    ("kind", "switches"),
    [
        (BmsKind.COUNTING, Switches.UNKNOWN),
        (BmsKind.DUAL_PORT, Switches.TWO_FETS),
        (BmsKind.SINGLE_PORT, Switches.SINGLE),
    ],
)
def test_the_port_is_told(kind: BmsKind, switches: Switches) -> None:
    """The engine reads it in registers 331, 333 and 340."""
    assert replace(DUAL, bms=kind).ratings().switches is switches


@pytest.mark.parametrize("kind", BmsKind)
def test_each_of_them_is_charged_in_the_loop(kind: BmsKind) -> None:
    """Half an hour of sun flows into it, whatever its switches wait for."""
    battery = BatteryPlan(soc=0.5, bms=kind)
    scenario = Scenario("port", "", battery=battery, sun=Constant(3000.0), start_h=12.0, hours=0.5)
    simulation = Simulation(scenario, engine_for(scenario))
    simulation.run()

    assert simulation.pack.net_ah > 18.0
    assert simulation.bms.openings == ()
