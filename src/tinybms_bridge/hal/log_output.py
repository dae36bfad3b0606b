"""Writes log lines with the standard library's handlers, each in a thread of its own that nobody waits for.

``LogOutput`` is a ``QueueListener`` with what that lacks: a bound (the oldest lines make room and are counted; a full
``QueueHandler`` loses the newest and complains on standard error), a pause after a failure, one report for a gap in
place of a traceback for each record, and an end that does not wait for ever for a pipe that nobody reads.
"""

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import QueueListener, SysLogHandler
from typing import Any, TextIO

from tinybms_bridge.hal.logs import TERMINAL_FORMAT, TERMINAL_TIME, LogLine

__all__ = ["ConsoleHandler", "LogOutput", "RaisingHandler", "is_journal", "open_console"]


_HELD = frozenset({"DEBUG", "INFO"})
"""Levels of the lines that may wait for others."""
_MOST_HELD = 100


class RaisingHandler(logging.Handler):
    """A handler for one thread, which raises what goes wrong; mixed in before a handler of the standard library.

    It has no lock: at the end of the program the standard library would wait there for a write that never returns.
    """

    def createLock(self) -> None:  # noqa: N802 -- the standard library's name
        """Need no lock."""
        self.lock = None

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 -- the standard library's name
        """Raise the error that is being handled."""
        error = sys.exception()
        if error is not None:
            raise error


class LogOutput(QueueListener):
    """Feeds one handler. A handler that is slow or fails loses its own oldest lines, which are counted and told.

    Args:
        make: Returns the handler, which raises OSError or ValueError when it cannot write. Called in the thread, for
            the first line and again after a failure; may block, and raise the same.
        name: Of the thread.
        depth: Lines that may wait.
        hold_s: How long a line that is no warning waits for others: written one by one they cost a card a page each.
        retry_s: Pause after a failure.
        monotonic: Source of time.

    """

    def __init__(
        self,
        make: Callable[[], logging.Handler],
        *,
        name: str,
        depth: int = 1000,
        hold_s: float = 0.0,
        retry_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting: queue.SimpleQueue[LogLine | None] = queue.SimpleQueue()
        super().__init__(self._waiting)
        self.error = ""
        """Why nothing can be written now; empty while it can."""
        self._make = make
        self._depth = depth
        self._hold_s = hold_s
        self._hurry = threading.Event()
        """Set while what waits is to be written at once."""
        self._hurried = object()
        """Another one each time that somebody is in a hurry."""
        self._retry_s = retry_s
        self._monotonic = monotonic
        self._handler: logging.Handler | None = None
        self._retry_at_s = float("-inf")
        # Each of these counts is written by one thread only.
        self._overflowed = 0
        self._failed = 0
        self._told = 0
        self.start()
        assert self._thread is not None
        self._thread.name = f"log {name}"

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
        if line.level not in _HELD or self._waiting.qsize() >= _MOST_HELD:
            self._hurry_up()

    def stop(self) -> None:
        """Ask the thread to write what waits and to end; returns at once."""
        self.enqueue_sentinel()
        self._hurry_up()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end after ``stop``; False when the handler does not return in time. Blocks."""
        assert self._thread is not None
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def dequeue(self, block: bool) -> Any:  # noqa: ANN401 -- as in the standard library
        """See ``QueueListener.dequeue``; holds lines back, and closes the handler after the last one."""
        hurried = self._hurried
        if self._waiting.empty():
            self._hurry.clear()
            if self._hurried is not hurried:  # between these lines
                self._hurry.set()
        line: Any = super().dequeue(block)
        self._hurry.wait(self._hold_s)
        self._hurry.set()
        if line is None:
            self._close_handler()
        return line

    def _hurry_up(self) -> None:
        self._hurried = object()
        self._hurry.set()

    def handle(self, line: Any) -> None:  # noqa: ANN401 -- the standard library's queue holds records
        """Write one line, in the thread."""
        if self._monotonic() < self._retry_at_s:
            self._failed += 1
            return
        lost = self.lost
        try:
            self._write(line, lost - self._told)
        except Exception as error:  # noqa: BLE001 -- whatever a line or a handler is like, the thread goes on
            self._retry_at_s = self._monotonic() + self._retry_s
            self._failed += 1
            self._close_handler()
            self.error = str(error) or type(error).__name__  # who sees it sees the rest, too
        else:
            self.error = ""
            self._told = lost

    def _write(self, line: LogLine, missing: int) -> None:
        if self._handler is None:
            self._handler = self._make()
        if missing:
            why = f": {self.error}" if self.error else ", the output was too slow"
            text = f"{missing} log lines were lost{why}"
            self._handler.handle(LogLine(datetime.now(UTC), "WARNING", __name__, text).record())
        self._handler.handle(line.record())

    def _close_handler(self) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            with suppress(Exception):
                handler.close()


class ConsoleHandler(RaisingHandler, logging.StreamHandler[TextIO]):
    """Writes to a stream: with time and level for a terminal, with syslog priorities for the journal."""

    def __init__(self, stream: TextIO, *, journal: bool | None = None) -> None:
        super().__init__(stream)
        if is_journal(stream) if journal is None else journal:
            self.setFormatter(_JournalFormatter())
        else:
            self.setFormatter(logging.Formatter(TERMINAL_FORMAT, TERMINAL_TIME))

    def flush(self) -> None:
        """Do nothing: standard error writes each line at once, and the program's end waits for no pipe in here."""


def open_console() -> logging.Handler:
    """Return a handler for standard error; one that swallows lines where the program was started without any."""
    stream = sys.stderr
    return logging.NullHandler() if stream is None or stream.closed else ConsoleHandler(stream)


def is_journal(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is the one that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _JournalFormatter(logging.Formatter):
    """Begins each line with its severity (RFC 5424, section 6.2.1) as sd-daemon(3) wants it, without a time."""

    def format(self, record: logging.LogRecord) -> str:
        severity = SysLogHandler.priority_names[SysLogHandler.priority_map[record.levelname]]
        return "\n".join(f"<{severity}>{part}" for part in record.getMessage().split("\n"))
