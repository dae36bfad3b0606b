"""What the interpreter leaves behind when a signal ends it: the only word of a process that can no longer run Python.

systemd ends a service that does not feed its watchdog with SIGABRT (``WatchdogSignal=``), which reaches an event loop
that hangs as well as a library that crashes does. ``faulthandler`` writes from the signal handler itself.
"""

import faulthandler
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tinybms_bridge.hal.storage import open_regular

__all__ = ["ABORTED", "CRASH_FILE", "CrashTrace"]

CRASH_FILE = "crash.txt"
"""Name of the file in the state directory."""

ABORTED = "Aborted"
"""How a trace of SIGABRT begins, as ``CrashTrace.take`` returns it."""

_FATAL = "Fatal Python error: "
_MOST_BYTES = 65_536
_LONGEST = 300


class CrashTrace:
    """One file for the traces of this process; it is empty while nothing has happened."""

    def __init__(self) -> None:
        self._begun = False
        self._file: BinaryIO | None = None

    def take(self, folder: Path) -> str:
        """Return in one line what the process before has left, and keep the place for this one. Blocks; never raises.

        For example ``Segmentation fault, in hal/can.py line 12``; empty when there is nothing.
        """
        path, text = folder / CRASH_FILE, ""
        with suppress(OSError), open_regular(path) as file:
            text = file.read(_MOST_BYTES).decode(errors="replace")
        self._begun = True
        self.move_to(folder)
        return _first_words(text)

    def move_to(self, folder: Path) -> None:
        """Write to this directory from now on, to no file where that is not possible. Blocks; never raises.

        Nothing before ``take``.
        """
        if not self._begun:
            return
        self.close()
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.fdopen(os.open(folder / CRASH_FILE, flags, 0o600), "wb", buffering=0)
            faulthandler.enable(self._file)

    def close(self) -> None:
        """Write nothing any more."""
        file, self._file = self._file, None
        if file is not None:
            faulthandler.disable()
            file.close()


def _first_words(text: str) -> str:
    """Return what has happened, with the innermost place of the thread that it happened to."""
    what = next((line.removeprefix(_FATAL) for line in text.splitlines() if line.startswith(_FATAL)), "")
    if not what:
        return ""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("Current thread"):
            break
    place = next((line.strip() for line in lines if line.startswith("  File ")), "")
    return f"{what}{', in ' if place else ''}{place.removeprefix('File ')}"[:_LONGEST]
