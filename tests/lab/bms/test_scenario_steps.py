"""Every action of a step, by what it does to a running simulation."""

from collections.abc import Callable

import pytest
from pydantic import TypeAdapter, ValidationError

from tinybms_lab.bms import EventId, FaultInjector, SimulatedBms, Stage, SwitchStates
from tinybms_lab.bms.scenario import _ACTIONS, StepTable, play_step
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]
STEP = TypeAdapter(StepTable)


@pytest.fixture
def stage(bms: SimulatedBms) -> Stage:
    """A pack of 16 cells and a list of notes."""
    return Stage(bms, FaultInjector(), said.append)


said: list[str] = []


@pytest.fixture(autouse=True)
def silence() -> None:
    """Forget what other tests said."""
    said.clear()


def do(stage: Stage, name: str, value: object) -> None:
    """Check and carry out one action, as a scenario does."""
    play_step(stage, STEP.validate_python({"at": 0, name: value}, context={"cells": 16}))


def current_a(stage: Stage) -> float:
    """Return the current that the BMS measures."""
    stage.bms.refresh()
    return stage.bms._model.measured.current_a


def test_a_current(stage: Stage, pass_time: PassTime) -> None:
    """Positive charges, as everywhere."""
    do(stage, "current_a", -12.5)
    pass_time(1.0)

    assert current_a(stage) == -12.5


@pytest.mark.parametrize(
    ("charger", "expected_a"),
    [(True, 30.0), ({"current_a": 12}, 12.0), ({"current_a": 12, "voltage_v": 40.0}, 0.0), (False, 0.0)],
)
def test_a_charger(stage: Stage, pass_time: PassTime, charger: object, expected_a: float) -> None:
    """A usual one fits the pack: 0.3 times its capacity, register 300 for each cell."""
    do(stage, "charger", charger)
    pass_time(2.0)

    assert current_a(stage) == expected_a


def test_the_usual_charger_stops_at_the_voltage_of_the_settings(stage: Stage, pass_time: PassTime) -> None:
    """57.6 V for 16 cells of 3.6 V."""
    do(stage, "charger", True)
    pass_time(2.0)
    charger = stage.bms._model.environment._charger

    assert charger is not None
    assert charger.voltage_v == pytest.approx(57.6)


def test_a_charger_that_follows_the_current(stage: Stage, pass_time: PassTime) -> None:
    """As without any scenario."""
    do(stage, "charger", False)
    do(stage, "charger", "follows_current")
    do(stage, "current_a", 20)
    pass_time(2.0)

    assert current_a(stage) == 20.0
    assert stage.bms.switches == SwitchStates(load=True, charger=True)


def test_the_room(stage: Stage) -> None:
    """In degrees Celsius."""
    do(stage, "ambient_c", -6)

    assert stage.bms._model.pack.ambient_c == -6.0


def test_sensors_and_wires(stage: Stage) -> None:
    """There and back."""
    wiring = stage.bms._model.environment.wiring
    seen = []
    for name, value in (("unplug_sensor", 2), ("plug_sensor", 2), ("break_wire", 7), ("mend_wire", 7)):
        do(stage, name, value)
        seen.append((list(wiring.temperature_sensors), set(wiring.broken_wires)))

    assert seen == [([True, False], set()), ([True, True], set()), ([True, True], {7}), ([True, True], set())]


def test_cells(stage: Stage) -> None:
    """Percent, and amperes."""
    do(stage, "cell_soc", {"3": 25, "16": 100})
    do(stage, "cell_leak_a", {"5": 2.5})
    cells = stage.bms._model.pack.cells

    assert (cells[2].soc, cells[15].soc) == (0.25, 1.0)
    assert [cell.leak_a for cell in cells if cell.leak_a] == [2.5]


def test_inputs_and_switches(stage: Stage) -> None:
    """Ignition, current sensor, stuck switches."""
    wiring = stage.bms._model.environment.wiring
    do(stage, "ignition", False)
    do(stage, "current_sensor", True)
    do(stage, "stuck_switches", ["load"])
    first = (wiring.ignition, wiring.external_current_sensor, wiring.stuck_load, wiring.stuck_charger)
    do(stage, "stuck_switches", ["charger"])
    second = (wiring.stuck_load, wiring.stuck_charger)

    assert first == (False, True, True, False)
    assert second == (False, True)


