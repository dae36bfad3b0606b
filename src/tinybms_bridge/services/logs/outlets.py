"""Outlets: each writes the lines in a thread of its own, so that no disk, pipe or network ever holds up anybody."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from tinybms_bridge.services.logs.lines import LogLine

__all__ = ["Outlet", "Target"]

_BATCH = 100


class Target(Protocol):
    """Where lines go."""

    def write(self, lines: Sequence[LogLine]) -> None:
        """Write some lines; blocks. Raises OSError or ValueError when that is not possible."""
        ...


class Outlet:
    """Feeds one target. A target that is slow or fails loses its own oldest lines, which are counted and told.

    Args:
        target: Where the lines go.
        depth: Lines that may wait.
        retry_s: Pause after a failure.
        monotonic: Source of time.

    """

    def __init__(
        self,
        target: Target,
        *,
        name: str,
        depth: int = 1000,
        retry_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.error = ""
        """Why the target cannot be written to now; empty while it can."""
        self._target = target
        self._depth = depth
        self._retry_s = retry_s
        self._monotonic = monotonic
        self._waiting: queue.SimpleQueue[LogLine | None] = queue.SimpleQueue()
        self._retry_at_s = float("-inf")
        # Each of these counts is written by one thread only.
        self._overflowed = 0
        self._failed = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name=f"log {name}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that were not written."""
        return self._overflowed + self._failed

    def offer(self, line: LogLine) -> None:
        """Queue a line; never blocks."""
        if self._waiting.qsize() >= self._depth:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                pass
            else:
                self._overflowed += 1
        self._waiting.put(line)

    def stop(self) -> None:
        """Ask the thread to write what waits and to end; returns at once."""
        self._waiting.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end after ``stop``; False when the target does not return in time. Blocks."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        going = True
        while going:
            going, batch = self._take()
            if batch:
                self._write(batch)

    def _take(self) -> tuple[bool, list[LogLine]]:
        """Wait for a line and return it with those behind it; the first part is False after the last."""
        batch: list[LogLine] = []
        while not batch or (len(batch) < _BATCH and not self._waiting.empty()):
            line = self._waiting.get()
            if line is None:
                return False, batch
            batch.append(line)
        return True, batch

    def _write(self, batch: list[LogLine]) -> None:
        if self._monotonic() < self._retry_at_s:
            self._failed += len(batch)
            return
        lost = self.lost
        try:
            self._target.write([*self._report(lost - self._told), *batch])
        except (OSError, ValueError) as error:
            self.error = str(error)
            self._retry_at_s = self._monotonic() + self._retry_s
            self._failed += len(batch)
        else:
            self.error = ""
            self._told = lost

    def _report(self, count: int) -> list[LogLine]:
        if not count:
            return []
        why = f": {self.error}" if self.error else ", the outlet was too slow"
        return [LogLine(datetime.now(UTC), "WARNING", __name__, f"{count} log lines were lost{why}")]
