"""Which typed values fit this battery, and the voltages that follow from those that do.

A typed value may contradict the battery: a pack value typed per cell, another chemistry, a file of another pack. Such a
value is not used. What it was there for may have been a bound, so that leaving it out must not raise anything: the
charge target is then at most a conservative one for the chemistry. The configuration's own checks ask the same
questions, so that nothing is left out here that could not have been read before.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinybms_bridge.battery.limits.chemistry import Verdict, judge_chemistry
from tinybms_bridge.battery.limits.presets import Chemistry, Preset, preset_for, room_v
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.limits.wire_steps import down_to_step, up_to_step
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["MPPT_OFFSET_V", "Fit", "Misfit", "fit_to_battery"]

MPPT_OFFSET_V = 0.4
"""What a solar charger adds to the CVL while feeding in (Victron's dvcc.py; reference victron-can, section 4)."""

_MARGIN_V = 0.1
"""Margin where the typed one leaves no room below the over-voltage cutoff."""

_ROUNDING_V = 1e-6
"""Sums of decimal volts."""

_STEP_V = 0.1
"""One step of frame 0x351: a target this little above that of the BMS is the same one, rounded."""


@dataclass(frozen=True, slots=True)
class Misfit:
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

    chemistry: Verdict
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
    misfits: tuple[Misfit, ...] = ()

    @property
    def target_v(self) -> float:
        """The highest CVL of the first stage."""
        bounds = (self.bms_target_v, self.ceiling_v, self.alarm_v, self.conservative_v)
        return min(each for each in (self.bulk_v, *bounds) if each is not None)


class _Sieve:
    """Lets typed values pass that fit, and collects the others."""

    def __init__(self) -> None:
        self.misfits: list[Misfit] = []

    def use(self, name: str, value: float | None, low: float, high: float) -> float | None:
        """Return a value within bounds, else None."""
        if value is None or low - _ROUNDING_V <= value <= high + _ROUNDING_V:
            return value
        self.misfits.append(Misfit(name, value, low, high))
        return None


def fit_to_battery(ratings: Ratings, settings: LimitSettings, lowest: Chemistry = Chemistry.LTO) -> Fit:
    """Return what counts for this battery; ``lowest`` is the lowest chemistry that its cells leave possible."""
    cells, full_v = ratings.series_cells, ratings.fully_charged_cell_v
    over_v, empty_v = ratings.over_voltage_cell_v, ratings.under_voltage_cell_v
    verdict = judge_chemistry(ratings, settings, lowest)
    preset, sieve = preset_for(verdict.chemistry, ratings), _Sieve()
    if not verdict.fits and settings.chemistry is not None:
        sieve.misfits.append(Misfit("chemistry", str(settings.chemistry)))

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
    conservative_v = preset.conservative_v * cells if sieve.misfits else None

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
        misfits=tuple(sieve.misfits),
    )


def _step(to_step: Callable[[float], float], voltage_v: float) -> float:
    """Return a bound on a step of frame 0x351, so that a CVL between the bounds is one there, too."""
    return to_step(voltage_v) if math.isfinite(voltage_v) else voltage_v


def _lower(first: float, second: float | None) -> float:
    return first if second is None else min(first, second)
