"""What is told of something that comes and goes: what is bad at once, and its end once that lasts.

The first times the end is told at once, too. What goes on coming and going counts as bad until it has been well for a
while, so that neither a list of events fills with it nor an alarm flutters.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Told", "next_told"]

State = TypeVar("State")

_WINDOW_S = 600.0
"""Changes are counted over this time."""

_TRUSTED = 4
"""Changes in that time that are told at once: a cable is seldom plugged in more often."""

_LASTS_S, _LONG_S = 60.0, 300.0
"""Once there are more, and when there are twice as many: for how long it has to be well."""


@dataclass(frozen=True, slots=True)
class Told(Generic[State]):
    """What was told last, and what is so now."""

    state: State
    """What was told last."""
    present: State
    """What is so now."""
    since_s: float = 0.0
    """Monotonic time since which it is."""
    told_s: tuple[float, ...] = ()
    """When something was told, in the last ten minutes."""

    @property
    def is_unsteady(self) -> bool:
        """Whether what was told is over, and only has to last."""
        return self.state != self.present

    def comes_and_goes(self, now_s: float) -> bool:
        """Return whether it has changed so often of late that its end is not told at once."""
        return sum(now_s - at_s < _WINDOW_S for at_s in self.told_s) >= _TRUSTED


def next_told(told: Told[State], present: State, now_s: float, *, was_bad: bool) -> Told[State]:
    """Return what is told at ``now_s``; the same object while nothing of it changes.

    ``was_bad``: whether what was told last is bad. What comes after a state that is not is told at once.
    """
    if present == told.present and present == told.state:
        return told
    since_s = told.since_s if present == told.present else now_s
    told_s = tuple(at_s for at_s in told.told_s if now_s - at_s < _WINDOW_S)
    if present == told.state:
        return Told(told.state, present, since_s, told_s)
    lasts_s = 0.0 if len(told_s) < _TRUSTED or not was_bad else _LASTS_S if len(told_s) < 2 * _TRUSTED else _LONG_S
    if now_s - since_s < lasts_s:
        return told if present == told.present else Told(told.state, present, since_s, told_s)
    return Told(present, present, since_s, (*told_s, now_s))
