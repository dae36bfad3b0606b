"""What scenarios and tests do to a running simulation, seen through the registers."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.tinybms.live import decode_live
from tinybms_lab.bms import BmsOptions, EventId, SimulatedBms, SwitchStates
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]


def look(device: SimulatedBms) -> Snapshot:
    """Return what a client reads now."""
    words = device.read(0, 56)
    assert words is not None
    return decode_live(words, sequence=1, taken_at_s=0.0, series_cells=16)


def ids(device: SimulatedBms) -> list[EventId]:
    """Return the events since the start, without that."""
    device.refresh()
    return [event for _, event in device.history][1:]


def test_a_charger_is_connected_and_disconnected(bms: SimulatedBms, pass_time: PassTime) -> None:
    """With its events and the status between them."""
    bms.connect_charger(25.0)
    pass_time(5.0)
    assert look(bms).pack.current_a == 25.0
    assert look(bms).pack.status is BmsStatus.CHARGING

    bms.disconnect_charger()
    pass_time(5.0)
    assert look(bms).pack.status is BmsStatus.IDLE
    assert ids(bms) == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED, EventId.CHARGER_GONE]


def test_load_and_charger_add_up(bms: SimulatedBms, pass_time: PassTime) -> None:
    """The shunt sees the difference."""
    bms.connect_charger(25.0)
    bms.set_current_a(-10.0)
    pass_time(5.0)

    assert look(bms).pack.current_a == 15.0
    assert bms.switches == SwitchStates(load=True, charger=True)


def test_without_its_charger_a_positive_current_is_regeneration(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Through the load terminal, limited by register 317."""
    bms.disconnect_charger()
    bms.set_current_a(40.0)
    pass_time(2.0)
    assert look(bms).pack.status is BmsStatus.REGENERATION

    bms.set_current_a(151.0)
    pass_time(1.0)
    assert ids(bms) == [EventId.REGENERATION_OVER_CURRENT]
    assert look(bms).pack.current_a == 0.0
    assert look(bms).pack.status is BmsStatus.FAULT

    bms.set_current_a(0.0)
    pass_time(6.0)
    assert ids(bms)[1:] == [EventId.REGENERATION_OVER_CURRENT_OVER]


def test_the_usual_reading_of_currents_comes_back(bms: SimulatedBms, pass_time: PassTime) -> None:
    """A positive current is that of a charger."""
    bms.disconnect_charger()
    bms.charger_follows_current()
    bms.set_current_a(40.0)
    pass_time(2.0)

    assert look(bms).pack.status is BmsStatus.CHARGING


def test_the_room_changes_the_cells_slowly(bms: SimulatedBms, pass_time: PassTime) -> None:
    """An hour is the time constant."""
    bms.set_ambient_c(-20.0)
    pass_time(60.0)
    soon_c = look(bms).temperatures.external_1_c
    pass_time(6 * 3600.0)
    later_c = look(bms).temperatures.external_1_c

    assert soon_c == pytest.approx(24.3, abs=0.2)
    assert later_c == pytest.approx(-20.0, abs=0.3)
    assert EventId.TOO_COLD_TO_CHARGE in ids(bms)


