from collections.abc import Iterable
from dataclasses import replace

import pytest

from tinybms_lab.bms.chemistry import LI_ION
from tinybms_lab.bms.environment import Demand, Wiring
from tinybms_lab.bms.hardware import (
    ALL_OFF,
    MeasuringCircuit,
    PackCurrent,
    SwitchStates,
    conduct,
    dual_port,
    single_port,
)
from tinybms_lab.bms.measurement import BmsThresholds, CurrentSensor, Measurement
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.protections import PROTECTIONS, ProtectionRow
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.variants import HIGH_POWER

LIMITS = BmsThresholds(
    full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8, two_fets=False
)
SINGLE = replace(LIMITS, single_port=True)
ON = SwitchStates(load=True, charger=True)
COLD, OVER, EMPTY = EventId.TOO_COLD_TO_CHARGE, EventId.OVER_VOLTAGE, EventId.DISCHARGED
HOT, TOO_MUCH = EventId.OVER_HEAT, EventId.DISCHARGE_OVER_CURRENT


def rows(*events: EventId) -> Iterable[ProtectionRow]:
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
    assert dual_port(rows(*events), LIMITS, charge=True) == SwitchStates(load=load, charger=charger)


def test_the_charger_is_off_where_nobody_wants_it() -> None:
    """No charger, full, or balancing."""
    assert dual_port([], LIMITS, charge=False) == SwitchStates(load=True, charger=False)


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
        (SwitchStates(load=True, charger=False), -8.0),
        (SwitchStates(load=False, charger=True), 20.0),
        (ALL_OFF, 0.0),
    ],
)
def test_each_terminal_has_its_switch(switches: SwitchStates, current_a: float) -> None:
    """What the charger gives and what the load takes flow apart in dual-port mode."""
    assert conduct(Demand(20.0, -8.0, True), switches, wiring(), LIMITS) == PackCurrent(current_a)


def test_regeneration_flows_through_the_load_switch() -> None:
    """Also while the charger is off."""
    assert conduct(Demand(0.0, 30.0), SwitchStates(load=True, charger=False), wiring(), LIMITS) == PackCurrent(30.0)


@pytest.mark.parametrize(("closed", "current_a"), [(True, 12.0), (False, 0.0)])
def test_the_single_port_carries_both(closed: bool, current_a: float) -> None:
    """One switch, one current."""
    switches = SwitchStates(load=closed, charger=closed)

    assert conduct(Demand(20.0, -8.0, True), switches, wiring(), SINGLE) == PackCurrent(current_a)


@pytest.mark.parametrize(
    ("limits", "stuck", "flow"),
    [
        (LIMITS, {"load": True}, PackCurrent(-8.0, EventId.LOAD_SWITCH_STUCK)),
        (LIMITS, {"charger": True}, PackCurrent(20.0, EventId.CHARGER_SWITCH_STUCK)),
        (SINGLE, {"load": True}, PackCurrent(12.0, EventId.PORT_SWITCH_STUCK)),
        (SINGLE, {"charger": True}, PackCurrent(0.0)),
    ],
)
def test_a_stuck_switch_conducts_and_is_named(limits: BmsThresholds, stuck: dict[str, bool], flow: PackCurrent) -> None:
    """Current through a switch that is off."""
    assert conduct(Demand(20.0, -8.0, True), ALL_OFF, wiring(**stuck), limits) == flow


def test_a_stuck_switch_shows_only_by_its_current() -> None:
    """Without current, or with the switch on, nobody knows."""
    assert conduct(Demand(0.0, -0.5), ALL_OFF, wiring(load=True), LIMITS) == PackCurrent(-0.5)
    assert conduct(Demand(20.0, -8.0, True), ON, wiring(load=True, charger=True), LIMITS) == PackCurrent(12.0)


LI_ION_LIMITS = BmsThresholds(
    full_v=4.15, empty_v=3.0, balance_above_v=3.2, finished_a=2.0, disbalance_v=0.015, idle_a=0.8
)


@pytest.fixture
def sound() -> Wiring:
    """All sensors there, no external current sensor."""
    return Wiring([True, True])


@pytest.fixture
def pack() -> SimulatedPack:
    """Four cells at 20 °C."""
    return SimulatedPack.build(LI_ION, 4, ambient_c=20.0)


@pytest.fixture
def circuit(pack: SimulatedPack, sound: Wiring) -> MeasuringCircuit:
    """The inputs of a board."""
    return MeasuringCircuit(pack, sound, HIGH_POWER)


def look(
    circuit: MeasuringCircuit, current_a: float = 0.0, *, configured: int = 4, limits: BmsThresholds = LI_ION_LIMITS
) -> Measurement:
    """Return the readings at a current."""
    return circuit.measure(Demand(), PackCurrent(current_a), limits, configured=configured, soc_percent=50.0)


