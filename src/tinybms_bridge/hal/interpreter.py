"""The interpreter's own work, kept out of the way of who has to be on time.

A full garbage collection looks at every object and stops all threads meanwhile: 20 to 90 ms with many clients, at any
moment. It is done here in place of the interpreter, as often as it would be needed, when the sender has a pause.
"""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock, until_tick_s

__all__ = ["Collector", "CollectorStatistics", "WhenQuiet", "keep_what_is_loaded"]

WhenQuiet = Callable[[Callable[[], None]], bool]
"""Calls something soon, when there is time for it; returns whether it will."""

_NEVER = 1_000_000
_CHECK_S = 1.0
_DUE = 10
"""Collections of the middle generation after which the interpreter would do a full one."""
_URGENT = 200
"""After so many a full one is done whatever the time: memory grows fast."""
_LEAST_S = 30.0
_MOST_S = 600.0
"""Also where the interpreter counts in another way."""
_MOST_SHARE = 0.01
"""Of the time; so a slow machine collects less often."""
_PATIENCE_S = 5.0
"""Wait for a pause of the sender: some bursts."""
_SWITCH_S = 0.001
"""Turn of a thread while another one waits; with the interpreter's 5 ms the event loop waits 5 ms after each call."""


@dataclass(slots=True)
class CollectorStatistics:
    """Counters since the start."""

    collections: int = 0
    unasked: int = 0
    """Those that did not wait for a pause, because none came."""
    last_s: float = 0.0
    longest_s: float = 0.0


def keep_what_is_loaded() -> None:
    """Have collections pass over all that there is, and give back to the system what the start has used. Blocks.

    What was loaded stays, and a collection that looks at all of it holds everything up for so long.
    """
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)


class Collector:
    """Does the full collections of this process while ``run`` runs.

    Args:
        clock: Source of time.
        when_quiet: Calls the collection in a pause.

    """

    def __init__(self, clock: Clock, when_quiet: WhenQuiet) -> None:
        self.statistics = CollectorStatistics()
        self._clock = clock
        self._when_quiet = when_quiet
        self._done_s = clock.monotonic()

    async def run(self) -> None:
        """Collect when it is due, until cancelled; then everything is as it was before."""
        thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
        gc.set_threshold(*thresholds[:2], _NEVER)
        sys.setswitchinterval(_SWITCH_S)
        try:
            while True:
                await self._clock.sleep(until_tick_s(self._clock, _CHECK_S))
                if self._is_due():
                    await self._collect_in_a_pause()
        finally:
            gc.set_threshold(*thresholds)
            sys.setswitchinterval(switch_s)

    def _is_due(self) -> bool:
        waiting, since_s = gc.get_count()[2], self._clock.monotonic() - self._done_s
        if waiting >= _URGENT or since_s >= _MOST_S:
            return True
        return waiting >= _DUE and since_s >= max(_LEAST_S, self.statistics.last_s / _MOST_SHARE)

    async def _collect_in_a_pause(self) -> None:
        """Ask for a pause; without one the memory matters more."""
        before = self.statistics.collections
        if self._when_quiet(lambda: self._collect(before)):
            end_s = self._clock.monotonic() + _PATIENCE_S
            while self.statistics.collections == before and self._clock.monotonic() < end_s:
                await self._clock.sleep(until_tick_s(self._clock, _CHECK_S))
        if self.statistics.collections == before:
            self.statistics.unasked += 1
            self._collect(before)

    def _collect(self, before: int) -> None:
        """Collect, unless that has been done since it was asked for."""
        if self.statistics.collections != before:
            return
        begun_s = time.perf_counter()
        gc.collect()
        took_s = time.perf_counter() - begun_s
        statistics = self.statistics
        statistics.collections += 1
        statistics.last_s, statistics.longest_s = took_s, max(statistics.longest_s, took_s)
        self._done_s = self._clock.monotonic()
