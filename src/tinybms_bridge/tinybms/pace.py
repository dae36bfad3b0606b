"""When a pack is read, where there are several: at moments that some of them share, and no oftener than is borne.

To wake up costs a processor more than the reply that it wakes up for (docs/performance.md), so packs share a few
moments in each interval; all at one moment would hold up whoever has to be on time for as long as all replies take.
"""

from dataclasses import dataclass, replace

from tinybms_bridge.tinybms.adaptive import AdaptiveSettings

__all__ = ["TOGETHER", "Pace", "pace_of"]

TOGETHER = 4
"""Most packs that are read at one moment: four replies and what is decided from them are 2 ms, 10 on a small board."""
_LEAST_MOMENTS = 2

_SOONER = 0.15
"""Most that one poll is moved to come to its moment, of the interval: at 100 ms the BMS has new data after 85 ms."""

_EXACT_S = 0.002
"""Timers of an event loop keep to whole milliseconds."""


_APART_S = 0.025
"""Between the openings of two ports that were lost at one moment; the last of 16 waits for less than half a second."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How one pack is read."""

    least_ms: float = 0.0
    """Shortest interval that the machine bears; 0: as configured."""
    phase: float | None = None
    """Its moment in each interval, 0 to 1; None: whenever its last poll was."""
    opens_after_s: float = 0.0
    """Pause before a port that was lost is opened again: the others of a hub that resets are lost with it."""

    def bound(self, settings: AdaptiveSettings) -> AdaptiveSettings:
        """Return the settings of an interval that is no shorter than is borne."""
        least_ms = self.least_ms
        if least_ms <= settings.min_ms:
            return settings
        base_ms, max_ms = max(least_ms, settings.base_ms), max(least_ms, settings.max_ms)
        return replace(settings, base_ms=base_ms, min_ms=least_ms, max_ms=max_ms)

    def next_s(self, due_s: float, interval_s: float) -> float:
        """Return when the poll after one that was due at ``due_s`` is due: an interval later, or a little sooner.

        Sooner only, so that no pack is ever read less often than its interval says.
        """
        next_s = due_s + interval_s
        if self.phase is None:
            return next_s
        late_s = (next_s - self.phase * interval_s) % interval_s
        if interval_s - late_s < _EXACT_S:
            return next_s + interval_s - late_s
        return next_s - min(late_s, _SOONER * interval_s)


def pace_of(index: int, packs: int, least_ms: float = 0.0) -> Pace:
    """Return the pace of a pack by its place among all; the only one is as free as it was without others."""
    if packs < 2:
        return Pace(least_ms)
    moments = max(_LEAST_MOMENTS, -(-packs // TOGETHER))
    return Pace(least_ms, index % moments / moments, index * _APART_S)
