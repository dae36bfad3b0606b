import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.services.logs.console import Console, is_journal
from tinybms_bridge.services.logs.lines import LogLine

Make = Callable[..., LogLine]


def test_terminal_gets_time_and_level(line: Make) -> None:
    """What a person reads: one line each, in order."""
    stream = io.StringIO()
    Console(stream, journal=False).write([line("one"), line("two", level="ERROR")])
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" INFO    one")
    assert second.endswith(" ERROR   two")
    assert first[4] == "-"


@pytest.mark.parametrize(
    ("level", "priority"), [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)]
)
def test_journal_gets_the_priority_and_no_time(line: Make, level: str, priority: int) -> None:
    """The journal has its own time; `journalctl -p warning` finds what is important."""
    stream = io.StringIO()
    Console(stream, journal=True).write([line("hello", level=level)])
    assert stream.getvalue() == f"<{priority}>hello\n"


def test_every_line_of_a_traceback_has_its_priority(line: Make) -> None:
    """Otherwise the journal files the traceback under another level than its message."""
    stream = io.StringIO()
    Console(stream, journal=True).write([line("failed\nTraceback\n  x", level="ERROR")])
    assert stream.getvalue() == "<3>failed\n<3>Traceback\n<3>  x\n"


def test_journal_is_known_by_the_stream_that_systemd_names(tmp_path: Path) -> None:
    """Only the very stream that systemd connected: a redirection inside the unit is no journal."""
    with (tmp_path / "a").open("w") as ours, (tmp_path / "b").open("w") as other:
        status = os.fstat(ours.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(ours, environ)
        assert not is_journal(other, environ)
        assert not is_journal(ours, {})


def test_stream_without_a_descriptor_is_no_journal() -> None:
    """A stream in memory, a closed one, none at all."""
    closed = io.StringIO()
    closed.close()
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
    assert not is_journal(closed, {"JOURNAL_STREAM": "1:2"})
    assert not is_journal(None, {"JOURNAL_STREAM": "1:2"})


def test_missing_standard_error_swallows_lines(line: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started with `2>&-` has no standard error; logging must not end it."""
    monkeypatch.setattr(sys, "stderr", None)
    console = Console()
    console.write([line()])
    assert sys.stderr is None


def test_standard_error_is_the_one_of_the_moment(line: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when it is exchanged after the start."""
    Console(journal=False).write([line("hello")])
    assert capsys.readouterr().err.endswith("hello\n")


def test_broken_pipe_is_an_error_for_the_outlet(line: Make) -> None:
    """`tinybms-bridge run 2>&1 | head`: the reader has gone, which the outlet counts."""
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError), os.fdopen(writing, "w") as stream:
        Console(stream).write([line()])
