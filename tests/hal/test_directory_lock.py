"""A directory for one process."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.hal.directory_lock import HOLDER_FILE, DirectoryLock, DirectoryTakenError, directory_holder

HOLD = """
import sys, time
from pathlib import Path
from tinybms_bridge.hal.directory_lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Return another process that holds a folder."""
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_second_process_is_told_who_holds_it_until_that_one_is_killed(tmp_path: Path) -> None:
    """By its number and command line; however it ends, the folder is free at once, and what it left is no obstacle."""
    folder = tmp_path / "state"
    other = hold(folder)
    try:
        with pytest.raises(DirectoryTakenError) as told:
            DirectoryLock(folder)
        assert f"{folder} belongs to process {other.pid} ({sys.executable} -c " in str(told.value)
        assert "advanced.state_directory" in str(told.value)
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    DirectoryLock(folder).release()
    assert f"process {os.getpid()} " in (folder / HOLDER_FILE).read_text()


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    """Two bridges in one process would overwrite each other's files as well."""
    first = DirectoryLock(tmp_path)
    with pytest.raises(DirectoryTakenError):
        DirectoryLock(tmp_path)
    first.release()
    first.release()
    DirectoryLock(tmp_path).release()


SPOILT: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(missing_ok=True),
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("elsewhere"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_the_file_that_names_the_holder_is_only_for_people(tmp_path: Path, spoilt: str) -> None:
    """Without it, or with something else in its place, the folder is held all the same and nothing waits."""
    first = DirectoryLock(tmp_path)
    sign, elsewhere = tmp_path / HOLDER_FILE, tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    sign.unlink()
    SPOILT[spoilt](sign)
    with pytest.raises(DirectoryTakenError, match=r"belongs to (another process|precious)"):
        DirectoryLock(tmp_path)
    first.release()
    DirectoryLock(tmp_path).release()
    assert elsewhere.read_text() == "precious"


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bridge runs there too."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    DirectoryLock(tmp_path).release()
    assert "no lock on" in caplog.text


def test_a_place_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    """Nothing could be kept there."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        DirectoryLock(tmp_path / "file" / "state")


def test_looking_who_holds_a_folder_keeps_nobody_out(tmp_path: Path) -> None:
    """The doctor looks while a bridge may start; nothing is written for it."""
    assert directory_holder(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []

    lock = DirectoryLock(tmp_path)
    assert str(os.getpid()) in directory_holder(tmp_path)
    lock.release()

    assert directory_holder(tmp_path) == ""
    with pytest.raises(FileNotFoundError):
        directory_holder(tmp_path / "none")
