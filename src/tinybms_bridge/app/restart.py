"""Starts the program anew in its own process: the same command line and process number, nothing kept open."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tinybms_bridge.cli.common import fail
from tinybms_bridge.errors import BridgeError

__all__ = ["StartAgain", "start_again"]

_OPEN_FILES = Path("/proc/self/fd")
_FIRST_OWN = 3


class StartAgain(BridgeError):  # noqa: N818 -- a wish, not a failure
    """Everything has ended in order, and the program is to start anew."""

    def __str__(self) -> str:
        return "the program is to start again"


def start_again(execute: Callable[[str, list[str]], NoReturn] = os.execv) -> NoReturn:
    """Replace this process by a new start of its command line; ends it with a failure when that is not possible."""
    _keep_nothing_open()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    try:
        execute(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except OSError as error:
        fail(f"the program cannot start again: {error}")


def _keep_nothing_open() -> None:
    """Have every file of ours closed by the system; Python's are already, but a library may have opened one itself."""
    with suppress(OSError):
        for entry in os.listdir(_OPEN_FILES):
            if int(entry) >= _FIRST_OWN:
                with suppress(OSError):  # the listing itself
                    os.set_inheritable(int(entry), False)
