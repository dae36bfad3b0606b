"""The state of charge: what the bridge counts itself, beside the BMS's own count, and what the cells say of either.

The BMS counts the current of register 38 and sets its count right only when it says *fully charged*, which an LFP pack
may never do (protocol 5.3, 5.4). Its count is an integral of a current that is measured with an offset: within days it
drifts to 0 or 100 % and stays there. The bridge counts the same current, but knows better when the battery is full:
full sets the count to 100 %, whatever it was. Between two of them the same amount must go in as comes out; what does
not is drift, of a sensor with an offset or of loads too small to be read, and is taken off the count from then on.

The BMS's count only bridges what the bridge has not seen: its change over a gap, never its value. So a count that
somebody sets (register 328), or that jumps, moves the offset between the two and not the state of charge.

On the plateau of LFP the cells cannot correct a count, but they can contradict it: a battery whose cells rest at 3.32 V
is not at 3 %. So no decision rests on the count alone: it counts between the least and the most that the cells allow,
and where it is not known at all, what they allow is what counts.

The reasons of its numbers: charge-control.md#the-state-of-charge.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.battery.energy import MAX_GAP_S
from tinybms_bridge.battery.limits.presets import Preset
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.times import DAY_S, lag_share
from tinybms_bridge.battery.quick import maker, quick, replace
from tinybms_bridge.battery.snapshot import PackValues, Ratings, Snapshot
from tinybms_bridge.words import Message, message

__all__ = [
    "NO_ANCHORS",
    "Anchors",
    "CredibleSoc",
    "RestMemory",
    "SocMemory",
    "SocSource",
    "credible_soc",
    "full_share",
    "next_anchors",
    "next_count",
    "next_rest",
    "set_count",
    "with_count",
]


_LAG_S = 60.0
"""Loads come and go within seconds and cells relax within minutes; over this time both of them average out."""

_DOUBT_SHARE = 1.0
"""The resistance is an estimate: it may be twice as much, or nothing."""


@quick
@dataclass(frozen=True, slots=True)
class RestMemory:
    """What the cells would show without current, averaged over about a minute; begins anew when data was missing."""

    min_v: float
    """Of the lowest cell."""
    max_v: float
    """Of the highest cell."""
    current_v: float
    """How much the current adds or takes away."""


@quick
@dataclass(frozen=True, slots=True)
class CredibleSoc:
    """A counted state of charge and what the cells allow."""

    counted_percent: float
    known: bool
    """False for a count that the BMS has not given: nobody knows it better than the cells."""
    least_percent: float
    """The lowest cell shows that the battery holds this much."""
    most_percent: float
    """The highest cell shows that it holds no more."""

    @property
    def percent(self) -> float:
        """The count, within what the cells allow: for what stops charging."""
        return min(max(self.counted_percent, self.least_percent), self.most_percent)

    @property
    def to_discharge_percent(self) -> float:
        """The count, or more where the cells show more: for what ends discharging, which may switch the lights off.

        A count that is too high ends nothing here; the lowest cell does.
        """
        return max(self.counted_percent, self.least_percent) if self.known else self.percent

    @property
    def at_most_percent(self) -> float:
        """The count, or less where the cells show less: for what slows charging down because the battery is full."""
        return min(self.counted_percent, self.most_percent)


_new_rest, _new_soc = maker(RestMemory), maker(CredibleSoc)


def next_rest(memory: RestMemory | None, snapshot: Snapshot, ratings: Ratings, elapsed_s: float) -> RestMemory:
    """Return the averages after ``elapsed_s`` more seconds with this sample; the sample itself is the first."""
    current_v, cells = current_adds_v(snapshot, ratings), snapshot.cells
    min_v, max_v = cells.min_v - current_v, cells.max_v - current_v
    if memory is None:
        return RestMemory(min_v, max_v, abs(current_v))
    share = lag_share(elapsed_s, _LAG_S)
    return _new_rest(
        memory.min_v + share * (min_v - memory.min_v),
        memory.max_v + share * (max_v - memory.max_v),
        memory.current_v + share * (abs(current_v) - memory.current_v),
    )


def full_share(preset: Preset, ratings: Ratings) -> float:
    """Return how full a cell is at register 300, where the BMS counts 100 %; at least the half, whatever it is."""
    return max(0.5, preset.soc_at_rest.at(ratings.fully_charged_cell_v))


def credible_soc(preset: Preset, full: float, rest: RestMemory, snapshot: Snapshot) -> CredibleSoc:
    """Return the counted state of charge with what these cells allow; ``full`` is the ``full_share``."""
    doubt_v, curve = preset.rest_doubt_v + _DOUBT_SHARE * rest.current_v, preset.soc_at_rest
    return _new_soc(
        snapshot.pack.soc_percent,
        known=snapshot.pack.soc_known,
        least_percent=min(100.0, 100.0 * curve.at(rest.min_v - doubt_v) / full),
        most_percent=min(100.0, 100.0 * curve.at(rest.max_v + doubt_v) / full),
    )


_FULL_PERCENT = 100.0
_MOST_PERCENT, _LEAST_PERCENT = 99.0, 1.0
"""So far a count alone goes: only cells show that a battery is full or empty."""

_UNEVEN_PERCENT = 95.0
"""A charge that is over with one cell full: the others are near it, or the charge would not have lasted for hours."""

_STANDS_PERCENT = 0.05
"""Nearer to 0 or 100 % than this the BMS's count stands at its end, and shows no change any more."""

