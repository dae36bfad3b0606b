"""The log: keeps the recent lines for the pages, and hands each on to console, file and syslog server."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from tinybms_bridge.hal.log_output import LogOutput, open_console
from tinybms_bridge.hal.logs import LEVELS, LogLine, level_number, set_level
from tinybms_bridge.services.logs.rotating_file import LOG_FILE, RotatingFile
from tinybms_bridge.services.logs.syslog import open_syslog
from tinybms_bridge.services.ports import LogPage

__all__ = ["LogSettings", "LogStore"]

log = logging.getLogger(__name__)

_CLOSE_S = 1.0
_HOLD_S = 300.0
"""How long a line that is no warning may wait before it is in the file."""

MakeHandler = Callable[[], logging.Handler]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written where."""

    level: str = "INFO"
    console: bool = True
    memory: bool = True
    """Keep the recent lines for ``LogStore.read``."""
    syslog_server: str = ""
    """``HOST`` or ``HOST:PORT``; empty for none."""
    folder: Path | None = None
    """Where the rotating file is kept; None for none."""


class LogStore:
    """Takes the lines of this process, from a ``LineHandler``, and of others; that never waits and never fails.

    Args:
        settings: What is written where.
        lines: Lines to keep in memory.
        console: Makes what writes to the console when the settings ask for it.

    """

    def __init__(self, settings: LogSettings, *, lines: int = 2000, console: MakeHandler = open_console) -> None:
        self.outputs: dict[str, LogOutput] = {}
        """The outputs in use by name."""
        self._settings = LogSettings(console=False)
        self._console = console
        self._lines: deque[LogLine] = deque(maxlen=lines)
        self._number = 0
        self._busy = threading.Lock()
        """Held for moments only: nothing that waits happens under it."""
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
            file = RotatingFile(settings.folder / LOG_FILE) if settings.folder else None
            self._file = file
            self._exchange("file", (lambda: file) if file else None, hold_s=_HOLD_S)
        if settings.syslog_server != old.syslog_server:
            server = settings.syslog_server
            self._exchange("syslog", partial(open_syslog, server) if server else None)

    def load(self) -> None:
        """Begin with the lines that earlier runs left in the file, before any other line. Blocks; never raises."""
        if self._file is None or not self._settings.memory:
            return
        try:
            found = self._file.read()
        except OSError as error:
            log.warning("the log of earlier runs in %s cannot be read: %s", self._file.path, error)
            return
        with self._busy:
            for line in found:
                self._keep(line)

    def set_level(self, level: str) -> None:
        """Write the program's lines from this level up, until the settings are replaced. Raises ValueError."""
        set_level(level)

    def take(self, line: LogLine) -> None:
        """Keep a line and hand it on; also one that another process has made, repeats already counted."""
        with self._busy:
            numbered = self._keep(line)
            for output in self.outputs.values():
                output.offer(numbered)

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
        wanted = LEVELS if level is None else LEVELS[level_number(level) // 10 - 1 :]
        with self._busy:
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
        file, old = self._file, self.outputs.get("file")
        if file is not None:
            self._exchange("file", lambda: file, hold_s=_HOLD_S)
            if old is not None:
                old.join(_CLOSE_S)  # what waits is written before it is removed with the rest
            file.delete()

    def close(self) -> None:
        """Write what waits, a second at most for each output, and end. Blocks; may be called again."""
        with self._busy:
            outputs, self.outputs = list(self.outputs.values()), {}
        for output in outputs:
            output.stop()
        for output in outputs:
            output.join(_CLOSE_S)

    def _keep(self, line: LogLine) -> LogLine:
        numbered = line.numbered(self._number)
        self._number = numbered.number
        if self._settings.memory:
            self._lines.append(numbered)
        return numbered

    def _forget(self) -> None:
        with self._busy:
            self._lines.clear()

    def _exchange(self, name: str, make: MakeHandler | None, hold_s: float = 0.0) -> None:
        """Put an output in the place of another, which still writes what waits for it."""
        with self._busy:
            old = self.outputs.pop(name, None)
            if make is not None:
                self.outputs[name] = LogOutput(make, name=name, hold_s=hold_s)
        if old is not None:
            old.stop()
