"""What looks for tests that are red by chance stops programs for moments, and leaves all of them running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.pauses import Stopper, descendants


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A program with one below it."""
    inner = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])"
    program = subprocess.Popen([sys.executable, "-c", inner], start_new_session=True)
    yield program
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def _below(parent: subprocess.Popen[bytes]) -> int:
    """Return the program below, once it is there."""
    while not (found := descendants(parent.pid)):
        time.sleep(0.001)
    return found[0]


def test_what_is_below(parent: subprocess.Popen[bytes]) -> None:
    """The programs below a process are found, but none that somebody else has stopped."""
    below = _below(parent)
    assert below in descendants(os.getpid())
    os.kill(below, signal.SIGSTOP)
    while Path(f"/proc/{below}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)
    assert below not in descendants(os.getpid())


def test_stopped_for_moments(parent: subprocess.Popen[bytes]) -> None:
    """A program below is stopped, and runs in the end."""
    below = _below(parent)
    stopper = Stopper(parent.pid, 1)
    stopper.start()
    status = Path(f"/proc/{below}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)
    stopper.end()
    while status.read_text().rpartition(")")[2].split()[0] == "T":
        time.sleep(0.001)
    assert descendants(parent.pid) == [below]
