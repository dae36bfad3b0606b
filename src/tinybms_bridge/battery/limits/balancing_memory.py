"""How far the cells of a pack are apart, what is remembered of balancing, and when the cells will be alike.

On its plateau an LFP cell tells nothing; near full every cell does. So the spread, in Ah, is taken at the end of a
charge, while the highest cell is near its target and little flows, from what each cell would show without that current.

The reasons of its numbers: charge-control.md#balancing.
"""

from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.battery.limits.curves import Curve
from tinybms_bridge.battery.limits.presets import Chemistry, Preset
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.times import DAY_S
from tinybms_bridge.battery.quick import maker, quick
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.words import Message, message

__all__ = [
    "CHARGE",
    "NO_BALANCING",
    "OFF",
    "REST",
    "BalancingMemory",
    "BalancingPhase",
    "Spread",
    "spread_of",
    "top_curve",
]


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


class BalancingPhase(StrEnum):
    """What balancing does now."""

    OFF = "off"
    CHARGE = "charge"
    """A small current flows in until the highest cell is at its top."""
    REST = "rest"
    """CVL stands below the pack until loads have taken it down to where it may be charged again."""


OFF, CHARGE, REST = BalancingPhase.OFF, BalancingPhase.CHARGE, BalancingPhase.REST


@quick
@dataclass(frozen=True, slots=True)
class BalancingMemory:
    """What is remembered; spread, day and what was bled survive a restart."""

    spread_ah: float | None = None
    """From the lowest cell to the highest, when it was last seen; None: not yet."""
    work_ah: float = 0.0
    """What had to be bled then from all cells together."""
    at_least: bool = False
    """Whether they may be further apart; then both are what was seen first, less what has been bled."""
    day: bool = False
    """Whether a balancing day goes on."""
    day_s: float = 0.0
    """How much of it is over."""
    day_at_lifetime_s: int | None = None
    """Lifetime counter of the BMS at the end of the last one; it counts while the bridge sleeps."""
    bled_ah: float = 0.0
    """What was bled from ``bled_from_lifetime_s`` to ``bled_to_lifetime_s``."""
    bled_from_lifetime_s: int | None = None
    bled_to_lifetime_s: int = 0
    phase: BalancingPhase = OFF
    phase_s: float = 0.0
    """For how long it has lasted."""
    level_v: float = 0.0
    """CVL of the present phase."""
    waited_s: float = 0.0
    """Time since its last step."""
    away_ah: float = 0.0
    """Charge since the top was last reached, 0 at most."""
    seen_s: float = 0.0
    """For how long the spread has been seen in this charge, and below what it was in the mean."""
    seen_ah: float = 0.0
    seen_work_ah: float = 0.0
    raised_a: float = 0.0
    """By how much the hold current is raised."""
    unbled_s: float = 0.0
    """For how long a cell has waited to be bled with a current flowing."""

    @property
    def active(self) -> bool:
        """Whether the battery is kept from its FLOAT because balancing helps."""
        return self.day or self.phase is not OFF

    @property
    def days_left(self) -> float | None:
        """After how many days like the last ones the cells will be alike; None where nobody can know."""
        if self.spread_ah is None or self.bled_from_lifetime_s is None or self.bled_ah <= 0.0:
            return None
        days = (self.bled_to_lifetime_s - self.bled_from_lifetime_s) / DAY_S
        return self.work_ah * days / self.bled_ah if days >= 1.0 else None

    def summary(self, capacity_ah: float) -> Message:
        """Return how far the cells are apart and what is done about it."""
        if self.spread_ah is None or not capacity_ah > 0.0:
            return message("balancing.unknown")
        done, days = self.work_ah <= 0.0, self.days_left
        return message(
            "balancing.apart",
            spread_ah=self.spread_ah,
            spread_percent=100.0 * self.spread_ah / capacity_ah,
            at_least=self.at_least,
            done=done,
            days=None if done or days is None else max(1.0, days),
            day=self.day and not done,
        )


NO_BALANCING = BalancingMemory()
