"""The resistance of the cells: an estimate, and what steps of the current show of the cells of this battery.

No register tells the resistance of a cell, and one that is new, warm and small differs much from one that is not. The
estimate is that of usual cells with their connections; what hangs on it has to bear that it is twice as much. What is
learned is a factor of that estimate for each cell, so that it follows the temperature as the estimate does.

The reasons of its numbers: charge-control.md#near-empty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.quick import by_last, quick
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = [
    "LEAST_FACTOR",
    "MOST_FACTOR",
    "MOST_OHM_AH",
    "ResistanceMemory",
    "cell_resistance_ohm",
    "current_adds_v",
    "least_step_a",
    "next_resistance",
    "rested_v",
]

LEAST_FACTOR, MOST_FACTOR = 0.3, 3.0
"""Of the estimate: no cell with its connections has less, and one with more is not what a limit should be set by."""

_VOLTS_PER_C = 0.2
"""At 25 °C a current of 0.01C moves a usual cell by 2 mV after some minutes (charging-physics.md, 3)."""

_COLD_FACTOR = 3.0
"""At 0 °C the resistance is this many times that at 25 °C; colder, it is taken as no higher."""

MOST_OHM_AH = _VOLTS_PER_C * _COLD_FACTOR
"""The estimate in any cold, times the capacity."""

_COLD_C = 0.0
_REFERENCE_C = 25.0
"""Between these the resistance falls evenly; warmer it is taken as no lower, since makers state it at 25 °C."""

_STEP_C_RATE = 0.1
"""A smaller step of the current moves cells by no more than ten times the noise of their readings."""

_DEAD_BANDS = 10.0
"""What reads as 0 may be as much as the dead band of the sensor: of such a step that is a tenth."""

_STEADY_SHARE = 0.2
"""Of the least step: a current that stays within is one level."""

_BEFORE_S, _AFTER_S = 2.0, 10.0
"""So long a level has to last: before, longer than the lag between the readings of current and voltages; after, so that
the slow part of the resistance shows as well. In that time the charge of a cell stays nearly what it is."""

_SHORT_S = 1.0
"""A level that lasts no longer than this shows nothing. One that ends before the slow part shows, for example since the
BMS has cut the load, shows how much the resistance is at least."""

_LONGEST_STEP_S = 5.0
"""So long may the current take from one level to the other."""

_REFERENCE_S = 1.0
"""How old the level before a step may be."""

_ALIKE = 4.0
"""All cells move with a step, none more or less than the middle one by more than this: a weak cell has 3 times."""

_AGREEING_SHARE, _AGREEING_V = 0.25, 0.003
"""Two steps agree within this share of what they show, and the noise of four readings. What moves cells by no more than
that shows nothing."""

_WEIGHT = 0.5
"""How much of the way to what the last two steps have shown is gone at once."""


@quick
@dataclass(frozen=True, slots=True)
class ResistanceMemory:
    """What the steps of the current have shown; the factors survive a restart."""

    factors: tuple[float, ...] = ()
    """Resistance of each cell as a multiple of the estimate; empty while nothing is learned."""
    seen: tuple[float, ...] = ()
    """What the last step showed: it counts once a second one agrees, and before as a bound where it is more."""
    level: Snapshot | None = None
    """A sample of the level at which the current stands, or stood before it moved."""
    level_s: float = 0.0
    """For how long it stood there."""
    moved: Snapshot | None = None
    """The first sample of a level that is new; None while there is none."""

    def factors_of(self, count: int) -> tuple[float, ...]:
        """Return what is learned of a pack with so many cells; empty for nothing."""
        return self.factors if len(self.factors) == count else ()

    def bounds_of(self, count: int) -> tuple[float, ...]:
        """Return what is learned, or else what a single step has shown where that is more than the estimate."""
        if self.factors or len(self.seen) != count or max(self.seen) <= 1.0:
            return self.factors_of(count)
        return tuple([max(1.0, factor) for factor in self.seen])


def next_resistance(memory: ResistanceMemory, snapshot: Snapshot, ratings: Ratings, *, sure: bool) -> ResistanceMemory:
    """Return the memory with a new sample of what counts; ``sure``: no reading is in doubt.

    A step counts when the current stood still before and after it, and all cells moved with it. It is learned from
    when it agrees with the one before.
    """
    current_a, level = snapshot.pack.current_a, memory.level
    least_a = least_step_a(ratings)
    if not (sure and least_a < math.inf):
        return memory if level is None else ResistanceMemory(memory.factors, memory.seen)
    if level is None:
        return ResistanceMemory(memory.factors, memory.seen, snapshot)
    room_a = _STEADY_SHARE * least_a
    if abs(current_a - level.pack.current_a) > room_a:
        return _away(memory, level, snapshot, ratings, least_a, room_a)
    since_s = snapshot.taken_at_s - level.taken_at_s
    if memory.moved is not None:
        memory = _ended(memory, level, memory.moved, snapshot, ratings, least_a)
        return ResistanceMemory(memory.factors, memory.seen, snapshot)
    if 0.0 <= since_s < _REFERENCE_S:
        return memory
    level_s = memory.level_s + since_s if 0.0 <= since_s <= _LONGEST_STEP_S else 0.0
    return ResistanceMemory(memory.factors, memory.seen, snapshot, min(level_s, _BEFORE_S))


def least_step_a(ratings: Ratings) -> float:
    """Return the smallest step of the current from which the resistance is learned."""
    return max(_STEP_C_RATE * ratings.capacity_ah, _DEAD_BANDS * ratings.least_current_a)


def cell_resistance_ohm(capacity_ah: float, celsius: float | None = None) -> float:
    """Return the resistance of one cell in ohms; that at 25 °C where no temperature is known, 0 without a capacity."""
    if not 0.0 < capacity_ah < math.inf:
        return 0.0
    warmth = 1.0
    if celsius is not None and math.isfinite(celsius):
        warmth = 1.0 if celsius >= _REFERENCE_C else max(0.0, (celsius - _COLD_C) / (_REFERENCE_C - _COLD_C))
    return _VOLTS_PER_C / capacity_ah * (_COLD_FACTOR + (1.0 - _COLD_FACTOR) * warmth)


def rested_v(voltage_v: float, current_a: float, capacity_ah: float, celsius: float | None = None) -> float:
    """Return the voltage V - R x I that a cell would show without its current (positive = charge)."""
    return voltage_v - cell_resistance_ohm(capacity_ah, celsius) * current_a


@by_last
def current_adds_v(snapshot: Snapshot, ratings: Ratings) -> float:
    """Return what the present current adds to every cell: negative while discharging. The coldest reading counts."""
    pack = snapshot.pack
    if pack.current_a == 0.0:
        return 0.0
    return pack.current_a * cell_resistance_ohm(ratings.capacity_ah, snapshot.temperatures.coldest_c)


def _away(
    memory: ResistanceMemory, level: Snapshot, snapshot: Snapshot, ratings: Ratings, least_a: float, room_a: float
) -> ResistanceMemory:
    """Return the memory with a sample whose current is not that of the level before."""
    moved = memory.moved
    if moved is None or abs(snapshot.pack.current_a - moved.pack.current_a) > room_a:
        memory = memory if moved is None else _ended(memory, level, moved, snapshot, ratings, least_a)
        return ResistanceMemory(memory.factors, memory.seen, level, memory.level_s, snapshot)
    if 0.0 <= snapshot.taken_at_s - moved.taken_at_s < _AFTER_S:
        return memory
    if _counts(memory, level, moved, least_a):
        memory = _with_step(memory, level, snapshot, ratings)
    return ResistanceMemory(memory.factors, memory.seen, snapshot, _BEFORE_S)


def _ended(
    memory: ResistanceMemory, level: Snapshot, moved: Snapshot, now: Snapshot, ratings: Ratings, least_a: float
) -> ResistanceMemory:
    """Return the memory after a level that ended before its slow part has shown."""
    if now.taken_at_s - moved.taken_at_s <= _SHORT_S or not _counts(memory, level, moved, least_a):
        return memory
    seen = _with_step(memory, level, moved, ratings, short=True)
    return ResistanceMemory(seen.factors, seen.seen, level, memory.level_s)


def _counts(memory: ResistanceMemory, level: Snapshot, moved: Snapshot, least_a: float) -> bool:
    """Return whether the current went from a level that had lasted to another one at once, and far enough."""
    at_once = 0.0 <= moved.taken_at_s - level.taken_at_s <= _LONGEST_STEP_S
    return at_once and memory.level_s >= _BEFORE_S and abs(moved.pack.current_a - level.pack.current_a) >= least_a


def _with_step(
    memory: ResistanceMemory, before: Snapshot, after: Snapshot, ratings: Ratings, *, short: bool = False
) -> ResistanceMemory:
    """Return the memory with what a step shows; the same one where it shows nothing that can be believed.

    ``short``: its slow part has not shown, so that it counts only where it is more than what is known.
    """
    step_a = after.pack.current_a - before.pack.current_a
    usual_ohm = cell_resistance_ohm(ratings.capacity_ah, after.temperatures.coldest_c)
    old_v, new_v = before.cells.voltages_v, after.cells.voltages_v
    if not usual_ohm > 0.0 or len(old_v) != len(new_v):
        return memory
    seen = [(new - old) / step_a / usual_ohm for old, new in zip(old_v, new_v, strict=True)]
    middle = sorted(seen)[len(seen) // 2]
    if not middle * usual_ohm * abs(step_a) > _AGREEING_V or not all(
        middle / _ALIKE <= each <= middle * _ALIKE for each in seen
    ):
        return memory
    known = memory.factors_of(len(seen))
    if short and middle <= (sorted(known)[len(known) // 2] if known else 1.0):
        return memory
    bounded = tuple([min(max(each, LEAST_FACTOR), MOST_FACTOR) for each in seen])
    noise = _AGREEING_V / abs(step_a) / usual_ohm
    if len(memory.seen) != len(bounded) or not _agree(memory.seen, bounded, noise):
        return ResistanceMemory(memory.factors, bounded)
    both = tuple([(first + second) / 2.0 for first, second in zip(memory.seen, bounded, strict=True)])
    if known:
        both = tuple([old + _WEIGHT * (new - old) for old, new in zip(known, both, strict=True)])
    return ResistanceMemory(both, bounded)


def _agree(first: Sequence[float], second: Sequence[float], noise: float) -> bool:
    return all(abs(a - b) <= _AGREEING_SHARE * max(a, b) + noise for a, b in zip(first, second, strict=True))
