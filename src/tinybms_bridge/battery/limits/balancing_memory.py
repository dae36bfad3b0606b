"""What is remembered of balancing, and what it tells of when the cells will be alike."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tinybms_bridge.battery.limits.times import DAY_S
from tinybms_bridge.battery.quick import quick

__all__ = ["CHARGE", "NO_BALANCING", "OFF", "REST", "BalancingMemory", "BalancingPhase"]


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
    def lasting(self) -> "BalancingMemory":
        """What survives a restart."""
        return BalancingMemory(**self.to_document())

    def to_document(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {name: getattr(self, name) for name in _LASTING}

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

    def text(self, capacity_ah: float) -> str:
        """Return in words how far the cells are apart and what is done about it."""
        if self.spread_ah is None or not capacity_ah > 0.0:
            return "how far the cells are apart shows near full"
        at_least = "at least " if self.at_least else ""
        words = f"cells are {at_least}{self.spread_ah:.1f} Ah ({100.0 * self.spread_ah / capacity_ah:.1f} %) apart"
        if self.work_ah <= 0.0:
            return f"{words}: balanced"
        if self.days_left is not None:
            words += f": balanced in about {max(1.0, self.days_left):.0f} day{'' if self.days_left < 1.5 else 's'}"
        return f"{words}; a balancing day goes on" if self.day else words


_LASTING = (
    *("spread_ah", "work_ah", "at_least", "day", "day_s", "day_at_lifetime_s"),
    *("bled_ah", "bled_from_lifetime_s", "bled_to_lifetime_s"),
)

NO_BALANCING = BalancingMemory()
