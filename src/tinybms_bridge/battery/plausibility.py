"""Plausibility: whether one sample may be believed, before anything is decided from it.

Bounds are those of the sensors (manual of the TinyBMS: cells 0.8 to 4.5 V) with some room; jumps are judged against
the last accepted sample and accepted once several samples in a row agree with each other.
"""

from dataclasses import dataclass, field, replace

from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["PlausibilityMemory", "PlausibilitySettings", "Problem", "Verdict", "judge"]


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
    jump_window_s: float = 2.0
    """After a longer time without any sample a jump is believed at once."""
    cell_jump_v: float = 0.5
    soc_jump_percent: float = 5.0
    temperature_jump_c: float = 20.0
    confirm_samples: int = 3
    """Samples in a row that must agree before a jump is believed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot be true."""

    what: str
    """Name of the value, for example ``cell 3``."""
    value: float
    low: float
    high: float
    unit: str = ""
    jump: bool = False
    """True when the value is possible, but not so soon after the last one."""

    def __str__(self) -> str:
        verb = "jumped by" if self.jump else "is"
        found = f"{self.value:.6g} {self.unit}".rstrip()
        return f"{self.what} {verb} {found}, expected {self.low:.6g} to {self.high:.6g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one sample."""

    problems: tuple[Problem, ...] = field(default=())

    @property
    def accepted(self) -> bool:
        """Whether the sample may be used."""
        return not self.problems

    @property
    def cause(self) -> str:
        """A key that stays the same while the same things are wrong, for logging a repetition once."""
        return ", ".join(f"{p.what}{' jump' if p.jump else ''}" for p in self.problems)

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems) or "plausible"


@dataclass(frozen=True, slots=True)
class PlausibilityMemory:
    """The last accepted sample, and the candidates of a jump that is not believed yet."""

    accepted: Snapshot | None = None
    candidate: Snapshot | None = None
    agreeing: int = 0
    judged_at_s: float | None = None
    """When the last sample was taken, believed or not."""


def judge(
    memory: PlausibilityMemory, snapshot: Snapshot, settings: PlausibilitySettings
) -> tuple[Verdict, PlausibilityMemory]:
    """Return the verdict on a sample and the memory for the next one."""
    now_s, before_s = snapshot.taken_at_s, memory.judged_at_s
    memory = replace(memory, judged_at_s=now_s)
    impossible = _impossible(snapshot, settings)
    if impossible:
        return Verdict(tuple(impossible)), replace(memory, candidate=None, agreeing=0)
    # Judged against the time of the last sample, believed or not: garbage does not become true by lasting.
    recent = before_s is not None and 0.0 <= now_s - before_s <= settings.jump_window_s
    jumps = _jumps(memory.accepted, snapshot, settings) if recent else []
    if not jumps:
        return Verdict(), PlausibilityMemory(accepted=snapshot, judged_at_s=now_s)
    agrees = memory.candidate is not None and not _jumps(memory.candidate, snapshot, settings)
    agreeing = memory.agreeing + 1 if agrees else 1
    if agreeing >= settings.confirm_samples:
        return Verdict(), PlausibilityMemory(accepted=snapshot, judged_at_s=now_s)
    return Verdict(tuple(jumps)), replace(memory, candidate=snapshot, agreeing=agreeing)


def _impossible(snapshot: Snapshot, settings: PlausibilitySettings) -> list[Problem]:
    problems = [*_cell_problems(snapshot, settings)]
    pack = snapshot.pack
    total_v = sum(snapshot.cells.voltages_v)
    room_v = max(settings.sum_tolerance_v, settings.sum_tolerance_fraction * total_v)
    checks = [
        Problem("pack voltage", pack.voltage_v, total_v - room_v, total_v + room_v, "V"),
        Problem("pack current", pack.current_a, -settings.current_max_a, settings.current_max_a, "A"),
        Problem("state of charge", pack.soc_percent, 0.0, settings.soc_max_percent, "%"),
    ]
    checks += [
        Problem(f"{name} temperature", value, settings.temperature_min_c, settings.temperature_max_c, "°C")
        for name, value in _temperatures(snapshot).items()
    ]
    problems += [check for check in checks if not check.low <= check.value <= check.high]
    return problems


def _cell_problems(snapshot: Snapshot, settings: PlausibilitySettings) -> list[Problem]:
    cells = snapshot.cells
    expected = snapshot.ratings.series_cells if snapshot.ratings else cells.count
    low, high = (expected, expected) if 4 <= expected <= 16 else (4, 16)
    if not low <= cells.count <= high:
        return [Problem("number of cells", cells.count, low, high)]
    return [
        Problem(f"cell {number}", voltage_v, settings.cell_min_v, settings.cell_max_v, "V")
        for number, voltage_v in enumerate(cells.voltages_v, start=1)
        if not settings.cell_min_v <= voltage_v <= settings.cell_max_v
    ]


def _jumps(before: Snapshot | None, after: Snapshot, settings: PlausibilitySettings) -> list[Problem]:
    if before is None or before.cells.count != after.cells.count:
        return []
    steps = [
        (f"cell {number}", new_v - old_v, settings.cell_jump_v, "V")
        for number, (old_v, new_v) in enumerate(
            zip(before.cells.voltages_v, after.cells.voltages_v, strict=True), start=1
        )
    ]
    soc_step = after.pack.soc_percent - before.pack.soc_percent
    # A charge that completes sets SOC to 100 % at once (manual: event 0x63).
    if after.pack.soc_percent < 99.99:
        steps.append(("state of charge", soc_step, settings.soc_jump_percent, "%"))
    old_t, new_t = _temperatures(before), _temperatures(after)
    steps += [
        (f"{name} temperature", new_c - old_t[name], settings.temperature_jump_c, "°C")
        for name, new_c in new_t.items()
        if name in old_t
    ]
    return [Problem(what, step, -most, most, unit, jump=True) for what, step, most, unit in steps if abs(step) > most]


def _temperatures(snapshot: Snapshot) -> dict[str, float]:
    t = snapshot.temperatures
    named = {"internal": t.internal_c, "external 1": t.external_1_c, "external 2": t.external_2_c}
    return {name: value for name, value in named.items() if value is not None}
