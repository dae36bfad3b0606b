"""A scenario: a pack, a BMS and what happens to them over time, as models of the file that tells it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidatorFunctionWrapHandler, WrapValidator, with_config
from typing_extensions import TypedDict  # pydantic, which brings it, takes no other before Python 3.12

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Action
from tinybms_lab.bms.chemistry import CHEMISTRIES, LFP, ChemistryModel
from tinybms_lab.bms.device import BmsOptions, SimulatedBms
from tinybms_lab.bms.environment import Charger
from tinybms_lab.bms.faults import FaultInjector
from tinybms_lab.bms.pack import SimulatedPack
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.scenario_values import (
    CellNumbers,
    ChargerChoice,
    Choice,
    Choices,
    Duration,
    Faults,
    NamedSettings,
    Settings,
    Text,
    Wire,
    Within,
)
from tinybms_lab.bms.settings import OutOfRange, default_settings
from tinybms_lab.bms.variants import (
    FIRMWARES,
    HIGH_POWER,
    LOW_POWER,
    BlockLength,
    Board,
    CellOrder,
    EventOrder,
    Firmware,
    OffMap,
    PacketId,
    Quirks,
)

__all__ = ["BmsScenario", "BmsTable", "LineTable", "PackPlan", "Stage", "StepTable", "play_step"]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)
_USUAL_RATE = 0.3


def _names(kinds: type[Enum]) -> Mapping[Any, Enum]:
    return {kind.value: kind for kind in kinds}


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


class PackPlan(BaseModel):
    """The pack at the start; a file gives fractions in percent."""

    model_config = _STRICT

    chemistry: Annotated[ChemistryModel, Choice(CHEMISTRIES)] = LFP
    cells: Annotated[int, Within(4, 16)] = 16
    capacity_ah: Annotated[float, Within(0.1, 655)] = 100.0
    soc: Annotated[float, Within(0, 100, scale=0.01)] = 0.6
    ambient_c: Annotated[float, Within(-60, 120)] = 25.0
    capacity_spread: Annotated[float, Within(0, 50, scale=0.01)] = 0.005
    soc_spread: Annotated[float, Within(0, 50, scale=0.01)] = 0.002
    resistance_spread: Annotated[float, Within(0, 90, scale=0.01)] = 0.08

    def build(self) -> SimulatedPack:
        """Return the pack."""
        plan = dict(self)
        return SimulatedPack.build(plan.pop("chemistry"), plan.pop("cells"), **plan)


@with_config(_STRICT)
class BmsTable(TypedDict, total=False):
    """Fields of ``BmsOptions``; what is not given is as there."""

    firmware: Annotated[Firmware, Choice(FIRMWARES)]
    board: Annotated[Board, Choice({"low": LOW_POWER, "high": HIGH_POWER})]
    external_sensors: Annotated[int, Within(0, 2)]
    external_current_sensor: bool
    asleep_allowed: bool
    lifetime_s: Annotated[int, Within(0, 0xFFFFFFFF)]
    first_event_slot: Annotated[int, Within(0, 48)]
    off_map: Annotated[OffMap, Choice(_names(OffMap))]
    warning_is_fault: bool
    out_of_range: Annotated[OutOfRange, Choice(_names(OutOfRange))]
    keeps_partial_writes: bool
    write_busy_s: Annotated[float, Within(0, 60)]
    adapter_on_5v: bool


@with_config(_STRICT)
class LineTable(TypedDict, total=False):
    """Fields of ``Quirks``, and ``chunk``, a property of the line."""

    block_length: Annotated[BlockLength, Choice(_names(BlockLength))]
    cell_order: Annotated[CellOrder, Choice(_names(CellOrder))]
    newest_count: Annotated[int, Within(0, 49)]
    newest_order: Annotated[EventOrder, Choice(_names(EventOrder))]
    all_order: Annotated[EventOrder, Choice(_names(EventOrder))]
    packet_id: Annotated[PacketId, Choice(_names(PacketId))]
    chunk: Annotated[int, Within(1, 4096)]
    """Bytes that the line delivers at a time."""


class _At(TypedDict):
    at: Duration


@with_config(_STRICT)
class StepTable(_At, total=False):
    """What is done at one moment; each action is a key of ``_ACTIONS`` too, which does it."""

    current_a: Annotated[float, Within(-1000, 1000)]
    charger: ChargerChoice
    ambient_c: Annotated[float, Within(-60, 120)]
    unplug_sensor: Annotated[int, Within(1, 2)]
    plug_sensor: Annotated[int, Within(1, 2)]
    break_wire: Wire
    mend_wire: Wire
    cell_soc: Annotated[dict[int, Annotated[float, Within(0, 100, scale=0.01)]], CellNumbers()]
    cell_leak_a: Annotated[dict[int, Annotated[float, Within(0, 1000)]], CellNumbers()]
    ignition: bool
    current_sensor: bool
    stuck_switches: Annotated[tuple[str, ...], Choices({"load": "load", "charger": "charger"})]
    write: Settings
    restart: bool
    fault: Faults
    note: Text


def _in_order(value: object, check: ValidatorFunctionWrapHandler) -> dict[str, Any]:
    """Return the checked actions in the order of the file, in which they are carried out."""
    checked: dict[str, Any] = check(value)
    assert isinstance(value, dict)
    if not checked.keys() - {"at"}:
        raise ValueError(f"does nothing: add one of {', '.join(_ACTIONS)}")
    return {key: checked[key] for key in value}


class BmsScenario(BaseModel):
    """What is simulated, and what happens to it. ``name`` comes with the context of the validation."""

    model_config = _STRICT

    title: Text
    duration_s: Duration = Field(alias="duration")
    """Time after which nothing more is to be seen."""
    ends_with: Annotated[tuple[EventId, ...], Choices({event.name.lower(): event for event in EventId})] = ()
    """Events that occur in this order until the end, others in between."""
    pack: PackPlan = Field(default_factory=PackPlan)
    bms: BmsTable = Field(default_factory=BmsTable)
    line: LineTable = Field(default_factory=LineTable)
    settings: Settings = Field(default_factory=NamedSettings)
    """What was set before the start."""
    steps: tuple[Annotated[StepTable, WrapValidator(_in_order)], ...] = Field((), alias="step", strict=False)
    _name: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:  # noqa: ANN401 -- as pydantic has it
        """Take the name from the context."""
        self._name = (context or {}).get("name", "")

    @property
    def name(self) -> str:
        """What the scenario is called."""
        return self._name

    @property
    def quirks(self) -> Quirks:
        """How the unit speaks."""
        return Quirks(**{key: value for key, value in self.line.items() if key != "chunk"})  # type: ignore[arg-type]

    @property
    def chunk(self) -> int | None:
        """Bytes that the line delivers at a time; None for as they come."""
        return self.line.get("chunk")

    def delivered(self) -> dict[int, int]:
        """Return the raw settings before those of the scenario. Reads package data.

        Raises:
            ValueError: a pack that the registers cannot hold.

        """
        board = BmsOptions(**self.bms).board
        return default_settings(self.pack.chemistry, board, self.pack.cells, self.pack.capacity_ah)

    def build(self, clock: Clock, *, speed: float = 1.0) -> SimulatedBms:
        """Return the BMS at the start of the scenario. Reads package data: call it off the event loop.

        Raises:
            ValueError: a pack that the registers cannot hold.

        """
        return SimulatedBms(
            self.pack.build(),
            clock,
            chemistry=self.pack.chemistry,
            capacity_ah=self.pack.capacity_ah,
            options=BmsOptions(speed=speed, **self.bms),
            settings=self.settings.words(self.delivered().__getitem__),
        )

    def play(self, stage: Stage) -> None:
        """Let every step happen at its time; what is due already happens now."""
        for step in sorted(self.steps, key=lambda step: step["at"]):
            stage.bms.at(step["at"], partial(play_step, stage, step))

    def reached_by(self, events: Iterable[EventId]) -> bool:
        """Return whether the events that the scenario ends with have occurred, in their order."""
        occurred = iter(events)
        return all(event in occurred for event in self.ends_with)


def play_step(stage: Stage, step: StepTable) -> None:
    """Do now what a step says, in the order of the file."""
    for key, value in step.items():
        if key != "at":
            _ACTIONS[key](stage, value)


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


_ACTIONS: Mapping[str, Callable[[Stage, Any], None]] = {
    "current_a": lambda stage, value: stage.bms.set_current_a(value),
    "charger": _connect,
    "ambient_c": lambda stage, value: stage.bms.set_ambient_c(value),
    "unplug_sensor": lambda stage, value: stage.bms.unplug_sensor(value),
    "plug_sensor": lambda stage, value: stage.bms.plug_sensor(value),
    "break_wire": lambda stage, value: stage.bms.break_wire(value),
    "mend_wire": lambda stage, value: stage.bms.mend_wire(value),
    "cell_soc": _set_socs,
    "cell_leak_a": _set_leaks,
    "ignition": lambda stage, value: stage.bms.set_ignition(value),
    "current_sensor": lambda stage, value: stage.bms.plug_current_sensor(connected=value),
    "stuck_switches": _stick,
    "write": _write,
    "restart": _restart,
    "fault": lambda stage, value: setattr(stage.faults, "plan", value),
    "note": lambda stage, value: stage.say(value),
}
