"""Sun, loads and air over the time of a scenario: pure functions of the seconds since midnight of its first day."""

import functools
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

from tinybms_lab.bench.dirt import generator

__all__ = ["DAY_S", "ClearSky", "Clouds", "Constant", "Days", "Profile", "Pulses", "Seasons", "Steps", "Swing"]

DAY_S = 86400.0
_HOUR_S = 3600.0
_SKY_EXPONENT = 1.3
"""Shape of a clear day: panels face the sun at noon only."""


class Profile(Protocol):
    """A value over time."""

    def at(self, time_s: float) -> float:
        """Return the value at a time."""
        ...

    def next_edge_s(self, time_s: float) -> float:
        """Return the first time after ``time_s`` at which the value jumps; infinity when it never does."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    value: float

    def at(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.at``."""
        return self.value

    def next_edge_s(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.next_edge_s``."""
        return math.inf


@dataclass(frozen=True, slots=True)
class ClearSky:
    """Power of the panels on a cloudless day, each day alike."""

    peak_w: float
    sunrise_h: float = 6.0
    sunset_h: float = 20.0

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        hour = time_s % DAY_S / _HOUR_S
        if not self.sunrise_h < hour < self.sunset_h:
            return 0.0
        height = math.sin(math.pi * (hour - self.sunrise_h) / (self.sunset_h - self.sunrise_h))
        return float(self.peak_w * max(height, 0.0) ** _SKY_EXPONENT)

    def next_edge_s(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.next_edge_s``: a clear day has none."""
        return math.inf


@dataclass(frozen=True, slots=True)
class Days:
    """Clear days of different strength, in their order."""

    peaks_w: tuple[float, ...]

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        return ClearSky(self.peaks_w[min(int(time_s // DAY_S), len(self.peaks_w) - 1)]).at(time_s)

    def next_edge_s(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.next_edge_s``: the days differ at night only."""
        return math.inf


@dataclass(frozen=True, slots=True)
class Clouds:
    """A clear day behind passing clouds whose edges cross the panels within one second."""

    sky: ClearSky
    seed: int
    shade: float = 0.15
    """Share of the power left under a cloud."""
    longest_gap_s: float = 600.0
    longest_cloud_s: float = 300.0
    days: int = 1

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        covered = bisect_right(self._edges(), time_s) % 2 == 1
        return self.sky.at(time_s) * (self.shade if covered else 1.0)

    def next_edge_s(self, time_s: float) -> float:
        """See ``Profile.next_edge_s``."""
        edges = self._edges()
        index = bisect_right(edges, time_s)
        return edges[index] if index < len(edges) else math.inf

    def _edges(self) -> tuple[float, ...]:
        return _cloud_edges(self.seed, self.longest_gap_s, self.longest_cloud_s, self.days)


@functools.lru_cache(maxsize=32)
def _cloud_edges(seed: int, longest_gap_s: float, longest_cloud_s: float, days: int) -> tuple[float, ...]:
    """Return the whole seconds at which a cloud comes (even index) or goes (odd index)."""
    chance = generator(seed)
    edges: list[float] = []
    time_s = 0.0
    while time_s < days * DAY_S:
        longest_s = longest_gap_s if len(edges) % 2 == 0 else longest_cloud_s
        time_s += round(chance.uniform(0.05, 1.0) * longest_s) + 1.0
        edges.append(time_s)
    return tuple(edges)


@dataclass(frozen=True, slots=True)
class Steps:
    """A value that jumps at given times; before the first it is ``start``."""

    start: float
    points: tuple[tuple[float, float], ...]
    """(time, value from then on), times rising."""

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        index = bisect_right(self.points, time_s, key=lambda point: point[0])
        return self.points[index - 1][1] if index else self.start

    def next_edge_s(self, time_s: float) -> float:
        """See ``Profile.next_edge_s``."""
        return next((at_s for at_s, _ in self.points if at_s > time_s), math.inf)


@dataclass(frozen=True, slots=True)
class Pulses:
    """A value that jumps between two levels: ``high`` for ``width_s`` of every ``period_s``."""

    low: float
    high: float
    start_s: float
    period_s: float
    width_s: float

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        if time_s < self.start_s:
            return self.low
        return self.high if (time_s - self.start_s) % self.period_s < self.width_s else self.low

    def next_edge_s(self, time_s: float) -> float:
        """See ``Profile.next_edge_s``."""
        if time_s < self.start_s:
            return self.start_s
        since_s = (time_s - self.start_s) % self.period_s
        return time_s - since_s + (self.width_s if since_s < self.width_s else self.period_s)


@dataclass(frozen=True, slots=True)
class Seasons:
    """Days from midwinter to midsummer: short and weak at first, long and strong in the end, each its own sky."""

    days: int
    winter_w: float
    summer_w: float
    seed: int = 1

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        day = min(int(time_s // DAY_S), self.days - 1)
        return _season_day(self, day).at(time_s)

    def next_edge_s(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.next_edge_s``: the days differ at night only."""
        return math.inf


@functools.lru_cache(maxsize=512)
def _season_day(seasons: Seasons, day: int) -> ClearSky:
    progress = day / max(seasons.days - 1, 1)
    clearness = generator(seasons.seed + day).uniform(0.4, 1.0)
    peak_w = (seasons.winter_w + (seasons.summer_w - seasons.winter_w) * progress) * clearness
    return ClearSky(peak_w, sunrise_h=8.0 - 3.0 * progress, sunset_h=16.0 + 5.0 * progress)


@dataclass(frozen=True, slots=True)
class Swing:
    """A value that swings once a day around its mean: air temperature, for example."""

    mean: float
    amplitude: float
    lowest_h: float = 6.0

    def at(self, time_s: float) -> float:
        """See ``Profile.at``."""
        hour = time_s % DAY_S / _HOUR_S
        return self.mean - self.amplitude * math.cos(2.0 * math.pi * (hour - self.lowest_h) / 24.0)

    def next_edge_s(self, time_s: float) -> float:  # noqa: ARG002 -- the shape of every profile
        """See ``Profile.next_edge_s``."""
        return math.inf
