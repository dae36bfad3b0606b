"""What every stage may look at: the sample, the settings, and the pack's voltages that follow from both."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tinybms_bridge.battery.limits.curve_defaults import curves_for
from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.presets import PRESETS, Preset, chemistry_of
from tinybms_bridge.battery.limits.settings import LimitSettings
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["MPPT_OFFSET_V", "Context", "make_context"]

MPPT_OFFSET_V = 0.4
"""What a solar charger adds to the CVL while feeding in (Victron's dvcc.py; reference victron-can, section 4)."""


@dataclass(frozen=True, slots=True)
class Context:
    """Inputs of the stages. Voltages are those of the whole pack."""

    snapshot: Snapshot
    ratings: Ratings
    settings: LimitSettings
    preset: Preset
    floor_v: float
    ceiling_v: float
    over_voltage_bound_v: float
    """Cell over-voltage cutoff times the cells, less the MPPT's 0.4 V and the margin."""
    resting_v: float
    protection_threshold_v: float
    """Cell voltage above which CVL is lowered."""
    protection_release_v: float
    """Cell voltage below which it may rise again."""
    hold_min_cell_v: float
    """Cell voltage above which an imbalance counts."""
    curves: Mapping[str, Curve]
    """Every derating curve by name."""

    @property
    def decidable(self) -> bool:
        """Whether a safe CVL exists; false only for settings of the BMS or the user that make no sense."""
        return 0.0 < self.floor_v <= self.ceiling_v < math.inf


def make_context(snapshot: Snapshot, ratings: Ratings, settings: LimitSettings) -> Context:
    """Return the context of one step. The ceiling wins over the floor where a configuration makes them cross."""
    preset = PRESETS[settings.chemistry or chemistry_of(ratings)]
    cells = ratings.series_cells
    bound_v = ratings.over_voltage_cell_v * cells - MPPT_OFFSET_V - settings.over_voltage_margin_v
    ceiling_v = min(bound_v, _or(settings.cell_max_v, preset.ceiling_v) * cells)
    floor_v = min(_or(settings.floor_cell_v, preset.floor_v) * cells, ceiling_v)
    resting_v = _or(settings.resting_cell_v, preset.resting_v) * cells
    full_v, gap_v = ratings.fully_charged_cell_v, ratings.over_voltage_cell_v - ratings.fully_charged_cell_v
    threshold_v = _or(settings.protection.threshold_v, full_v + 0.2 * gap_v)
    return Context(
        snapshot=snapshot,
        ratings=ratings,
        settings=settings,
        preset=preset,
        floor_v=floor_v,
        ceiling_v=ceiling_v,
        over_voltage_bound_v=bound_v,
        resting_v=min(max(resting_v, floor_v), ceiling_v),
        protection_threshold_v=threshold_v,
        protection_release_v=min(_or(settings.protection.release_v, full_v), threshold_v),
        hold_min_cell_v=_or(settings.states.imbalance_min_cell_v, preset.resting_v + 0.05),
        curves=curves_for(ratings, settings.curves),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None or not 0.0 < value < math.inf else value
