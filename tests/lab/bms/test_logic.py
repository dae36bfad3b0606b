"""All decisions together: status, balancing bits, switches, and what keeps the BMS awake."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.logic import BmsLogic, ChargePhase, balancing_now, balancing_wanted
from tinybms_lab.bms.measurement import BmsThresholds, Measurement
from tinybms_lab.bms.records import EventId

LIMITS = BmsThresholds(full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8)


def test_balancing_is_wanted_for_high_cells_only() -> None:
    """Above register 303 and more than register 308 over the lowest, highest first."""
    assert balancing_wanted([3.39, 3.41, 3.45, 3.400, 3.42], LIMITS) == [2, 4, 1]
    assert balancing_wanted([3.30, 3.39, 3.31], LIMITS) == []
    assert balancing_wanted([3.500, 3.510, 3.514], LIMITS) == []


def test_in_an_over_voltage_fault_all_high_cells_bleed() -> None:
    """Until the fault is over, however alike the cells are."""
    assert balancing_wanted([3.77, 3.76, 3.39, 3.75], LIMITS, over_voltage=True) == [0, 1, 3]


@given(st.lists(st.floats(min_value=3.0, max_value=3.7), min_size=4, max_size=16))
def test_at_most_every_third_cell_bleeds(voltages_v: list[float]) -> None:
    """Chosen cells are wanted, apart, and include the highest one."""
    wanted = balancing_wanted(voltages_v, LIMITS)
    now = balancing_now(wanted)

    assert set(now) <= set(wanted)
    assert now[:1] == wanted[:1]
    assert all(abs(a - b) >= 3 for a in now for b in now if a != b)
    assert all(any(abs(a - b) < 3 for b in now) for a in wanted)


@given(st.lists(st.floats(min_value=3.0, max_value=4.5), min_size=4, max_size=16))
def test_the_fault_widens_the_choice(voltages_v: list[float]) -> None:
    """Whatever bleeds without the fault bleeds with it; nothing at or below register 303 ever does."""
    usual, fault = (set(balancing_wanted(voltages_v, LIMITS, over_voltage=f)) for f in (False, True))

    assert usual <= fault
    assert all(voltages_v[index] > LIMITS.balance_above_v for index in fault)


ALL_LIMITS = BmsThresholds(
    full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8,
    over_voltage_v=3.75, under_voltage_v=2.5, charge_a=100.0, discharge_a=150.0, two_fets=False,
)  # fmt: skip
SINGLE = replace(ALL_LIMITS, single_port=True)
IDLE = Measurement(cells_v=(3.3,) * 4, current_a=0.0, board_c=25.0)
LOAD = replace(IDLE, current_a=-20.0, load=True)
CHARGER = replace(IDLE, charger=True, offered_a=20.0)
CHARGE = replace(CHARGER, current_a=20.0)
FULL = replace(CHARGE, cells_v=(3.6,) * 4, current_a=1.5)
COLD = replace(IDLE, external_c=(-5.0,))
EMPTY = replace(IDLE, cells_v=(2.7, 3.0, 3.0, 3.0))
HOT = replace(IDLE, external_c=(80.0,))
OVER = replace(IDLE, cells_v=(3.8, 3.5, 3.5, 3.5))
SWINGING = replace(IDLE, current_a=20.0)


def decide(*measurements: Measurement, limits: BmsThresholds = ALL_LIMITS, warning_is_fault: bool = False) -> BmsLogic:
    """Return the logic after measurements, each of which held for a second."""
    logic = BmsLogic(warning_is_fault=warning_is_fault)
    for second, measured in enumerate(measurements):
        for tenth in range(10):
            logic.step(measured, limits, second + tenth / 10)
    return logic


@pytest.mark.parametrize(
    ("measurements", "status"),
    [
        ((IDLE,), BmsStatus.IDLE),
        ((LOAD,), BmsStatus.DISCHARGING),
        ((CHARGER,), BmsStatus.CHARGING),
        ((CHARGER, CHARGE), BmsStatus.CHARGING),
        ((CHARGER, LOAD), BmsStatus.DISCHARGING),
        ((CHARGER, CHARGE, FULL), BmsStatus.FULLY_CHARGED),
        ((CHARGER, CHARGE, FULL, IDLE, IDLE, IDLE), BmsStatus.IDLE),
        ((SWINGING,), BmsStatus.REGENERATION),
        ((HOT,), BmsStatus.FAULT),
        ((HOT, LOAD), BmsStatus.FAULT),
        ((COLD,), BmsStatus.IDLE),
        ((replace(COLD, current_a=-20.0),), BmsStatus.DISCHARGING),
        ((replace(COLD, charger=True),), BmsStatus.IDLE),
        ((EMPTY,), BmsStatus.IDLE),
    ],
)
def test_the_online_status(measurements: tuple[Measurement, ...], status: BmsStatus) -> None:
    """Register 50, as the manual's table says."""
    assert decide(*measurements).status is status


@pytest.mark.parametrize("measured", [COLD, EMPTY])
def test_a_warning_may_show_as_a_fault(measured: Measurement) -> None:
    """The manual does not say; an option chooses."""
    assert decide(measured, warning_is_fault=True).status is BmsStatus.FAULT
    assert decide(IDLE, warning_is_fault=True).status is BmsStatus.IDLE


def test_single_port_mode_knows_no_regeneration() -> None:
    """Current that flows in is charging."""
    assert decide(SWINGING, limits=SINGLE).status is BmsStatus.CHARGING


