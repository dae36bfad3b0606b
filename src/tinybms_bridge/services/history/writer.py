"""The one thread that writes the history, so that no disk ever holds up anybody else."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from tinybms_bridge.services.history.levels import HistoryError
from tinybms_bridge.services.history.steps import Row
from tinybms_bridge.words import Message

__all__ = ["Writer"]

log = logging.getLogger(__name__)

Batch = Sequence[Row]


class Writer:
    """Writes batches in order. While that fails they wait, and beyond ``depth`` the oldest is lost and counted.

    Args:
        write: Writes rows, all or nothing; blocks. Raises HistoryError.
        close: Called once, by the thread, at the end.
        begin: Called once, by the thread, before the first batch.
        depth: Batches that may wait.
        retry_s: Pause after a failure.

    """

    def __init__(
        self,
        write: Callable[[Batch], None],
        close: Callable[[], None] = lambda: None,
        *,
        begin: Callable[[], None] = lambda: None,
        depth: int = 60,
        retry_s: float = 60.0,
    ) -> None:
        self.failure: Message | None = None
        """Why nothing can be written now; None while it can."""
        self.written = 0
        """Batches written since the start."""
        self.lost = 0
        """Batches lost since the start."""
        self._write = write
        self._close = close
        self._begin = begin
        self._depth = depth
        self._retry_s = retry_s
        self._waiting: deque[Batch] = deque()
        self._stopping = False
        self._broken: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Batches that are not written yet."""
        return len(self._waiting)

    def offer(self, batch: Batch) -> None:
        """Queue a batch; returns at once. Raises RuntimeError when the thread has ended by an error nobody expected."""
        if self._broken is not None:
            raise RuntimeError("the thread that writes the history has ended") from self._broken
        with self._changed:
            self._waiting.append(batch)
            self._make_room()
            self._changed.notify()

    def stop(self) -> None:
        """Ask the thread to write what waits, once, and to end; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end after ``stop``; False when the disk does not return in time. Blocks."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._begin()
            stopping = False
            while not stopping:
                stopping = self._wait()
                if self._waiting:
                    self._write_all()
        except Exception as error:  # noqa: BLE001 -- raised again by ``offer``, where it is told and begun anew
            self._broken = error
        finally:
            self._close()

    def _wait(self) -> bool:
        """Wait until there is something to write, after a failure not before its time; True when this is the end."""
        with self._changed:
            due_s = time.monotonic() + (self._retry_s if self.failure else 0.0)
            while not self._stopping and (rest_s := due_s - time.monotonic()) > 0.0:
                self._changed.wait(rest_s)
            while not self._stopping and not self._waiting:
                self._changed.wait()
            return self._stopping

    def _write_all(self) -> None:
        """Write everything that waits in one go; what cannot be written waits again."""
        with self._changed:
            batches = list(self._waiting)
            self._waiting.clear()
        try:
            self._write([row for batch in batches for row in batch])
        except HistoryError as error:
            self._failed(batches, error)
        else:
            self._succeeded(len(batches))

    def _failed(self, batches: Sequence[Batch], error: HistoryError) -> None:
        if self.failure is None:
            log.warning("%s; the last %d minutes wait in memory", error, self._depth)
        self.failure = error.description
        with self._changed:
            self._waiting.extendleft(reversed(batches))
            self._make_room()

    def _succeeded(self, count: int) -> None:
        self.written += count
        if self.failure is not None:
            log.info("the history is written again; minutes of it that were lost since the start: %d", self.lost)
            self.failure = None

    def _make_room(self) -> None:
        while len(self._waiting) > self._depth:
            self._waiting.popleft()
            self.lost += 1
