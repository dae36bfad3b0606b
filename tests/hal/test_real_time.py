"""Real-time scheduling: asked for, given up by a loop without an end, and never needed."""

import subprocess
import sys

import pytest

ASK = """
import os, sys
from tinybms_bridge.hal import real_time
{before}
said = real_time.become_real_time()
print(said)
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO)
{after}
"""


def run(before: str = "", after: str = "") -> list[str]:
    """Ask in a process of its own, since nothing takes it back; return what it prints."""
    words = [sys.executable, "-c", ASK.format(before=before, after=after)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_what_was_granted_is_what_is_said() -> None:
    """Whoever reads the diagnostics can rely on the words."""
    said, is_real_time = run()
    assert said.startswith("real-time (SCHED_FIFO, priority 5)") is (is_real_time == "True")
    assert said.startswith(("real-time", "usual scheduling: "))


def test_a_system_that_allows_nothing_is_no_failure() -> None:
    """The words name the limit that a service manager would raise."""
    refuse = "def refuse(*_): raise PermissionError(1, 'no')\nreal_time.os.sched_setscheduler = refuse"
    said, is_real_time = run(refuse)
    assert said == "usual scheduling: the system does not allow real-time (LimitRTPRIO)"
    assert is_real_time == "False"


def test_memory_with_a_limit_is_not_locked() -> None:
    """With a limit every later allocation could fail, which would end the core."""
    limited = (
        "real_time.resource.getrlimit = lambda _what: (8_388_608, 8_388_608)\nreal_time._schedule = lambda: 'real-time'"
    )
    assert run(limited)[0] == "real-time, memory may be swapped out (LimitMEMLOCK)"


def test_a_loop_without_an_end_gives_it_up() -> None:
    """The signal of the kernel makes the thread a usual one again, so that others get their turn."""
    after = "import signal\nsignal.raise_signal(signal.SIGXCPU)\nprint(os.sched_getscheduler(0) == os.SCHED_OTHER)"
    assert run(after=after)[-1] == "True"


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_others_do_not_inherit_it(kind: str) -> None:
    """Threads that write files and the services take no turn from anything."""
    look = "os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER"
    thread = f"import threading\nt = threading.Thread(target=lambda: print({look}))\nt.start()\nt.join()"
    process = f"import subprocess\nsubprocess.run([sys.executable, '-c', 'import os; print({look})'], check=True)"
    assert run(after="sys.stdout.flush()\n" + (thread if kind == "threads" else process))[-1] == "True"
