"""Plausibility: whether one sample may be used, before anything is decided from it.

Bounds are those of the sensors (manual of the TinyBMS: cells 0.8 to 4.5 V) with some room. A sample is rejected only
where no limit could be decided from it: a cell or the current is missing or impossible. Any other absurd field costs
its own use; what jumps is possible, and counts once several readings say so (``limits.readings``).
"""

from dataclasses import dataclass, field

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.words import Message, message

__all__ = [
    "BELIEVABLE",
    "PlausibilityMemory",
    "PlausibilitySettings",
    "PlausibilityVerdict",
    "ReadingProblem",
    "absurd_fields",
    "judge",
]


@dataclass(frozen=True, slots=True)
class PlausibilitySettings:
    """Bounds; each is far outside what a healthy system can show."""

    cell_min_v: float = 0.5
    cell_max_v: float = 5.0
    sum_tolerance_v: float = 0.3
    """Allowed difference of pack voltage and sum of the cells, or ``sum_tolerance_fraction``, whichever is more."""
    sum_tolerance_fraction: float = 0.015
    current_max_a: float = 1000.0
    soc_max_percent: float = 100.5
    temperature_min_c: float = -60.0
    temperature_max_c: float = 150.0


BELIEVABLE = PlausibilitySettings()
"""The bounds that are in force."""


@dataclass(frozen=True, slots=True)
class ReadingProblem:
    """One thing that cannot be true."""

    what: str
    """Name of the value, for example ``cell 3``."""
    value: float
    low: float
    high: float
    unit: str = ""

    @property
    def message(self) -> Message:
        """What is wrong with it."""
        return message("reading", what=self.what, value=self.value, unit=self.unit, low=self.low, high=self.high)

    def __str__(self) -> str:
        return self.message.text


@dataclass(frozen=True, slots=True)
class PlausibilityVerdict:
    """The judgement of one sample."""

    problems: tuple[ReadingProblem, ...] = field(default=())
    """Why it may not be used."""
    ignored: tuple[ReadingProblem, ...] = field(default=())
    """Fields of it that are not used."""

    @property
    def accepted(self) -> bool:
        """Whether the sample may be used."""
        return not self.problems

    @property
    def cause(self) -> str:
        """A key that stays the same while the same things are wrong, for logging a repetition once."""
        return ", ".join(p.what for p in self.problems or self.ignored)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Why it may not be used, or what of it is not."""
        return tuple(problem.message for problem in self.problems or self.ignored)

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems or self.ignored) or "plausible"


@dataclass(frozen=True, slots=True)
class PlausibilityMemory:
    """The last sample that may be used."""

    accepted: Snapshot | None = None
    judged_at_s: float | None = None
    """When the last sample was taken, believed or not."""


def judge(
    memory: PlausibilityMemory, snapshot: Snapshot, settings: PlausibilitySettings
) -> tuple[PlausibilityVerdict, PlausibilityMemory]:
    """Return the verdict on a sample and the memory for the next one."""
    problems, ignored = [*_cell_problems(snapshot, settings)], absurd_fields(snapshot, settings)
    current_a, most_a = snapshot.pack.current_a, settings.current_max_a
    if not -most_a <= current_a <= most_a:
        problems.append(ReadingProblem("pack current", current_a, -most_a, most_a, "A"))
    if all(problem.what != "pack voltage" for problem in ignored):
        problems += _contradiction(snapshot, settings)
    accepted = memory.accepted if problems else snapshot
    return PlausibilityVerdict(tuple(problems), ignored), PlausibilityMemory(accepted, snapshot.taken_at_s)


def absurd_fields(snapshot: Snapshot, settings: PlausibilitySettings) -> tuple[ReadingProblem, ...]:
    """Return the fields of a sample that cannot be true, and without which limits can be decided all the same."""
    pack, old = snapshot.pack, snapshot.temperatures
    count, low_c, high_c = snapshot.cells.count, settings.temperature_min_c, settings.temperature_max_c
    if (
        settings.cell_min_v * count <= pack.voltage_v <= settings.cell_max_v * count
        and 0.0 <= pack.soc_percent <= settings.soc_max_percent
        and (old.internal_c is None or low_c <= old.internal_c <= high_c)
        and (old.external_1_c is None or low_c <= old.external_1_c <= high_c)
        and (old.external_2_c is None or low_c <= old.external_2_c <= high_c)
    ):
        return ()  # as nearly always
    checks = (
        ("pack voltage", pack.voltage_v, settings.cell_min_v * count, settings.cell_max_v * count, "V"),
        ("state of charge", pack.soc_percent, 0.0, settings.soc_max_percent, "%"),
        ("internal temperature", old.internal_c, low_c, high_c, "°C"),
        ("external 1 temperature", old.external_1_c, low_c, high_c, "°C"),
        ("external 2 temperature", old.external_2_c, low_c, high_c, "°C"),
    )
    return tuple(
        [
            ReadingProblem(what, value, low, high, unit)
            for what, value, low, high, unit in checks
            if value is not None and not low <= value <= high
        ]
    )


def _contradiction(snapshot: Snapshot, settings: PlausibilitySettings) -> list[ReadingProblem]:
    """Find cells whose sum is not the voltage of the pack: one of them is not what it reads, and nobody knows which."""
    pack_v, total_v = snapshot.pack.voltage_v, sum(snapshot.cells.voltages_v)
    room_v = max(settings.sum_tolerance_v, settings.sum_tolerance_fraction * total_v)
    if total_v - room_v <= pack_v <= total_v + room_v:
        return []
    return [ReadingProblem("pack voltage", pack_v, total_v - room_v, total_v + room_v, "V")]


def _cell_problems(snapshot: Snapshot, settings: PlausibilitySettings) -> list[ReadingProblem]:
    cells = snapshot.cells
    expected = snapshot.ratings.series_cells if snapshot.ratings else cells.count
    low, high = (expected, expected) if 4 <= expected <= 16 else (4, 16)
    if not low <= cells.count <= high:
        return [ReadingProblem("number of cells", cells.count, low, high)]
    return [
        ReadingProblem(f"cell {number}", voltage_v, settings.cell_min_v, settings.cell_max_v, "V")
        for number, voltage_v in enumerate(cells.voltages_v, start=1)
        if not settings.cell_min_v <= voltage_v <= settings.cell_max_v
    ]
