"""What the cells say about the state of charge that the BMS has counted.

A count is an integral of a current that is measured with an offset: within days it drifts to one of its ends and stays
there. On the plateau of LFP the cells cannot correct it, but they can contradict it: a battery whose cells rest at
3.32 V is not at 3 %. So no decision rests on the count alone: it counts between the least and the most that the cells
allow, and where it is not known at all, what they allow is what counts.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.limits.presets import Preset
from tinybms_bridge.battery.limits.resistance import current_adds_v
from tinybms_bridge.battery.limits.times import lag_share
from tinybms_bridge.battery.quick import maker, quick
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["CredibleSoc", "RestMemory", "credible_soc", "full_share", "next_rest"]

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
