"""Which cells are in doubt, and which of their readings were outliers.

A reading is judged by how its cell stands to the others: what moves all cells is a load or a charger. A weak cell moves
further than the others when the current steps, and that is no outlier either. A cell is in doubt while its last five
readings disagree. An outlier is a reading that lies apart from those before and after it. Two neighbours that are off
by the same voltage in opposite directions hang on one wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["DoubtMemory", "Outlier", "loose_wires", "name_of_cells", "next_doubts"]

_APART_V = 0.03
"""Readings of one cell that differ by more than this disagree: ten times the noise, less than matters to a limit."""

_STEP_C_RATE = 0.01
_STEP_A = 1.0
"""A current that changes by more than this is a step; it explains what follows it."""

_EXPLAINED = 3.0
"""A weak or an aged cell moves this many times as far with a step of current as the middle one does."""

_PAIR_V = 0.02
_PAIR_SHARE = 0.25
"""Two neighbours whose deviations cancel to within this much, or this share, are off by one wire."""

_REMEMBERED_S = 120.0
"""Over how long the share of time in doubt is counted; steady doubt is an alarm after 13 s."""

_LOOSE_SHARE = 0.10
_FIRM_SHARE = 0.05
_FORGOTTEN_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Outlier:
    """One reading that did not count."""

    cells: tuple[int, ...]
    """Numbers from 1: one cell, or two neighbours that hang on one wire, or all that were off at once."""
    off_v: float
    """By how much the first of them was off, against the other cells."""


@dataclass(frozen=True, slots=True)
class DoubtMemory:
    """What is in doubt now, and how often it was."""

    cells: tuple[int, ...] = ()
    """Numbers of the cells whose last readings disagree, without a current that explains it."""
    shares: tuple[float, ...] = ()
    """Share of time in doubt of each cell; empty while all are 0."""
    loose: tuple[int, ...] = ()
    """Cells that are in doubt so often that a sense wire must be loose."""
    count: int = 0
    """Outliers since the start."""
    latest: tuple[Outlier, ...] = ()
    """Those that the latest reading made known."""


def next_doubts(memory: DoubtMemory, window: Sequence[Snapshot], span_v: float, elapsed_s: float) -> DoubtMemory:
    """Return the memory with a new reading.

    Args:
        memory: from the reading before.
        window: the last five readings, oldest first.
        span_v: the most that any one cell differs from itself in the window.
        elapsed_s: time since the reading before.

    """
    if span_v <= _APART_V:
        if not memory.cells and not memory.shares and not memory.latest:
            return memory
        return _with_shares(memory, (), (), window[-1].cells.count, elapsed_s)
    stands_v = [_stand_v(each.cells.voltages_v) for each in window]
    common_v = [middle_v for middle_v, _ in stands_v]
    room_v = _APART_V
    if _steps(window):
        room_v += _EXPLAINED * (max(common_v) - min(common_v))
    columns = list(zip(*[cells_v for _, cells_v in stands_v], strict=True))
    doubtful = tuple([n for n, column in enumerate(columns, start=1) if max(column) - min(column) > room_v])
    outliers = _outliers(columns, room_v) if doubtful else ()
    return _with_shares(memory, doubtful, outliers, len(columns), elapsed_s)


def name_of_cells(cells: Sequence[int]) -> str:
    """Return cells in words, for example ``the wire between cells 7 and 8``."""
    if len(cells) == 1:
        return f"cell {cells[0]}"
    if len(cells) == 2 and cells[1] - cells[0] == 1:
        return f"the wire between cells {cells[0]} and {cells[1]}"
    return f"cells {', '.join(str(n) for n in cells)}"


def loose_wires(memory: DoubtMemory) -> tuple[str, ...]:
    """Return in words where a sense wire must be loose; neighbours in doubt hang on one."""
    left, names = list(memory.loose), []
    while left:
        first, rest = left[0], left[1:]
        together = (first, first + 1) if first + 1 in rest else (first,)
        names.append(name_of_cells(together))
        left = [n for n in rest if n not in together]
    return tuple(names)


def _stand_v(cells_v: Sequence[float]) -> tuple[float, list[float]]:
    """Return the middle cell voltage, and what each cell is above it."""
    ordered = sorted(cells_v)
    half = len(ordered) // 2
    middle_v = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0
    return middle_v, [cell_v - middle_v for cell_v in cells_v]


def _steps(window: Sequence[Snapshot]) -> bool:
    currents_a, ratings = [each.pack.current_a for each in window], window[-1].ratings
    least_a = max(_STEP_A, _STEP_C_RATE * ratings.capacity_ah) if ratings is not None else _STEP_A
    return max(currents_a) - min(currents_a) > least_a


def _outliers(columns: Sequence[Sequence[float]], room_v: float) -> tuple[Outlier, ...]:
    """Return the outliers in the third of five readings: those after it tell whether what it showed has lasted."""
    off_v: dict[int, float] = {}
    for number, (*_, before_v, third_v, after_v, last_v) in enumerate(columns, start=1):
        column = columns[number - 1]
        usual_v = sorted(column)[len(column) // 2]
        alone = abs(before_v - after_v) <= room_v and abs(third_v - after_v) > room_v
        if alone:
            usual_v = (before_v + after_v) / 2.0
        elif abs(last_v - third_v) <= room_v:
            continue
        if abs(third_v - usual_v) > room_v:
            off_v[number] = third_v - usual_v
    found = []
    while off_v:
        number = min(off_v)
        first_v, second_v = off_v.pop(number), off_v.get(number + 1, 0.0)
        if first_v * second_v < 0.0 and abs(first_v + second_v) <= max(_PAIR_V, _PAIR_SHARE * abs(first_v)):
            del off_v[number + 1]
            found.append(Outlier((number, number + 1), first_v))
        else:
            found.append(Outlier((number,), first_v))
    return tuple(found)


def _with_shares(
    memory: DoubtMemory, doubtful: tuple[int, ...], outliers: tuple[Outlier, ...], cells: int, elapsed_s: float
) -> DoubtMemory:
    before = memory.shares if len(memory.shares) == cells else (0.0,) * cells
    weight = min(1.0, max(0.0, elapsed_s) / _REMEMBERED_S)
    shares = tuple([share + weight * ((n in doubtful) - share) for n, share in enumerate(before, start=1)])
    if not doubtful and max(shares, default=0.0) < _FORGOTTEN_SHARE:
        shares = ()
    loose = tuple(
        [n for n, share in enumerate(shares, start=1) if share > (_FIRM_SHARE if n in memory.loose else _LOOSE_SHARE)]
    )
    return DoubtMemory(doubtful, shares, loose, memory.count + len(outliers), outliers)
