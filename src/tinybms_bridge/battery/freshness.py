"""Freshness: how long the last good sample may be trusted, as a pure state machine.

STARTING → FRESH after several good samples; FRESH → HOLD when no good sample came for ``fresh_timeout_s``, or when
samples come but their readings stand still; HOLD → SILENT after ``hold_s``; HOLD and SILENT → FRESH after
``return_samples`` good samples in a row.

A frozen image is stale data: a hung BMS, or something between that repeats an old answer, passes every checksum. A BMS
that lives shows it, if by nothing else than by its lifetime counter. How often readings change is learned from the
unit, since neither its noise nor its counter is documented.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.battery.quick import maker, quick, replace
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = [
    "FRESH",
    "HOLD",
    "SILENT",
    "STARTING",
    "Freshness",
    "FreshnessMemory",
    "FreshnessSettings",
    "Motion",
    "advance",
    "stale_from_s",
]

_LEARNED_CHANGES = 10
"""Changes after which it is known how often the readings of a unit change."""

_LONGEST_S = 5.0
"""Longest time between two changes that is believed, and what is assumed before enough of them were seen."""

_PATIENCE = 3.0
"""Readings stand still for certain after this many times the longest time between two changes."""

_BEYOND_TIMEOUT_S = 1.0
"""Above the time-out of missing samples, and above the second in which the lifetime counter counts on."""

_COUNTER_STANDS_S = 60.0
"""Time after which a lifetime counter that does not count while readings move is told."""


class Freshness(StrEnum):
    """How much the last good sample can be trusted."""

    STARTING = "STARTING"
    """Not enough good samples yet: nothing is sent."""
    FRESH = "FRESH"
    HOLD = "HOLD"
    """No good sample for a while: no charging, discharge as it was."""
    SILENT = "SILENT"
    """Too long without a good sample: no frames at all."""

    @property
    def may_send(self) -> bool:
        """Whether frames may be sent at all."""
        return self is FRESH or self is HOLD


STARTING, FRESH, HOLD, SILENT = Freshness.STARTING, Freshness.FRESH, Freshness.HOLD, Freshness.SILENT
"""For what is asked many times in a decision: a name of a module is found sooner than a member of an enum."""


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


@quick
@dataclass(frozen=True, slots=True)
class Motion:
    """How the readings move. Any change counts, also of the lifetime counter and also backwards."""

    image: object = None
    """What the last sample showed: its registers, or its values where it was not made from registers."""
    changed_s: float = 0.0
    """Monotonic time of the last change."""
    changes: int = 0
    longest_s: float = 0.0
    """Longest time between two changes, seen while samples came."""
    counter_s: int | None = None
    """Lifetime counter of the BMS."""
    counted_s: float = 0.0
    """Monotonic time at which the counter last changed."""
    changes_since: int = 0
    """Changes of other readings since then."""

    def patience_s(self, settings: FreshnessSettings) -> float:
        """Return the time without a change after which readings count as standing still."""
        longest_s = self.longest_s if self.changes >= _LEARNED_CHANGES else _LONGEST_S
        return max(settings.fresh_timeout_s + _BEYOND_TIMEOUT_S, _PATIENCE * longest_s)

    def counter_stands(self) -> bool:
        """Return whether other readings move while the lifetime counter does not."""
        return self.changes_since >= _LEARNED_CHANGES and self.changed_s - self.counted_s >= _COUNTER_STANDS_S


@quick
@dataclass(frozen=True, slots=True)
class FreshnessMemory:
    """What the state machine remembers between two steps."""

    state: Freshness = STARTING
    since_s: float = 0.0
    """Monotonic time of the last change of state."""
    streak: int = 0
    """Good samples in a row, none further from its predecessor than ``fresh_timeout_s``."""
    last_sequence: int = 0
    last_sample_s: float | None = None
    """Monotonic time of the last good sample."""
    motion: Motion = field(default_factory=Motion)
    frozen: bool = False
    """Whether samples came whose readings stood still, and too few that move since."""

    def age_s(self, now_s: float) -> float | None:
        """Return the age of the last good sample, or None before the first.

        A sample from the future is as far away as one from the past: a clock that stepped back makes nothing younger.
        """
        return None if self.last_sample_s is None else abs(now_s - self.last_sample_s)

    def still_s(self, now_s: float) -> float:
        """Return the time since a sample last showed something new."""
        return abs(now_s - self.motion.changed_s)


_new_motion, _new_memory = maker(Motion), maker(FreshnessMemory)


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


def stale_from_s(memory: FreshnessMemory, settings: FreshnessSettings) -> float:
    """Return after which time ``advance`` goes on to HOLD or SILENT without another sample; infinity for never."""
    if memory.last_sample_s is None or (memory.state is not FRESH and memory.state is not HOLD):
        return math.inf
    stale_s = memory.last_sample_s + settings.fresh_timeout_s
    return stale_s if memory.state is FRESH else min(stale_s, memory.since_s) + settings.hold_s


def _count(memory: FreshnessMemory, snapshot: Snapshot, settings: FreshnessSettings) -> FreshnessMemory:
    at_s, last_s, before = snapshot.taken_at_s, memory.last_sample_s, memory.motion
    in_a_row = last_s is not None and abs(at_s - last_s) <= settings.fresh_timeout_s
    motion = _move(before, snapshot, seen=in_a_row or memory.frozen)
    if motion is before and abs(at_s - motion.changed_s) >= motion.patience_s(settings):
        return replace(memory, streak=0, last_sequence=snapshot.sequence, frozen=True)
    if memory.frozen:
        if motion is before:  # nothing new is neither a good sample nor a gap
            return replace(memory, last_sequence=snapshot.sequence)
        in_a_row = abs(at_s - before.changed_s) <= motion.patience_s(settings)
    return _new_memory(
        state=memory.state,
        since_s=memory.since_s,
        streak=memory.streak + 1 if in_a_row else 1,
        last_sequence=snapshot.sequence,
        last_sample_s=at_s,
        motion=motion,
        frozen=memory.frozen,
    )


def _move(motion: Motion, snapshot: Snapshot, *, seen: bool) -> Motion:
    """Return the motion after a sample: the same object when nothing has changed."""
    image = snapshot.image or (snapshot.pack, snapshot.cells, snapshot.temperatures)
    if image == motion.image:
        return motion
    at_s, counter_s = snapshot.taken_at_s, snapshot.pack.lifetime_s
    counted = counter_s != motion.counter_s
    pause_s = abs(at_s - motion.changed_s)
    learns = seen and motion.changes > 0
    return _new_motion(
        image=image,
        changed_s=at_s,
        changes=motion.changes + 1,
        longest_s=max(motion.longest_s, min(pause_s, _LONGEST_S)) if learns else motion.longest_s,
        counter_s=counter_s,
        counted_s=at_s if counted else motion.counted_s,
        changes_since=0 if counted else motion.changes_since + 1,
    )


def _expire(memory: FreshnessMemory, settings: FreshnessSettings, now_s: float) -> FreshnessMemory:
    """Go from FRESH to HOLD and on to SILENT as the time without a good sample demands."""
    age_s, state = memory.age_s(now_s), memory.state
    if age_s is None or (state is not FRESH and state is not HOLD):
        return memory
    if state is FRESH and age_s <= settings.fresh_timeout_s and not memory.frozen:
        return memory
    in_time = age_s <= settings.fresh_timeout_s + settings.hold_s
    if memory.frozen:
        in_time = in_time and settings.hold_s > 0.0
    if memory.state is HOLD:
        # Samples that are too few to return do not prolong a hold.
        in_time = in_time and now_s - memory.since_s < settings.hold_s
    return _change(memory, HOLD if in_time else SILENT, now_s)


def _return(memory: FreshnessMemory, settings: FreshnessSettings, now_s: float) -> FreshnessMemory:
    """Go to FRESH when the last samples are young and enough of them came in a row."""
    if memory.state is FRESH:
        return memory
    age_s = memory.age_s(now_s)
    if age_s is None:
        return memory
    needed = settings.start_samples if memory.state is STARTING else settings.return_samples
    if age_s <= settings.fresh_timeout_s and memory.streak >= needed:
        return _change(memory, FRESH, now_s)
    return memory


def _change(memory: FreshnessMemory, state: Freshness, now_s: float) -> FreshnessMemory:
    if state is memory.state:
        return memory
    streak = 0 if memory.state is FRESH else memory.streak
    frozen = memory.frozen and state is not FRESH
    return replace(memory, state=state, since_s=now_s, streak=streak, frozen=frozen)