def test_a_cell_gets_another_charge(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Counted from 1, the lowest."""
    bms.set_cell_soc(3, 0.05)
    pass_time(0.2)
    cells = look(bms).cells

    assert cells.min_number == 3
    assert cells.min_v == pytest.approx(3.06, abs=0.01)


def test_a_cell_with_an_inner_fault_drains_itself(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Unseen by the current sensor."""
    bms.set_cell_leak_a(7, 10.0)
    pass_time(4 * 3600.0)
    drained = look(bms)
    bms.set_cell_leak_a(7, 0.0)
    pass_time(3600.0)

    assert drained.cells.min_number == 7
    assert drained.pack.current_a == 0.0
    assert look(bms).cells.min_v >= drained.cells.min_v


def test_a_wire_breaks_and_is_mended(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Too low, too high, fewer cells detected; over-voltage ends by time, under-voltage does not."""
    bms.break_wire(7)
    pass_time(0.2)
    broken = look(bms).cells
    assert (broken.voltages_v[6], broken.voltages_v[7]) == (0.0, 4.5)
    assert bms.read(53, 1) == (15,)
    assert set(bms.active_events) == {EventId.UNDER_VOLTAGE, EventId.DISCHARGED, EventId.OVER_VOLTAGE}

    bms.mend_wire(7)
    pass_time(60.0)
    assert look(bms).cells.delta_mv < 10.0
    assert bms.active_events == (EventId.UNDER_VOLTAGE, EventId.DISCHARGED)


def test_the_lowest_wire_makes_the_lowest_cell_read_low(bms: SimulatedBms, pass_time: PassTime) -> None:
    """By 0.6 to 0.7 V, says the manual."""
    before_v = look(bms).cells.voltages_v[0]
    bms.break_wire(0)
    pass_time(0.2)

    assert 0.6 <= before_v - look(bms).cells.voltages_v[0] <= 0.7


def test_temperature_sensors_come_and_go(bms: SimulatedBms, pass_time: PassTime) -> None:
    """With the last one the board's own takes over."""
    seen = []
    for sensor, connected in ((1, False), (2, False), (1, True)):
        bms.plug_sensor(sensor) if connected else bms.unplug_sensor(sensor)
        pass_time(0.2)
        temperatures = look(bms).temperatures
        seen.append((temperatures.external_1_c, temperatures.external_2_c, temperatures.pack_c))

    assert [entry[:2] for entry in seen] == [(None, 25.0), (None, None), (25.0, None)]
    assert seen[1][2] == (27.0,)


def test_the_external_current_sensor_is_pulled_and_plugged(clock: FakeClock, pass_time: PassTime) -> None:
    """A fault that cuts everything, and its end."""
    device = SimulatedBms.build(clock, options=BmsOptions(external_current_sensor=True))
    device.set_current_a(-20.0)
    pass_time(1.0)
    assert device.read(501, 1) == (0x0503,)

    device.plug_current_sensor(connected=False)
    pass_time(1.0)
    assert device.switches == SwitchStates(load=False, charger=False)
    device.plug_current_sensor()
    pass_time(1.0)

    assert ids(device) == [EventId.CURRENT_SENSOR_LOST, EventId.CURRENT_SENSOR_IN_USE]
    assert look(device).pack.current_a == -20.0


def test_stuck_switches_are_found(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Charge current although the charger is off."""
    bms.set_current_a(20.0)
    pass_time(2.0)
    bms.stick_switches(charger=True)
    bms.unplug_sensor(1)
    bms.unplug_sensor(2)
    bms.set_ambient_c(120.0)
    pass_time(3600.0)

    assert EventId.CHARGER_SWITCH_STUCK in bms.active_events
    assert look(bms).pack.current_a == 20.0
    bms.stick_switches()
    pass_time(2.0)
    assert look(bms).pack.current_a == 0.0


def test_ignition_wakes_and_sleeps_where_there_is_one(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Off and silent, all switches open; on again, it is awake."""
    assert bms.write([(334, 5)])
    bms.set_ignition(False)
    pass_time(15.0)
    asleep = (bms.asleep, bms.switches)
    bms.set_ignition(True)
    pass_time(1.0)

    assert asleep == (True, SwitchStates(load=False, charger=False))
    assert (bms.asleep, bms.switches.load) == (False, True)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda bms: bms.set_cell_soc(17, 0.5), "cells are 1 to 16, got 17"),
        (lambda bms: bms.set_cell_soc(0, 0.5), "cells are 1 to 16, got 0"),
        (lambda bms: bms.set_cell_soc(1, 1.5), "state of charge must be 0..1"),
        (lambda bms: bms.set_cell_leak_a(1, -1.0), "a leak is 0 to 1000 A"),
        (lambda bms: bms.break_wire(17), "sense wires are 0 to 16, got 17"),
        (lambda bms: bms.mend_wire(-1), "sense wires are 0 to 16, got -1"),
        (lambda bms: bms.unplug_sensor(3), "sensors are 1 and 2, got 3"),
        (lambda bms: bms.set_current_a(float("nan")), "must be finite"),
        (lambda bms: bms.connect_charger(-1.0), "a charger gives 0 or more"),
    ],
)
def test_impossible_changes_are_refused(bms: SimulatedBms, act: Callable[[SimulatedBms], None], message: str) -> None:
    """With what is allowed, and without an effect."""
    with pytest.raises(ValueError, match=message):
        act(bms)

    assert ids(bms) == []


CURRENTS = st.floats(min_value=-220.0, max_value=220.0)
ACTIONS: st.SearchStrategy[Callable[[SimulatedBms], object]] = st.one_of(
    CURRENTS.map(lambda a: lambda bms: bms.set_current_a(a)),
    st.floats(0, 120).map(lambda a: lambda bms: bms.connect_charger(a)),
    st.just(lambda bms: bms.disconnect_charger()),
    st.just(lambda bms: bms.charger_follows_current()),
    st.tuples(st.integers(1, 16), st.floats(0, 1)).map(lambda pair: lambda bms: bms.set_cell_soc(*pair)),
    st.integers(0, 16).map(lambda wire: lambda bms: bms.break_wire(wire)),
    st.integers(0, 16).map(lambda wire: lambda bms: bms.mend_wire(wire)),
    st.floats(-60, 100).map(lambda celsius: lambda bms: bms.set_ambient_c(celsius)),
    st.booleans().map(lambda plugged: lambda bms: bms.plug_current_sensor(connected=plugged)),
    st.sampled_from([(340, 0), (340, 1), (331, 5), (332, 0), (332, 5)]).map(lambda pair: lambda bms: bms.write([pair])),
)


@given(st.lists(st.tuples(ACTIONS, st.sampled_from([0.1, 1.0, 7.0, 600.0])), max_size=15))
@settings(max_examples=60, deadline=None)
def test_nothing_flows_against_a_protection(
    script: list[tuple[Callable[[SimulatedBms], object], float]],
) -> None:
    """Whatever is done to it: a refresh later no current flows in a direction that an active fault has cut."""
    clock = FakeClock()
    device = SimulatedBms.build(clock)
    model = device._model
    for act, seconds in script:
        act(device)
        for step_s in (seconds, 0.1, 0.1):
            before = dict(model.logic.protections.active)
            clock._now_s += step_s
            device.refresh()
        if before != model.logic.protections.active or device.silent or model.limits.single_port:
            continue
        load = all(row.load for row in before.values())
        charger = all(row.leaves_charger(model.limits) for row in before.values())
        wanted, flowing_a = model._demand, model.pack.current_a
        if not load:
            assert flowing_a in ({0.0, wanted.charger_a} if charger else {0.0})
        elif not charger:
            assert flowing_a == wanted.load_a
