import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tinybms_bridge.cli.common import (
    EXIT_FAILURE,
    EXIT_REFUSED,
    fail,
    logging_through,
    run_until_signal,
    set_up_logging,
)
from tinybms_bridge.core.supervisor import PathFailure
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError


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


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("no such thing", "error: no such thing\n"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "error: a.json: No such file or directory\n"),
        (OSError(28, "No space left on device"), "error: No space left on device\n"),
        (LinkError("no port", hint="plug it in"), "error: no port (plug it in)\n"),
        (DeviceRefused(3, 0), "error: the BMS refused command 0x03: command error (code 0)\n"),
        (PathFailure("can", "ValueError: CVL is 0.0 V"), "error: can failed: ValueError: CVL is 0.0 V\n"),
        (BridgeError("something"), "error: something\n"),
    ],
)
def test_failure_is_one_line_and_code_1(
    error: BridgeError | OSError | str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard error gets the line, standard output stays clean for other programs."""
    with pytest.raises(SystemExit) as ended:
        fail(error)
    assert ended.value.code == EXIT_FAILURE == 1
    assert capsys.readouterr() == ("", text)


def test_wrong_configuration_is_a_line_for_each_mistake_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """All mistakes at once, each with the file, the key, the value and what is allowed."""
    problems = [
        ConfigProblem("cvl.float_exit_soc", 200, "allowed are 0 to 100"),
        ConfigProblem("cann", None, "unknown"),
    ]
    with pytest.raises(SystemExit) as ended:
        fail(ConfigError(problems, source="bridge.json"))
    assert ended.value.code == EXIT_REFUSED == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: bridge.json: cvl.float_exit_soc = 200: allowed are 0 to 100",
        "error: bridge.json: cann: unknown",
    ]


def test_mistake_without_a_file_names_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    """An option of the command line has no file to name."""
    with pytest.raises(SystemExit):
        fail(ConfigError([ConfigProblem("victron", None, "name too long")]))
    assert capsys.readouterr().err == "error: victron: name too long\n"


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


def test_result_of_the_coroutine_is_returned() -> None:
    """What ends by itself ends with its result."""

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert run_until_signal(answer) == 42


def test_error_of_the_coroutine_is_raised() -> None:
    """A failure reaches the command, which makes one line of it."""

    async def failing() -> None:
        await asyncio.sleep(0)
        raise LinkError("gone")

    with pytest.raises(LinkError, match="gone"):
        run_until_signal(failing)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_in_order(number: signal.Signals) -> None:
    """Ctrl-C and systemd's SIGTERM both let it finish its cleaning up, and give None; the handlers are gone then."""
    before = signal.getsignal(number)
    cleaned = []

    async def endless() -> int:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)
        return 1

    assert run_until_signal(endless) is None
    assert cleaned == [True]
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("loggers")
def test_log_book_takes_over_and_gives_back(capsys: pytest.CaptureFixture[str]) -> None:
    """While a bridge runs its log book has the lines; before and after they go to standard error, each once."""
    set_up_logging("INFO")
    logger, book = logging.getLogger("tinybms_bridge.x"), Lines()
    logger.info("before")
    with logging_through(book):
        logger.info("during")
    logger.info("after")
    err = capsys.readouterr().err
    assert ("before" in err, "during" in err, "after" in err) == (True, False, True)
    assert book.lines == ["during"]


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


def test_closed_standard_streams_are_occupied() -> None:
    """Started with closed streams, no port ever gets the number of standard error; open ones are left alone."""
    code = (
        "import os, sys; os.close(0); os.close(2)\n"
        "from tinybms_bridge.cli.common import occupy_standard_streams\n"
        "occupy_standard_streams()\n"
        "port = os.open(os.devnull, os.O_RDONLY)\n"
        "print(port > 2, os.readlink('/proc/self/fd/2'), os.readlink('/proc/self/fd/0'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True /dev/null /dev/null\n"


def test_punctual_loop_has_no_coarse_timers() -> None:
    """Epoll rounds each timer up to 1 ms, which is as long as a BMS takes to answer."""

    async def selector() -> str:
        return type(asyncio.get_running_loop()._selector).__name__  # type: ignore[attr-defined]

    assert run_until_signal(selector, punctual=True) == "SelectSelector"


WITHOUT_LABORATORY = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tinybms_lab":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "tinybms_lab" else found(name, package)
from tinybms_bridge.cli import main
sys.argv = ["tinybms-bridge", *sys.argv[1:]]
main()
"""


def run_without_laboratory(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command where ``tinybms_lab`` is not installed."""
    command = [sys.executable, "-c", WITHOUT_LABORATORY, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("words", [("demo",), ("simulate",), ("bench", "charge", "--list"), ("bench", "story")])
def test_without_the_laboratory_its_commands_say_what_to_do(words: tuple[str, ...]) -> None:
    """One line, exit status 2, and no traceback."""
    ended = run_without_laboratory(*words)

    assert ended.returncode == 2
    assert "needs the laboratory (the package tinybms_lab)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_bridge_needs_no_laboratory(tmp_path: Path) -> None:
    """What looks at a configuration or a BMS loads no part of it; a missing port is what is told."""
    file = tmp_path / "bridge.json"
    file.write_text("{}")
    checked = run_without_laboratory("check", str(file))
    device = str(tmp_path / "none")
    looked = run_without_laboratory("registers", "--live", "--device", device)

    assert checked.returncode == 0, checked.stderr
    assert looked.returncode == 1
    assert device in looked.stderr
    assert "tinybms_lab" not in looked.stderr + checked.stderr
