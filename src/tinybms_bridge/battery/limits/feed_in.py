"""What flows past CCL, and whether solar chargers stand above CVL.

More than CCL may flow in by some room before CCL counts as not obeyed. Where solar chargers stand above CVL, the system
sells its surplus, and CVL has to leave room for them. No frame tells it. Chargers that feed in regulate at CVL + 0.4 V
and obey no CCL, and both can be seen at the battery: its voltage above the CVL in force while it is charged, or clearly
more current than CCL allows.

The reasons of its numbers: charge-control.md#charge-values-by-chemistry.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.rates import RateMemory
from tinybms_bridge.battery.quick import quick, replace
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["FeedInMemory", "charges_past_ccl", "next_feed_in", "room_above_ccl_a"]


_ROOM_RATIO, _ROOM_A, _ROOM_C_RATE = 0.1, 2.0, 0.005
"""Room above CCL, the largest counts: loads that change, a GX that rounds up, and the offset of a current sensor."""


def room_above_ccl_a(ccl_a: float, ratings: Ratings) -> float:
    """Return how much more than ``ccl_a`` may flow in before CCL counts as not obeyed."""
    return max(_ROOM_RATIO * ccl_a, _ROOM_A, _ROOM_C_RATE * ratings.capacity_ah)


def charges_past_ccl(current_a: float, ccl_a: float | None, ratings: Ratings) -> bool:
    """Return whether clearly more flows in than the CCL that was sent: then chargers feed in and obey none."""
    return ccl_a is not None and current_a > ccl_a and current_a > ccl_a + room_above_ccl_a(ccl_a, ratings)


_ABOVE_LEAST_V, _ABOVE_MOST_V = 0.2, 0.5
"""What a charger at CVL + 0.4 V makes of the pack; below, it is the error of a meter, and above, a CVL that fell."""

_CONFIRM_S = 60.0
"""A GX needs seconds to follow a new limit, and chargers some more."""

_LONGEST_S = 5.0
"""One sample counts for no longer: after a pause it shows what chargers did in one moment, not that they went on."""

_FORGET_S = 14 * 86_400
"""Feed-in is a setting of the installation: two weeks without a sign of it, and it has been switched off."""

_SHOWN_BY_STEPS = 2
"""One may be a load that was switched off at that moment."""

_RENEW_S = 3600
"""How often it is worth a new memory."""


@quick
@dataclass(frozen=True, slots=True)
class FeedInMemory:
    """What is remembered."""

    seen_at_lifetime_s: int | None = None
    """Lifetime counter of the BMS when feed-in was last seen; it survives a restart."""
    above_s: float = 0.0
    """Time for which it shows."""
    disobeyed_at_lifetime_s: int | None = None
    """The same for a CCL that is not obeyed; without surplus that cannot be sold nothing stands above CVL."""
    passed: int = 0
    """How often a step of CVL has made more flow than CCL allows, before that counts."""

    @property
    def seen(self) -> bool:
        """Whether chargers feed in here."""
        return self.seen_at_lifetime_s is not None

    @property
    def disobeyed(self) -> bool:
        """Whether chargers obey no CCL here, so that CVL alone can keep it."""
        return self.seen_at_lifetime_s is not None or self.disobeyed_at_lifetime_s is not None


def next_feed_in(
    memory: FeedInMemory,
    snapshot: Snapshot,
    ratings: Ratings,
    rates: RateMemory,
    elapsed_s: float,
    told_a: float = 0.0,
    *,
    passed: bool = False,
) -> FeedInMemory:
    """Return the memory after ``elapsed_s`` more seconds of fresh data with the limits that have been in force.

    ``told_a``: the highest CCL of the last seconds. Near full CCL falls all the time, and a GX follows it late.
    ``passed``: a step of CVL has just made more flow than CCL allows; the second one shows that CCL is not obeyed.
    """
    seen_at_s, disobeyed_at_s = memory.seen_at_lifetime_s, memory.disobeyed_at_lifetime_s
    lifetime_s = snapshot.pack.lifetime_s
    if seen_at_s is not None and not 0 <= lifetime_s - seen_at_s <= _FORGET_S:
        memory = replace(memory, seen_at_lifetime_s=_anew(seen_at_s, lifetime_s))
    if disobeyed_at_s is not None and not 0 <= lifetime_s - disobeyed_at_s <= _FORGET_S:
        memory = replace(memory, disobeyed_at_lifetime_s=_anew(disobeyed_at_s, lifetime_s), passed=0)
    if passed:
        memory = _passed(memory, lifetime_s)
    if not _shows(snapshot, ratings, rates, told_a):
        return memory if memory.above_s == 0.0 else replace(memory, above_s=max(0.0, memory.above_s - elapsed_s))
    above_s = min(memory.above_s + min(elapsed_s, _LONGEST_S), _CONFIRM_S)
    seen_at_s = memory.seen_at_lifetime_s
    if above_s >= _CONFIRM_S and (seen_at_s is None or lifetime_s - seen_at_s >= _RENEW_S):
        seen_at_s = lifetime_s
    if above_s == memory.above_s and seen_at_s == memory.seen_at_lifetime_s:
        return memory
    return replace(memory, seen_at_lifetime_s=seen_at_s, above_s=above_s)


def _anew(at_s: int, lifetime_s: int) -> int | None:
    """Return the time that counts now: a counter that was set back tells nothing, and the two weeks begin anew."""
    return lifetime_s if lifetime_s < at_s else None


def _passed(memory: FeedInMemory, lifetime_s: int) -> FeedInMemory:
    """Return the memory after one more step of CVL that was too much."""
    passed = min(memory.passed + 1, _SHOWN_BY_STEPS)
    at_s = lifetime_s if passed >= _SHOWN_BY_STEPS else memory.disobeyed_at_lifetime_s
    return replace(memory, disobeyed_at_lifetime_s=at_s, passed=passed)


def _shows(snapshot: Snapshot, ratings: Ratings, rates: RateMemory, told_a: float) -> bool:
    cvl_v, ccl_a, pack = rates.cvl_v, rates.ccl_a, snapshot.pack
    if not rates.running or cvl_v is None or ccl_a is None or pack.current_a <= ratings.least_current_a:
        return False
    if _ABOVE_LEAST_V <= pack.voltage_v - cvl_v <= _ABOVE_MOST_V:
        return True
    return charges_past_ccl(pack.current_a, max(ccl_a, told_a), ratings)
