"""A scenario: a pack, a BMS and what happens to them over time; built-in ones come with the package."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.bms.chemistry import LFP, Chemistry
from tinybms_lab.bms.device import BmsOptions, SimulatedBms
from tinybms_lab.bms.named_settings import NamedSettings
from tinybms_lab.bms.pack import Pack
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.scenario_actions import ActionKind, Stage
from tinybms_lab.bms.settings import default_settings
from tinybms_lab.bms.variants import Habits

__all__ = ["PackPlan", "Scenario", "Step", "built_in_scenario_texts"]


@dataclass(frozen=True, slots=True)
class PackPlan:
    """The pack at the start."""

    chemistry: Chemistry = LFP
    cells: int = 16
    capacity_ah: float = 100.0
    soc: float = 0.6
    ambient_c: float = 25.0
    capacity_spread: float = 0.005
    soc_spread: float = 0.002
    resistance_spread: float = 0.08

    def build(self) -> Pack:
        """Return the pack."""
        return Pack.build(
            self.chemistry,
            self.cells,
            capacity_ah=self.capacity_ah,
            soc=self.soc,
            capacity_spread=self.capacity_spread,
            soc_spread=self.soc_spread,
            resistance_spread=self.resistance_spread,
            ambient_c=self.ambient_c,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What is done at one moment."""

    at_s: float
    """Pack time."""
    actions: tuple[tuple[ActionKind, Any], ...]
    """Each with its checked value, in the order of the file."""

    def play(self, stage: Stage) -> None:
        """Do it now."""
        for kind, value in self.actions:
            kind.apply(stage, value)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated, and what happens to it."""

    name: str
    title: str
    duration_s: float
    """Pack time after which nothing more is to be seen."""
    ends_with: tuple[EventId, ...] = ()
    """Events that occur in this order until the end, others in between."""
    pack: PackPlan = field(default_factory=PackPlan)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``BmsOptions``."""
    habits: Habits = field(default_factory=Habits)
    chunk: int | None = None
    """Bytes that the line delivers at a time; None for as they come."""
    settings: NamedSettings = field(default_factory=NamedSettings)
    """What was set before the start."""
    steps: tuple[Step, ...] = ()

    def delivered(self) -> dict[int, int]:
        """Return the raw settings before those of the scenario. Reads package data.

        Raises:
            ValueError: a pack that the registers cannot hold.

        """
        board = BmsOptions(**self.options).board
        return default_settings(self.pack.chemistry, board, self.pack.cells, self.pack.capacity_ah)

    def build(self, clock: Clock, *, speed: float = 1.0) -> SimulatedBms:
        """Return the BMS at the start of the scenario. Reads package data: call it off the event loop.

        Raises:
            ValueError: a pack that the registers cannot hold.

        """
        plan = self.pack
        return SimulatedBms(
            plan.build(),
            clock,
            chemistry=plan.chemistry,
            capacity_ah=plan.capacity_ah,
            options=BmsOptions(speed=speed, **self.options),
            settings=self.settings.words(self.delivered().__getitem__),
        )

    def play(self, stage: Stage) -> None:
        """Let every step happen at its time; what is due already happens now."""
        for step in sorted(self.steps, key=lambda step: step.at_s):
            stage.bms.at(step.at_s, partial(step.play, stage))

    def reached_by(self, events: Iterable[EventId]) -> bool:
        """Return whether the events that the scenario ends with have occurred, in their order."""
        occurred = iter(events)
        return all(event in occurred for event in self.ends_with)


def built_in_scenario_texts() -> dict[str, str]:
    """Return the text of each scenario file that comes with the package, by name. Reads files."""
    folder = files(__package__ or "").joinpath("data", "scenarios")
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in sorted(found, key=lambda entry: entry.name)
    }
