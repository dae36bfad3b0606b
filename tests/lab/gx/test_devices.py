"""Solar chargers and inverter."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.gx.devices import INVERTER_EFFICIENCY, BatterySource, Devices, PowerFlow
from tinybms_lab.gx.dvcc import SetPoints, SystemPlan

PLAN = SystemPlan(cable_ohm=0.0, charger_cable_ohm=0.0)
RESTING = BatterySource(emf_v=53.0, ohm=0.005, current_a=0.0)
OPEN = SetPoints(charge_v=57.6, charge_limit_a=150.0, discharge_limit_a=math.inf, charging=True, inverting=True)


def settle(
    plan: SystemPlan, points: SetPoints, sun_w: float, load_w: float, emf_v: float = 53.0, seconds: int = 60
) -> PowerFlow:
    """Return the flow after a while, with a battery whose charge does not change."""
    devices, battery = Devices(plan), BatterySource(emf_v, 0.005, 0.0)
    for _ in range(seconds):
        flow = devices.step(1.0, battery, sun_w, load_w, points)
        battery = BatterySource(emf_v, 0.005, flow.battery_a)
    return flow


def test_everything_the_panels_offer_is_taken_while_there_is_room() -> None:
    """In bulk the sun is the limit."""
    flow = settle(PLAN, OPEN, sun_w=3000.0, load_w=0.0)

    assert flow.solar_w == pytest.approx(3000.0, rel=0.01)
    assert flow.battery_a * 53.3 == pytest.approx(3000.0, rel=0.02)


def test_chargers_hold_their_voltage() -> None:
    """Near full the current is what lifts the battery to the target, and no more."""
    flow = settle(PLAN, replace(OPEN, charge_v=53.2), sun_w=6000.0, load_w=0.0)

    assert 53.0 + flow.battery_a * 0.005 == pytest.approx(53.2, abs=0.001)


def test_chargers_stop_above_their_target() -> None:
    """A target below the battery's voltage leaves the sun in the panels."""
    flow = settle(PLAN, replace(OPEN, charge_v=52.0), sun_w=6000.0, load_w=0.0)

    assert (flow.battery_a, flow.solar_w) == (0.0, 0.0)


def test_chargers_obey_their_current_limit() -> None:
    """The limit of the GX counts at once."""
    assert settle(PLAN, replace(OPEN, charge_limit_a=20.0), sun_w=6000.0, load_w=0.0).battery_a == pytest.approx(20.0)


