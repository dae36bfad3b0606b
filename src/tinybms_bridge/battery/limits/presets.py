"""What each chemistry tolerates, per cell, and how the chemistry is told from the BMS's own settings.

The floor is the nominal voltage of the chemistry: a GX that feeds in discharges the battery down to the CVL
(Victron's dvcc.py), so no CVL below a healthy half-full cell is ever sent. The resting voltage is what a
nearly full cell shows at rest: a CVL there stops charging and discharges next to nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.snapshot import Ratings

__all__ = ["PRESETS", "Chemistry", "Preset", "chemistry_at", "chemistry_of"]


class Chemistry(StrEnum):
    """Cell chemistry."""

    LFP = "lfp"
    LI_ION = "li-ion"
    LTO = "lto"


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


PRESETS = {
    Chemistry.LFP: Preset(
        floor_v=3.20,
        resting_v=3.35,
        ceiling_v=3.65,
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


def chemistry_of(ratings: Ratings) -> Chemistry:
    """Return the chemistry whose full-charge voltage fits register 300.

    Full charge per cell is 2.4 to 2.85 V for LTO, 3.4 to 3.65 V for LFP and 3.9 to 4.35 V for Li-ion; the
    borders lie in the gaps. Register 300 decides, since many units keep the factory's 4.2 V in register 315.
    """
    return chemistry_at(ratings.fully_charged_cell_v)


def chemistry_at(fully_charged_cell_v: float) -> Chemistry:
    """Return the chemistry that is fully charged at a voltage per cell."""
    if fully_charged_cell_v <= 3.0:
        return Chemistry.LTO
    if fully_charged_cell_v <= 3.75:
        return Chemistry.LFP
    return Chemistry.LI_ION
