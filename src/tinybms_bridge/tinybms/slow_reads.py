"""Reads that are needed seldom: each has its own cadence, and takes its turn between two fast polls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["ONCE", "SlowRead", "SlowReads"]

ONCE = float("inf")
"""Interval of what is read once for each connection."""


@dataclass(slots=True)
class SlowRead:
    """One thing to read now and then."""

    name: str
    read: Callable[[], Awaitable[bool]]
    """Reads and keeps the result; True when it was read, False to try again after ``retry_s``."""
    interval_s: float
    retry_s: float
    due_s: float = 0.0
    """Monotonic time of the next turn."""
    tried_s: float = float("-inf")
    """Monotonic time of the last turn."""


class SlowReads:
    """Chooses whose turn it is."""

    def __init__(self) -> None:
        self._reads: list[SlowRead] = []

    def add(
        self, name: str, read: Callable[[], Awaitable[bool]], *, interval_s: float, retry_s: float = 5.0
    ) -> SlowRead:
        """Add a read; what was added first goes first when several are due at the same time."""
        slow = SlowRead(name, read, interval_s, retry_s)
        self._reads.append(slow)
        return slow

    def restart(self, now_s: float) -> None:
        """Make everything due, after a new connection."""
        for slow in self._reads:
            slow.due_s = now_s

    def hurry(self, name: str, now_s: float) -> None:
        """Make a read due now, unless it was tried within its ``retry_s``."""
        for slow in self._reads:
            if slow.name == name and now_s - slow.tried_s >= slow.retry_s:
                slow.due_s = min(slow.due_s, now_s)

    async def take_turn(self, now_s: float) -> None:
        """Carry out the read that has been due for longest, if any; errors of the read come through."""
        slow = min(self._reads, key=lambda each: each.due_s, default=None)
        if slow is None or slow.due_s > now_s:
            return
        slow.tried_s = now_s
        slow.due_s = now_s + slow.retry_s
        if await slow.read():
            slow.due_s = now_s + slow.interval_s
