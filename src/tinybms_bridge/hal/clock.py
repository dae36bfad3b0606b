"""Time: monotonic seconds for intervals, wall time for people, and sleeping; with a fake one for tests.

Ages count while the machine is suspended (``CLOCK_BOOTTIME``): what was read before is old when it wakes up. Sleeping
does not: a sleep goes on where it was. So whoever wakes up looks at the time and never counts its own sleeps.
"""

import asyncio
import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["EARLIEST_WALL", "Clock", "SystemClock", "Timer", "clock_is_synchronised", "monotonic_s", "until_tick_s"]


EARLIEST_WALL = datetime(2025, 1, 1, tzinfo=UTC)
"""A clock that shows less is wrong for certain: this program is younger."""

_TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that nothing has set to the time of the world."""
_TIMEX_BYTES = 512
"""More than struct timex has anywhere."""


def clock_is_synchronised() -> bool | None:
    """Return whether the kernel counts its clock as synchronised, which the time service tells it; None: unknown."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # all zero: only reads
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def monotonic_s() -> float:
    """Return seconds that never go backwards and count on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object:
        """Let it not come; safe to call at any time."""
        ...


class Clock(Protocol):
    """Source of time."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards and count on while the machine is suspended; for ages."""
        ...

    def awake(self) -> float:
        """Return seconds that never go backwards and count only while the machine is awake; for what makes progress."""
        ...

    def wall(self) -> datetime:
        """Return the aware UTC time; for people."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Suspend the caller for ``delay_s`` seconds."""
        ...

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Call ``action`` in ``delay_s`` seconds, right from the event loop: for who has to be on time."""
        ...


def until_tick_s(clock: Clock, period_s: float) -> float:
    """Return the seconds until the next whole multiple of a period, above 0.

    Who looks at something now and then does so at these moments, in one turn of the event loop with all others: each
    turn wakes a machine that sleeps in between.
    """
    return period_s - clock.monotonic() % period_s


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return monotonic_s()

    def awake(self) -> float:
        """See ``Clock.awake``."""
        return time.monotonic()

    def wall(self) -> datetime:
        """See ``Clock.wall``."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """See ``Clock.sleep``."""
        await asyncio.sleep(delay_s)

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """See ``Clock.call_later``."""
        return asyncio.get_running_loop().call_later(delay_s, action)
