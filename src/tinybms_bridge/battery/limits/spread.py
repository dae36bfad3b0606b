"""How far the cells of a pack are apart, in Ah, as it shows at the end of a charge.

On its plateau an LFP cell tells nothing; near full every cell does. So the spread is taken while the highest cell is
near its target and little flows, from what each cell would show without that current.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.presets import Chemistry, Preset
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.quick import maker, quick
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["Spread", "spread_of", "top_curve"]

_LFP_TOP = Curve(((3.34, 0.965), (3.37, 0.98), (3.42, 0.99), (3.50, 0.995), (3.65, 1.0)))
"""State of charge of an LFP cell that is charged with a hundredth of its capacity or less: from 3.42 to 3.50 V it takes
up half a percent. The curve of a cell at rest ends at 3.45 V and tells two cells above it from each other no more.
Below 3.34 V is the plateau, where one make differs from the next by more than 10 % of charge do."""


@quick
@dataclass(frozen=True, slots=True)
class Spread:
    """What the cells differ by."""

    ah: float
    """From the lowest cell to the highest."""
    work_ah: float
    """What has to be bled from all cells together until none is clearly above the lowest."""
    at_least: bool
    """Whether the lowest cell is on its plateau, so that it may be lower than it shows."""


_new_spread = maker(Spread)


def top_curve(chemistry: Chemistry, preset: Preset) -> Curve:
    """Return the state of charge, 0 to 1, of a cell near full by its voltage with next to no current."""
    return _LFP_TOP if chemistry is Chemistry.LFP else preset.soc_at_rest


def spread_of(snapshot: Snapshot, ratings: Ratings, curve: Curve, room_ah: float) -> Spread:
    """Return how far the cells are apart; ``room_ah`` above the lowest cell need no bleeding."""
    current_v, capacity_ah = current_adds_v(snapshot, ratings), ratings.capacity_ah
    shares = curve.at_each(snapshot.cells.voltages_v, less=current_v)
    lowest, highest = min(shares), max(shares)
    room = room_ah / capacity_ah if capacity_ah > 0.0 else 0.0
    work = sum([share - lowest - room for share in shares if share - lowest > room]) if highest - lowest > room else 0.0
    at_least = curve is _LFP_TOP and lowest <= curve.points[0][1]
    return _new_spread((highest - lowest) * capacity_ah, work * capacity_ah, at_least)
