"""What days and weeks of use show of a battery and no single charge does; its owner is told, and no limit rests on it.

*Capacity*: near empty and when full the cells tell their charge; between them an LFP cell does not. So what flows from
full to near empty, and back to full, is the capacity but for the shares where both begin and end. A current sensor with
an offset and loads that it does not see make the first of these ways too long and the other too short, or the other
way round; a wrong register 306 changes neither. So the two have to agree. Where the register is so much too low that
more has come out than it says while the cells still show charge, what they show at least takes the place of near empty.

*Cells*: all cells give the same charge. One that is nearly empty while the others are not, and full when they are,
holds less than they do; one that is behind at both ends was only never charged as far, and balancing mends that.

*Resistance*: how long a current has flowed without a step from which it could be learned.

It is looked at once a minute: what it finds changes over days.

The reasons of its numbers: charge-control.md#what-use-shows-of-the-battery.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from tinybms_bridge.battery.limits.balancing_memory import top_curve
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S, WRONG_CAPACITY, Evidence
from tinybms_bridge.battery.limits.resistance import ResistanceMemory, current_adds_v
from tinybms_bridge.battery.limits.soc_count import SocMemory
from tinybms_bridge.battery.limits.times import DAY_S
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["next_evidence"]

_LOOK_S = 60.0
_LONGEST_LOOK_S = 120.0
"""A gap between two looks that is longer was not seen."""

_AGREE = 0.10
"""The two ways agree within this share: then offset and unseen loads make up half of it at most."""

_WAY_S = 3.0 * DAY_S
"""On a longer way drift is as good an explanation as anything."""

_LEAST_OUT = 0.3
"""Of register 306: on a shorter way the shares at its ends count for too much."""

_DEEPER = 0.01
"""Of register 306: so much deeper the battery is looked at again."""

_LEAST_C = 10.0
"""A colder cell is empty before it has given what it holds."""

_MOST_CURRENT_V = 0.02
"""With more current than adds this to a cell, what it would show without is not known well enough."""

_ALIKE_V = 0.01
"""Cells of one pack that are treated alike differ by no more than this in what they show at the same charge."""


def next_evidence(
    memory: Evidence, context: Context, soc: SocMemory, resistance: ResistanceMemory, *, sure: bool
) -> Evidence:
    """Return the evidence with a sample that is fresh; the same one within a minute, and unless it is ``sure``."""
    snapshot = context.snapshot
    gap_s = math.inf if memory.looked_at_s is None else snapshot.taken_at_s - memory.looked_at_s
    if not sure or 0.0 <= gap_s < _LOOK_S:
        return memory
    factors, flowing_s = resistance.factors_of(snapshot.cells.count), memory.flowing_s
    if factors:
        flowing_s = 0.0
    elif snapshot.pack.current_a != 0.0 and 0.0 <= gap_s <= _LONGEST_LOOK_S:
        flowing_s = min(flowing_s + gap_s, UNLEARNED_S)
    now = replace(memory, looked_at_s=snapshot.taken_at_s, flowing_s=flowing_s, factors=factors)
    if soc.anchors.full_at_s != memory.full_at_s:
        return _at_full(now, context, soc)
    if soc.since_full_ah is None:
        return replace(now, since_full_ah=None, low_ah=None, low_cells=())
    return _on_the_way(replace(now, since_full_ah=soc.since_full_ah), context, soc.since_full_ah)


def _on_the_way(memory: Evidence, context: Context, since_full_ah: float) -> Evidence:
    """Return the evidence with a look at a battery that is not full, where its cells show how little is left."""
    snapshot, set_ah, rest = context.snapshot, context.ratings.capacity_ah, context.rest
    celsius, out_ah = snapshot.temperatures.coldest_c, -since_full_ah
    if not 0.0 < set_ah < math.inf or out_ah < _LEAST_OUT * set_ah:
        return memory
    if snapshot.pack.current_a > 0.0 or celsius is None or celsius < _LEAST_C:
        return memory
    if not context.fit.chemistry.decided or not _lasted(memory.full_at_s, snapshot.pack.lifetime_s):
        return memory
    curve, top = context.preset.soc_at_rest, _top(context)
    deeper = memory.low_ah is None or out_ah >= _DEEPER * set_ah - memory.low_ah
    if rest.min_v <= context.preset.empty_v and rest.current_v <= _MOST_CURRENT_V:
        if not deeper and not memory.low_at_least:
            return memory
        rested_v = _rested(snapshot, memory.factors, context)
        shares = tuple([round(curve.at(voltage_v), 4) for voltage_v in rested_v])
        marked = _marked(memory, snapshot, curve.at(rest.min_v))
        return replace(marked, low_cells=shares, low_middle=curve.at(median(rested_v) - _ALIKE_V))
    least = curve.at(rest.min_v - context.preset.rest_doubt_v - rest.current_v)
    if not deeper or least >= top or out_ah / (top - least) <= (1.0 + WRONG_CAPACITY) * set_ah:
        return memory
    return _marked(memory, snapshot, least, at_least=True)


def _marked(memory: Evidence, snapshot: Snapshot, share: float, *, at_least: bool = False) -> Evidence:
    return replace(
        memory,
        low_ah=memory.since_full_ah,
        low_at_s=snapshot.pack.lifetime_s,
        low_share=share,
        low_at_least=at_least,
        low_cells=(),
    )


def _at_full(memory: Evidence, context: Context, soc: SocMemory) -> Evidence:
    """Return the evidence of a battery that was found full since the last look, ready for the next way."""
    capacity_ah, at_least, cells, seen = memory.capacity_ah, memory.at_least, memory.cells, memory.seen
    if memory.low_ah is not None and memory.since_full_ah is not None and _top(context) > memory.low_share:
        between = _top(context) - memory.low_share
        gave_ah, took_ah = -memory.low_ah / between, (memory.since_full_ah - memory.low_ah) / between
        back = _lasted(memory.low_at_s, context.snapshot.pack.lifetime_s)
        if back and abs(gave_ah - took_ah) <= _AGREE * max(gave_ah, took_ah):
            capacity_ah, at_least = (gave_ah + took_ah) / 2.0, memory.low_at_least
        if len(memory.low_cells) == context.snapshot.cells.count:
            shown = _each_holds(memory, context)
            cells = tuple(map(max, seen, shown)) if len(seen) == len(shown) else ()
            seen = shown
    return replace(
        memory,
        capacity_ah=capacity_ah,
        at_least=at_least,
        cells=cells,
        seen=seen,
        full_at_s=soc.anchors.full_at_s,
        since_full_ah=soc.since_full_ah,
        low_ah=None,
        low_cells=(),
    )


def _each_holds(memory: Evidence, context: Context) -> tuple[float, ...]:
    """Return what each cell holds as a multiple of the middle one; 1 for a cell that is on its plateau at the end."""
    curve = top_curve(context.fit.chemistry.chemistry, context.preset)
    least = curve.points[0][1]
    tops = [curve.at(voltage_v) for voltage_v in _rested(context.snapshot, memory.factors, context)]
    between = median(tops) - memory.low_middle
    return tuple(
        [
            round(between / (top - low), 3) if top > least and top > low and between > 0.0 else 1.0
            for top, low in zip(tops, memory.low_cells, strict=True)
        ]
    )


def _rested(snapshot: Snapshot, factors: Sequence[float], context: Context) -> list[float]:
    """Return what each cell would show without the current, with its own resistance where that is learned."""
    adds_v, voltages_v = current_adds_v(snapshot, context.ratings), snapshot.cells.voltages_v
    own = factors or [1.0] * len(voltages_v)
    return [voltage_v - adds_v * factor for voltage_v, factor in zip(voltages_v, own, strict=True)]


def _top(context: Context) -> float:
    """Return how full a cell is when the battery is."""
    return context.preset.soc_at_rest.at(context.charging.target_v / context.ratings.series_cells)


def _lasted(from_s: int | None, to_s: int) -> bool:
    """Return whether a way was short enough."""
    return from_s is not None and 0 <= to_s - from_s <= _WAY_S
