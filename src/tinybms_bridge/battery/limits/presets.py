"""What each chemistry tolerates, per cell, and which chemistries the BMS's own settings leave possible.

The floor is the nominal voltage of the chemistry: a GX that feeds in discharges the battery down to the CVL
(Victron's dvcc.py), so no CVL below a healthy half-full cell is ever sent. The resting voltage is what a
nearly full cell shows at rest: a CVL there stops charging and discharges next to nothing.

The reasons of its numbers: charge-control.md#charge-values-by-chemistry.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.snapshot import Ratings

__all__ = [
    "PRESETS",
    "Chemistry",
    "Preset",
    "chemistry_at",
    "chemistry_of",
    "possible_at",
    "preset_for",
    "rank",
    "room_v",
]

_MOST_LTO_V = 3.0
_LEAST_AMBIGUOUS_V = 3.66
_MOST_AMBIGUOUS_V = 3.80
"""LFP is charged to 3.65 V and no Li-ion to less than 3.8 V, as a rule; between them a unit may belong to either."""

_ROUNDING_V = 1e-6
"""Registers are whole millivolts."""

_ROOM_V = 0.05
"""Kept from the floor to register 316 and from the resting voltage to register 300, where there is so much."""

_ROOM_SHARE = 0.25
"""Of the way from register 316 to 300, which may be short."""


class Chemistry(StrEnum):
    """Cell chemistry, from the lowest voltage to the highest."""

    LTO = "lto"
    LFP = "lfp"
    LI_ION = "li-ion"


@dataclass(frozen=True, slots=True)
class Preset:
    """Voltages per cell."""

    floor_v: float
    """Lowest CVL that is ever sent."""
    resting_v: float
    """Highest CVL while data is missing or charging is inhibited."""
    ceiling_v: float
    """Highest CVL that is ever sent, whatever the BMS and the user say."""
    near_full_v: float
    """Below this the highest cell of a battery that is charged is clearly not full, whatever the counter says."""
    no_longer_full_v: float
    """Below this at rest the highest cell of a battery that was full shows that it is not any more."""
    empty_v: float
    """Below this at rest the lowest cell agrees that the battery is nearly empty."""
    soc_at_rest: Curve
    """State of charge, 0 to 1, of a cell by its voltage at rest."""
    rest_doubt_v: float
    """Cells at one state of charge differ by this much: by make, by direction, by how long they have rested."""
    conservative_v: float
    """Target that harms no such cell and charges most of it; used where a setting does not fit the battery."""


PRESETS = {
    Chemistry.LFP: Preset(
        floor_v=3.20,
        resting_v=3.35,
        ceiling_v=3.65,
        conservative_v=3.45,
        near_full_v=3.40,
        no_longer_full_v=3.30,
        empty_v=3.15,
        rest_doubt_v=0.03,
        soc_at_rest=Curve(
            (
                *((2.60, 0.0), (2.90, 0.02), (3.05, 0.05), (3.20, 0.10), (3.25, 0.20), (3.28, 0.30), (3.30, 0.50)),
                *((3.32, 0.65), (3.33, 0.80), (3.34, 0.95), (3.37, 0.98), (3.45, 1.0)),
            )
        ),
    ),
    Chemistry.LI_ION: Preset(
        floor_v=3.60,
        resting_v=3.90,
        ceiling_v=4.20,
        conservative_v=4.00,
        near_full_v=4.00,
        no_longer_full_v=4.00,
        empty_v=3.45,
        rest_doubt_v=0.05,
        soc_at_rest=Curve(
            (
                *((3.00, 0.0), (3.20, 0.02), (3.35, 0.05), (3.45, 0.10), (3.55, 0.20), (3.61, 0.30), (3.66, 0.40)),
                *((3.73, 0.50), (3.81, 0.60), (3.90, 0.70), (3.99, 0.80), (4.08, 0.90), (4.20, 1.0)),
            )
        ),
    ),
    Chemistry.LTO: Preset(
        floor_v=2.30,
        resting_v=2.40,
        ceiling_v=2.85,
        conservative_v=2.50,
        near_full_v=2.48,
        no_longer_full_v=2.35,
        empty_v=2.05,
        rest_doubt_v=0.05,
        soc_at_rest=Curve(
            (
                *((1.80, 0.0), (1.92, 0.02), (2.02, 0.05), (2.11, 0.10), (2.17, 0.20), (2.21, 0.30), (2.24, 0.40)),
                *((2.27, 0.50), (2.30, 0.60), (2.34, 0.70), (2.39, 0.80), (2.48, 0.90), (2.56, 0.95), (2.75, 1.0)),
            )
        ),
    ),
}
"""Every voltage rises from one chemistry to the next: what is safe for one is not too high for any after it."""


_RANKS = {chemistry: number for number, chemistry in enumerate(Chemistry)}


def rank(chemistry: Chemistry) -> int:
    """Return the place of a chemistry from the lowest voltage (0) to the highest."""
    return _RANKS[chemistry]


def possible_at(fully_charged_cell_v: float) -> tuple[Chemistry, ...]:
    """Return the chemistries that may be charged up to a voltage per cell, the lowest first.

    Full charge per cell is 2.4 to 2.85 V for LTO, 3.4 to 3.65 V for LFP and 3.9 to 4.35 V for Li-ion; the borders lie
    in the gaps. From 3.66 to 3.80 V stand LFP units with a generous target and Li-ion units with a careful one.
    """
    if fully_charged_cell_v <= _MOST_LTO_V + _ROUNDING_V:
        return (Chemistry.LTO,)
    if fully_charged_cell_v < _LEAST_AMBIGUOUS_V - _ROUNDING_V:
        return (Chemistry.LFP,)
    if fully_charged_cell_v <= _MOST_AMBIGUOUS_V + _ROUNDING_V:
        return (Chemistry.LFP, Chemistry.LI_ION)
    return (Chemistry.LI_ION,)


def chemistry_at(fully_charged_cell_v: float) -> Chemistry:
    """Return the chemistry that is fully charged at a voltage per cell: of two, the one that is safe for both."""
    return possible_at(fully_charged_cell_v)[0]


def chemistry_of(ratings: Ratings) -> Chemistry:
    """Return the chemistry whose full-charge voltage fits register 300.

    Register 300 decides, since many units keep the factory's 4.2 V in register 315.
    """
    return chemistry_at(ratings.fully_charged_cell_v)


def room_v(ratings: Ratings) -> float:
    """Return what is kept from register 316 to the floor and from the resting voltage to register 300, per cell."""
    return min(_ROOM_V, _ROOM_SHARE * (ratings.fully_charged_cell_v - ratings.under_voltage_cell_v))


def preset_for(chemistry: Chemistry, ratings: Ratings) -> Preset:
    """Return what a chemistry tolerates on this unit: its floor above register 316, its resting voltage below 300.

    A unit may be set so that the chemistry's own voltages lie outside; they move as far as they must.
    """
    preset, full_v, away_v = PRESETS[chemistry], ratings.fully_charged_cell_v, room_v(ratings)
    if not 0.0 < away_v < math.inf:
        return preset
    least_v = ratings.under_voltage_cell_v + away_v
    resting_v = max(min(preset.resting_v, full_v - away_v), least_v)
    floor_v = min(max(preset.floor_v, least_v), resting_v)
    return replace(
        preset,
        floor_v=floor_v,
        resting_v=resting_v,
        ceiling_v=max(preset.ceiling_v, resting_v),
        conservative_v=max(min(preset.conservative_v, full_v), resting_v),
    )
