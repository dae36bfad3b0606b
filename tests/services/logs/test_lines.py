import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.logs.lines import LEVELS, LogLine, level_number, line_of

Make = Callable[..., logging.LogRecord]


def test_line_is_what_was_logged(record: Make) -> None:
    """Message, level, logger and UTC time of the record."""
    made = record("%d cells", 16, level=logging.WARNING)
    made.created = 1_767_225_600.5
    line = line_of(made)
    at = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert line == LogLine(at, "WARNING", "tinybms_bridge.x", "16 cells")


def test_shown_line_has_time_level_and_text(record: Make) -> None:
    """What a person reads in a terminal, with the level in a column."""
    shown = str(line_of(record("hello")))
    assert shown.endswith(" INFO    hello")
    assert shown[4] == shown[7] == "-"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (5, "DEBUG"),
        (10, "DEBUG"),
        (15, "DEBUG"),
        (20, "INFO"),
        (30, "WARNING"),
        (40, "ERROR"),
        (50, "CRITICAL"),
        (99, "CRITICAL"),
    ],
)
def test_every_number_has_a_level(record: Make, number: int, name: str) -> None:
    """Libraries may use numbers of their own."""
    assert line_of(record("x", level=number)).level == name


def test_message_whose_arguments_do_not_fit_is_not_lost(record: Make) -> None:
    """A mistake in a log call shows the message, and harms nobody."""
    assert line_of(record("%d cells", "many")).text == "%d cells ('many',)"


def test_traceback_follows_the_message(record: Make) -> None:
    """What a bug report needs, below its message."""
    text = line_of(record("failed", error=ZeroDivisionError("oops"))).text
    assert text.startswith("failed\nTraceback")
    assert text.endswith("ZeroDivisionError: oops")


@given(st.text())
def test_peer_text_cannot_forge_lines(record: Make, text: str) -> None:
    """Whatever a device or a client sends: one line, no control characters, bounded."""
    shown = line_of(record("%s", text)).text
    assert len(shown) <= 4000
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)


@pytest.mark.parametrize("name", LEVELS)
def test_level_names_are_those_of_the_standard_library(name: str) -> None:
    """The names of the configuration mean the same numbers."""
    assert level_number(name) == getattr(logging, name)


def test_unknown_level_is_named() -> None:
    """A typo in a request is told with what is allowed."""
    with pytest.raises(ValueError, match="'LOUD' is no log level; use one of DEBUG, INFO"):
        level_number("LOUD")
