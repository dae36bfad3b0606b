import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_bridge.hal.crash_trace import ABORTED, CRASH_FILE, CrashTrace

PROGRAM = """
import os, sys
from pathlib import Path
from tinybms_bridge.hal.crash_trace import CrashTrace
trace = CrashTrace()
assert trace.take(Path(sys.argv[1])) == ""
if len(sys.argv) > 3:
    trace.move_to(Path(sys.argv[3]))
def hang():
    os.kill(os.getpid(), int(sys.argv[2]))
    while True:
        pass
hang()
"""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the fault handler of the tests alone."""
    monkeypatch.setattr("faulthandler.enable", lambda _file: None)
    monkeypatch.setattr("faulthandler.disable", lambda: None)


def run(folder: Path, number: int, *more: str) -> None:
    """Let a process end itself by a signal."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(number), *more]
    ended = subprocess.run(command, check=False, timeout=60, stderr=subprocess.DEVNULL)
    assert ended.returncode == -number


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGABRT, ABORTED), (signal.SIGSEGV, "Segmentation fault"), (signal.SIGBUS, "Bus error")],
)
@pytest.mark.usefixtures("taken")
def test_signal_that_ends_a_process_leaves_its_place(tmp_path: Path, number: int, words: str) -> None:
    """What happened and where, in one line, even to a loop that never comes back; it is told once."""
    run(tmp_path, number)
    trace = CrashTrace()
    assert trace.take(tmp_path) == f'{words}, in "<string>", line 10 in hang'
    assert trace.take(tmp_path) == ""
    trace.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.usefixtures("taken")
def test_other_signals_leave_nothing(tmp_path: Path, number: int) -> None:
    """A kill says nothing; an end on purpose is no crash."""
    run(tmp_path, number)
    trace = CrashTrace()
    assert trace.take(tmp_path) == ""
    trace.close()


@pytest.mark.usefixtures("taken")
def test_trace_follows_the_state_directory(tmp_path: Path) -> None:
    """Changed while it runs, the trace is where the next start looks; before it was wanted nothing is made."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    trace = CrashTrace()
    trace.move_to(tmp_path / "old")
    assert not (tmp_path / "old" / CRASH_FILE).exists()
    run(tmp_path / "old", signal.SIGABRT, str(tmp_path / "new"))
    assert trace.take(tmp_path / "new").startswith(ABORTED)
    trace.close()


@pytest.mark.usefixtures("taken")
def test_place_that_cannot_be_used_is_no_failure(tmp_path: Path) -> None:
    """No directory, a folder, a link or damage in the place of the file: nothing is told, and nothing fails."""
    trace = CrashTrace()
    assert trace.take(tmp_path / "missing") == ""
    (tmp_path / CRASH_FILE).mkdir()
    assert trace.take(tmp_path) == ""
    (tmp_path / CRASH_FILE).rmdir()
    (tmp_path / CRASH_FILE).symlink_to(tmp_path / "elsewhere")
    assert trace.take(tmp_path) == ""
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / CRASH_FILE).unlink()
    (tmp_path / CRASH_FILE).write_bytes(b"\xff\x00Fatal Python\n" * 10)
    assert trace.take(tmp_path) == ""
    trace.close()
