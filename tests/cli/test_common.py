import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_bridge.cli.common import (
    EXIT_FAILURE,
    EXIT_REFUSED,
    fail,
    language_of,
    run_until_signal,
)
from tinybms_bridge.core.supervisor import PathFailure
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem, DeviceRefused, LinkError
from tinybms_lab.testing.words import said


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
        ConfigProblem("cvl.float_exit_soc", 200, said("allowed are 0 to 100")),
        ConfigProblem("cann", None, said("unknown")),
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
        fail(ConfigError([ConfigProblem("victron", None, said("name too long"))]))
    assert capsys.readouterr().err == "error: victron: name too long\n"


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
    assert "needs the laboratory: install tinybms-bridge-lab" in ended.stderr
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


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LC_ALL": "", "LANG": "fr"}, "fr"),
    ],
)
def test_the_language_is_that_of_the_environment(environment: dict[str, str], language: str) -> None:
    """As other programs: the first of LC_ALL, LC_MESSAGES and LANG that says something."""
    assert language_of(environment) == language
