"""How packs in parallel stand to each other: whose voltage is apart, who is odd, and the clock of the battery.

The reasons of its numbers: charge-control.md#several-packs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.presets import chemistry_of
from tinybms_bridge.battery.quick import quick

__all__ = ["JOIN_CELL_V", "Apart", "BatteryClock", "next_apart", "next_clock", "odd_packs"]

JOIN_CELL_V = 0.05
"""Per cell. Cables and switches of packs that share a current make less: 10 mOhm more at 50 A are 0.03 V for each of 16
cells."""

_APART_S, _NEAR_S = 2.0, 5.0
"""A difference of voltage that lasts shorter is that of readings at different moments of a load that changes."""

_NEAR_SHARE = 0.5
"""A pack has joined when it is within this share of the difference."""

_ROOM_S, _ROOM_SHARE = 10.0, 1.5
"""A counter that has gone on by more than the time that has passed, with this room, has jumped."""


@quick
@dataclass(frozen=True, slots=True)
class Apart:
    """Which packs are far from the voltage of the others."""

    packs: frozenset[str] = frozenset()
    since_s: Mapping[str, float] = field(default_factory=dict)
    """Monotonic time since which a pack is apart and does not count as such yet, or is near and still does."""
    known: frozenset[str] = frozenset()
    """The packs that have been seen lately: one that comes anew and is apart, joins at once."""
    most_v: float = 0.0
    """The largest distance of a pack that joins."""
    join_v: float = 0.0
    """From which on a pack is apart."""


_ALONE = Apart()


def next_apart(memory: Apart, voltages_v: Mapping[str, float], join_v: float, now_s: float) -> Apart:
    """Return which packs are further than ``join_v`` from the middle of all, or of two from the other.

    Of two packs the one that came last is the one that joins, or else both.
    """
    if len(voltages_v) < 2:
        return _ALONE if not voltages_v else Apart(known=frozenset(voltages_v))
    joining, since_s, most_v = set[str](), {}, 0.0
    new = voltages_v.keys() - memory.known if memory.known else set()
    ordered = sorted(voltages_v.values())
    if ordered[-1] - ordered[0] <= join_v * _NEAR_SHARE and not memory.packs:
        return (
            memory if memory.known == voltages_v.keys() and not memory.since_s else Apart(known=frozenset(voltages_v))
        )
    for name, voltage_v in voltages_v.items():
        off_v = _off_v(ordered, voltage_v)
        before = name in memory.packs
        turns = off_v < join_v * _NEAR_SHARE if before else off_v > join_v
        begun_s = memory.since_s.get(name, now_s)
        lasts_s = _NEAR_S if before else 0.0 if name in new else _APART_S
        if turns and now_s - begun_s < lasts_s:
            since_s[name] = begun_s
        if before != (turns and now_s - begun_s >= lasts_s):
            joining.add(name)
            most_v = max(most_v, off_v)
    if len(voltages_v) == 2 and len(joining & new) == 1:
        joining &= new
    return Apart(frozenset(joining), since_s, frozenset(voltages_v), most_v, join_v)


def _off_v(ordered: list[float], own_v: float) -> float:
    """Return how far a pack is from the middle of all; of two from the other one."""
    if len(ordered) == 2:
        return ordered[1] - ordered[0]
    half = len(ordered) // 2
    middle_v = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0
    return abs(own_v - middle_v)


def odd_packs(contexts: Mapping[str, Context]) -> frozenset[str]:
    """Return the packs that are of another kind than most: another number of cells or chemistry.

    Where there are as many of the one as of the other, the kind of the first pack counts.
    """
    kinds = {name: (each.ratings.series_cells, chemistry_of(each.ratings)) for name, each in contexts.items()}
    if len(set(kinds.values())) <= 1:
        return frozenset()
    usual = Counter(kinds.values()).most_common(1)[0][0]
    return frozenset(name for name, kind in kinds.items() if kind != usual)


@quick
@dataclass(frozen=True, slots=True)
class BatteryClock:
    """The lifetime counter of a battery of several units, for what hangs on days and weeks; it survives a restart.

    It goes on as the counters of its units do, also in sleep and while the bridge is off, by the middle of what they
    have gone on: one that jumps, or a unit that is replaced, moves it little or not at all.
    """

    lifetime_s: int = 0
    counters_s: Mapping[str, int] = field(default_factory=dict)
    """Of each pack when the clock went on last."""
    waited_s: float = 0.0
    """Time since then, in this run."""
    running: bool = False
    """Whether it has gone on in this run; before, nobody knows for how long the bridge was off."""


def next_clock(memory: BatteryClock, counters_s: Mapping[str, int], elapsed_s: float) -> BatteryClock:
    """Return the clock after ``elapsed_s`` more seconds with these counters of the packs that are seen."""
    if not memory.counters_s:
        most_s = max(memory.lifetime_s, *counters_s.values()) if counters_s else memory.lifetime_s
        return BatteryClock(most_s, dict(counters_s), 0.0, bool(counters_s))
    waited_s = memory.waited_s + elapsed_s
    steps_s = sorted(
        [
            now_s - memory.counters_s[name]
            for name, now_s in counters_s.items()
            if now_s >= memory.counters_s.get(name, now_s + 1)
        ]
    )
    step_s = steps_s[(len(steps_s) - 1) // 2] if steps_s else 0
    if step_s <= 0 and memory.running and memory.counters_s.keys() >= counters_s.keys():
        return BatteryClock(memory.lifetime_s, memory.counters_s, waited_s, True)
    if memory.running:
        step_s = min(step_s, int(_ROOM_SHARE * waited_s + _ROOM_S))
    return BatteryClock(memory.lifetime_s + step_s, {**memory.counters_s, **counters_s}, 0.0, True)
