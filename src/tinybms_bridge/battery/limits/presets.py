"""What each chemistry tolerates, per cell, and how the chemistry is told from the BMS's own settings.

The floor is the nominal voltage of the chemistry: a GX that feeds in discharges the battery down to the CVL
(Victron's dvcc.py), so no CVL below a healthy half-full cell is ever sent. The resting voltage is what a
nearly full cell shows at rest: a CVL there stops charging and discharges next to nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

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
    sustain_v: float
    """CVL while the battery is nearly empty."""
    near_full_v: float
    """Below this the highest cell of a battery that is charged is clearly not full, whatever the counter says."""


PRESETS = {
    Chemistry.LFP: Preset(floor_v=3.20, resting_v=3.35, ceiling_v=3.65, sustain_v=3.20, near_full_v=3.40),
    Chemistry.LI_ION: Preset(floor_v=3.60, resting_v=3.90, ceiling_v=4.20, sustain_v=3.60, near_full_v=4.00),
    Chemistry.LTO: Preset(floor_v=2.30, resting_v=2.40, ceiling_v=2.85, sustain_v=2.30, near_full_v=2.48),
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
