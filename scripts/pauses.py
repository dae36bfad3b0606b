"""Pauses where a busy machine may pause: threads between two lines, programs at any moment (``repeat_tests.py``).

As a plugin of pytest (``-p scripts.pauses``) it lets threads of the project, and the tests themselves, sleep for
moments between two of their lines: whoever takes what another thread does in two steps for one is red then.
``Stopper`` stops one program below a process after another for moments, as a machine does that has other work.
"""

import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from _typeshed import TraceFunction

ROOT = str(Path(__file__).resolve().parents[1])
THREADS = (f"{ROOT}/src/", f"{ROOT}/lab/", f"{ROOT}/tests/")
TESTS = (f"{ROOT}/tests/",)

_sleep = time.sleep  # what looks for calls that block an event loop replaces it

ONE_OF = 3
"""Lines of which one pauses: few runs with different seeds reach nearly all."""

PAUSE_S = 0.02
TIMES = 20
"""For a line of one process, so that a loop does not stand still for minutes."""

_SPARED = ("qemu", "linux.uml", "umlcan")
"""A machine within the machine has clocks of its own, which a stop lets jump."""

_STANDING = "TtZX"
"""States of a program that somebody else has stopped, or that has ended. One that waits for its disk or for the start
of a child (D) may be stopped."""


class _Pauses:
    """A trace function that sleeps before some of the lines of the files in ``places``: for one seed the same lines."""

    def __init__(self, places: tuple[str, ...], seed: int) -> None:
        self._places = places
        self._seed = seed
        self._rest: dict[tuple[str, int], int] = {}

    def call(self, frame: FrameType, event: str, _argument: object) -> "TraceFunction | None":
        """Follow the functions of the places."""
        return self.line if event == "call" and frame.f_code.co_filename.startswith(self._places) else None

    def line(self, frame: FrameType, event: str, _argument: object) -> "TraceFunction":
        """Sleep before a line that is one of them."""
        place = (frame.f_code.co_filename, frame.f_lineno)
        slow = event == "line" and crc32(f"{place}{self._seed}".encode()) % ONE_OF == 0
        if slow and (rest := self._rest.setdefault(place, TIMES)):
            self._rest[place] = rest - 1
            _sleep(PAUSE_S)
        return self.line


def pytest_runtest_call() -> None:
    """Let the test pause between its lines."""
    if _SEED is not None:
        sys.settrace(_TESTS.call)


def pytest_runtest_teardown() -> None:
    """End what ``pytest_runtest_call`` began."""
    sys.settrace(None)


_SEED = int(os.environ["PAUSES_SEED"]) if "PAUSES_SEED" in os.environ else None
if _SEED is not None:
    _TESTS = _Pauses(TESTS, _SEED)
    threading.settrace(_Pauses(THREADS, _SEED).call)


class Stopper(threading.Thread):
    """Stops programs below a process, one at a time, each for a moment.

    Args:
        root: The process below which they are; it itself goes on.
        seed: Of the choice.

    """

    def __init__(self, root: int, seed: int) -> None:
        super().__init__(name="stopper", daemon=True)
        self._root = root
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._over = threading.Event()

    def run(self) -> None:
        """Stop and let go on, until ``end``."""
        while not self._over.wait(self._random.uniform(0.1, 1.0)):
            if below := descendants(self._root):
                self._hold(self._random.choice(below), self._random.choice((0.05, 0.1, 0.3, 1.0)))

    def _hold(self, process: int, pause_s: float) -> None:
        with suppress(OSError):  # it has ended
            os.kill(process, signal.SIGSTOP)
            _sleep(pause_s)
            os.kill(process, signal.SIGCONT)

    def end(self) -> None:
        """Leave everything running."""
        self._over.set()
        self.join()


def descendants(root: int) -> list[int]:
    """Return the running programs below a process, without machines and those that are stopped already."""
    children: dict[int, list[int]] = {}
    running: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:  # it has ended
                continue
            state, parent = rest.split()[:2]
            if not name.startswith(_SPARED):
                children.setdefault(int(parent), []).append(int(entry.name))
                if state not in _STANDING:
                    running.add(int(entry.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += (each for each in below if each in running)
        waiting += below
    return found