_AGREE_PERCENT = 1.0
"""Where the bridge says the same, the BMS has not been standing there: it has just arrived."""

_WRITTEN_PERCENT = 0.5
"""What a bounded current leaves open: rounding, and the seconds between a save and the end."""

_REST_S = 1800.0
"""Cells without current have come to rest after this time, LFP near empty within some millivolts."""

_LEARN_S = 12.0 * 3600.0
"""Full is found to about 0.5 % of the capacity; over a shorter time that would be more than what drifts."""
_GAIN_PER_DAY, _MOST_GAIN = 0.5, 0.8
"""Share of a new finding that is believed: one cloudy or odd day does not decide."""
_MOST_DRIFT_A = 0.5
"""Largest offset of a current sensor that is believed (0.3 A seen on Hall boards), where the dead band is not more."""
_SHORT_S = 60.0
"""A gap of which nothing is known costs no more than a hundredth of the capacity, at 0.6C."""


class SocSource(StrEnum):
    """Whose count is the state of charge."""

    BRIDGE = "bridge"
    BMS = "bms"


@quick
@dataclass(frozen=True, slots=True)
class Anchors:
    """What sets the count right, and what has been learned of it there; changes a few times a day."""

    full: bool = False
    """The battery is full, and the count has been set for it."""
    charged: bool = False
    """The BMS says so (0x63, status 0x92), and the count has been set for it."""
    uneven: bool = False
    empty: bool = False
    """The lowest cell has ended discharging."""
    full_at_s: int | None = None
    """Lifetime counter of the BMS when the count was last set to 100 %."""
    off_percent: float | None = None
    """How much the count was too high when it was last set right at full; negative = too low."""
    drift_a: float | None = None
    """Current that the sensor shows too much, by the mean over days; None before the second full charge."""

    @property
    def drift_ah_per_day(self) -> float | None:
        """What the sensor counts too much in a day, less the loads that it does not see; None while not known."""
        return None if self.drift_a is None else self.drift_a * 24.0

    def remarks(self, ratings: Ratings) -> tuple[Message, ...]:
        """Return what a person should know of the count."""
        found = []
        if self.drift_ah_per_day is not None:
            found.append(message("count.drift", drift_ah=self.drift_ah_per_day))
        if ratings.misses_small_loads:
            found.append(message("count.small_loads", least_a=ratings.least_current_a))
        return tuple(found)


NO_ANCHORS = Anchors()


@quick
@dataclass(frozen=True, slots=True)
class SocMemory:
    """The bridge's count; all but the sample's time, its current and the time of rest survives a restart."""

    percent: float | None = None
    """None before it has begun, with the BMS's own."""
    bms_percent: float | None = None
    """The BMS's own count at the same moment; None while it gives none that can be."""
    lifetime_s: int | None = None
    """Lifetime counter of the BMS then."""
    since_full_ah: float | None = None
    """What went in since the count was last set to 100 %; None where some of it was not seen."""
    anchors: Anchors = NO_ANCHORS
    taken_at_s: float | None = None
    current_a: float = 0.0
    idle_s: float = 0.0
    """Time for which the current has read as 0."""