@pytest.mark.parametrize(
    ("measurements", "bleeds"),
    [((IDLE,), False), ((LOAD,), False), ((CHARGER,), True), ((SWINGING,), True), ((COLD,), False)],
    ids=["idle", "load", "charging", "regeneration", "cold"],
)
def test_high_cells_bleed_only_while_energy_comes_in(measurements: tuple[Measurement, ...], bleeds: bool) -> None:
    """Both registers of bits stay empty otherwise."""
    high = [replace(each, cells_v=(3.5, 3.4, 3.45, 3.4, 3.5, 3.49)) for each in measurements]
    logic = decide(*high)

    assert list(logic.wanted) == ([0, 4, 5, 2] if bleeds else [])
    assert list(logic.bleeding) == ([0, 4] if bleeds else [])


def test_in_an_over_voltage_fault_cells_bleed_until_it_is_over() -> None:
    """However alike they are, and without any current."""
    logic = decide(OVER, replace(OVER, cells_v=(3.7,) * 4))

    assert list(logic.wanted) == [0, 1, 2, 3]
    assert list(logic.bleeding) == [0, 3]


def test_a_charge_pauses_while_a_cell_is_bled() -> None:
    """The charger is off, the status stays."""
    logic = decide(CHARGER, CHARGE, replace(CHARGE, cells_v=(3.61, 3.5, 3.5, 3.5)))

    assert logic.charge.phase is ChargePhase.BALANCING
    assert logic.switches == SwitchStates(load=True, charger=False)
    assert list(logic.bleeding) == [0]
    assert logic.status in (BmsStatus.CHARGING, BmsStatus.FULLY_CHARGED)
    assert decide(CHARGER, CHARGE, replace(CHARGE, cells_v=(3.61, 3.5, 3.5, 3.5)), CHARGER).status is BmsStatus.CHARGING


@pytest.mark.parametrize(
    ("measurements", "load", "charger"),
    [
        ((IDLE,), True, False),
        ((CHARGER,), True, True),
        ((CHARGER, CHARGE, FULL), True, False),
        ((CHARGER, replace(CHARGER, external_c=(-5.0,))), True, False),
        ((CHARGER, replace(CHARGER, cells_v=EMPTY.cells_v)), False, True),
        ((HOT,), False, False),
    ],
    ids=["idle", "charging", "full", "cold", "empty", "hot"],
)
def test_the_switches_of_two_ports(measurements: tuple[Measurement, ...], load: bool, charger: bool) -> None:
    """Charge and protections together."""
    assert decide(*measurements).switches == SwitchStates(load=load, charger=charger)


@pytest.mark.parametrize(
    ("measurements", "on"),
    [
        ((IDLE,), True),
        ((COLD,), False),
        ((replace(COLD, load=True),), True),
        ((EMPTY,), False),
        ((replace(EMPTY, offered_a=5.0, charger=True),), True),
        ((CHARGER, CHARGE, FULL), False),
        ((CHARGER, CHARGE, FULL, replace(LOAD, charger=True)), True),
    ],
    ids=["idle", "cold", "cold with load", "empty", "empty with charger", "full", "full with load"],
)
def test_the_switch_of_one_port(measurements: tuple[Measurement, ...], on: bool) -> None:
    """On for everything, or for one direction."""
    assert decide(*measurements, limits=SINGLE).switches == SwitchStates(load=on, charger=on)


@pytest.mark.parametrize(
    ("measurements", "awake"),
    [
        ((IDLE,), False),
        ((LOAD,), True),
        ((CHARGER, replace(CHARGER, offered_a=0.0)), True),
        ((HOT,), False),
        ((EMPTY,), False),
        ((OVER,), True),
        ((replace(OVER, cells_v=(3.8, 2.7, 3.0, 3.0)),), True),
        ((replace(IDLE, current_a=-200.0), IDLE), True),
        ((replace(IDLE, cells_v=(2.0,) * 4, charger=True),), False),
    ],
    ids=["idle", "load", "charger", "hot", "empty", "over-voltage", "bleeding", "over-current", "under-voltage"],
)
def test_what_keeps_it_awake(measurements: tuple[Measurement, ...], awake: bool) -> None:
    """Under-voltage sleeps even with a charger."""
    assert decide(*measurements).is_active(measurements[-1], ALL_LIMITS) is awake


@pytest.mark.parametrize(
    ("measured", "awake"),
    [
        (IDLE, True),
        (replace(IDLE, ignition=False), False),
        (replace(LOAD, ignition=False), False),
        (EMPTY, False),
        (replace(CHARGER, ignition=False), True),
    ],
    ids=["on", "off", "off with load", "empty", "off with charger"],
)
def test_with_an_ignition_input_only_it_and_a_charger_count(measured: Measurement, awake: bool) -> None:
    """Register 334."""
    limits = replace(ALL_LIMITS, ignition=True)

    assert decide(measured, limits=limits).is_active(measured, limits) is awake


def test_a_restart_forgets_what_was_decided() -> None:
    """As at power-up, with the load on."""
    logic = decide(HOT, CHARGER)
    logic.restart()

    assert logic.status is BmsStatus.IDLE
    assert logic.switches == SwitchStates(load=True, charger=False)
    assert not logic.protections.active
    assert not logic.charge.charger


def test_events_of_protections_come_before_those_of_the_charge() -> None:
    """A charger that ends an under-voltage is switched on afterwards."""
    logic = decide(replace(IDLE, cells_v=(2.4, 3.0, 3.0, 3.0)))
    charger = replace(CHARGER, cells_v=(2.9,) * 4)

    events = [event for tenth in range(10) for event in logic.step(charger, ALL_LIMITS, 10.0 + tenth / 10)]

    assert events == [EventId.UNDER_VOLTAGE_OVER, EventId.CHARGER_FOUND, EventId.CHARGING_STARTED]
