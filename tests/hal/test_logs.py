import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.logs import (
    AUDIT_SOURCE,
    LEVELS,
    LineHandler,
    LogLine,
    Repeats,
    level_number,
    line_of,
    logging_through,
    set_up_logging,
)
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.log_lines import log_line, log_record


def test_line_is_what_was_logged() -> None:
    """Message, level, logger and UTC time of the record."""
    made = log_record("%d cells", 16, level=logging.WARNING)
    made.created = 1_767_225_600.5
    line = line_of(made)
    at = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert line == LogLine(at, "WARNING", "tinybms_bridge.x", "16 cells")


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
def test_every_number_has_a_level(number: int, name: str) -> None:
    """Libraries may use numbers of their own."""
    assert line_of(log_record("x", level=number)).level == name


def test_shown_line_has_time_level_and_text() -> None:
    """What a person reads, in a terminal or as the answer of the API, with the level in a column."""
    shown = str(line_of(log_record("hello")))
    assert shown.endswith(" INFO    hello")
    assert shown[4] == shown[7] == "-"


def test_message_whose_arguments_do_not_fit_is_not_lost() -> None:
    """A mistake in a log call shows the message, and harms nobody."""
    assert line_of(log_record("%d cells", "many")).text == "%d cells ('many',)"


def test_traceback_follows_the_message() -> None:
    """What a bug report needs, below its message."""
    text = line_of(log_record("failed", error=ZeroDivisionError("oops"))).text
    assert text.startswith("failed\nTraceback")
    assert text.endswith("ZeroDivisionError: oops")


@given(st.text())
def test_peer_text_cannot_forge_lines(text: str) -> None:
    """Whatever a device or a client sends: one line, no control characters, bounded."""
    shown = line_of(log_record("%s", text)).text
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


def texts(lines: list[LogLine]) -> list[str]:
    """Return the texts of lines."""
    return [line.text for line in lines]


def test_different_lines_pass() -> None:
    """Nothing is held back that was not said before."""
    repeats = Repeats()
    assert [texts(repeats.offer(log_line(f"line {number}"), 0.0)) for number in range(3)] == [
        ["line 0"],
        ["line 1"],
        ["line 2"],
    ]


def test_same_line_again_is_counted() -> None:
    """A fault each 100 ms is one line, and its count when something else happens."""
    repeats = Repeats()
    assert texts(repeats.offer(log_line("gone"), 0.0)) == ["gone"]
    for moment in range(1, 38):
        assert repeats.offer(log_line("gone"), moment / 10) == []
    assert texts(repeats.offer(log_line("back"), 4.0)) == ["gone (repeated 37 times)", "back"]
    assert texts(repeats.offer(log_line("more"), 5.0)) == ["more"]


def test_count_is_told_while_the_fault_lasts() -> None:
    """A fault that never ends is told once a minute, with its count, not only at the end."""
    repeats, told = Repeats(window_s=60.0), []
    for second in range(181):
        told += texts(repeats.offer(log_line("gone"), float(second)))
        told += texts(list(repeats.due(float(second))))
    assert told[0] == "gone"
    assert len(told) == 4
    assert all(text.startswith("gone (repeated ") for text in told[1:])


def test_single_repetition_is_told_as_such() -> None:
    """Once, not 1 times."""
    repeats = Repeats()
    repeats.offer(log_line("gone"), 0.0)
    repeats.offer(log_line("gone"), 1.0)
    assert texts(list(repeats.due(60.0))) == ["gone (repeated once)"]
    assert list(repeats.due(120.0)) == []


def test_alternating_lines_are_written_a_few_times_only() -> None:
    """A loose plug: up and down each second is ten lines a minute, then counts."""
    repeats, told = Repeats(window_s=60.0, burst=5), []
    for moment in range(59):
        told += texts(repeats.offer(log_line(("up", "down")[moment % 2]), float(moment)))
    assert told == ["up", "down"] * 5
    assert sorted(texts(list(repeats.due(61.0)))) == ["down (repeated 24 times)", "up (repeated 25 times)"]


