"""When something is told of an alarm: pure, so that every history can be tried.

A level is told once it has lasted for the delay, and again only when it rises. An alarm that is away for less than its
time to settle is still the same one: nothing is told of that. Each time that it comes back soon after it was told to
be over, that time doubles, so that an alarm that flaps for a night sends a handful of messages.

What is not known is not over: while the core is not heard, or measures nothing, whatever was told stays as it is.
Intervals are monotonic; only the quiet hours go by the time of day. They keep nothing in a list: what has not been told
is still untold when they end, whichever way the clock was set meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from typing import Literal

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.config.models.notifications import Notifications

__all__ = [
    "AGAIN_S",
    "MOST_SETTLE_S",
    "SETTLE_S",
    "UNHEARD_S",
    "AlarmTold",
    "RuleStep",
    "WatchedAlarm",
    "is_quiet",
    "step",
]

SETTLE_S = 60.0
"""An alarm that is away for less is the same one; also longer than a core takes to start again."""
MOST_SETTLE_S = 3600.0
"""However it flaps, its end is told within an hour."""
UNHEARD_S = 30.0
"""A core that starts again, on a small board after an upgrade, is no news, however short the delay is."""
AGAIN_S = 6 * 3600.0
"""What comes back sooner after its end was told flaps; what comes back each night does not."""

_OK = AlarmLevel.OK
_LEVELS = (AlarmLevel.WARNING, AlarmLevel.ALARM)


@dataclass(frozen=True, slots=True)
class WatchedAlarm:
    """What is remembered of one alarm or notice."""

    told: AlarmLevel = AlarmLevel.OK
    """The highest level that was told since it was over: what whoever was told believes."""
    usual: AlarmLevel = AlarmLevel.OK
    """A rise above this one is news."""
    reached_s: Mapping[AlarmLevel, float] = field(default_factory=dict)
    """Since when it is at a level or above."""
    below_s: float | None = None
    """Since when it is known to be below ``usual``."""
    gone_s: float | None = None
    """Since when it is known to be OK."""
    settle_s: float = SETTLE_S
    """How long it must be so before that counts."""
    settled_s: float | None = None
    """When it counted last; None: not since something was told."""
    held: bool = False
    """Whether quiet hours keep something back now."""


@dataclass(frozen=True, slots=True)
class AlarmTold:
    """One thing to tell."""

    event: Literal["raised", "cleared"]
    name: str
    level: AlarmLevel
    """The level that it has reached, or the highest that was told of what is over."""
    since_s: float
    """When that began, monotonic."""


@dataclass(frozen=True, slots=True)
class RuleStep:
    """What one look comes to."""

    memory: Mapping[str, WatchedAlarm]
    told: tuple[AlarmTold, ...] = ()
    """To be told one by one."""
    held: tuple[AlarmTold, ...] = ()
    """What quiet hours have held back, to be told together now that they are over."""


def step(
    memory: Mapping[str, WatchedAlarm],
    levels: Mapping[str, AlarmLevel],
    settings: Notifications,
    now_s: float,
    local: time,
) -> RuleStep:
    """Return what is to be told now, and what to remember.

    Args:
        memory: What the step before returned.
        levels: The level of each alarm that is known; of one that is missing nobody knows whether it lasts.
        settings: The rules.
        now_s: Monotonic time.
        local: Time of day.

    """
    quiet = is_quiet(settings, local)
    after: dict[str, WatchedAlarm] = {}
    told: list[AlarmTold] = []
    held: list[AlarmTold] = []
    for name in sorted({*memory, *levels}):
        if name in settings.never or (settings.only and name not in settings.only):
            continue
        before = memory.get(name, WatchedAlarm())
        if name not in levels:
            after[name] = replace(before, below_s=None, gone_s=None)
            continue
        watched, news = _judged(name, _observed(before, levels[name], now_s), settings, now_s, quiet=quiet)
        if news is not None:
            (held if before.held and not quiet else told).append(news)
        if not _is_forgotten(watched, now_s):
            after[name] = watched
    return RuleStep(after, tuple(told), tuple(held))


def is_quiet(settings: Notifications, local: time) -> bool:
    """Tell whether a time of day is within the quiet hours."""
    if not settings.quiet_from or not settings.quiet_to:
        return False
    begin, end = time.fromisoformat(settings.quiet_from), time.fromisoformat(settings.quiet_to)
    return begin <= local < end if begin <= end else local >= begin or local < end


def _observed(before: WatchedAlarm, level: AlarmLevel, now_s: float) -> WatchedAlarm:
    """Note since when it is at its level."""
    gone_s = None
    if level is _OK:
        gone_s = now_s if before.gone_s is None else before.gone_s
    below_s = None
    if level < before.usual:
        below_s = now_s if before.below_s is None else before.below_s
    reached_s = {each: before.reached_s.get(each, now_s) for each in _LEVELS if level >= each}
    return replace(before, reached_s=reached_s, below_s=below_s, gone_s=gone_s, held=False)


def _judged(
    name: str, watched: WatchedAlarm, settings: Notifications, now_s: float, *, quiet: bool
) -> tuple[WatchedAlarm, AlarmTold | None]:
    """Return what to remember, and what to tell: a rise that has lasted, or an end that has settled."""
    due = _due(name, watched, settings, now_s)
    if due > watched.usual:
        if _is_silent(due, settings, quiet=quiet):
            return replace(watched, held=True), None
        risen = replace(
            watched,
            told=max(due, watched.told),
            usual=due,
            below_s=None,
            settle_s=_settle_s(watched, now_s),
            settled_s=None,
        )
        return risen, AlarmTold("raised", name, due, watched.reached_s[due])
    if watched.told is _OK:
        return watched, None
    if watched.gone_s is not None and now_s - watched.gone_s >= watched.settle_s:
        if settings.all_clear and _is_silent(watched.told, settings, quiet=quiet):
            return replace(watched, held=True), None
        over = replace(watched, told=_OK, usual=_OK, below_s=None, settled_s=now_s)
        return over, AlarmTold("cleared", name, watched.told, watched.gone_s) if settings.all_clear else None
    if watched.reached_s and watched.below_s is not None and now_s - watched.below_s >= watched.settle_s:
        return replace(watched, usual=max(watched.reached_s), below_s=None, settled_s=now_s), None
    return watched, None


def _due(name: str, watched: WatchedAlarm, settings: Notifications, now_s: float) -> AlarmLevel:
    """Return the highest level that has lasted and that somebody wants to hear of."""
    least = AlarmLevel.ALARM if settings.level == "alarm" else AlarmLevel.WARNING
    delay_s = max(settings.delay_s, UNHEARD_S if name == NoticeName.CORE_UNREACHABLE else 0.0)
    reached = watched.reached_s.items()
    return max((level for level, since_s in reached if level >= least and now_s - since_s >= delay_s), default=_OK)


def _settle_s(watched: WatchedAlarm, now_s: float) -> float:
    """Return how long the next end must last: longer, where the one before did not hold for long."""
    if watched.settled_s is not None and now_s - watched.settled_s < AGAIN_S:
        return min(2 * watched.settle_s, MOST_SETTLE_S)
    return SETTLE_S if watched.told is _OK else watched.settle_s


def _is_silent(level: AlarmLevel, settings: Notifications, *, quiet: bool) -> bool:
    return quiet and (settings.quiet_level == "none" or level < AlarmLevel.ALARM)


def _is_forgotten(watched: WatchedAlarm, now_s: float) -> bool:
    recent = watched.settled_s is not None and now_s - watched.settled_s < AGAIN_S
    return watched.told is _OK and not watched.reached_s and not recent
