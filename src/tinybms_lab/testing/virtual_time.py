"""An event loop in which nothing takes time but waiting, for tests of what waits on real time-outs of the loop.

It jumps from one moment to the next, so that a time-out of 20 ms holds on the slowest machine and one of an hour takes
none. Whatever is waited for must happen on the loop: beside a thread, a pipe or a process time would run away.
"""

import asyncio
import selectors
from collections.abc import Callable
from datetime import UTC, datetime

from tinybms_bridge.hal.clock import Timer

__all__ = ["LoopClock", "VirtualLoop"]

_START_S = 1000.0

_STUCK_S = 30.0
"""Real seconds without anything to do, after which everybody waits for ever."""


class _JumpingSelector(selectors.SelectSelector):
    """Does not wait for a time-out, but notes that it has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = _START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See ``selectors.BaseSelector.select``. Raises RuntimeError when nothing can happen any more."""
        if timeout is not None:
            self.now_s += max(timeout, 0.0)
            return super().select(0)
        events = super().select(_STUCK_S)
        if not events:
            raise RuntimeError("everybody waits for ever")
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of its timers."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6  # asyncio's own of 1e-9 is lost in the rounding of a year's seconds

    def time(self) -> float:
        """Return virtual seconds."""
        return self._jumping.now_s


class LoopClock:
    """The time of an event loop, by default of the one that runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return (self._loop or asyncio.get_running_loop()).time()

    def awake(self) -> float:
        """See ``Clock.awake``: a loop is never suspended."""
        return LoopClock.monotonic(self)

    def wall(self) -> datetime:
        """See ``Clock.wall``."""
        return datetime.fromtimestamp(self.monotonic(), UTC)

    async def sleep(self, delay_s: float) -> None:
        """See ``Clock.sleep``."""
        await asyncio.sleep(delay_s)

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """See ``Clock.call_later``."""
        return asyncio.get_running_loop().call_later(delay_s, action)
