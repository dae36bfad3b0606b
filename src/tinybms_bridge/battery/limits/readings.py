"""Before the first stage: what of the samples counts for the limits, and which cells are in doubt.

A valid checksum does not make a reading true: a loose sense wire, a conversion that was disturbed or a register that
was just being written give one sample with one wrong number. Nothing is decided or learned from one reading. A value
counts when at least three of its last five readings reach it, and these span more than one refresh of the BMS: of each
cell the third-highest of five, which is the third-lowest as well, and the same of current, voltage, temperatures and
SOC. What the BMS itself says (status of a fault, events, its settings) counts at once.

Doubts: a reading is judged by how its cell stands to the others: what moves all cells is a load or a charger. A weak
cell moves further than the others when the current steps, and that is no outlier either. A cell is in doubt while its
last five readings disagree. An outlier is a reading that lies apart from those before and after it. Two neighbours that
are off by the same voltage in opposite directions hang on one wire.

The reasons of its numbers: charge-control.md#before-the-stages-what-of-the-readings-counts.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.plausibility import BELIEVABLE, absurd_fields
from tinybms_bridge.battery.quick import maker, quick, replace
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Snapshot, Temperatures
from tinybms_bridge.words import Message, message

__all__ = [
    "DoubtMemory",
    "Outlier",
    "ReadingMemory",
    "is_whole",
    "loose_wires",
    "next_doubts",
    "next_readings",
    "place_of_cells",
]


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
"""A wire is loose while its cell is in doubt for more than the first share of the time, until it is for less than the
second: a plug that wears shows up in bursts."""
_FORGOTTEN_SHARE = 0.001
"""Below this nothing is worth remembering."""


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


def place_of_cells(cells: Sequence[int]) -> Message:
    """Return where cells are, for example ``the wire between cells 7 and 8``."""
    between = len(cells) == 2 and cells[1] - cells[0] == 1
    return message("place.wire" if between else "place.cells", cells=cells)


def loose_wires(memory: DoubtMemory) -> tuple[tuple[int, ...], ...]:
    """Return the cells whose sense wire must be loose; neighbours in doubt hang on one."""
    left: list[int] = list(memory.loose)
    wires: list[tuple[int, ...]] = []
    while left:
        first, rest = left[0], left[1:]
        together: tuple[int, ...] = (first, first + 1) if first + 1 in rest else (first,)
        wires.append(together)
        left = [n for n in rest if n not in together]
    return tuple(wires)


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


_WINDOW = 5
_CONFIRMING = 3
"""What three of the last five readings say counts (charge-control.md, before the stages): half a second at ten a
second, and two wrong ones in a row change nothing."""

_APART_S = 0.075
"""Readings nearer than this count as one, so that three span more than the 100 ms after which a BMS renews its data."""

_ROUNDING_S = 1e-6
"""Times are sums of floats."""

_HIGHEST_COUNTED_PERCENT = 99.0
"""An SOC that is only counted on never says that the battery is full."""

_UNKNOWN_SOC_PERCENT = 50.0
"""What is shown of an SOC that never was a number: the end that would stop discharge is as wrong as the other."""

_NOTICED_V = 0.01
"""An extreme cell that differs by more might change a limit: a curve of CCL or DCL is some 0.1 V wide."""
_NOTICED_PERCENT = 1.0
_NOTICED_K = 1.0
"""Likewise for the state of charge and the temperatures, whose curves are some 10 % and 10 K wide."""

Row = tuple[Any, ...]
"""Every number of a reading that counts by its middle: cells, pack and temperatures, infinite where there is none."""


@quick
@dataclass(frozen=True, slots=True)
class ReadingMemory:
    """The last readings, and what counts of them."""

    raw: Snapshot | None = field(default=None, compare=False)
    """The latest sample as it was handed over, by which a new one is known."""
    sample: Snapshot | None = None
    """The latest sample that can be used."""
    window: tuple[Snapshot, ...] = ()
    """The last five readings, oldest first, none across a gap that ends FRESH."""
    counted: Snapshot | None = None
    """What the limits follow; None until enough readings were seen."""
    read_again: bool = False
    """Whether the latest reading differs from what counts, so that the BMS should be read again at once."""
    in_doubt: bool = False
    """The same, where no step of current explains it: meanwhile nothing rises."""
    doubts: DoubtMemory = field(default_factory=DoubtMemory)
    rows: tuple[Row, ...] = field(default=(), compare=False, repr=False)
    """The numbers of the window."""

    @property
    def latest(self) -> Snapshot | None:
        """The latest sample; after a start or a gap the latest reading, as one that came too soon confirms nothing."""
        return self.window[-1] if 0 < len(self.window) < _CONFIRMING else self.sample


_new_memory, _new_snapshot = maker(ReadingMemory), maker(Snapshot)
_new_pack, _new_cells, _new_temperatures = maker(PackValues), maker(Cells), maker(Temperatures)


def is_whole(snapshot: Snapshot) -> bool:
    """Return whether every cell and the current are there and numbers: without them no limit can be decided."""
    cells, ratings = snapshot.cells, snapshot.ratings
    total = sum(cells.voltages_v) + snapshot.pack.current_a
    return math.isfinite(total) and 0 < cells.count == (ratings.series_cells if ratings else cells.count)


def next_readings(
    memory: ReadingMemory,
    snapshot: Snapshot | None,
    settings: LimitSettings,
    starting: bool,
    last_soc_percent: float | None = None,
) -> ReadingMemory:
    """Return the memory with the latest sample; the same one when it is not new or not whole.

    ``starting``: whether the data has not been fresh yet. A start and a return may be configured to take fewer samples
    than three: then what counts rests on as few. ``last_soc_percent``: what counted before a restart.
    """
    if snapshot is None or snapshot is memory.raw or snapshot is memory.sample or not is_whole(snapshot):
        return memory
    usable = _usable(snapshot, memory.sample, last_soc_percent)
    window = _next_window(memory.window, usable, settings.freshness.fresh_timeout_s)
    samples = settings.freshness.start_samples if starting else settings.freshness.return_samples
    rows, counted, doubts, columns = memory.rows, memory.counted, memory.doubts, None
    if window is not memory.window:
        rows = (*rows[len(rows) + 1 - len(window) :], _row(usable))
    if window is not memory.window and len(window) >= min(samples, _CONFIRMING):
        odd = len(rows) if len(rows) % 2 else len(rows) - 1
        columns = list(map(sorted, zip(*rows[:odd], strict=False)))  # all are as long
        counted = _counted(window[:odd], columns, usable)
    elif counted is not None:
        counted = _with_words_of(usable, counted)
    if columns is not None and len(window) == _WINDOW:
        span_v = max([column[-1] - column[0] for column in columns[: usable.cells.count]])
        doubts = next_doubts(doubts, window, span_v, usable.taken_at_s - window[-2].taken_at_s)
    elif doubts.latest or (doubts.cells and len(window) < _WINDOW):
        doubts = dataclasses.replace(doubts, cells=(), latest=())
    in_doubt = bool(doubts.cells) or counted is None or _words_differ(usable, counted)
    read_again = in_doubt or counted is None or _cells_differ(usable, counted)
    return _new_memory(snapshot, usable, window, counted, read_again, in_doubt, doubts, rows)


def _usable(raw: Snapshot, before: Snapshot | None, last_soc_percent: float | None) -> Snapshot:
    """Return a sample without what cannot be true in it: one absurd field costs its own use, not the sample.

    A temperature that no sensor shows is that of a lost sensor, a pack voltage that no such cells have is their sum,
    and an SOC that cannot be is counted on from the last good one by the current, and told as not known.
    """
    absurd = absurd_fields(raw, BELIEVABLE)
    if not absurd:
        return raw
    names, pack, old = {problem.what for problem in absurd}, raw.pack, raw.temperatures
    if "pack voltage" in names:
        pack = replace(pack, voltage_v=sum(raw.cells.voltages_v))
    if "state of charge" in names:
        pack = replace(pack, soc_percent=_soc_counted_on(raw, before, last_soc_percent), soc_known=False)
    temperatures = Temperatures(
        None if "internal temperature" in names else old.internal_c,
        None if "external 1 temperature" in names else old.external_1_c,
        None if "external 2 temperature" in names else old.external_2_c,
    )
    return replace(raw, pack=pack, temperatures=temperatures)


def _soc_counted_on(raw: Snapshot, before: Snapshot | None, last_soc_percent: float | None) -> float:
    if before is None:
        return _UNKNOWN_SOC_PERCENT if last_soc_percent is None else min(last_soc_percent, _HIGHEST_COUNTED_PERCENT)
    soc_percent, gap_s = before.pack.soc_percent, raw.taken_at_s - before.taken_at_s
    if raw.ratings is not None and raw.ratings.capacity_ah > 0.0 and 0.0 < gap_s < math.inf:
        soc_percent += raw.pack.current_a * gap_s / 3600.0 / raw.ratings.capacity_ah * 100.0
    return min(max(soc_percent, 0.0), _HIGHEST_COUNTED_PERCENT)


def _next_window(window: tuple[Snapshot, ...], snapshot: Snapshot, timeout_s: float) -> tuple[Snapshot, ...]:
    if not window:
        return (snapshot,)
    last = window[-1]
    gap_s = snapshot.taken_at_s - last.taken_at_s
    if not 0.0 <= gap_s <= timeout_s or last.cells.count != snapshot.cells.count:
        return (snapshot,)
    if gap_s < _APART_S - _ROUNDING_S:
        return window
    return (*window[1 - _WINDOW :], snapshot)


def _row(reading: Snapshot) -> Row:
    pack, old = reading.pack, reading.temperatures
    return (
        *reading.cells.voltages_v,
        pack.voltage_v,
        pack.current_a,
        pack.soc_percent,
        pack.lifetime_s,
        pack.soc_known,
        math.inf if old.internal_c is None else old.internal_c,
        math.inf if old.external_1_c is None else old.external_1_c,
        math.inf if old.external_2_c is None else old.external_2_c,
    )


def _counted(window: Sequence[Snapshot], columns: Sequence[list[Any]], latest: Snapshot) -> Snapshot:
    """Return the middle of an odd number of readings, value by value: of one, of three, or of five.

    ``columns``: the readings of each number in ascending order. What the BMS says is that of the latest.
    """
    middle = len(window) // 2
    if middle == 0:
        return _with_words_of(latest, window[0])
    pack, cells = latest.pack, latest.cells
    *cells_v, voltage_v, current_a, soc_percent, lifetime_s, soc_known, _, _, _ = [each[middle] for each in columns]
    return _new_snapshot(
        latest.sequence,
        latest.taken_at_s,
        _new_pack(
            voltage_v,
            current_a,
            soc_percent,
            pack.soh_percent,
            _status(window, pack.status),
            pack.status_raw,
            lifetime_s,
            pack.time_left_s,
            soc_known,
        ),
        _new_cells(tuple(cells_v), cells.balancing, cells.wanted),
        _new_temperatures(_celsius(columns[-3]), _celsius(columns[-2]), _celsius(columns[-1])),
        latest.ratings,
        latest.open_events,
        latest.cause_unread,
    )


def _cells_differ(latest: Snapshot, counted: Snapshot) -> bool:
    """Return whether a limit might change if the latest voltages counted."""
    new, old = latest.cells, counted.cells
    return abs(new.max_v - old.max_v) > _NOTICED_V or abs(new.min_v - old.min_v) > _NOTICED_V


def _words_differ(latest: Snapshot, counted: Snapshot) -> bool:
    """Return whether a limit might change if the latest status, SOC and temperatures counted."""
    if latest.pack.status is not counted.pack.status:
        return True
    if abs(latest.pack.soc_percent - counted.pack.soc_percent) > _NOTICED_PERCENT:
        return True
    a, b = latest.temperatures, counted.temperatures
    return (
        _celsius_differ(a.internal_c, b.internal_c)
        or _celsius_differ(a.external_1_c, b.external_1_c)
        or _celsius_differ(a.external_2_c, b.external_2_c)
    )


def _celsius_differ(new_c: float | None, old_c: float | None) -> bool:
    if new_c is None or old_c is None:
        return new_c is not old_c
    return not abs(new_c - old_c) <= _NOTICED_K


def _with_words_of(latest: Snapshot, counted: Snapshot) -> Snapshot:
    """Return what counts with what the BMS says now: its status, its events, its settings."""
    status = _status((counted,), latest.pack.status)
    return replace(
        latest,
        pack=replace(counted.pack, status=status, status_raw=latest.pack.status_raw),
        cells=counted.cells,
        temperatures=counted.temperatures,
    )


def _status(readings: Sequence[Snapshot], latest: BmsStatus) -> BmsStatus:
    """Return the status that counts: only that of a full battery, from which something is learned, is confirmed."""
    if latest is not BmsStatus.FULLY_CHARGED:
        return latest
    seen = [each.pack.status for each in readings]
    if 2 * seen.count(latest) > len(seen):
        return latest
    return next((status for status in reversed(seen) if status is not latest), BmsStatus.UNKNOWN)


def _celsius(ordered: Sequence[float]) -> float | None:
    """Return the middle of the readings; None, which is a sensor that is lost, when most of them are."""
    if ordered[-1] < math.inf:
        return ordered[len(ordered) // 2]
    present = len(ordered) - ordered.count(math.inf)
    return ordered[present // 2] if 2 * present > len(ordered) else None
