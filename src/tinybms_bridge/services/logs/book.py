"""The log book: takes every log line of the program, keeps the recent ones, and hands them to the outlets."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.logs.console import Console
from tinybms_bridge.services.logs.lines import LEVELS, LogLine, LogPage, level_number, line_of
from tinybms_bridge.services.logs.outlets import Outlet, Target
from tinybms_bridge.services.logs.repeats import Repeats
from tinybms_bridge.services.logs.rotating import LOG_FILE, RotatingFile
from tinybms_bridge.services.logs.syslog import Syslog

__all__ = ["LogBook", "LogSettings"]

log = logging.getLogger(__name__)

_LOGGER = "tinybms_bridge"
_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written where."""

    level: str = "INFO"
    console: bool = True
    memory: bool = True
    """Keep the recent lines for ``LogBook.read``."""
    syslog_server: str = ""
    """``HOST`` or ``HOST:PORT``; empty for none."""
    folder: Path | None = None
    """Where the rotating file is kept; None for none."""


class LogBook(logging.Handler):
    """A handler for the root logger. Taking a line never blocks and never fails.

    Args:
        settings: What is written where.
        lines: Lines to keep in memory.
        console: Writes to the console when the settings ask for it.
        monotonic: Source of time for repetitions.

    """

    def __init__(
        self,
        settings: LogSettings,
        *,
        lines: int = 2000,
        console: Target | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.outlets: dict[str, Outlet] = {}
        """The outlets in use by name."""
        self._settings = LogSettings(console=False)
        self._console = console or Console()
        self._monotonic = monotonic
        self._lines: deque[LogLine] = deque(maxlen=lines)
        self._number = 0
        self._repeats = Repeats()
        self._file: RotatingFile | None = None
        self.settings = settings

    @property
    def settings(self) -> LogSettings:
        """The settings in force. May be replaced at any time; nothing waits for a file or a server."""
        return self._settings

    @settings.setter
    def settings(self, settings: LogSettings) -> None:
        old, self._settings = self._settings, settings
        self.set_level(settings.level)
        if not settings.memory:
            self._forget()
        if settings.console != old.console:
            self._exchange("console", self._console if settings.console else None)
        if settings.folder != old.folder:
            self._file = RotatingFile(settings.folder / LOG_FILE) if settings.folder else None
            self._exchange("file", self._file)
        if settings.syslog_server != old.syslog_server:
            self._exchange("syslog", Syslog(settings.syslog_server) if settings.syslog_server else None)

    def load(self) -> None:
        """Begin with the lines that earlier runs left in the file, before any other line. Blocks; never raises."""
        if self._file is None or not self._settings.memory:
            return
        try:
            found = self._file.read()
        except OSError as error:
            log.warning("the log of earlier runs in %s cannot be read: %s", self._file.path, error)
            return
        with _Held(self):
            for line in found:
                self._keep(line)

    def set_level(self, level: str) -> None:
        """Write the program's lines from this level up, until the settings are replaced. Raises ValueError."""
        logging.getLogger(_LOGGER).setLevel(level_number(level))

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler.emit``."""
        self._write(self._repeats.offer(line_of(record), self._monotonic()))

    def read(
        self,
        limit: int = 100,
        cursor: int | None = None,
        level: str | None = None,
        since: datetime | None = None,
        hidden: str = "",
    ) -> LogPage:
        """Return up to ``limit`` kept lines from ``level`` up and not older than ``since``, oldest first.

        Without a cursor these are the latest, with one those that follow it; one beyond the last line is of another log
        and begins anew. Lines whose source is ``hidden`` are left out. Raises ValueError for an unknown level.
        """
        wanted = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
        if level is not None and level not in LEVELS:
            level_number(level)
        with _Held(self):
            lines, last = list(self._lines), self._number
        if cursor is not None and cursor > last:
            cursor = 0
        matching = [
            line
            for line in lines
            if line.level in wanted
            and (since is None or line.at >= since)
            and line.number > (cursor or 0)
            and line.source != hidden
        ]
        if cursor is None:
            return LogPage(tuple(matching[max(0, len(matching) - limit) :]), last)
        shown = tuple(matching[:limit])
        more = len(matching) > len(shown)
        return LogPage(shown, shown[-1].number if more and shown else cursor if more else last, more)

    def clear(self) -> None:
        """Forget the kept lines and remove the files; the numbers go on. Blocks; raises OSError."""
        self._forget()
        if self._file is not None:
            self._file.delete()

    def settle(self) -> None:
        """Write the counts of repeated lines whose time is over."""
        with _Held(self):
            self._write(self._repeats.due(self._monotonic()))

    async def run(self, clock: Clock) -> None:
        """Settle each second until cancelled."""
        while True:
            await clock.sleep(1.0)
            self.settle()

    def close(self) -> None:
        """Write what waits, a second at most for each outlet, and end. Blocks; may be called again."""
        with _Held(self):
            self._write(self._repeats.rest())
            outlets, self.outlets = list(self.outlets.values()), {}
        for outlet in outlets:
            outlet.stop()
        for outlet in outlets:
            outlet.join(_CLOSE_S)
        super().close()

    def _write(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            numbered = self._keep(line)
            for outlet in self.outlets.values():
                outlet.offer(numbered)

    def _keep(self, line: LogLine) -> LogLine:
        numbered = line.numbered(self._number)
        self._number = numbered.number
        if self._settings.memory:
            self._lines.append(numbered)
        return numbered

    def _forget(self) -> None:
        with _Held(self):
            self._lines.clear()

    def _exchange(self, name: str, target: Target | None) -> None:
        """Put a target in the place of another, which still writes what waits for it."""
        with _Held(self):
            old = self.outlets.pop(name, None)
            if target is not None:
                self.outlets[name] = Outlet(target, name=name)
        if old is not None:
            old.stop()


class _Held:
    """The handler's own lock, which the standard library takes around ``emit``; held for moments only."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def __enter__(self) -> None:
        self._handler.acquire()

    def __exit__(self, *_: object) -> None:
        self._handler.release()
