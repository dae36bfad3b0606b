"""From what the standard library logs to lines: one text each, repeats counted, for this process or for another.

``set_up_logging`` writes to standard error from the first moment on; ``logging_through`` puts a ``LineHandler`` in its
place, which hands every line to a function: a store with its outputs, a link to another process, or both.

The count of what repeats itself is no ``logging.Filter``: a filter may drop a record, and cannot say later how many.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TextIO

from tinybms_bridge.hal.clock import Clock, until_tick_s

__all__ = [
    "AUDIT_SOURCE",
    "LEVELS",
    "TERMINAL_FORMAT",
    "TERMINAL_TIME",
    "EarlyHandler",
    "LineHandler",
    "LogLine",
    "Repeats",
    "level_number",
    "line_of",
    "logging_through",
    "set_level",
    "set_up_logging",
]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Names of the levels, least important first."""

AUDIT_SOURCE = "tinybms_bridge.audit"
"""Logger of what people do; two equal lines of it are two deeds."""

TERMINAL_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
TERMINAL_TIME = "%Y-%m-%d %H:%M:%S"

_PROGRAM = "tinybms_bridge"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_CHARACTERS = 4000
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), " ")
_FORMATTER = logging.Formatter()

_WINDOW_S = 60.0
_BURST = 5
_MOST_CAUSES = 200
_SETTLE_S = 1.0


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

    def record(self) -> logging.LogRecord:
        """Return the line as the standard library's handlers take it."""
        fields = {"levelno": level_number(self.level), "levelname": self.level, "name": self.source, "msg": self.text}
        return logging.makeLogRecord(fields | {"created": self.at.timestamp()})

    def __str__(self) -> str:
        return f"{self.at.astimezone():{TERMINAL_TIME}} {self.level:<7} {self.text}"


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


def level_number(name: str) -> int:
    """Return the standard number of a level. Raises ValueError for another name."""
    if name not in LEVELS:
        raise ValueError(f"{name!r} is no log level; use one of {', '.join(LEVELS)}")
    return 10 * (LEVELS.index(name) + 1)


def set_level(name: str) -> None:
    """Log what this program has to say from this level up. Raises ValueError."""
    logging.getLogger(_PROGRAM).setLevel(level_number(name))


Cause = tuple[str, str, str]


@dataclass(slots=True)
class _Spell:
    """One cause within its window."""

    last: LogLine
    since_s: float
    written: int = 1
    counted: int = 0


class Repeats:
    """Decides which lines are written, so that a fault that lasts does not fill the log.

    The same line again, without another between, is counted at once; one that alternates with others is counted after
    it was written ``burst`` times in ``window_s``. What was counted is told when another line follows or the window
    ends. Lines of level DEBUG always pass: whoever asks for details wants them all. So does what a person has done, but
    not what was refused: strangers could fill the log with it.
    """

    def __init__(self, *, window_s: float = _WINDOW_S, burst: int = _BURST) -> None:
        self._window_s = window_s
        self._burst = burst
        self._spells: dict[Cause, _Spell] = {}
        self._run: Cause | None = None

    def offer(self, line: LogLine, now_s: float) -> list[LogLine]:
        """Return what to write now that ``line`` has come: nothing, the line, or counts and the line."""
        due = list(self.due(now_s))
        if line.level == "DEBUG" or (line.source == AUDIT_SOURCE and line.level == "INFO"):
            return [*due, line]
        cause = (line.level, line.source, line.text)
        spell = self._spells.get(cause)
        if spell is None:
            due += self._end_run() if len(self._spells) < _MOST_CAUSES else self._forget()
            self._spells[cause] = _Spell(line, now_s)
        elif cause == self._run or spell.written >= self._burst:
            spell.last, spell.counted = line, spell.counted + 1
            return due
        else:
            due += self._end_run()
            spell.last, spell.written = line, spell.written + 1
        self._run = cause
        return [*due, line]

    def due(self, now_s: float) -> Iterator[LogLine]:
        """Yield the counts of causes whose window is over."""
        for cause, spell in list(self._spells.items()):
            if now_s - spell.since_s >= self._window_s:
                yield from _told(spell)
                self._end(cause, spell, now_s)

    def rest(self) -> Iterator[LogLine]:
        """Yield every count that has not been told, at the end of the program."""
        for spell in self._spells.values():
            yield from _told(spell)
            spell.counted = 0

    def _forget(self) -> Iterator[LogLine]:
        """Begin anew when there are too many causes to remember."""
        yield from self.rest()
        self._spells.clear()

    def _end(self, cause: Cause, spell: _Spell, now_s: float) -> None:
        """Forget a cause; one that goes on without another line between stays counted."""
        if cause == self._run and spell.counted:
            spell.since_s, spell.written, spell.counted = now_s, 1, 0
            return
        del self._spells[cause]
        if cause == self._run:
            self._run = None

    def _end_run(self) -> Iterator[LogLine]:
        """Yield the count of the line that repeated itself before another came."""
        spell = self._spells.get(self._run) if self._run is not None else None
        if spell is not None and spell.written < self._burst:
            yield from _told(spell)
            spell.counted = 0


def _told(spell: _Spell) -> Iterator[LogLine]:
    if spell.counted:
        times = "once" if spell.counted == 1 else f"{spell.counted} times"
        head, _, _ = spell.last.text.partition("\n")
        yield replace(spell.last, text=f"{head} (repeated {times})")


class LineHandler(logging.Handler):
    """Hands on the lines of this process, those that repeat themselves as counts.

    Args:
        take: Gets each line in the thread that logged it, one at a time; must neither wait nor raise nor log.
        monotonic: Source of time for repetitions.

    """

    def __init__(self, take: Callable[[LogLine], object], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._take = take
        self._monotonic = monotonic
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler.emit``."""
        self._hand_on(self._repeats.offer(line_of(record), self._monotonic()))

    async def run(self, clock: Clock) -> None:
        """Hand on counts whose time is over, each second until cancelled."""
        while True:
            await clock.sleep(until_tick_s(clock, _SETTLE_S))
            with self._held():
                self._hand_on(self._repeats.due(self._monotonic()))

    def close(self) -> None:
        """Hand on what was counted, and end; may be called again."""
        with self._held():
            self._hand_on(self._repeats.rest())
        super().close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock that the standard library takes around ``emit``; for moments only."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _hand_on(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self._take(line)


class EarlyHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error until another handler takes over."""


def set_up_logging(level: str, handler: logging.Handler | None = None) -> None:
    """Send log lines of this program to standard error, or to ``handler``; libraries only from WARNING up."""
    handler = handler or EarlyHandler()
    handler.setFormatter(logging.Formatter(TERMINAL_FORMAT, TERMINAL_TIME))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # An adapter that is gone is reported by the bridge itself, once; python-can repeats it for each call.
    logging.getLogger("can").setLevel(logging.CRITICAL)
    set_level(level)


@contextmanager
def logging_through(handler: logging.Handler) -> Iterator[None]:
    """Let a handler take the log lines of the whole program, in place of the early one, until the block ends."""
    root = logging.getLogger()
    early = [each for each in root.handlers if isinstance(each, EarlyHandler)]
    for each in early:
        root.removeHandler(each)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for each in early:
            root.addHandler(each)
