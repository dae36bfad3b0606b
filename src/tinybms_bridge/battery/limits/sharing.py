"""What several packs in parallel may be given together, so that none of them gets more than it bears.

Packs in parallel share a current as their resistances and their states of charge want it, and no GX can tell one from
another. So a limit of the battery is the largest current with which no pack gets more than its own limit at its share:
never the plain sum. The share is measured, since cables, age and temperature are unequal, and it is never taken for
less than the share of the capacity: packs that are alike come to that as they are charged.

A pack that gives nothing in a direction, because its BMS has cut it or because it is empty, leaves the sums of that
direction: one empty pack in sixteen does not switch the lights off. One that is silent is still in parallel: its last
limit goes on to bind, charging is reckoned as if it still took its part, discharging as if it gave nothing.

The reasons of its numbers: charge-control.md#several-packs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.limits.times import lag_share
from tinybms_bridge.battery.quick import maker, quick

__all__ = [
    "NO_SHARE",
    "PackLimit",
    "Share",
    "SharedLimit",
    "least_total_a",
    "next_means",
    "next_shares",
    "share_limit",
]

_ATTACK_S, _DECAY_S = 1.0, 120.0
"""A share that grows counts within seconds, since a pack that gets too much is to be relieved within three; one that
falls is forgotten slowly: near full and near empty packs take turns."""

_SHARE_C_RATE, _SHARE_OF_LIMIT, _LEAST_READ = 0.15, 0.25, 2.0
"""A share is measured from the smaller of these on: this current by the capacity, or this part of what is allowed now.
Below, it is the currents that make packs equal, of which a pack has any share, and none of it once much flows. Never
below this multiple of what the sensors of all packs do not read."""


_MEAN_S, _MEAN_ROUNDS = 1.0, 3.0
"""Packs are read one after the other: of a load that has just come, the first one that is read seems to carry all. So
shares are made of means over the first of these, and over so many rounds in which each pack is read once."""


@quick
@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the current of the battery has gone through a pack lately; None: not measured yet."""

    charge: float | None = None
    discharge: float | None = None


NO_SHARE = Share()

_new_share = maker(Share)


@quick
@dataclass(frozen=True, slots=True)
class PackLimit:
    """What is known of one pack in one direction."""

    name: str
    capacity_ah: float
    limit_a: float
    """What it bears alone; of a silent one the last that was known, infinite for nothing."""
    share: float | None = None
    """Its measured part of the current of those that are seen; None: not measured."""
    seen: bool = True
    """False for a silent pack."""
    gives: bool = True
    """False where nothing flows in this direction, or is to: it leaves the sums."""


@quick
@dataclass(frozen=True, slots=True)
class SharedLimit:
    """What the packs bear together in one direction."""

    limit_a: float
    pack: str = ""
    """The pack that binds it; empty where every pack gives nothing."""
    share: float = 1.0
    """Its part of the current, as it is reckoned."""
    own_a: float = 0.0
    """What that pack bears alone."""


_NOTHING = SharedLimit(0.0)
"""Nobody gives anything."""


def least_total_a(capacity_ah: float, least_current_a: float, limit_a: float | None) -> float:
    """Return the current of the battery from which shares are measured.

    Capacity and least current are sums over the packs; ``limit_a`` is what is allowed now, None for nothing known.
    """
    least_a = _SHARE_C_RATE * capacity_ah
    if limit_a is not None:
        least_a = min(least_a, _SHARE_OF_LIMIT * limit_a)
    return max(least_a, _LEAST_READ * least_current_a)


def next_means(
    means_a: Mapping[str, float], currents_a: Mapping[str, float], round_s: float, elapsed_s: float
) -> dict[str, float]:
    """Return the means of the currents of the packs that are seen; ``round_s``: in which each of them is read once."""
    share = lag_share(elapsed_s, max(_MEAN_S, _MEAN_ROUNDS * round_s))
    return {
        name: current_a if (mean_a := means_a.get(name)) is None else mean_a + share * (current_a - mean_a)
        for name, current_a in currents_a.items()
    }


def next_shares(
    shares: Mapping[str, Share],
    currents_a: Mapping[str, float],
    capacities_ah: Mapping[str, float],
    least_a: float,
    elapsed_s: float,
) -> dict[str, Share]:
    """Return the shares after ``elapsed_s`` more seconds with these currents (positive = into a pack) of packs seen.

    Below ``least_a`` in sum nothing is learned. A pack that takes what others give has no share. One that comes anew
    takes the part of its capacity from what the others had.
    """
    known = _with_new(shares, capacities_ah)
    total_a = sum(currents_a.values())
    if not abs(total_a) >= least_a > 0.0:
        return known
    attack, decay = lag_share(elapsed_s, _ATTACK_S), lag_share(elapsed_s, _DECAY_S)
    found = {}
    for name, before in known.items():
        now = max(0.0, currents_a[name] / total_a)
        old = before.charge if total_a > 0.0 else before.discharge
        new = now if old is None else old + (attack if now > old else decay) * (now - old)
        if total_a > 0.0:
            found[name] = _new_share(new, before.discharge)
        else:
            found[name] = _new_share(before.charge, new)
    return found


def _with_new(shares: Mapping[str, Share], capacities_ah: Mapping[str, float]) -> dict[str, Share]:
    """Return the shares of these packs; those of before are less by what packs that come anew take of the capacity."""
    known = {name: shares.get(name, NO_SHARE) for name in capacities_ah}
    new_ah = sum(capacity_ah for name, capacity_ah in capacities_ah.items() if name not in shares)
    whole_ah = sum(capacities_ah.values())
    if new_ah <= 0.0 or not whole_ah > new_ah:
        return known
    left = 1.0 - new_ah / whole_ah
    return {
        name: _new_share(
            None if share.charge is None else share.charge * left,
            None if share.discharge is None else share.discharge * left,
        )
        for name, share in known.items()
    }


def share_limit(packs: Sequence[PackLimit], *, silent_takes: bool) -> SharedLimit:
    """Return the largest current with which no pack gets more than its limit, and no silent one more than its last.

    ``silent_takes``: a silent pack takes the share of its capacity, as when charging; otherwise the others carry all.
    0 where no pack that is seen gives anything. The order of the packs means nothing.
    """
    giving = [pack for pack in packs if pack.gives]
    seen = [pack for pack in giving if pack.seen]
    if not seen:
        return _NOTHING
    whole_ah = sum(pack.capacity_ah for pack in giving)
    sum_ah = whole_ah if silent_takes else sum(pack.capacity_ah for pack in seen)
    measured = 0.0
    for pack in seen:
        measured += _part(pack.capacity_ah, sum_ah, len(giving)) if pack.share is None else pack.share
    scale = 1.0 / measured if 0.0 < measured < 1.0 else 1.0
    best = _NOTHING
    best_a = math.inf
    for pack in giving:
        if pack.seen:
            share = max(_part(pack.capacity_ah, sum_ah, len(giving)), min(1.0, (pack.share or 0.0) * scale))
        else:
            share = _part(pack.capacity_ah, whole_ah, len(giving))
        limit_a = max(0.0, pack.limit_a) / share
        if limit_a < best_a or (limit_a == best_a and pack.name < best.pack):
            best, best_a = SharedLimit(limit_a, pack.name, share, pack.limit_a), limit_a
    return best if best.pack else SharedLimit(math.inf)


def _part(capacity_ah: float, sum_ah: float, count: int) -> float:
    """Return the share of a capacity; an equal one where no capacity is known."""
    return capacity_ah / sum_ah if capacity_ah > 0.0 and 0.0 < sum_ah < math.inf else 1.0 / max(1, count)
