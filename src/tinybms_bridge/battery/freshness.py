"""Freshness: how long the last good sample may be trusted, as a pure state machine.

STARTING → FRESH after several good samples; FRESH → HOLD when no good sample came for ``fresh_timeout_s``;
HOLD → SILENT after ``hold_s``; HOLD and SILENT → FRESH after ``return_samples`` good samples in a row.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from tinybms_bridge.battery.snapshot import Snapshot

__all__ = ["Freshness", "FreshnessMemory", "FreshnessSettings", "advance"]


class Freshness(StrEnum):
    """How much the last good sample can be trusted."""

    STARTING = "STARTING"
    """Not enough good samples yet: nothing is sent."""
    FRESH = "FRESH"
    HOLD = "HOLD"
    """No good sample for a while: no charging, discharge as it was."""
    SILENT = "SILENT"
    """Too long without a good sample: no frames at all."""


@dataclass(frozen=True, slots=True)
class FreshnessSettings:
    """Times and counts of the state machine."""

    fresh_timeout_s: float = 3.0
    """Longest time without a good sample that changes nothing; equal to the time-out of a GX."""
    hold_s: float = 30.0
    """Time in HOLD before the bridge goes silent; 0 goes silent at once."""
    start_samples: int = 3
    """Good samples in a row before the first frame."""
    return_samples: int = 3
    """Good samples in a row that end HOLD or SILENT."""


@dataclass(frozen=True, slots=True)
class FreshnessMemory:
    """What the state machine remembers between two steps."""

    state: Freshness = Freshness.STARTING
    since_s: float = 0.0
    """Monotonic time of the last change of state."""
    streak: int = 0
    """Good samples in a row, none further from its predecessor than ``fresh_timeout_s``."""
    last_sequence: int = 0
    last_sample_s: float | None = None

    def age_s(self, now_s: float) -> float | None:
        """Return the age of the last good sample, or None before the first.

        A sample from the future is as far away as one from the past: a clock that stepped back makes nothing younger.
        """
        return None if self.last_sample_s is None else abs(now_s - self.last_sample_s)


def advance(
    memory: FreshnessMemory, snapshot: Snapshot | None, settings: FreshnessSettings, now_s: float
) -> FreshnessMemory:
    """Return the memory after looking at the latest accepted sample (None: there is none yet) at ``now_s``."""
    if snapshot is not None and snapshot.sequence != memory.last_sequence:
        # A gap ends FRESH even when nobody looked while it lasted.
        memory = _expire(memory, settings, min(now_s, snapshot.taken_at_s))
        memory = _count(memory, snapshot, settings)
    memory = _expire(memory, settings, now_s)
    return _return(memory, settings, now_s)


def _count(memory: FreshnessMemory, snapshot: Snapshot, settings: FreshnessSettings) -> FreshnessMemory:
    last_s = memory.last_sample_s
    in_a_row = last_s is not None and abs(snapshot.taken_at_s - last_s) <= settings.fresh_timeout_s
    return replace(
        memory,
        streak=memory.streak + 1 if in_a_row else 1,
        last_sequence=snapshot.sequence,
        last_sample_s=snapshot.taken_at_s,
    )


def _expire(memory: FreshnessMemory, settings: FreshnessSettings, now_s: float) -> FreshnessMemory:
    """Go from FRESH to HOLD and on to SILENT as the time without a good sample demands."""
    age_s = memory.age_s(now_s)
    if age_s is None or memory.state not in (Freshness.FRESH, Freshness.HOLD):
        return memory
    if memory.state is Freshness.FRESH and age_s <= settings.fresh_timeout_s:
        return memory
    in_time = age_s <= settings.fresh_timeout_s + settings.hold_s
    if memory.state is Freshness.HOLD:
        # Samples that are too few to return do not prolong a hold.
        in_time = in_time and now_s - memory.since_s < settings.hold_s
    return _change(memory, Freshness.HOLD if in_time else Freshness.SILENT, now_s)


def _return(memory: FreshnessMemory, settings: FreshnessSettings, now_s: float) -> FreshnessMemory:
    """Go to FRESH when the last samples are young and enough of them came in a row."""
    age_s = memory.age_s(now_s)
    if age_s is None or memory.state is Freshness.FRESH:
        return memory
    needed = settings.start_samples if memory.state is Freshness.STARTING else settings.return_samples
    if age_s <= settings.fresh_timeout_s and memory.streak >= needed:
        return _change(memory, Freshness.FRESH, now_s)
    return memory


def _change(memory: FreshnessMemory, state: Freshness, now_s: float) -> FreshnessMemory:
    if state is memory.state:
        return memory
    streak = 0 if memory.state is Freshness.FRESH else memory.streak
    return replace(memory, state=state, since_s=now_s, streak=streak)
