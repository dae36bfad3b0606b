"""What a step of a scenario can do to a running simulation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinybms_bridge.tinybms.frames import Action
from tinybms_lab.bms.device import SimulatedBms
from tinybms_lab.bms.faults import FAULT_NAMES, FaultInjector, FaultPlan
from tinybms_lab.bms.named_settings import NamedSettings, named_settings
from tinybms_lab.bms.scenario_checks import (
    Check,
    boolean,
    by_number,
    list_of,
    number,
    one_of,
    text,
    whole,
)
from tinybms_lab.bms.surroundings import Charger

__all__ = ["FOLLOWS_CURRENT", "ActionKind", "Stage", "action_kinds"]

FOLLOWS_CURRENT = "follows_current"
"""Value of ``charger``: positive currents are those of a charger, as without this action."""

_USUAL_RATE = 0.3


def _nothing(_text: str) -> None:
    """Say it to nobody."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a scenario plays."""

    bms: SimulatedBms
    faults: FaultInjector = field(default_factory=FaultInjector)
    """What goes wrong on the line."""
    say: Callable[[str], None] = _nothing
    """Takes the notes of the scenario."""


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One thing that a step can do."""

    check: Check
    apply: Callable[[Stage, Any], None]


def action_kinds(cells: int) -> Mapping[str, ActionKind]:
    """Return every action by its key in the file, for a pack of this many cells."""
    return {
        "current_a": ActionKind(number(-1000, 1000), lambda stage, value: stage.bms.set_current_a(value)),
        "charger": ActionKind(_charger, _connect),
        "ambient_c": ActionKind(number(-60, 120), lambda stage, value: stage.bms.set_ambient_c(value)),
        "unplug_sensor": ActionKind(whole(1, 2), lambda stage, value: stage.bms.unplug_sensor(value)),
        "plug_sensor": ActionKind(whole(1, 2), lambda stage, value: stage.bms.plug_sensor(value)),
        "break_wire": ActionKind(whole(0, cells), lambda stage, value: stage.bms.break_wire(value)),
        "mend_wire": ActionKind(whole(0, cells), lambda stage, value: stage.bms.mend_wire(value)),
        "cell_soc": ActionKind(by_number(cells, number(0, 100, scale=0.01)), _set_socs),
        "cell_leak_a": ActionKind(by_number(cells, number(0, 1000)), _set_leaks),
        "ignition": ActionKind(boolean, lambda stage, value: stage.bms.set_ignition(value)),
        "current_sensor": ActionKind(boolean, lambda stage, value: stage.bms.plug_current_sensor(connected=value)),
        "stuck_switches": ActionKind(list_of(one_of({"load": "load", "charger": "charger"})), _stick),
        "write": ActionKind(named_settings, _write),
        "restart": ActionKind(boolean, _restart),
        "fault": ActionKind(_fault_plan, _set_faults),
        "note": ActionKind(text, lambda stage, value: stage.say(value)),
    }


def _charger(value: object) -> Charger | bool | None:
    if value == FOLLOWS_CURRENT:
        return None
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or "current_a" not in value or value.keys() - {"current_a", "voltage_v"}:
        raise ValueError(f'must be true, false, "{FOLLOWS_CURRENT}" or {{ current_a = 30, voltage_v = 57.6 }}')
    volts = value.get("voltage_v")
    check_a, check_v = number(0, 1000), number(0, 100)
    return Charger(check_a(value["current_a"]), None if volts is None else check_v(volts))


def _fault_plan(value: object) -> FaultPlan:
    if not isinstance(value, dict) or value.keys() - set(FAULT_NAMES):
        raise ValueError(
            f"must be a table of probabilities, such as {{ bit_flip = 0.01 }}, of {', '.join(FAULT_NAMES)}"
        )
    chance = number(0, 1)
    return FaultPlan(**{name: chance(entry) for name, entry in value.items()})


def _connect(stage: Stage, charger: Charger | bool | None) -> None:
    if charger is None:
        stage.bms.charger_follows_current()
    elif charger is False:
        stage.bms.disconnect_charger()
    elif charger is True:
        full_mv, capacity, cells = (_word(stage.bms, address) for address in (300, 306, 307))
        stage.bms.connect_charger(_USUAL_RATE * capacity / 100.0, cells * full_mv / 1000.0)
    else:
        stage.bms.connect_charger(charger.current_a, charger.voltage_v)


def _word(bms: SimulatedBms, address: int) -> int:
    words = bms.read(address, 1)
    return words[0] if words else 0


def _set_socs(stage: Stage, socs: Mapping[int, float]) -> None:
    for cell, soc in socs.items():
        stage.bms.set_cell_soc(cell, soc)


def _set_leaks(stage: Stage, leaks_a: Mapping[int, float]) -> None:
    for cell, leak_a in leaks_a.items():
        stage.bms.set_cell_leak_a(cell, leak_a)


def _stick(stage: Stage, names: tuple[str, ...]) -> None:
    stage.bms.stick_switches(load="load" in names, charger="charger" in names)


def _write(stage: Stage, settings: NamedSettings) -> None:
    words = settings.words(lambda address: _word(stage.bms, address))
    if not stage.bms.write(list(words.items())):
        stage.say(f"the BMS refuses the values of registers {', '.join(str(address) for address in words)}")


def _restart(stage: Stage, wanted: bool) -> None:
    if wanted:
        stage.bms.act(Action.RESET)


def _set_faults(stage: Stage, plan: FaultPlan) -> None:
    stage.faults.plan = plan
