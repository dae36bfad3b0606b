"""How far readings are from the truth: sensors that err, dirt on the line to the bridge, and chance that repeats.

Every run of a scenario sees the same noise, the same clouds and the same dirt. A BMS reads with calibration errors,
noise, a resolution, and a current that reads 0 when small. Dirt is what becomes of its readings before the engine sees
them: the pack, its BMS and its switches know nothing of it. Every kind says when it begins, in seconds after the start
of its scenario, and for how long it lasts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from tinybms_bridge.battery.snapshot import Cells, Snapshot, Temperatures

__all__ = [
    "Dirt",
    "DirtPlayer",
    "DirtyField",
    "Frozen",
    "Outliers",
    "Replaced",
    "SensorPlan",
    "Sensors",
    "StandingCounter",
    "generator",
]


def generator(seed: int) -> Random:
    """Return a source of numbers that depends on the seed only."""
    return Random(seed)  # noqa: S311 -- weather and sensor noise, not secrets


_ROWS = 509
"""Rows of noise that are made once and repeated; a prime, so that no period of a control loop meets the same row."""


@dataclass(frozen=True, slots=True)
class SensorPlan:
    """How far the BMS's readings are from the truth."""

    cell_error_v: float = 0.002
    """Largest calibration error of a cell's channel; each has its own, fixed for the run."""
    cell_noise_v: float = 0.0005
    """Standard deviation of one reading."""
    current_gain_error: float = 0.005
    """As a fraction of the current."""
    current_offset_a: float = 0.1
    current_noise_a: float = 0.1
    temperature_noise_c: float = 0.1
    idle_a: float = 0.8
    """Currents within ± this read as exactly 0 (tinybms-protocol.md, 5.2: the high-power board)."""
    external: bool = True
    """Whether two external temperature sensors are on the cells."""
    board: bool = False
    """Whether the board's own sensor is read; it shows the mean of the cells."""


class Sensors:
    """The inputs of one BMS.

    Args:
        plan: sizes of the errors.
        cells: number of cells.
        seed: chooses errors and noise.

    """

    def __init__(self, plan: SensorPlan, cells: int, seed: int) -> None:
        self.plan = plan
        chance = generator(seed)
        errors_v = [chance.uniform(-plan.cell_error_v, plan.cell_error_v) for _ in range(cells)]
        self._cell_rows = [[e + chance.gauss(0.0, plan.cell_noise_v) for e in errors_v] for _ in range(_ROWS)]
        self._current_rows = [plan.current_offset_a + chance.gauss(0.0, plan.current_noise_a) for _ in range(_ROWS)]
        self._warmth_rows = [chance.gauss(0.0, plan.temperature_noise_c) for _ in range(_ROWS)]
        self._gain = 1.0 + plan.current_gain_error
        self._idle_a = plan.idle_a
        self._row = 0

    def tick(self) -> None:
        """Go on to the next sample."""
        self._row = (self._row + 1) % _ROWS

    def cells_v(self, true_v: Sequence[float]) -> tuple[float, ...]:
        """Return cell voltages as read, in steps of 0.1 mV."""
        return tuple([round(v + d, 4) for v, d in zip(true_v, self._cell_rows[self._row], strict=True)])

    def current_a(self, true_a: float) -> float:
        """Return a current as read, in steps of 10 mA."""
        read_a = round(true_a * self._gain + self._current_rows[self._row], 2)
        return 0.0 if abs(read_a) <= self._idle_a else read_a

    def temperature_c(self, true_c: float) -> float:
        """Return a temperature as read, in steps of 0.1 °C."""
        return round(true_c + self._warmth_rows[self._row], 1)


_CLOSE_S = 15.0
"""So long after its begin and its end a change is watched reading by reading."""


class DirtyField(Enum):
    """What a reading can be replaced in."""

    SOC = "state of charge"
    BOARD = "the board's own sensor"
    EXTERNAL_1 = "external sensor 1"
    EXTERNAL_2 = "external sensor 2"


