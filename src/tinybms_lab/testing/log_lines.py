"""Log lines, records and a handler in memory, for the tests of the log and of what carries it."""

import logging
import sys
import threading
from datetime import UTC, datetime, timedelta

from tinybms_bridge.hal.log_output import RaisingHandler
from tinybms_bridge.hal.logs import LogLine

__all__ = ["LinesHandler", "log_line", "log_record"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE_S = 60.0


def log_line(
    text: str = "a line", level: str = "INFO", source: str = "tinybms_bridge.x", *, number: int = 0
) -> LogLine:
    """Return a line; those of higher numbers are seconds later."""
    return LogLine(_START + timedelta(seconds=number), level, source, text, number)


def log_record(
    message: object, *arguments: object, level: int = logging.INFO, error: BaseException | None = None
) -> logging.LogRecord:
    """Return a record as the standard library makes it, with the traceback of an error that was raised."""
    info = None
    if error is not None:
        try:
            raise error
        except type(error):
            info = sys.exc_info()
    return logging.LogRecord("tinybms_bridge.x", level, __file__, 1, message, arguments, info)


class LinesHandler(RaisingHandler):
    """Keeps what it gets; may fail or hang."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        """What was written."""
        self.threads: set[int] = set()
        """Who wrote it."""
        self.error: Exception | None = None
        """Raised in place of writing."""
        self.free = threading.Event()
        """While it is not set, writing does not return."""
        self.free.set()
        self.entered = threading.Event()
        """Set once something is to be written."""
        self.closed = False

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler.emit``."""
        self.entered.set()
        assert self.free.wait(_PATIENCE_S)
        if self.error is not None:
            raise self.error
        self.threads.add(threading.get_ident())
        self.texts.append(record.getMessage())

    def close(self) -> None:
        """See ``logging.Handler.close``."""
        self.closed = True
        super().close()
