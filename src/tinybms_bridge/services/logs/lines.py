"""One line of the log, made from what the standard library logs, and a page of them."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

__all__ = ["AUDIT_SOURCE", "LEVELS", "LogLine", "LogPage", "level_number", "line_of"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Names of the levels, least important first."""

AUDIT_SOURCE = "tinybms_bridge.audit"
"""Logger of what people do; two equal lines of it are two deeds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_CHARACTERS = 4000
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), " ")
_FORMATTER = logging.Formatter()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; a traceback follows the message after a line break."""

    at: datetime
    """UTC."""
    level: str
    """One of ``LEVELS``."""
    source: str
    """Name of the logger."""
    text: str
    number: int = 0
    """Grows from line to line, also over restarts: microseconds since 1970, or one more; 0 before the line is kept."""

    def numbered(self, last: int) -> "LogLine":
        """Return the line with its number, when ``last`` is that of the line before."""
        return replace(self, number=max(last + 1, (self.at - _EPOCH) // _MICROSECOND))

    def __str__(self) -> str:
        return f"{self.at.astimezone():%Y-%m-%d %H:%M:%S} {self.level:<7} {self.text}"


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of the log, oldest first."""

    lines: tuple[LogLine, ...]
    next_cursor: int
    """Give this to the next ``read`` for the lines that follow, also for those that are yet to come."""
    more: bool = False
    """Whether there are such lines already."""


def level_number(name: str) -> int:
    """Return the standard number of a level. Raises ValueError for another name."""
    if name not in LEVELS:
        raise ValueError(f"{name!r} is no log level; use one of {', '.join(LEVELS)}")
    return 10 * (LEVELS.index(name) + 1)


def line_of(record: logging.LogRecord) -> LogLine:
    """Return the line for a record, without control characters and at most 4000 characters long.

    A message whose arguments do not fit is shown as it is: a mistake in a log call must not lose the line.
    """
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 -- whatever the arguments' own code raises
        message = f"{record.msg} {record.args}"
    text = message.translate(_CONTROLS)
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{_FORMATTER.formatException(record.exc_info)}"
    level = LEVELS[min(max(record.levelno // 10, 1), len(LEVELS)) - 1]
    return LogLine(datetime.fromtimestamp(record.created, UTC), level, record.name, text[:_MOST_CHARACTERS])