def test_line_after_a_quiet_minute_is_new() -> None:
    """What happens again much later is news."""
    repeats = Repeats(window_s=60.0)
    repeats.offer(log_line("gone"), 0.0)
    assert texts(repeats.offer(log_line("gone"), 61.0)) == ["gone"]


def test_level_and_source_are_part_of_the_cause() -> None:
    """The same words from another part, or more urgent, are another cause."""
    repeats = Repeats()
    repeats.offer(log_line("gone"), 0.0)
    assert texts(repeats.offer(log_line("gone", level="ERROR"), 1.0)) == ["gone"]
    assert texts(repeats.offer(log_line("gone", source="tinybms_bridge.y"), 2.0)) == ["gone"]


def test_details_are_never_counted() -> None:
    """Whoever turns on DEBUG wants every frame, also identical ones."""
    repeats = Repeats()
    assert [texts(repeats.offer(log_line("frame", level="DEBUG"), 0.0)) for _ in range(9)] == [["frame"]] * 9


def test_rest_is_told_at_the_end() -> None:
    """The last count is not lost with the program, and is told once."""
    repeats = Repeats()
    for _ in range(4):
        repeats.offer(log_line("gone"), 0.0)
    assert texts(list(repeats.rest())) == ["gone (repeated 3 times)"]
    assert list(repeats.rest()) == []


def test_count_of_a_traceback_is_one_line() -> None:
    """The traceback was shown with the first."""
    repeats = Repeats()
    repeats.offer(log_line("failed\nTraceback\n  x"), 0.0)
    repeats.offer(log_line("failed\nTraceback\n  x"), 1.0)
    assert texts(list(repeats.rest())) == ["failed (repeated once)"]


def test_flood_of_different_lines_needs_no_memory() -> None:
    """Thousands of texts a minute are written and forgotten; what was counted before is told."""
    repeats, told = Repeats(), []
    for text in ("gone", "gone", *(f"line {number}" for number in range(5000))):
        told += texts(repeats.offer(log_line(text), 0.0))
    assert len(told) == 5002
    assert told[:3] == ["gone", "gone (repeated once)", "line 0"]
    assert len(repeats._spells) <= 200


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 30.0)), max_size=200))
def test_every_line_is_written_or_counted(steps: list[tuple[str, float]]) -> None:
    """Whatever comes when: no occurrence is lost, and none is told twice."""
    repeats, now_s = Repeats(), 0.0
    shown: list[str] = []
    for text, pause_s in steps:
        now_s += pause_s
        shown += texts(repeats.offer(log_line(text), now_s))
    shown += texts(list(repeats.rest()))
    told = dict.fromkeys("abc", 0)
    for each in shown:
        text, _, count = each.partition(" (repeated ")
        told[text] += 1 if not count else 1 if count == "once)" else int(count.split()[0])
    assert told == {text: sum(step[0] == text for step in steps) for text in "abc"}


def test_deeds_are_never_counted() -> None:
    """Two equal lines of the audit are two deeds; what was refused may be a flood and is counted."""
    repeats = Repeats()
    deed = replace(log_line("PUT /api/inhibits/charge by boss"), source=AUDIT_SOURCE, level="INFO")
    refused = replace(deed, text="login of boss refused", level="WARNING")
    assert [len(repeats.offer(deed, float(second))) for second in range(9)] == [1] * 9
    assert [len(repeats.offer(refused, float(second))) for second in range(9)] == [1] + [0] * 8


def test_line_passes_through_a_record() -> None:
    """What the standard library's handlers get is the line, to the microsecond; a percent sign in it stays one."""
    made = replace(log_line("16 % of 3", level="ERROR"), at=datetime(2026, 11, 30, 1, 2, 3, 456_789, tzinfo=UTC))
    assert line_of(made.record()) == made


