"""Which chemistry the battery has, which typed values fit it, and the voltages that follow from those that do.

The chemistry follows from the owner's word, register 300, and what the cells themselves leave possible. A wrong one
empties a battery into the grid or charges it while charging is stopped. So as long as more than one is possible, the
one with the lowest voltages counts, which is safe for all of them.

A typed value may contradict the battery: a pack value typed per cell, another chemistry, a file of another pack. Such a
value is not used. What it was there for may have been a bound, so that leaving it out must not raise anything: the
charge target is then at most a conservative one for the chemistry. The configuration's own checks ask the same
questions, so that nothing is left out here that could not have been read before.

The reasons of its numbers: charge-control.md#what-is-refused-and-what-is-safe-anyway.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinybms_bridge.battery.gx import MPPT_OFFSET_V
from tinybms_bridge.battery.limits.model import down_to_step, up_to_step
from tinybms_bridge.battery.limits.presets import Chemistry, Preset, possible_at, preset_for, rank, room_v
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = [
    "ChemistryMemory",
    "ChemistryVerdict",
    "ConfigConflict",
    "Fit",
    "fit_to_battery",
    "judge_chemistry",
    "least_flow_a",
    "next_chemistry",
]


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
"""What flows without being a charge: noise and offset of a sensor."""


def least_flow_a(ratings: Ratings) -> float:
    """Return the current up to which nothing counts as flowing, beyond what may flow."""
    return max(_IDLE_A, _IDLE_C_RATE * ratings.capacity_ah)


_HELD_BELOW_V = 0.2
_HELD_ABOVE_V = MPPT_OFFSET_V + 0.2
"""Between CVL less this and CVL plus this the chargers may be holding the pack."""


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
class ChemistryVerdict:
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


def judge_chemistry(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> ChemistryVerdict:
    """Return the chemistry that counts; ``lowest`` is what the cells leave possible.

    The owner decides where register 300 leaves a choice. A word that contradicts the register counts only downwards,
    and no longer once the cells contradict it as well: two witnesses against one.
    """
    typed, by_register = settings.chemistry, possible_at(ratings.fully_charged_cell_v)
    if typed in by_register:
        return ChemistryVerdict(typed, (typed,), fits=rank(typed) >= rank(lowest))
    candidates = {*by_register, *(() if typed is None else (typed,))}
    left = [each for each in candidates if rank(each) >= rank(lowest) or (each,) == by_register]
    possible = tuple(sorted(left, key=rank))
    return ChemistryVerdict(possible[0], possible, fits=typed is None)


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
    idle_a = least_flow_a(ratings)
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


_MARGIN_V = 0.1
"""Margin where the typed one leaves no room below the over-voltage cutoff."""

_ROUNDING_V = 1e-6
"""Sums of decimal volts."""

_STEP_V = 0.1
"""One step of frame 0x351: a target this little above that of the BMS is the same one, rounded."""


@dataclass(frozen=True, slots=True)
class ConfigConflict:
    """A typed value that is not used."""

    name: str
    """Its field of ``LimitSettings``."""
    value: float | str
    low: float = -math.inf
    high: float = math.inf
    """What would fit, in the unit of the value; meaningless for the chemistry."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What follows from the BMS's own settings and those typed values that fit them. Voltages of the whole pack."""

    chemistry: ChemistryVerdict
    preset: Preset
    """What the chemistry tolerates on this unit."""
    over_voltage_bound_v: float
    """Cell over-voltage cutoff times the cells, less the MPPT's 0.4 V and the margin."""
    ceiling_v: float
    floor_v: float
    resting_v: float
    bulk_v: float | None
    """The user's own charge target."""
    alarm_v: float | None
    """The user's over-voltage alarm."""
    bms_target_v: float
    """Register 300 times the cells."""
    conservative_v: float | None
    """Upper bound of the target because something does not fit; None where everything does."""
    threshold_v: float | None
    """Start of the protection per cell as the user wants it."""
    release_v: float | None
    charge_current_a: float | None
    discharge_current_a: float | None
    conflicts: tuple[ConfigConflict, ...] = ()

    @property
    def target_v(self) -> float:
        """The highest CVL of the first stage."""
        bounds = (self.bms_target_v, self.ceiling_v, self.alarm_v, self.conservative_v)
        return min(each for each in (self.bulk_v, *bounds) if each is not None)