_new_memory, _new_snapshot, _new_pack = maker(SocMemory), maker(Snapshot), maker(PackValues)


def next_count(memory: SocMemory, counted: Snapshot, ratings: Ratings, fresh_s: float = 0.0) -> SocMemory:
    """Return the count with a sample that is confirmed and fresh; the same memory when it is not new.

    The current is integrated by the trapezoidal rule across gaps of up to ``MAX_GAP_S``, and of up to ``fresh_s`` after
    which data is still fresh; across longer ones and a restart the change of the BMS's count is taken over.
    """
    pack, taken_at_s = counted.pack, counted.taken_at_s
    if taken_at_s == memory.taken_at_s:
        return memory
    percent, current_a, capacity_ah = memory.percent, pack.current_a, ratings.capacity_ah
    bms_percent = pack.soc_percent if pack.soc_known else None
    if percent is None or not 0.0 < capacity_ah < math.inf:
        start = None if bms_percent is None else min(max(bms_percent, 0.0), _FULL_PERCENT)
        return SocMemory(start, bms_percent, pack.lifetime_s, None, memory.anchors, taken_at_s, current_a)
    gap_s = -1.0 if memory.taken_at_s is None else taken_at_s - memory.taken_at_s
    anchors, idle_s = memory.anchors, 0.0
    drift_a = anchors.drift_a or 0.0
    if 0.0 < gap_s <= max(fresh_s, MAX_GAP_S):
        in_ah: float | None = ((memory.current_a + current_a) / 2.0 - drift_a) * gap_s / 3600.0
        if current_a == 0.0:
            idle_s = memory.idle_s + gap_s
    else:
        in_ah = _bridged_ah(memory, pack, bms_percent, ratings, gap_s)
    since_full_ah = memory.since_full_ah
    if in_ah is None:
        since_full_ah = None
    else:
        before, percent = percent, percent + 100.0 * in_ah / capacity_ah
        if not _LEAST_PERCENT <= percent <= _MOST_PERCENT:
            percent = _bounded(before, percent, anchors)
        if since_full_ah is not None:
            since_full_ah += in_ah
            if since_full_ah > 0.0 and anchors.full:
                since_full_ah = 0.0
    return _new_memory(percent, bms_percent, pack.lifetime_s, since_full_ah, anchors, taken_at_s, current_a, idle_s)


def next_anchors(
    memory: SocMemory,
    preset: Preset,
    full_share: float,
    lowest_v: float,
    ratings: Ratings,
    *,
    full: bool,
    charged: bool,
    uneven: bool,
    empty: bool,
) -> SocMemory:
    """Return the memory set right by what the cells show; the same one in nearly every step.

    Args:
        memory: of this step.
        preset: what is known of such cells.
        full_share: how full a cell is where the BMS counts 100 %.
        lowest_v: voltage of the lowest cell without current, by the mean of a minute.
        ratings: the BMS's own settings.
        full: the battery is full.
        charged: the BMS says so, and the charger did fit.
        uneven: the charge is over without being full.
        empty: the lowest cell has ended discharging.

    """
    if memory.percent is None:
        return memory
    if memory.idle_s >= _REST_S and lowest_v <= preset.empty_v:
        memory = _lowered_by_cells(memory, preset, full_share, lowest_v)
    before = memory.anchors
    if full is before.full and charged is before.charged and uneven is before.uneven and empty is before.empty:
        return memory
    if (full and not before.full) or (charged and not before.charged):
        memory = _set_full(memory, ratings)
    elif uneven and not before.uneven:
        memory = replace(memory, percent=max(memory.percent or 0.0, _UNEVEN_PERCENT), since_full_ah=None)
    return replace(memory, anchors=replace(memory.anchors, full=full, charged=charged, uneven=uneven, empty=empty))


def set_count(memory: SocMemory, percent: float) -> SocMemory:
    """Return the count that a person has set, and the BMS with it: what was not counted teaches nothing."""
    return replace(memory, percent=min(max(percent, 0.0), _FULL_PERCENT), bms_percent=percent, since_full_ah=None)