@dataclass(frozen=True, slots=True)
class Outliers:
    """Readings in which some cells are off."""

    after_s: float
    for_s: float
    off_v: tuple[tuple[int, float], ...]
    """(cell from 0, volts that are added)."""
    every: int = 0
    """1: each reading, 2: every second one; 0: only the first of its time."""
    chance: float = 0.0
    """Share of the other readings that are hit as well, and then one of the cells alone; by the seed."""
    in_sum: bool = False
    """Whether the voltage of the pack is off with them."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A field that shows something else."""

    after_s: float
    for_s: float
    field: DirtyField
    value: float | None
    """None: the sensor is lost."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Every reply is the image of the first one, its counter included."""

    after_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class StandingCounter:
    """The lifetime counter stands, everything else moves."""

    after_s: float
    for_s: float


Dirt = Outliers | Replaced | Frozen | StandingCounter


class DirtPlayer:
    """Plays the dirt of one run.

    Args:
        plan: what is played.
        start_s: of the scenario.
        seed: chooses which readings are hit by chance.

    """

    def __init__(self, plan: Sequence[Dirt], start_s: float, seed: int) -> None:
        self._plan = [(each, start_s + each.after_s, start_s + each.after_s + each.for_s) for each in plan]
        self._chance = generator(seed)
        self._readings = [0] * len(plan)
        """How many readings each has seen in its time."""
        self._first: list[Snapshot | None] = [None] * len(plan)

    def spoil(self, snapshot: Snapshot, now_s: float) -> Snapshot:
        """Return what arrives of a reading."""
        for index, (dirt, from_s, to_s) in enumerate(self._plan):
            if not from_s <= now_s < to_s:
                continue
            self._readings[index] += 1
            first = self._first[index]
            if first is None:
                first = self._first[index] = snapshot
            snapshot = _spoiled(dirt, snapshot, first, self._readings[index], self._chance)
        return snapshot

    def active(self, now_s: float) -> bool:
        """Return whether anything is wrong now."""
        return any(from_s <= now_s < to_s for _, from_s, to_s in self._plan)

    def close(self, now_s: float) -> bool:
        """Return whether every reading matters now: outliers, and for a while what began or ended."""
        for dirt, from_s, to_s in self._plan:
            if isinstance(dirt, Outliers):
                if from_s <= now_s < to_s + _CLOSE_S:
                    return True
            elif from_s <= now_s < from_s + _CLOSE_S or to_s <= now_s < to_s + _CLOSE_S:
                return True
        return False

    def next_change_s(self, now_s: float) -> float:
        """Return the next time at which dirt begins or ends; infinity for never."""
        times = [time_s for _, *span in self._plan for time_s in span if time_s > now_s]
        return min(times, default=math.inf)


def _spoiled(dirt: Dirt, snapshot: Snapshot, first: Snapshot, reading: int, chance: Random) -> Snapshot:
    match dirt:
        case Outliers():
            return _with_outliers(dirt, snapshot, reading, chance)
        case Replaced():
            return _with_field(snapshot, dirt.field, dirt.value)
        case Frozen():
            return replace(first, sequence=snapshot.sequence, taken_at_s=snapshot.taken_at_s)
        case StandingCounter():
            return replace(snapshot, pack=replace(snapshot.pack, lifetime_s=first.pack.lifetime_s))


def _with_outliers(dirt: Outliers, snapshot: Snapshot, reading: int, chance: Random) -> Snapshot:
    off_v = dict(dirt.off_v)
    planned = reading == 1 if dirt.every == 0 else (reading - 1) % dirt.every == 0
    if not planned:
        if chance.random() >= dirt.chance:
            return snapshot
        index = chance.choice(sorted(off_v))
        off_v = {index: off_v[index]}
    voltages_v = tuple([round(v + off_v.get(i, 0.0), 4) for i, v in enumerate(snapshot.cells.voltages_v)])
    pack = snapshot.pack
    if dirt.in_sum:
        pack = replace(pack, voltage_v=round(pack.voltage_v + sum(off_v.values()), 3))
    return replace(snapshot, cells=Cells(voltages_v, snapshot.cells.balancing, snapshot.cells.wanted), pack=pack)


def _with_field(snapshot: Snapshot, field: DirtyField, value: float | None) -> Snapshot:
    if field is DirtyField.SOC:
        assert value is not None
        return replace(snapshot, pack=replace(snapshot.pack, soc_percent=value))
    old = snapshot.temperatures
    first_c = value if field is DirtyField.EXTERNAL_1 else old.external_1_c
    second_c = value if field is DirtyField.EXTERNAL_2 else old.external_2_c
    board_c = value if field is DirtyField.BOARD else old.internal_c
    return replace(snapshot, temperatures=Temperatures(board_c, first_c, second_c))