def test_the_readings_are_those_of_the_pack(circuit: MeasuringCircuit, pack: SimulatedPack) -> None:
    """Cells, current and temperatures; the board is a little warmer."""
    measured = look(circuit, -12.0)

    assert measured.cells_v == pack.cell_voltages_v == circuit.cells_v
    assert (measured.current_a, measured.soc_percent) == (-12.0, 50.0)
    assert measured.external_c == pytest.approx((20.0, 20.0))
    assert measured.board_c == pytest.approx(22.0)


def test_demand_and_flow_are_passed_on(circuit: MeasuringCircuit) -> None:
    """What charger and load show besides their current."""
    demand = Demand(10.0, -3.0, True)
    measured = circuit.measure(
        demand, PackCurrent(0.0, EventId.LOAD_SWITCH_STUCK), LI_ION_LIMITS, configured=4, soc_percent=1.0
    )

    assert (measured.charger, measured.load, measured.offered_a) == (True, True, 10.0)
    assert measured.stuck is EventId.LOAD_SWITCH_STUCK


@pytest.mark.parametrize(("configured", "zeros"), [(4, 0), (6, 2), (16, 12)])
def test_inputs_without_a_cell_read_zero(circuit: MeasuringCircuit, configured: int, zeros: int) -> None:
    """A wrong register 307 looks like empty cells, as seen on a unit."""
    cells_v = look(circuit, configured=configured).cells_v

    assert len(cells_v) == configured
    assert cells_v[:zeros] == (0.0,) * zeros
    assert min(cells_v[zeros:]) > 3.0


def test_extremes_and_imbalance() -> None:
    """As the decisions use them."""
    measured = Measurement(cells_v=(3.3, 3.1, 3.25), current_a=0.0, board_c=30.0, external_c=(12.0, 8.0))

    assert (measured.highest_v, measured.lowest_v) == (3.3, 3.1)
    assert measured.imbalance_v == pytest.approx(0.2)
    assert measured.coldest_c == 8.0
    assert replace(measured, external_c=()).coldest_c == 30.0


@pytest.mark.parametrize(
    ("connected", "present"), [([True, True], 2), ([True, False], 1), ([False, True], 1), ([False, False], 0)]
)
def test_absent_sensors_give_nothing(pack: SimulatedPack, connected: list[bool], present: int) -> None:
    """They are not zero degrees."""
    circuit = MeasuringCircuit(pack, Wiring(connected), HIGH_POWER)

    assert len(look(circuit).external_c) == present
    assert [celsius is not None for celsius in circuit.external_c] == connected


def test_the_sensors_sit_on_the_two_halves(pack: SimulatedPack, circuit: MeasuringCircuit) -> None:
    """A warm upper half shows on the second sensor."""
    for cell in pack.cells[2:]:
        cell.temperature_c = 40.0

    assert circuit.external_c == pytest.approx((20.0, 40.0))


def test_a_broken_wire_shows_in_the_readings(circuit: MeasuringCircuit, sound: Wiring) -> None:
    """From the next look on."""
    sound.broken_wires.add(2)

    assert look(circuit).cells_v[1:3] == (0.0, 4.5)


def test_load_and_bleeding_warm_the_board(circuit: MeasuringCircuit) -> None:
    """Full load by 15 degrees, each bled cell by one; slowly."""
    circuit.warm(10.0, -150.0, 0)
    early_c = circuit.board_c
    circuit.warm(3600.0, -150.0, 4)

    assert 22.0 < early_c < 23.0
    assert circuit.board_c == pytest.approx(20.0 + 2.0 + 15.0 + 4.0, abs=0.1)


@pytest.mark.parametrize(
    ("in_use", "plugged", "state"),
    [
        (False, False, CurrentSensor.FINE),
        (True, True, CurrentSensor.FINE),
        (True, False, CurrentSensor.LOST),
        (False, True, CurrentSensor.NOT_READY),
    ],
)
def test_the_current_sensor_is_looked_for_at_the_start_only(
    pack: SimulatedPack, sound: Wiring, in_use: bool, plugged: bool, state: CurrentSensor
) -> None:
    """Plugging and pulling while it runs are faults."""
    sound.external_current_sensor = in_use
    circuit = MeasuringCircuit(pack, sound, HIGH_POWER)
    sound.external_current_sensor = plugged

    assert circuit.current_sensor is state
    assert look(circuit, -30.0).current_a == (0.0 if state is CurrentSensor.LOST else -30.0)


@pytest.mark.parametrize(("external", "current_a"), [(True, 30.0), (False, -30.0)])
def test_the_external_sensor_can_be_inverted(
    pack: SimulatedPack, sound: Wiring, external: bool, current_a: float
) -> None:
    """Register 329, bit 0; the internal one is not."""
    sound.external_current_sensor = external
    circuit = MeasuringCircuit(pack, sound, HIGH_POWER)

    assert look(circuit, -30.0, limits=replace(LI_ION_LIMITS, invert_external=True)).current_a == current_a