def with_count(snapshot: Snapshot, memory: SocMemory) -> Snapshot:
    """Return a sample with the bridge's count as its state of charge, and the BMS's own beside it."""
    percent, pack = memory.percent, snapshot.pack
    if percent is None:
        return snapshot
    return _new_snapshot(
        snapshot.sequence,
        snapshot.taken_at_s,
        _new_pack(
            pack.voltage_v,
            pack.current_a,
            percent,
            pack.soh_percent,
            pack.status,
            pack.status_raw,
            pack.lifetime_s,
            pack.time_left_s,
            pack.soc_known,
            pack.soc_percent,
        ),
        snapshot.cells,
        snapshot.temperatures,
        snapshot.ratings,
        snapshot.open_events,
        snapshot.cause_unread,
        snapshot.image,
    )


def _bounded(before: float, percent: float, anchors: Anchors) -> float:
    """Return a count within what a count alone may say; where it stands beyond already, it goes no further."""
    most = _FULL_PERCENT if anchors.full else max(_MOST_PERCENT, before)
    least = 0.0 if anchors.empty else min(_LEAST_PERCENT, before)
    return min(max(percent, least), most)


def _bridged_ah(
    memory: SocMemory, pack: PackValues, bms_percent: float | None, ratings: Ratings, gap_s: float
) -> float | None:
    """Return what went in over a gap by the BMS's count; None where it tells nothing and the gap was long.

    It tells nothing while it stands at an end, when its lifetime counter was set back, and where no current that the
    BMS lets flow makes such a change.
    """
    old, percent = memory.bms_percent, memory.percent
    counter_s = 0 if memory.lifetime_s is None else pack.lifetime_s - memory.lifetime_s
    span_s = max(gap_s if gap_s < math.inf else 0.0, float(counter_s))
    unknown = 0.0 if 0.0 < span_s <= _SHORT_S else None
    if old is None or bms_percent is None or percent is None or counter_s < 0:
        return unknown
    if _stands(bms_percent) or (_stands(old) and abs(percent - old) > _AGREE_PERCENT):
        return unknown
    peak_a = ratings.discharge_peak_current_a or 0.0
    most_a = max(ratings.charge_over_current_a, ratings.discharge_over_current_a, peak_a)
    change_ah = (bms_percent - old) / 100.0 * ratings.capacity_ah
    if not abs(change_ah) <= most_a * span_s / 3600.0 + _WRITTEN_PERCENT / 100.0 * ratings.capacity_ah:
        return unknown
    return change_ah - (memory.anchors.drift_a or 0.0) * span_s / 3600.0


def _stands(bms_percent: float) -> bool:
    return not _STANDS_PERCENT < bms_percent < _FULL_PERCENT - _STANDS_PERCENT


def _lowered_by_cells(memory: SocMemory, preset: Preset, full_share: float, lowest_v: float) -> SocMemory:
    """Return a count that is no higher than what the lowest cell, at rest near empty, can hold."""
    share = min(1.0, preset.soc_at_rest.at(lowest_v + preset.rest_doubt_v) / full_share)
    if memory.percent is None or memory.percent <= 100.0 * share or share >= 1.0:
        return memory
    return replace(memory, percent=100.0 * share)


def _set_full(memory: SocMemory, ratings: Ratings) -> SocMemory:
    """Return the count of a full battery, with what the way since the last one tells about the sensor."""
    anchors, lifetime_s = memory.anchors, memory.lifetime_s
    drift_a = anchors.drift_a
    if memory.since_full_ah is not None and anchors.full_at_s is not None and lifetime_s is not None:
        span_s = lifetime_s - anchors.full_at_s
        if span_s >= _LEARN_S:
            most_a = max(_MOST_DRIFT_A, ratings.least_current_a)
            gain = min(_MOST_GAIN, _GAIN_PER_DAY * span_s / DAY_S)
            drift_a = (drift_a or 0.0) + gain * memory.since_full_ah / (span_s / 3600.0)
            drift_a = min(max(drift_a, -most_a), most_a)
    off_percent = None if memory.percent is None else memory.percent - _FULL_PERCENT
    anchors = replace(anchors, full_at_s=lifetime_s, off_percent=off_percent, drift_a=drift_a)
    return replace(memory, percent=_FULL_PERCENT, since_full_ah=0.0, anchors=anchors)
