from dataclasses import replace

import pytest

from tinybms_bridge.tinybms.simulator.chemistry import LI_ION
from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.firmware import HIGH_POWER
from tinybms_bridge.tinybms.simulator.measurement import CurrentSensor, Measurement
from tinybms_bridge.tinybms.simulator.pack import Pack
from tinybms_bridge.tinybms.simulator.senses import Senses
from tinybms_bridge.tinybms.simulator.surroundings import Demand, Wiring
from tinybms_bridge.tinybms.simulator.switches import Flow
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

LIMITS = Thresholds(full_v=4.15, empty_v=3.0, balance_above_v=3.2, finished_a=2.0, disbalance_v=0.015, idle_a=0.8)


@pytest.fixture
def wiring() -> Wiring:
    """All sensors there, no external current sensor."""
    return Wiring([True, True])


@pytest.fixture
def pack() -> Pack:
    """Four cells at 20 °C."""
    return Pack.build(LI_ION, 4, ambient_c=20.0)


@pytest.fixture
def senses(pack: Pack, wiring: Wiring) -> Senses:
    """The inputs of a board."""
    return Senses(pack, wiring, HIGH_POWER)


def look(senses: Senses, current_a: float = 0.0, *, configured: int = 4, limits: Thresholds = LIMITS) -> Measurement:
    """Return the readings at a current."""
    return senses.measure(Demand(), Flow(current_a), limits, configured=configured, soc_percent=50.0)


def test_the_readings_are_those_of_the_pack(senses: Senses, pack: Pack) -> None:
    """Cells, current and temperatures; the board is a little warmer."""
    measured = look(senses, -12.0)

    assert measured.cells_v == pack.cell_voltages_v == senses.cells_v
    assert (measured.current_a, measured.soc_percent) == (-12.0, 50.0)
    assert measured.external_c == pytest.approx((20.0, 20.0))
    assert measured.board_c == pytest.approx(22.0)


def test_demand_and_flow_are_passed_on(senses: Senses) -> None:
    """What charger and load show besides their current."""
    demand = Demand(10.0, -3.0, True)
    measured = senses.measure(demand, Flow(0.0, EventId.LOAD_SWITCH_STUCK), LIMITS, configured=4, soc_percent=1.0)

    assert (measured.charger, measured.load, measured.offered_a) == (True, True, 10.0)
    assert measured.stuck is EventId.LOAD_SWITCH_STUCK


@pytest.mark.parametrize(("configured", "zeros"), [(4, 0), (6, 2), (16, 12)])
def test_inputs_without_a_cell_read_zero(senses: Senses, configured: int, zeros: int) -> None:
    """A wrong register 307 looks like empty cells, as seen on a unit."""
    cells_v = look(senses, configured=configured).cells_v

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
def test_absent_sensors_give_nothing(pack: Pack, connected: list[bool], present: int) -> None:
    """They are not zero degrees."""
    senses = Senses(pack, Wiring(connected), HIGH_POWER)

    assert len(look(senses).external_c) == present
    assert [celsius is not None for celsius in senses.external_c] == connected


def test_the_sensors_sit_on_the_two_halves(pack: Pack, senses: Senses) -> None:
    """A warm upper half shows on the second sensor."""
    for cell in pack.cells[2:]:
        cell.temperature_c = 40.0

    assert senses.external_c == pytest.approx((20.0, 40.0))


def test_a_broken_wire_shows_in_the_readings(senses: Senses, wiring: Wiring) -> None:
    """From the next look on."""
    wiring.broken_wires.add(2)

    assert look(senses).cells_v[1:3] == (0.0, 4.5)


def test_load_and_bleeding_warm_the_board(senses: Senses) -> None:
    """Full load by 15 degrees, each bled cell by one; slowly."""
    senses.warm(10.0, -150.0, 0)
    early_c = senses.board_c
    senses.warm(3600.0, -150.0, 4)

    assert 22.0 < early_c < 23.0
    assert senses.board_c == pytest.approx(20.0 + 2.0 + 15.0 + 4.0, abs=0.1)


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
    pack: Pack, wiring: Wiring, in_use: bool, plugged: bool, state: CurrentSensor
) -> None:
    """Plugging and pulling while it runs are faults."""
    wiring.external_current_sensor = in_use
    senses = Senses(pack, wiring, HIGH_POWER)
    wiring.external_current_sensor = plugged

    assert senses.current_sensor is state
    assert look(senses, -30.0).current_a == (0.0 if state is CurrentSensor.LOST else -30.0)


@pytest.mark.parametrize(("external", "current_a"), [(True, 30.0), (False, -30.0)])
def test_the_external_sensor_can_be_inverted(pack: Pack, wiring: Wiring, external: bool, current_a: float) -> None:
    """Register 329, bit 0; the internal one is not."""
    wiring.external_current_sensor = external
    senses = Senses(pack, wiring, HIGH_POWER)

    assert look(senses, -30.0, limits=replace(LIMITS, invert_external=True)).current_a == current_a