@pytest.fixture
def moment() -> FakeClock:
    """A clock for the repetitions."""
    return FakeClock()


def test_handler_counts_what_repeats_itself(moment: FakeClock) -> None:
    """Whoever gets the lines gets a count in place of a flood, the last one at the end; closing twice does no harm."""
    taken: list[LogLine] = []
    handler = LineHandler(taken.append, monotonic=moment.monotonic)
    for text in [*["gone"] * 100, "back", "back", "back"]:
        handler.handle(log_record(text))
    handler.close()
    handler.close()
    assert texts(taken) == ["gone", "gone (repeated 99 times)", "back", "back (repeated 2 times)"]


async def test_handler_tells_a_count_when_its_minute_is_over(moment: FakeClock) -> None:
    """Also when nothing else is logged."""
    taken: list[LogLine] = []
    handler = LineHandler(taken.append, monotonic=moment.monotonic)
    task = asyncio.create_task(handler.run(moment))
    for _ in range(3):
        handler.handle(log_record("gone"))
    await moment.advance(61.0)
    task.cancel()
    assert texts(taken) == ["gone", "gone (repeated 2 times)"]


class Lines(logging.Handler):
    """Collects formatted lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(self.format(record))


@pytest.fixture
def loggers() -> Iterator[None]:
    """Put the loggers back as they were."""
    names = ("", "can", "tinybms_bridge")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("loggers")
def test_log_shows_this_program_and_silences_the_libraries() -> None:
    """Our lines from the chosen level up, others only when they warn, python-can never."""
    handler = Lines()
    set_up_logging("INFO", handler)
    logging.getLogger("tinybms_bridge.core.bridge").info("sending")
    logging.getLogger("tinybms_bridge.core.bridge").debug("details")
    logging.getLogger("asyncio").info("loop")
    logging.getLogger("asyncio").warning("slow callback")
    logging.getLogger("can.bus").error("adapter gone")
    assert [line.split(" ", 2)[2] for line in handler.lines] == ["INFO    sending", "WARNING slow callback"]
    assert handler.lines[0][:4].isdigit()


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_level_is_the_chosen_one(level: str, count: int) -> None:
    """Every level of the configuration has its effect."""
    handler = Lines()
    set_up_logging(level, handler)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("tinybms_bridge.x").log(number, "line")
    assert len(handler.lines) == count


@pytest.mark.usefixtures("loggers")
def test_setting_up_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The second call, with the configured level, replaces the first; lines go to standard error."""
    set_up_logging("INFO")
    set_up_logging("INFO")
    logging.getLogger("tinybms_bridge.x").info("once")
    out, err = capsys.readouterr()
    assert (out, err.count("once")) == ("", 1)


@pytest.mark.usefixtures("loggers")
def test_log_book_takes_over_and_gives_back(capsys: pytest.CaptureFixture[str]) -> None:
    """While a bridge runs its log store has the lines; before and after they go to standard error, each once."""
    set_up_logging("INFO")
    logger, store = logging.getLogger("tinybms_bridge.x"), Lines()
    logger.info("before")
    with logging_through(store):
        logger.info("during")
    logger.info("after")
    err = capsys.readouterr().err
    assert ("before" in err, "during" in err, "after" in err) == (True, False, True)
    assert store.lines == ["during"]


@pytest.mark.usefixtures("loggers")
def test_other_handlers_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """The live view shows the last lines whatever else happens to them; an error gives back, too."""
    view = Lines()
    set_up_logging("INFO", view)
    with suppress(LinkError), logging_through(Lines()):
        logging.getLogger("tinybms_bridge.x").info("during")
        raise LinkError("gone")
    assert len(view.lines) == 1
    assert view in logging.getLogger().handlers
    assert not any(handler is not view and isinstance(handler, Lines) for handler in logging.getLogger().handlers)
    assert capsys.readouterr().err == ""
