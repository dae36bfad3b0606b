"""What every stage may look at: the sample, the settings, and the pack's voltages that follow from both.

The reasons of its numbers: charge-control.md#overview.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar

from tinybms_bridge.battery.gx import MPPT_OFFSET_V, STOPPED_BELOW_V
from tinybms_bridge.battery.limits.charging import Charging, charging_for, positive_or
from tinybms_bridge.battery.limits.curves import Curve, curves_for, head_room_v
from tinybms_bridge.battery.limits.fit import Fit, fit_to_battery
from tinybms_bridge.battery.limits.model import down_to_step, up_to_step
from tinybms_bridge.battery.limits.presets import Chemistry, Preset, room_v
from tinybms_bridge.battery.limits.settings import ChargeDefaults, LimitSettings
from tinybms_bridge.battery.limits.soc_count import CredibleSoc, RestMemory, credible_soc, full_share, next_rest
from tinybms_bridge.battery.limits.times import SHORTEST_CVL_INTERVAL_S
from tinybms_bridge.battery.quick import by_settings
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["Context", "fixed", "make_context", "ramp_floor"]

T = TypeVar("T")

_BELOW_FLOOR_V = MPPT_OFFSET_V
"""With the floor alone a 12 V pack would be charged for ever: such a charger adds 0.1 V for each of its cells."""

_ABOVE_CUTOFF_V = 0.2
"""Kept above the under-voltage cutoff of a cell (register 316), since a GX that feeds in discharges down to CVL."""

_FULL_MARGIN_V = 0.02
"""A cell this far below its charge voltage is at it."""

_OFFSET_SHARE_V = 0.03
"""How much of the offset of FLOAT_APPROACH, per cell, counts for the same question."""

_UNDER_CURRENT_V = 0.1
"""The last bit to the charge voltage is what the current makes of it: from here it may be small."""

_CLEARLY_BELOW_V = 0.05
"""A highest cell that rests this far below the target is not full, whatever the counter says."""

_FULL_MEAN_MARGIN_V = 0.03
"""A pack whose mean is this far below its CVL is at it: 20 mV for a charger that reads 0.3 V too much (16 cells),
10 mV for what is estimated of the resistance at the current of the tail. On the knee of LFP it is 0.5 % of charge."""

_FLOAT_MARGIN_V, _FLOAT_AGAIN_V = 0.01, 0.04
"""Cells that rest this close to the voltage of FLOAT are there; this far below, they may be charged there again."""

_HOLD_HYSTERESIS_V = 0.05
"""How far the highest cell may fall, with a load for example, before a hold is over."""

_ABOVE_RESTING_V = 0.03
"""No cell rests this far above the resting voltage; so a full pack is not found among those at rest."""

_NO_LONGER_FULL_V = 0.15
"""Nor is a cell that rests this far below its charge voltage full any more."""


@dataclass(frozen=True)
class Context:
    """Inputs of the stages. Voltages are those of the whole pack.

    It has no slots, so that what follows from the settings alone is taken over at once and not field by field.
    """

    snapshot: Snapshot
    ratings: Ratings
    settings: LimitSettings
    fit: Fit
    """Which typed values count, and what follows from them."""
    charging: Charging
    """Target, FLOAT, protection and charge currents as one set; on a balancing day that day's."""
    rest: RestMemory
    """What the cells would show without current."""
    soc: CredibleSoc
    """The counted state of charge with what the cells say about it."""
    preset: Preset
    """What the chemistry tolerates on this unit, per cell."""
    full_share: float
    """How full a cell is where the BMS counts 100 %."""
    floor_v: float
    """Lowest CVL; while it rises, as far as it has risen."""
    ceiling_v: float
    over_voltage_bound_v: float
    """Cell over-voltage cutoff times the cells, less the MPPT's 0.4 V and the margin."""
    resting_v: float
    least_v: float
    """Least CVL of a charge stop, or where more is charged than CCL allows: there the floor gives way."""
    full_v: float
    """Highest cell times the cells at which the highest cell is at its charge voltage."""
    full_mean_cell_v: float
    """Mean of the cells without their current from which the pack is at its charge voltage."""
    emergency_v: float
    """Cell voltage above which everything gives way to lowering it: half the way from the threshold to the cutoff."""
    float_cell_v: float
    """Cell voltage from which FLOAT caps CCL; of the highest cell at rest where FLOAT follows full."""
    float_again_cell_v: float
    """Voltage at rest of the highest cell below which it does not any more."""
    near_full_cell_v: float
    """Voltage at rest of the highest cell below which the counted SOC makes no FLOAT."""
    others_full_cell_v: float
    """Cell voltage which half of the cells have to reach before the highest one shows that the battery is full."""
    no_longer_full_cell_v: float
    """Voltage at rest of the highest cell below which a battery is not full any more, whatever the counter says."""
    hold_min_cell_v: float
    """Cell voltage above which an imbalance counts."""
    hold_end_cell_v: float
    """Cell voltage below which it counts no longer."""
    hold_cap_cell_v: float
    """Voltage at rest of the highest cell from which a hold leaves no more than its small current."""
    curves: Mapping[str, Curve]
    """Every derating curve by name."""
    fixed: dict[Callable[["Context"], Any], Any] = field(repr=False, compare=False)
    """What stages have worked out from the settings alone, see ``fixed``."""

    @property
    def decidable(self) -> bool:
        """Whether a safe CVL exists; false only for settings of the BMS that its own rules forbid."""
        return 0.0 < self.floor_v <= self.ceiling_v < math.inf

    @property
    def others_near_full(self) -> bool:
        """Whether the highest cell is not alone: half of the cells are near full with it."""
        voltages_v = sorted(self.snapshot.cells.voltages_v)
        return voltages_v[(len(voltages_v) - 1) // 2] >= self.others_full_cell_v


def fixed(function: Callable[[Context], T]) -> Callable[[Context], T]:
    """Work out once for each set of settings what hangs on ratings, settings, fit and charging of a context alone."""

    @wraps(function)
    def remembered(context: Context) -> T:
        known = context.fixed
        if function not in known:
            known[function] = function(context)
        found: T = known[function]
        return found

    return remembered


def make_context(
    snapshot: Snapshot,
    ratings: Ratings,
    settings: LimitSettings,
    rest: RestMemory | None = None,
    lowest: Chemistry = Chemistry.LTO,
    *,
    feed_in: bool = False,
    balancing: bool = False,
) -> Context:
    """Return the context of one step.

    ``rest`` is what is remembered of the cells' voltages without current; without it the sample speaks for itself.
    ``lowest`` is the lowest chemistry that the cells leave possible. ``feed_in``: solar chargers stand above CVL.
    ``balancing``: a balancing day, where this battery has one.
    """
    values = _from_settings(ratings, settings, lowest, feed_in, balancing).copy()
    rest = rest or next_rest(None, snapshot, ratings, 0.0)
    soc = credible_soc(values["preset"], values["full_share"], rest, snapshot)
    values["snapshot"], values["ratings"], values["settings"] = snapshot, ratings, settings
    values["rest"], values["soc"] = rest, soc
    context = object.__new__(Context)
    object.__setattr__(context, "__dict__", values)
    return context


def ramp_floor(context: Context, cvl_before_v: float | None, elapsed_s: float) -> Context:
    """Return the context with a floor that lifts the CVL of before no faster than CVL may rise.

    A floor that is raised, by new settings or because the chemistry is known now, would be a jump of CVL wherever it
    is lower; without fresh data (0 s) it lifts nothing. It begins no lower than where it cannot empty the battery:
    above register 316 and as far below the pack as a charge stop goes.
    """
    floor_v, rates, step_v = context.floor_v, context.settings.rates, context.charging.cvl_step_v
    if cvl_before_v is None or not cvl_before_v < floor_v or step_v <= 0.0:
        return context
    rise_v = step_v * elapsed_s / max(rates.cvl_interval_s, SHORTEST_CVL_INTERVAL_S)
    least_v = (context.ratings.under_voltage_cell_v + room_v(context.ratings)) * context.ratings.series_cells
    stopped_v = context.snapshot.pack.voltage_v - STOPPED_BELOW_V
    return replace(context, floor_v=min(floor_v, max(cvl_before_v + rise_v, least_v, stopped_v)))


@by_settings
def _from_settings(
    ratings: Ratings, settings: LimitSettings, lowest: Chemistry, feed_in: bool, balancing: bool
) -> dict[str, Any]:
    """Return every field that does not hang on the sample."""
    cells, fit = ratings.series_cells, fit_to_battery(ratings, settings, lowest)
    charging = charging_for(ratings, settings, fit, feed_in=feed_in)
    charging = charging.balancing if balancing and charging.balancing is not None else charging
    target_v, hold_min_v = (
        charging.target_v,
        positive_or(settings.states.imbalance_min_cell_v, fit.preset.resting_v + 0.05),
    )
    near_full_v = target_v / cells - _CLEARLY_BELOW_V
    before_v = min(fit.preset.near_full_v, near_full_v)
    full_v, follows_full = _full_v(ratings, settings, fit.preset, target_v), charging.follows_full
    return {
        "fit": fit,
        "charging": charging,
        "preset": fit.preset,
        "full_share": full_share(fit.preset, ratings),
        "floor_v": fit.floor_v,
        "ceiling_v": fit.ceiling_v,
        "over_voltage_bound_v": fit.over_voltage_bound_v,
        "resting_v": fit.resting_v,
        "least_v": _least_v(ratings, fit.floor_v, fit.resting_v),
        "full_v": full_v,
        "full_mean_cell_v": _full_mean_cell_v(settings, fit.preset, target_v, cells),
        "float_cell_v": charging.float_cell_v - _FLOAT_MARGIN_V if follows_full else full_v / cells - _UNDER_CURRENT_V,
        "float_again_cell_v": charging.float_cell_v - _FLOAT_AGAIN_V if follows_full else -math.inf,
        "emergency_v": (charging.threshold_cell_v + ratings.fully_charged_cell_v + head_room_v(ratings)) / 2.0,
        "near_full_cell_v": near_full_v if settings.defaults is ChargeDefaults.BY_CHEMISTRY else before_v,
        "others_full_cell_v": min(fit.preset.resting_v, full_v / cells - _FULL_MARGIN_V),
        "no_longer_full_cell_v": min(fit.preset.no_longer_full_v, full_v / cells - _NO_LONGER_FULL_V),
        "hold_min_cell_v": hold_min_v,
        "hold_end_cell_v": hold_min_v - _HOLD_HYSTERESIS_V,
        "hold_cap_cell_v": target_v / cells - _FULL_MEAN_MARGIN_V if follows_full else -math.inf,
        "curves": curves_for(ratings, settings.curves, charging.ccl_by_cell),
        "fixed": {},
    }


def _least_v(ratings: Ratings, floor_v: float, resting_v: float) -> float:
    """Return the least CVL against chargers that obey no CCL, a step of frame 0x351."""
    cutoff_v = (ratings.under_voltage_cell_v + _ABOVE_CUTOFF_V) * ratings.series_cells
    least_v = max(floor_v - _BELOW_FLOOR_V, cutoff_v)
    return min(up_to_step(least_v), resting_v) if 0.0 < least_v < math.inf else floor_v


def _full_v(ratings: Ratings, settings: LimitSettings, preset: Preset, target_v: float) -> float:
    """Return where a pack is at its charge voltage: a little below the target that it can reach."""
    cells = ratings.series_cells
    offset_v = min(settings.states.float_approach_offset_v, _OFFSET_SHARE_V * cells)
    return max(target_v - offset_v - _FULL_MARGIN_V * cells, (preset.resting_v + _ABOVE_RESTING_V) * cells)


def _full_mean_cell_v(settings: LimitSettings, preset: Preset, target_v: float, cells: int) -> float:
    """Return where the mean of a pack is at its charge voltage: below the CVL that is sent before."""
    offset_v = min(settings.states.float_approach_offset_v, _OFFSET_SHARE_V * cells)
    sent_v = down_to_step(target_v - offset_v)
    return max(sent_v / cells - _FULL_MEAN_MARGIN_V, preset.resting_v + _ABOVE_RESTING_V)
