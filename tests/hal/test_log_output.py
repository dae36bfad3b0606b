import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinybms_bridge.hal.log_output import ConsoleHandler, LogOutput, is_journal, open_console
from tinybms_lab.testing.log_lines import LinesHandler, log_line


class Time:
    """A clock in the hand of the test."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def moment() -> Time:
    """A clock that stands."""
    return Time()


@pytest.fixture
def sheet() -> Iterator[LinesHandler]:
    """A handler in memory; one that hangs is let go with the test."""
    sheet = LinesHandler()
    yield sheet
    sheet.free.set()


@pytest.fixture
def output(sheet: LinesHandler, moment: Time) -> Iterator[LogOutput]:
    """An output to the sheet, ended with the test."""
    output = LogOutput(lambda: sheet, name="sheet", depth=10, retry_s=30.0, monotonic=moment.monotonic)
    yield output
    sheet.free.set()
    output.stop()
    assert output.join(30.0)


def wait(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.001)


def test_lines_arrive_in_order_from_another_thread(sheet: LinesHandler, output: LogOutput) -> None:
    """Nobody who logs writes."""
    for number in range(8):
        output.offer(log_line(str(number)))
    wait(lambda: len(sheet.texts) == 8)
    assert sheet.texts == [str(number) for number in range(8)]
    assert threading.get_ident() not in sheet.threads


@pytest.fixture
def holding(sheet: LinesHandler) -> Iterator[LogOutput]:
    """An output that holds lines back for longer than any test lasts."""
    output = LogOutput(lambda: sheet, name="sheet", hold_s=1000.0)
    yield output
    output.stop()
    assert output.join(30.0)


def test_lines_wait_for_a_warning(sheet: LinesHandler, holding: LogOutput) -> None:
    """Written one by one they wear a card; what somebody has to know takes all before it along."""
    for number in range(3):
        holding.offer(log_line(f"line {number}"))
    time.sleep(0.05)
    assert sheet.texts == []
    holding.offer(log_line("trouble", level="WARNING"))
    wait(lambda: len(sheet.texts) == 4)
    assert sheet.texts == ["line 0", "line 1", "line 2", "trouble"]
    wait(lambda: not holding._hurry.is_set())
    holding.offer(log_line("calm again"))
    time.sleep(0.05)
    assert len(sheet.texts) == 4


def test_many_lines_wait_for_nothing(sheet: LinesHandler, holding: LogOutput) -> None:
    """A busy log is written as it comes, and nothing of it is lost."""
    lines = [f"line {number}" for number in range(101)]  # the thread may hold the first one in its hand already
    for line in lines:
        holding.offer(log_line(line))
    wait(lambda: len(sheet.texts) >= 100)
    holding.stop()
    assert holding.join(30.0)
    assert sheet.texts == lines
    assert holding.lost == 0


def test_lines_that_wait_are_written_at_the_end(sheet: LinesHandler, holding: LogOutput) -> None:
    """A program that ends in order loses none."""
    holding.offer(log_line("last words"))
    holding.stop()
    assert holding.join(30.0)
    assert sheet.texts == ["last words"]


def test_a_line_has_waited_long_enough_after_its_time(sheet: LinesHandler) -> None:
    """Also when nothing follows it."""
    output = LogOutput(lambda: sheet, name="sheet", hold_s=0.05)
    output.offer(log_line("alone"))
    wait(lambda: sheet.texts == ["alone"])
    output.stop()
    assert output.join(30.0)


def test_handler_that_hangs_holds_nobody_up(sheet: LinesHandler, output: LogOutput) -> None:
    """A full pipe: offering stays quick, the oldest lines are lost and counted, and the loss is told afterwards."""
    sheet.free.clear()
    output.offer(log_line("first"))
    assert sheet.entered.wait(30.0)
    for number in range(100):
        output.offer(log_line(str(number)))
    assert not sheet.free.is_set()
    assert output.lost == 90
    sheet.free.set()
    wait(lambda: len(sheet.texts) == 12)
    assert sheet.texts == [
        "first",
        "90 log lines were lost, the output was too slow",
        *(str(number) for number in range(90, 100)),
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        ValueError("I/O operation on closed file"),
        TypeError("a mistake of ours"),
        KeyError(),
    ],
)
def test_handler_that_fails_is_left_alone_for_a_while(
    sheet: LinesHandler, output: LogOutput, moment: Time, error: Exception
) -> None:
    """A full disk is not tried at each line; once there is room again, writing goes on and the gap is told."""
    sheet.error = error
    output.offer(log_line("lost"))
    wait(lambda: output.error)
    sheet.error = None
    output.offer(log_line("lost too"))
    wait(lambda: output.lost == 2)
    told = str(error) or "KeyError"
    assert output.error == told
    assert sheet.texts == []
    moment.now_s = 30.0
    output.offer(log_line("written"))
    wait(lambda: len(sheet.texts) == 2)
    assert sheet.texts == [f"2 log lines were lost: {told}", "written"]
    wait(lambda: output.error == "")


def test_what_waits_is_written_at_the_end(sheet: LinesHandler) -> None:
    """The last lines of a program are the ones that matter."""
    output = LogOutput(lambda: sheet, name="sheet")
    for number in range(500):
        output.offer(log_line(str(number)))
    output.stop()
    assert output.join(30.0)
    assert sheet.texts == [str(number) for number in range(500)]


def test_handler_that_never_returns_does_not_keep_the_program(sheet: LinesHandler) -> None:
    """Waiting for the end has an end."""
    sheet.free.clear()
    output = LogOutput(lambda: sheet, name="sheet")
    output.offer(log_line())
    output.stop()
    assert not output.join(0.05)
    sheet.free.set()
    assert output.join(30.0)


def test_handler_is_made_in_the_thread_and_again_after_a_failure(sheet: LinesHandler, moment: Time) -> None:
    """The name of a server is looked up where nobody waits for it; a lost one is asked for again."""
    makers: list[int] = []

    def make() -> LinesHandler:
        makers.append(threading.get_ident())
        if len(makers) == 1:
            raise OSError(-3, "Temporary failure in name resolution")
        return sheet

    output = LogOutput(make, name="sheet", monotonic=moment.monotonic)
    output.offer(log_line("lost"))
    wait(lambda: output.error)
    moment.now_s = 30.0
    output.offer(log_line("one"))
    output.offer(log_line("two"))
    output.stop()
    assert output.join(30.0)
    assert sheet.texts == ["1 log lines were lost: [Errno -3] Temporary failure in name resolution", "one", "two"]
    assert len(makers) == 2
    assert threading.get_ident() not in makers
    assert sheet.closed


def test_terminal_gets_time_and_level() -> None:
    """What a person reads: one line each, in order."""
    stream = io.StringIO()
    handler = ConsoleHandler(stream, journal=False)
    handler.handle(log_line("one").record())
    handler.handle(log_line("two", level="ERROR").record())
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" INFO    one")
    assert second.endswith(" ERROR   two")
    assert first[4] == "-"


@pytest.mark.parametrize(
    ("level", "priority"), [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)]
)
def test_journal_gets_the_priority_and_no_time(level: str, priority: int) -> None:
    """The journal has its own time; `journalctl -p warning` finds what is important."""
    stream = io.StringIO()
    ConsoleHandler(stream, journal=True).handle(log_line("hello", level=level).record())
    assert stream.getvalue() == f"<{priority}>hello\n"


def test_every_line_of_a_traceback_has_its_priority() -> None:
    """Otherwise the journal files the traceback under another level than its message."""
    stream = io.StringIO()
    ConsoleHandler(stream, journal=True).handle(log_line("failed\nTraceback\n  x", level="ERROR").record())
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


def test_missing_standard_error_swallows_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started with `2>&-` has no standard error; logging must not end it."""
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        open_console().handle(log_line().record())
        assert sys.stderr is stream


