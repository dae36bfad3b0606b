"""Lines, records and targets for the tests of the log."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tinybms_bridge.services.logs.lines import LogLine

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Sheet:
    """A target in memory that may fail or hang."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.error: Exception | None = None
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    @property
    def texts(self) -> list[str]:
        """What was written."""
        return [line.text for line in self.lines]

    def write(self, lines: Sequence[LogLine]) -> None:
        """See ``Target.write``."""
        self.entered.set()
        assert self.free.wait(60.0)
        if self.error is not None:
            raise self.error
        self.lines.extend(lines)


@pytest.fixture
def sheet() -> Iterator[Any]:
    """A target in memory; one that hangs is let go with the test."""
    sheet = _Sheet()
    yield sheet
    sheet.free.set()


@pytest.fixture(scope="session")
def line() -> Callable[..., LogLine]:
    """Return a builder of lines, one second apart by number."""

    def build(text: str = "a line", level: str = "INFO", source: str = "tinybms_bridge.x", number: int = 0) -> LogLine:
        return LogLine(START + timedelta(seconds=number), level, source, text, number)

    return build


@pytest.fixture(scope="session")
def record() -> Callable[..., logging.LogRecord]:
    """Return a builder of records as the standard library makes them."""

    def build(
        message: object, *arguments: object, level: int = logging.INFO, error: BaseException | None = None
    ) -> logging.LogRecord:
        info = None
        if error is not None:
            try:
                raise error
            except type(error):
                info = sys.exc_info()
        return logging.LogRecord("tinybms_bridge.x", level, __file__, 1, message, arguments, info)

    return build


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """Put the level of the program's logger back."""
    logger = logging.getLogger("tinybms_bridge")
    before = logger.level
    yield
    logger.setLevel(before)
