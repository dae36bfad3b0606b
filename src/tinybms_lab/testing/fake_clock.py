"""A clock that moves only when a test says so."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

from tinybms_bridge.hal.clock import Timer

__all__ = ["FakeClock"]


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, start_s: float = 1000.0, wall: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start_s = start_s
        self._now_s = start_s
        self._wall = wall
        self._suspended_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return self._now_s

    def awake(self) -> float:
        """See ``Clock.awake``."""
        return self._now_s - self._suspended_s

    def wall(self) -> datetime:
        """See ``Clock.wall``."""
        return datetime.fromtimestamp(self._wall.timestamp() + self._now_s - self._start_s, UTC)

    async def sleep(self, delay_s: float) -> None:
        """Wait until ``advance`` has passed the moment."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + delay_s, next(self._order), future))
        await future

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Call ``action`` once ``advance`` has passed the moment."""
        loop = asyncio.get_running_loop()
        if delay_s <= 0:
            return loop.call_soon(action)
        future: asyncio.Future[None] = loop.create_future()
        future.add_done_callback(lambda done: None if done.cancelled() else action())
        heapq.heappush(self._sleepers, (self._now_s + delay_s, next(self._order), future))
        return future

    async def advance(self, delta_s: float) -> None:
        """Move time forward, waking each sleeper at its own moment and letting it run before the next."""
        end_s = self._now_s + delta_s
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, due_s)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._now_s = end_s

    def suspend(self, delta_s: float) -> None:
        """Let time pass as while the machine is suspended: nobody runs, and sleeps go on afterwards."""
        self._now_s += delta_s
        self._suspended_s += delta_s
        self._sleepers = [(due_s + delta_s, order, future) for due_s, order, future in self._sleepers]

    @staticmethod
    async def _settle() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
