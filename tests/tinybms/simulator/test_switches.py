from collections.abc import Iterable
from dataclasses import replace

import pytest

from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.protection_rules import PROTECTIONS, Protection
from tinybms_bridge.tinybms.simulator.surroundings import Demand, Wiring
from tinybms_bridge.tinybms.simulator.switches import ALL_OFF, Flow, Switches, conduct, dual_port, single_port
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

LIMITS = Thresholds(
    full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8, two_fets=False
)
SINGLE = replace(LIMITS, single_port=True)
ON = Switches(load=True, charger=True)
COLD, OVER, EMPTY = EventId.TOO_COLD_TO_CHARGE, EventId.OVER_VOLTAGE, EventId.DISCHARGED
HOT, TOO_MUCH = EventId.OVER_HEAT, EventId.DISCHARGE_OVER_CURRENT


def rows(*events: EventId) -> Iterable[Protection]:
    """Return the rows that begin with these events."""
    return [row for row in PROTECTIONS if row.event in events]


def wiring(*, load: bool = False, charger: bool = False) -> Wiring:
    """Return sound wiring but for stuck switches."""
    return Wiring([True, True], stuck_load=load, stuck_charger=charger)


@pytest.mark.parametrize(
    ("events", "load", "charger"),
    [
        ((), True, True),
        ((COLD,), True, False),
        ((OVER,), True, False),
        ((EMPTY,), False, True),
        ((TOO_MUCH,), False, True),
        ((HOT,), False, False),
        ((OVER, EMPTY), False, False),
        ((COLD, TOO_MUCH), False, False),
    ],
)
def test_dual_port_switches_are_cut_by_any_protection(events: tuple[EventId, ...], load: bool, charger: bool) -> None:
    """Several faults add up."""
    assert dual_port(rows(*events), LIMITS, charge=True) == Switches(load=load, charger=charger)


def test_the_charger_is_off_where_nobody_wants_it() -> None:
    """No charger, full, or balancing."""
    assert dual_port([], LIMITS, charge=False) == Switches(load=True, charger=False)


def test_two_transistors_take_the_charger_with_them() -> None:
    """Discharge over-current, with the board's own switches."""
    assert dual_port(rows(TOO_MUCH), replace(LIMITS, two_fets=True), charge=True) == ALL_OFF


@pytest.mark.parametrize(
    ("events", "over", "idle", "with_load", "with_charger"),
    [
        ((), False, True, True, True),
        ((), True, False, True, False),
        ((COLD,), False, False, True, False),
        ((OVER,), False, False, True, False),
        ((EMPTY,), False, False, False, True),
        ((EMPTY, COLD), False, False, False, False),
        ((HOT,), False, False, False, False),
        ((TOO_MUCH,), False, False, False, False),
        ((EventId.CHARGE_OVER_CURRENT,), False, False, False, False),
        ((EventId.CURRENT_SENSOR_NOT_READY,), False, True, True, True),
    ],
)
def test_the_one_switch_of_the_single_port(
    events: tuple[EventId, ...], over: bool, idle: bool, with_load: bool, with_charger: bool
) -> None:
    """On only if a load is there, or only while a charger drives, or off."""
    found = [
        single_port(rows(*events), charge_over=over, load=load, charger=charger).load
        for load, charger in ((False, False), (True, False), (False, True))
    ]

    assert found == [idle, with_load, with_charger]


@pytest.mark.parametrize(
    ("switches", "current_a"),
    [
        (ON, 12.0),
        (Switches(load=True, charger=False), -8.0),
        (Switches(load=False, charger=True), 20.0),
        (ALL_OFF, 0.0),
    ],
)
def test_each_terminal_has_its_switch(switches: Switches, current_a: float) -> None:
    """What the charger gives and what the load takes flow apart in dual-port mode."""
    assert conduct(Demand(20.0, -8.0, True), switches, wiring(), LIMITS) == Flow(current_a)


def test_regeneration_flows_through_the_load_switch() -> None:
    """Also while the charger is off."""
    assert conduct(Demand(0.0, 30.0), Switches(load=True, charger=False), wiring(), LIMITS) == Flow(30.0)


@pytest.mark.parametrize(("closed", "current_a"), [(True, 12.0), (False, 0.0)])
def test_the_single_port_carries_both(closed: bool, current_a: float) -> None:
    """One switch, one current."""
    switches = Switches(load=closed, charger=closed)

    assert conduct(Demand(20.0, -8.0, True), switches, wiring(), SINGLE) == Flow(current_a)


@pytest.mark.parametrize(
    ("limits", "stuck", "flow"),
    [
        (LIMITS, {"load": True}, Flow(-8.0, EventId.LOAD_SWITCH_STUCK)),
        (LIMITS, {"charger": True}, Flow(20.0, EventId.CHARGER_SWITCH_STUCK)),
        (SINGLE, {"load": True}, Flow(12.0, EventId.PORT_SWITCH_STUCK)),
        (SINGLE, {"charger": True}, Flow(0.0)),
    ],
)
def test_a_stuck_switch_conducts_and_is_named(limits: Thresholds, stuck: dict[str, bool], flow: Flow) -> None:
    """Current through a switch that is off."""
    assert conduct(Demand(20.0, -8.0, True), ALL_OFF, wiring(**stuck), limits) == flow


def test_a_stuck_switch_shows_only_by_its_current() -> None:
    """Without current, or with the switch on, nobody knows."""
    assert conduct(Demand(0.0, -0.5), ALL_OFF, wiring(load=True), LIMITS) == Flow(-0.5)
    assert conduct(Demand(20.0, -8.0, True), ON, wiring(load=True, charger=True), LIMITS) == Flow(12.0)
