"""The judge of the BMS's protections, and the BMS of the user manual.

What it does at register 300, when a charge is over, and when the next one begins.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import BmsStatus, Ratings, Switches
from tinybms_lab.bench.battery import BatteryPlan, BmsKind
from tinybms_lab.bench.bms import BenchBms
from tinybms_lab.bench.dirt import SensorPlan, Sensors
from tinybms_lab.bench.loop import Simulation
from tinybms_lab.bench.protections import RECOVERY_S, Protection, ProtectionMonitor
from tinybms_lab.bench.runner import engine_for
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.weather import Constant

RATINGS = BatteryPlan().ratings()
CALM_V = [3.30, 3.31]


def judge_after(
    cells_v: list[float] | None = None,
    current_a: float = 0.0,
    temperatures_c: tuple[float, ...] = (25.0, 25.0),
    ratings: Ratings = RATINGS,
) -> ProtectionMonitor:
    """Return a judge that has seen one second of this."""
    judge = ProtectionMonitor(ratings)
    judge.observe(1.0, 1.0, cells_v or CALM_V, current_a, temperatures_c)
    return judge


def test_a_calm_pack_trips_nothing() -> None:
    """No protection is open, and current may flow both ways."""
    judge = judge_after()

    assert (judge.trips, judge.open, judge.faulted, judge.takes, judge.gives) == ([], (), False, True, True)


@pytest.mark.parametrize(
    ("cells_v", "current_a", "temperatures_c", "protection"),
    [
        ([3.40, 3.7501], 0.0, (25.0,), Protection.OVER_VOLTAGE),
        ([3.40, 2.799], 0.0, (25.0,), Protection.DISCHARGED),
        (CALM_V, 200.1, (25.0,), Protection.CHARGE_CURRENT),
        (CALM_V, -300.1, (25.0,), Protection.DISCHARGE_CURRENT),
        (CALM_V, 0.0, (25.0, 60.1), Protection.OVER_HEAT),
        (CALM_V, 5.0, (0.9, 25.0), Protection.COLD_CHARGE),
    ],
)
def test_each_threshold_trips_its_protection(
    cells_v: list[float], current_a: float, temperatures_c: tuple[float, ...], protection: Protection
) -> None:
    """Registers 315, 301, 318, 317, 319 and 320, once each."""
    judge = judge_after(cells_v, current_a, temperatures_c)

    assert [trip.protection for trip in judge.trips] == [protection]
    assert judge.trips[0].time_s == 1.0


@pytest.mark.parametrize(
    ("cells_v", "current_a", "temperatures_c"),
    [
        ([3.40, 3.75], 0.0, (25.0,)),
        ([3.40, 2.80], 0.0, (25.0,)),
        (CALM_V, 200.0, (25.0,)),
        (CALM_V, -300.0, (25.0,)),
        (CALM_V, 0.0, (60.0,)),
        (CALM_V, 5.0, (1.0,)),
    ],
)
def test_thresholds_are_strict(cells_v: list[float], current_a: float, temperatures_c: tuple[float, ...]) -> None:
    """A value at its threshold trips nothing: above and below, not at (protocol reference, section 5.1)."""
    assert judge_after(cells_v, current_a, temperatures_c).trips == []


def test_an_under_voltage_is_also_a_discharge_too_deep() -> None:
    """Several protections may be open together."""
    judge = judge_after([2.49, 3.2])

    assert {trip.protection for trip in judge.trips} == {Protection.UNDER_VOLTAGE, Protection.DISCHARGED}
    assert (judge.takes, judge.gives) == (False, False)


def test_the_peak_cutoff_counts_where_it_is_lower() -> None:
    """Register 305 below register 317 trips first."""
    ratings = replace(RATINGS, discharge_peak_current_a=100.0)

    assert judge_after(current_a=-150.0, ratings=ratings).trips[0].protection is Protection.DISCHARGE_CURRENT


def test_firmware_without_a_peak_cutoff_has_the_other() -> None:
    """A reserved register 305 is no cutoff of 0 A."""
    ratings = replace(RATINGS, discharge_peak_current_a=None)

    assert judge_after(current_a=-299.0, ratings=ratings).trips == []


def test_cold_alone_trips_nothing() -> None:
    """Without charge current the BMS has nothing to interrupt."""
    assert judge_after(current_a=0.5, temperatures_c=(-5.0,)).trips == []
    assert judge_after(current_a=-50.0, temperatures_c=(-5.0,)).trips == []


@pytest.mark.parametrize(
    ("cells_v", "takes", "gives"),
    [([3.40, 3.76], False, True), ([3.40, 2.79], True, False), ([3.40, 2.4], False, False)],
)
def test_only_the_direction_is_cut_that_the_bms_cuts(cells_v: list[float], takes: bool, gives: bool) -> None:
    """Over-voltage leaves the loads on, a discharged cell the charger, under-voltage neither."""
    judge = judge_after(cells_v)

    assert (judge.takes, judge.gives) == (takes, gives)


@pytest.mark.parametrize(
    ("protection", "warning"),
    [(Protection.COLD_CHARGE, True), (Protection.DISCHARGED, True), (Protection.OVER_VOLTAGE, False)],
)
def test_a_warning_is_no_fault(protection: Protection, warning: bool) -> None:
    """Register 50 shows a fault for faults only."""
    assert protection.is_warning is warning


def test_a_protection_recovers_after_its_time() -> None:
    """Register 332: the cause has to be gone for five seconds."""
    judge = judge_after([3.40, 3.76])
    times_s = [2.0 + n for n in range(int(RECOVERY_S))]
    for time_s in times_s[:-1]:
        judge.observe(time_s, 1.0, CALM_V, 0.0, (25.0,))
    still_open = judge.open

    judge.observe(times_s[-1], 1.0, CALM_V, 0.0, (25.0,))

    assert still_open == (Protection.OVER_VOLTAGE,)
    assert judge.open == ()


def test_a_cause_that_comes_back_starts_the_time_again() -> None:
    """The switch stays open as long as the cause returns; it is still one trip."""
    judge = judge_after([3.40, 3.76])
    for time_s in range(2, 12):
        cells_v = [3.40, 3.76] if time_s % 4 == 0 else CALM_V
        judge.observe(float(time_s), 1.0, cells_v, 0.0, (25.0,))

    assert judge.open == (Protection.OVER_VOLTAGE,)
    assert len(judge.trips) == 1


def test_a_second_trip_counts_again() -> None:
    """After a recovery the same protection may trip again."""
    judge = judge_after([3.40, 3.76])
    judge.observe(10.0, 10.0, CALM_V, 0.0, (25.0,))
    judge.observe(11.0, 1.0, [3.40, 3.76], 0.0, (25.0,))

    assert [trip.time_s for trip in judge.trips] == [1.0, 11.0]


def test_charging_in_the_cold_stays_stopped_until_it_is_warm() -> None:
    """The warning does not end because the current has ended."""
    judge = judge_after(current_a=5.0, temperatures_c=(0.0,))
    for time_s in range(2, 60):
        judge.observe(float(time_s), 1.0, CALM_V, 0.0, (0.0,))
    assert not judge.takes

    judge.observe(70.0, 10.0, CALM_V, 0.0, (1.5,))

    assert judge.takes


@pytest.mark.parametrize("protection", list(Protection))
def test_every_protection_has_an_event_of_the_bms(protection: Protection) -> None:
    """The engine gets to know the cause by its event (protocol reference, section 3)."""
    assert 0x02 <= protection.event_id <= 0x37
    assert protection.label


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
