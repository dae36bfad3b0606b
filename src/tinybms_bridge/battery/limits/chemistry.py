"""Which chemistry the battery has: the owner's word, register 300, and what the cells themselves leave possible.

A wrong chemistry empties a battery into the grid or charges it while charging is stopped. So as long as more than one
is possible, the one with the lowest voltages counts, which is safe for all of them.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.presets import Chemistry, possible_at, rank
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["ChemistryMemory", "Verdict", "judge_chemistry", "next_chemistry"]

_NO_LTO_V = 2.95
"""A healthy LTO cell never gets there: its over-voltage cutoff is 2.8 to 2.9 V."""

_NO_LFP_V = 3.45
"""No LFP cell rests above: a full one settles at 3.33 to 3.40 V within the hour."""

_LFP_AGAIN_V = 3.40
_LTO_AGAIN_V = 2.85
"""Rested cells below speak against a verdict that was reached before, for example of a pack held up by a charger."""

_REST_S = 3600.0
"""Time without a charge after which a voltage is that of a rested cell."""

_TAKEN_SHARE = 0.01
"""Of the capacity: an LFP cell that has given so much since it was charged is down on its plateau."""

_IDLE_A = 0.5
_IDLE_C_RATE = 0.002
"""What flows without being a charge: noise and offset of a sensor (as in charge stops)."""

_HELD_BELOW_V = 0.2
_HELD_ABOVE_V = 0.6
"""Between CVL less this and CVL plus this (0.4 V of solar chargers) the chargers may be holding the pack."""


@dataclass(frozen=True, slots=True)
class ChemistryMemory:
    """What the cells have told so far; it survives a restart."""

    lowest: Chemistry = Chemistry.LTO
    """The chemistry with the lowest voltages that the cells leave possible."""
    rest_s: float = 0.0
    """Time in which every cell has rested too high for LFP."""
    taken_ah: float = 0.0
    """Charge that was taken out while every cell stayed too high for LFP."""
    low_s: float = 0.0
    """Time in which every cell has rested too low for ``lowest``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What counts as the chemistry, and how sure that is."""

    chemistry: Chemistry
    possible: tuple[Chemistry, ...]
    """Everything that it may be, the lowest first."""
    fits: bool = True
    """Whether the owner's word agrees with register 300 and the cells; True where there is none."""

    @property
    def decided(self) -> bool:
        """Whether only one chemistry is possible."""
        return len(self.possible) == 1


def judge_chemistry(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> Verdict:
    """Return the chemistry that counts; ``lowest`` is what the cells leave possible.

    The owner decides where register 300 leaves a choice. A word that contradicts the register counts only downwards,
    and no longer once the cells contradict it as well: two witnesses against one.
    """
    typed, by_register = settings.chemistry, possible_at(ratings.fully_charged_cell_v)
    if typed in by_register:
        return Verdict(typed, (typed,), fits=rank(typed) >= rank(lowest))
    candidates = {*by_register, *(() if typed is None else (typed,))}
    left = [each for each in candidates if rank(each) >= rank(lowest) or (each,) == by_register]
    possible = tuple(sorted(left, key=rank))
    return Verdict(possible[0], possible, fits=typed is None)


def next_chemistry(
    memory: ChemistryMemory,
    snapshot: Snapshot,
    ratings: Ratings,
    settings: LimitSettings,
    cvl_v: float | None,
    elapsed_s: float,
) -> ChemistryMemory:
    """Return the memory after ``elapsed_s`` more seconds with this sample and the CVL that was in force.

    Cells are asked only where they have something to decide: LFP packs that float high all day are nobody's question
    while register 300 is clear.
    """
    cells, lowest = snapshot.cells, memory.lowest
    least_v, most_v = cells.min_v, cells.max_v
    if lowest is Chemistry.LTO and least_v > _NO_LTO_V:
        return ChemistryMemory(Chemistry.LFP)
    if not _asked(ratings, settings):
        return memory if lowest is not Chemistry.LI_ION else ChemistryMemory(Chemistry.LFP)
    idle_a = max(_IDLE_A, _IDLE_C_RATE * ratings.capacity_ah)
    current_a = snapshot.pack.current_a
    if current_a > idle_a:
        return memory if memory == ChemistryMemory(lowest) else ChemistryMemory(lowest)
    low_v = _LFP_AGAIN_V if lowest is Chemistry.LI_ION else _LTO_AGAIN_V
    if lowest is not Chemistry.LTO and most_v < low_v:
        low_s = memory.low_s + (elapsed_s if current_a >= -idle_a else 0.0)
        below = Chemistry.LFP if lowest is Chemistry.LI_ION else Chemistry.LTO
        return ChemistryMemory(below) if low_s >= _REST_S else ChemistryMemory(lowest, low_s=low_s)
    if lowest is not Chemistry.LFP or not least_v > _NO_LFP_V:
        return memory if memory == ChemistryMemory(lowest) else ChemistryMemory(lowest)
    rest_s = memory.rest_s + (0.0 if _held(snapshot.pack.voltage_v, cvl_v) else elapsed_s)
    taken_ah = memory.taken_ah + max(0.0, -current_a) * elapsed_s / 3600.0
    if rest_s >= _REST_S or taken_ah >= _TAKEN_SHARE * ratings.capacity_ah:
        return ChemistryMemory(Chemistry.LI_ION)
    return ChemistryMemory(lowest, rest_s, taken_ah)


def _asked(ratings: Ratings, settings: LimitSettings) -> bool:
    """Return whether register 300 and the owner leave open which chemistry it is."""
    possible, typed = possible_at(ratings.fully_charged_cell_v), settings.chemistry
    return len(possible) > 1 or (typed is not None and typed not in possible)


def _held(voltage_v: float, cvl_v: float | None) -> bool:
    """Return whether chargers that obey the CVL may be holding the pack at its voltage."""
    return cvl_v is not None and cvl_v - _HELD_BELOW_V < voltage_v < cvl_v + _HELD_ABOVE_V