def test_console_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The one of the moment at which the first line comes."""
    open_console().handle(log_line("hello").record())
    assert capsys.readouterr().err.endswith("hello\n")


def test_broken_pipe_is_an_error_for_the_output() -> None:
    """`tinybms-bridge run 2>&1 | head`: the reader has gone, which the output counts."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stream:
        handler = ConsoleHandler(stream)
        with pytest.raises(BrokenPipeError):
            handler.handle(log_line().record())
        with pytest.raises(BrokenPipeError):  # what it holds cannot be written when it is closed either
            stream.close()


def test_program_ends_though_nobody_reads_its_standard_error() -> None:
    """A full pipe holds up the thread that writes, never the end of the program."""
    code = (
        "import os\n"
        "from tinybms_bridge.hal.log_output import LogOutput, open_console\n"
        "from tinybms_lab.testing.log_lines import log_line\n"
        "output = LogOutput(open_console, name='console')\n"
        "for number in range(900): output.offer(log_line('x' * 200))\n"
        "output.stop()\n"
        "assert not output.join(1.0), 'the pipe took everything'\n"
        "os.write(1, b'ending')\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert program.wait(120.0) == 0
        assert program.stdout is not None
        assert program.stdout.read() == b"ending"
    finally:
        program.kill()
        program.communicate()