class _Sieve:
    """Lets typed values pass that fit, and collects the others."""

    def __init__(self) -> None:
        self.conflicts: list[ConfigConflict] = []

    def use(self, name: str, value: float | None, low: float, high: float) -> float | None:
        """Return a value within bounds, else None."""
        if value is None or low - _ROUNDING_V <= value <= high + _ROUNDING_V:
            return value
        self.conflicts.append(ConfigConflict(name, value, low, high))
        return None


def fit_to_battery(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> Fit:
    """Return what counts for this battery; ``lowest`` is the lowest chemistry that its cells leave possible."""
    cells, full_v = ratings.series_cells, ratings.fully_charged_cell_v
    over_v, empty_v = ratings.over_voltage_cell_v, ratings.under_voltage_cell_v
    verdict = judge_chemistry(ratings, settings, lowest)
    preset, sieve = preset_for(verdict.chemistry, ratings), _Sieve()
    if not verdict.fits and settings.chemistry is not None:
        sieve.conflicts.append(ConfigConflict("chemistry", str(settings.chemistry)))

    highest_v = over_v * cells - MPPT_OFFSET_V
    most_margin_v = max(_MARGIN_V, highest_v - preset.floor_v * cells)
    margin_v = sieve.use("over_voltage_margin_v", settings.over_voltage_margin_v, 0.0, most_margin_v)
    bound_v = highest_v - (_MARGIN_V if margin_v is None else margin_v)
    ceiling_cell_v = sieve.use("cell_max_v", settings.cell_max_v, preset.floor_v, over_v) or preset.ceiling_v
    if not (verdict.decided and verdict.fits):  # more than the chemistry tolerates is for an owner who knows it
        ceiling_cell_v = min(ceiling_cell_v, preset.ceiling_v)
    ceiling_v = _step(down_to_step, min(bound_v, ceiling_cell_v * cells))

    least_v, most_v = min(empty_v + room_v(ratings), preset.floor_v), min(preset.resting_v, ceiling_cell_v)
    floor_cell_v = sieve.use("floor_cell_v", settings.floor_cell_v, least_v, most_v) or preset.floor_v
    bms_target_v = full_v * cells
    floor_v = min(_step(up_to_step, floor_cell_v * cells), ceiling_v, _step(down_to_step, bms_target_v))
    most_v = max(preset.resting_v, min(preset.conservative_v, full_v - room_v(ratings), ceiling_cell_v))
    resting_cell_v = sieve.use("resting_cell_v", settings.resting_cell_v, floor_cell_v, most_v) or preset.resting_v
    threshold_v = sieve.use("protection.threshold_v", settings.protection.threshold_v, resting_cell_v, over_v)
    release_v = sieve.use("protection.release_v", settings.protection.release_v, floor_cell_v, over_v)

    alarm_v = sieve.use("alarm_voltage_v", settings.alarm_voltage_v, floor_v, math.inf)
    most_v = min(bms_target_v + _STEP_V, bound_v, ceiling_cell_v * cells)
    bulk_v = sieve.use("bulk_voltage_v", settings.bulk_voltage_v, min(floor_v, most_v), most_v)
    conservative_v = preset.conservative_v * cells if sieve.conflicts else None

    discharge_a = _lower(ratings.discharge_over_current_a, ratings.discharge_peak_current_a)
    charge_a, none_a = ratings.charge_over_current_a, -math.inf
    charge_current_a = sieve.use("max_charge_current_a", settings.max_charge_current_a, none_a, charge_a)
    discharge_current_a = sieve.use("max_discharge_current_a", settings.max_discharge_current_a, none_a, discharge_a)
    return Fit(
        chemistry=verdict,
        preset=preset,
        over_voltage_bound_v=bound_v,
        ceiling_v=ceiling_v,
        floor_v=floor_v,
        resting_v=min(max(resting_cell_v * cells, floor_v), ceiling_v),
        bulk_v=bulk_v,
        alarm_v=alarm_v,
        bms_target_v=bms_target_v,
        conservative_v=conservative_v,
        threshold_v=threshold_v,
        release_v=release_v,
        charge_current_a=charge_current_a,
        discharge_current_a=discharge_current_a,
        conflicts=tuple(sieve.conflicts),
    )


def _step(to_step: Callable[[float], float], voltage_v: float) -> float:
    """Return a bound on a step of frame 0x351, so that a CVL between the bounds is one there, too."""
    return to_step(voltage_v) if math.isfinite(voltage_v) else voltage_v


def _lower(first: float, second: float | None) -> float:
    return first if second is None else min(first, second)