def test_chargers_stand_still_without_set_points() -> None:
    """A GX that has lost its battery stops everything."""
    assert settle(PLAN, SetPoints(), sun_w=6000.0, load_w=400.0) == PowerFlow(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("offset_v", [-0.3, 0.3])
def test_a_charger_regulates_its_own_reading(offset_v: float) -> None:
    """One that reads too little overcharges by as much."""
    plan = replace(PLAN, charger_offset_v=offset_v)
    flow = settle(plan, replace(OPEN, charge_v=53.5, charge_limit_a=300.0), sun_w=12_000.0, load_w=0.0)

    assert 53.0 + flow.battery_a * 0.005 == pytest.approx(53.5 - offset_v, abs=0.002)


def test_a_cable_makes_the_charger_stop_early() -> None:
    """It sees its own end of the cable, which stands higher by the drop."""
    plan = replace(PLAN, charger_cable_ohm=0.005)
    flow = settle(plan, replace(OPEN, charge_v=53.5), sun_w=9000.0, load_w=0.0)

    assert flow.battery_a == pytest.approx(0.5 / 0.010, rel=0.01)


def test_loads_are_served_from_the_battery_at_night() -> None:
    """With the inverter's losses."""
    flow = settle(PLAN, OPEN, sun_w=0.0, load_w=940.0)

    assert flow.served_w == pytest.approx(940.0, rel=0.01)
    assert flow.battery_a == pytest.approx(-940.0 / INVERTER_EFFICIENCY / 52.9, rel=0.01)


def test_the_inverter_has_a_size() -> None:
    """It serves no more than it can."""
    assert settle(replace(PLAN, inverter_max_w=3000.0), OPEN, 0.0, 9000.0).served_w == pytest.approx(3000.0, rel=0.01)


def test_loads_come_first() -> None:
    """The battery gets what the loads leave."""
    flow = settle(PLAN, OPEN, sun_w=3000.0, load_w=1880.0)

    assert flow.battery_a * 53.1 == pytest.approx(3000.0 - 1880.0 / INVERTER_EFFICIENCY, rel=0.05)


def test_a_discharge_limit_leaves_the_rest_to_the_grid() -> None:
    """On the grid DCL bounds what the battery gives."""
    flow = settle(PLAN, replace(OPEN, discharge_limit_a=10.0), sun_w=0.0, load_w=3000.0)

    assert flow.battery_a == pytest.approx(-10.0)
    assert flow.served_w < 3000.0


def test_an_inverter_that_is_off_serves_nothing() -> None:
    """An island at DCL = 0 is dark."""
    flow = settle(PLAN, replace(OPEN, inverting=False), sun_w=0.0, load_w=400.0)

    assert (flow.battery_a, flow.served_w) == (0.0, 0.0)


def test_surplus_is_sold_so_that_the_battery_stays_at_cvl() -> None:
    """Chargers aim higher; the inverter takes what would lift the battery above CVL."""
    points = replace(OPEN, charge_v=53.6, export_above_v=53.2)
    flow = settle(PLAN, points, sun_w=6000.0, load_w=0.0)

    assert 53.0 + flow.battery_a * 0.005 == pytest.approx(53.2, abs=0.01)
    assert flow.solar_w == pytest.approx(6000.0, rel=0.01)


def test_surplus_beyond_the_buyers_lifts_the_battery_to_the_chargers_target() -> None:
    """Victron's third test: CVL + 0.4 V is where it ends."""
    plan = replace(PLAN, export_max_w=1000.0)
    points = replace(OPEN, charge_v=53.6, export_above_v=53.2)
    flow = settle(plan, points, sun_w=12_000.0, load_w=0.0)

    assert 53.0 + flow.battery_a * 0.005 == pytest.approx(53.6, abs=0.01)


def test_a_discharge_limit_bounds_loads_and_sales_together() -> None:
    """Loads come first; what is sold from the battery stays within the rest of DCL."""
    points = replace(OPEN, charge_v=51.6, export_above_v=51.2, discharge_limit_a=50.0)
    flow = settle(PLAN, points, sun_w=0.0, load_w=940.0, emf_v=55.0)

    assert flow.battery_a == pytest.approx(-50.0)
    assert flow.served_w == pytest.approx(940.0, rel=0.01)


def test_the_inverter_sells_what_it_can_besides_the_loads() -> None:
    """Its size is for both."""
    plan = replace(PLAN, inverter_max_w=3000.0)
    points = replace(OPEN, charge_v=51.6, export_above_v=51.2)
    flow = settle(plan, points, sun_w=0.0, load_w=2000.0, emf_v=55.0)

    assert flow.inverter_a * 54.7 == pytest.approx(3000.0 / INVERTER_EFFICIENCY, rel=0.01)


def test_a_cvl_below_the_battery_empties_it() -> None:
    """Under feed-in, with all that the inverter can sell: why CVL must have a floor."""
    flow = settle(PLAN, replace(OPEN, charge_v=51.6, export_above_v=51.2), sun_w=0.0, load_w=0.0, emf_v=55.0)

    assert flow.battery_a < -150.0


def test_a_load_that_is_switched_off_leaves_its_current_in_the_battery() -> None:
    """For one step: the chargers notice at the next."""
    devices, battery = Devices(PLAN), RESTING
    points = replace(OPEN, charge_v=53.1, charge_limit_a=200.0)
    for _ in range(30):
        flow = devices.step(1.0, battery, 9000.0, 8000.0, points)
        battery = BatterySource(53.0, 0.005, flow.battery_a)
    before_a = flow.battery_a

    surge_a = devices.step(1.0, battery, 9000.0, 0.0, points).battery_a
    after_a = devices.step(1.0, BatterySource(53.0, 0.005, surge_a), 9000.0, 0.0, points).battery_a

    assert surge_a > before_a + 100.0
    assert after_a < 0.5 * surge_a


def test_a_charger_needs_seconds_to_find_the_sun_again() -> None:
    """After a cloud the current rises with a lag, and not above what the sun offers."""
    devices = Devices(PLAN)
    currents_a = []
    battery = RESTING
    for _ in range(12):
        flow = devices.step(1.0, battery, 5300.0, 0.0, OPEN)
        currents_a.append(flow.battery_a)
        battery = BatterySource(53.0, 0.005, flow.battery_a)

    assert currents_a[0] < 40.0
    assert currents_a == sorted(currents_a)
    assert currents_a[-1] == pytest.approx(98.0, rel=0.03)


def test_a_cloud_takes_the_current_at_once() -> None:
    """No charger gives what the panels do not offer."""
    devices = Devices(PLAN)
    for _ in range(30):
        devices.step(1.0, RESTING, 5300.0, 0.0, OPEN)

    assert devices.step(1.0, RESTING, 530.0, 0.0, OPEN).solar_w == pytest.approx(530.0)


def test_nothing_flows_into_a_battery_that_takes_nothing() -> None:
    """A BMS that has opened its charger switch: the sun serves the loads only."""
    flow = Devices(PLAN).step(1.0, replace(RESTING, takes=False), 6000.0, 940.0, OPEN)

    assert flow.battery_a <= 0.0
    assert flow.solar_w <= 940.0 / INVERTER_EFFICIENCY + 1e-6


def test_a_battery_above_the_chargers_serves_the_loads_though_it_takes_nothing() -> None:
    """A charger cannot lift the bus above its own target: what a switch for charging alone lets out still flows."""
    devices = Devices(PLAN)
    for _ in range(20):
        flow = devices.step(
            1.0, replace(RESTING, takes=False), 6000.0, 940.0, replace(OPEN, charge_v=RESTING.emf_v - 0.5)
        )
    assert flow.solar_w == pytest.approx(0.0, abs=1.0)
    assert flow.battery_a == pytest.approx(-flow.inverter_a)
    assert flow.battery_a < -10.0


def test_surplus_is_still_sold_when_the_battery_takes_nothing() -> None:
    """The chargers lift the bus above CVL, and the inverter sells what comes."""
    points = replace(OPEN, charge_v=54.0, export_above_v=53.6)
    flow = Devices(PLAN).step(1.0, replace(RESTING, takes=False), 5000.0, 940.0, points)

    assert flow.battery_a == pytest.approx(0.0, abs=1e-9)
    assert flow.solar_w == pytest.approx(5000.0)


def test_a_battery_that_gives_nothing_leaves_the_sun_to_the_loads() -> None:
    """A BMS that has opened its load switch: loads get what the panels give."""
    devices, battery = Devices(PLAN), replace(RESTING, gives=False)
    for _ in range(30):
        flow = devices.step(1.0, battery, 500.0, 3000.0, OPEN)

    assert flow.battery_a == pytest.approx(0.0, abs=1e-9)
    assert flow.served_w == pytest.approx(500.0 * INVERTER_EFFICIENCY, rel=0.01)


@given(
    sun_w=st.floats(0.0, 15_000.0),
    load_w=st.floats(0.0, 15_000.0),
    charge_v=st.floats(51.2, 58.0),
    selling=st.booleans(),
    takes=st.booleans(),
    gives=st.booleans(),
    dt_s=st.sampled_from([1.0, 3.0, 10.0, 120.0]),
)
def test_power_is_neither_made_nor_lost(
    sun_w: float, load_w: float, charge_v: float, selling: bool, takes: bool, gives: bool, dt_s: float
) -> None:
    """What the panels give goes into the battery or the inverter, and the switches of the BMS are respected."""
    points = replace(OPEN, charge_v=charge_v, export_above_v=charge_v - 0.4 if selling else math.inf)
    devices, battery = Devices(PLAN), BatterySource(53.0, 0.005, 0.0, takes, gives)
    for _ in range(5):
        flow = devices.step(dt_s, battery, sun_w, load_w, points)
        bus_v = 53.0 + battery.current_a * 0.005

        assert flow.solar_w <= sun_w + 1e-6
        assert flow.served_w <= load_w + 1e-6
        assert flow.battery_a == pytest.approx(flow.solar_w / bus_v - flow.inverter_a, abs=1e-6)
        assert takes or flow.battery_a <= 1e-9
        assert gives or flow.battery_a >= -1e-9
        battery = BatterySource(53.0, 0.005, flow.battery_a, takes, gives)


@given(dt_s=st.floats(0.5, 120.0), emf_v=st.floats(50.0, 57.0), ohm=st.floats(0.001, 0.05))
def test_the_regulation_is_stable_at_any_step(dt_s: float, emf_v: float, ohm: float) -> None:
    """Long steps of calm times do not make the chargers oscillate."""
    devices, battery = Devices(PLAN), BatterySource(emf_v, ohm, 0.0)
    points = replace(OPEN, charge_v=57.2, charge_limit_a=500.0)
    for _ in range(60):
        flow = devices.step(dt_s, battery, 200_000.0, 0.0, points)
        battery = BatterySource(emf_v, ohm, flow.battery_a)

    assert emf_v + flow.battery_a * ohm <= 57.2 + 0.02