def test_settings_are_written_as_a_technician_would(stage: Stage) -> None:
    """In units; parts of a register stay."""
    do(stage, "write", {"discharge_over_current_timeout": 3, "allowed_disbalance": 0.03})

    assert stage.bms.read(330, 1) == (3 << 8 | 1,)
    assert stage.bms.read(308, 1) == (30,)
    assert said == []


def test_a_refused_write_is_told(stage: Stage) -> None:
    """In range by itself, but not beside the other settings."""
    do(stage, "write", {"fully_charged_voltage": 4.4})

    assert stage.bms.read(300, 1) == (3600,)
    assert said == ["the BMS refuses the values of registers 300"]


@pytest.mark.parametrize(("wanted", "events"), [(True, 2), (False, 1)])
def test_a_restart(stage: Stage, pass_time: PassTime, wanted: bool, events: int) -> None:
    """True restarts, false does nothing."""
    do(stage, "restart", wanted)
    pass_time(2.0)
    stage.bms.refresh()

    assert [event for _, event in stage.bms.history] == [EventId.BMS_STARTED] * events


def test_faults_of_the_line(stage: Stage) -> None:
    """Those that are named; the others end."""
    do(stage, "fault", {"bit_flip": 0.5})
    first = stage.faults.plan
    do(stage, "fault", {"silence": 1})

    assert (first.bit_flip, first.silence) == (0.5, 0.0)
    assert (stage.faults.plan.bit_flip, stage.faults.plan.silence) == (0.0, 1.0)


def test_notes_are_said(stage: Stage) -> None:
    """To whoever listens; to nobody by default."""
    do(stage, "note", "the sun rises")
    do(Stage(stage.bms), "note", "nobody hears this")

    assert said == ["the sun rises"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("charger", 5, 'must be true, false, "follows_current" or { current_a = 30, voltage_v = 57.6 }'),
        ("charger", {"voltage_v": 50}, "must be true, false"),
        ("charger", {"current_a": 1, "power_w": 2}, "must be true, false"),
        ("charger", {"current_a": -1}, "must be a number of 0 to 1000"),
        ("fault", {"fire": 1}, "must be a table of probabilities"),
        ("fault", {"bit_flip": 2}, "must be a number of 0 to 1"),
        ("fault", True, "must be a table of probabilities"),
        ("break_wire", 17, "must be a whole number of 0 to 16"),
        ("cell_soc", {"17": 1}, "key '17' must be a number of 1 to 16"),
        ("stuck_switches", ["both"], "must be one of load, charger"),
        ("unplug_sensor", 0, "must be a whole number of 1 to 2"),
        ("current_a", 2000, "must be a number of -1000 to 1000"),
    ],
)
def test_impossible_values_are_refused(name: str, value: object, message: str) -> None:
    """Before the scenario starts."""
    with pytest.raises(ValidationError) as caught:
        STEP.validate_python({"at": 0, name: value}, context={"cells": 16})

    assert message in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("break_wire", 7, "must be a whole number of 0 to 4"), ("cell_leak_a", {"7": 1}, "must be a number of 1 to 4")],
)
def test_cells_and_wires_are_those_of_the_pack(name: str, value: object, message: str) -> None:
    """A pack of four has no seventh cell."""
    with pytest.raises(ValidationError) as caught:
        STEP.validate_python({"at": 0, name: value}, context={"cells": 4})

    assert message in caught.value.errors()[0]["msg"]


def test_every_action_of_the_file_can_be_done(stage: Stage) -> None:
    """No key is accepted that would then do nothing."""
    assert set(StepTable.__annotations__) - {"at"} == set(_ACTIONS)


def test_a_stage_needs_no_more_than_a_bms(clock: FakeClock) -> None:
    """For tests that script a simulation without a line."""
    stage = Stage(SimulatedBms.build(clock))

    assert not any(stage.faults.counts.values())
