"""Before the first stage: what of the samples counts for the limits.

A valid checksum does not make a reading true: a loose sense wire, a conversion that was disturbed or a register that
was just being written give one sample with one wrong number. Nothing is decided or learned from one reading. A value
counts when at least three of its last five readings reach it, and these span more than one refresh of the BMS: of each
cell the third-highest of five, which is the third-lowest as well, and the same of current, voltage, temperatures and
SOC. What the BMS itself says (status of a fault, events, its settings) counts at once.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinybms_bridge.battery.limits.doubts import DoubtMemory, next_doubts
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.plausibility import BELIEVABLE, absurd_fields
from tinybms_bridge.battery.quick import maker, quick, replace
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackState, Snapshot, Temperatures

__all__ = ["ReadingMemory", "is_whole", "next_readings"]

_WINDOW = 5
_CONFIRMING = 3

_APART_S = 0.075
"""Readings nearer than this count as one, so that three span more than the 100 ms after which a BMS renews its data."""

_ROUNDING_S = 1e-6

_HIGHEST_COUNTED_PERCENT = 99.0
"""An SOC that is only counted on never says that the battery is full."""

_UNKNOWN_SOC_PERCENT = 50.0
"""What is shown of an SOC that never was a number: the end that would stop discharge is as wrong as the other."""

_NOTICED_V = 0.01
"""An extreme cell that differs by more might change a limit: a curve of CCL or DCL is some 0.1 V wide."""
_NOTICED_PERCENT = 1.0
_NOTICED_K = 1.0

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
_new_pack, _new_cells, _new_temperatures = maker(PackState), maker(Cells), maker(Temperatures)


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
