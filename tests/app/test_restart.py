"""A new start in the same process."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tinybms_bridge.app.restart import own_command, start_again
from tinybms_bridge.errors import BridgeError


class ExecutedError(Exception):
    """The process would have been replaced."""


def execute(path: str, arguments: list[str]) -> NoReturn:
    """Stand in for ``os.execv``."""
    raise ExecutedError(path, arguments)


def test_same_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the interpreter's own options, as a script or as a module."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "-m", "tinybms_bridge", "run", "-c", "my file.json"])
    with pytest.raises(ExecutedError) as caught:
        start_again(execute)
    wanted = [sys.executable, "-X", "dev", "-m", "tinybms_bridge", "run", "-c", "my file.json"]
    assert caught.value.args == (sys.executable, wanted)


def test_nothing_is_kept_open(tmp_path: Path) -> None:
    """A serial port that a library opened in its own way must be free for the new start."""
    descriptor = os.open(tmp_path / "port", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(descriptor, True)
    try:
        with pytest.raises(ExecutedError):
            start_again(execute)
        assert not os.get_inheritable(descriptor)
        assert os.get_inheritable(2)
    finally:
        os.close(descriptor)


def test_impossible_start_is_a_failure() -> None:
    """A program that was removed meanwhile: the command says so and ends, and the service manager sees an exit code."""

    def fail(*_: object) -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(BridgeError, match=r"the program cannot start again: .*No such file"):
        start_again(fail)


@pytest.mark.parametrize(
    ("python", "shown"),
    [("{here}/.venv/bin/python", ".venv/bin/tinybms-bridge"), ("/far/bin/python", "/far/bin/tinybms-bridge")],
)
def test_a_program_that_is_not_on_the_path_is_named_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, shown: str
) -> None:
    """A newcomer types off the screen what works in this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.executable", python.format(here=tmp_path))

    assert own_command() == shown
