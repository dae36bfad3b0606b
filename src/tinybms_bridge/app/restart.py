"""How this program is called, and its new start in the same process: same command line, nothing kept open."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tinybms_bridge.errors import BridgeError

__all__ = ["StartAgain", "own_command", "start_again"]

_OPEN_FILES = Path("/proc/self/fd")
_FIRST_OWN = 3


class StartAgain(BridgeError):  # noqa: N818 -- a wish, not a failure
    """Everything has ended in order, and the program is to start anew."""

    def __str__(self) -> str:
        return "the program is to start again"


def own_command() -> str:
    """Return how this program is called in another terminal in this folder."""
    name = "tinybms-bridge"
    if shutil.which(name):
        return name
    here = Path(sys.executable).with_name(name)
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


def start_again(execute: Callable[[str, list[str]], NoReturn] = os.execv) -> NoReturn:
    """Replace this process by a new start of its command line. Raises BridgeError when that is not possible."""
    _keep_nothing_open()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    try:
        execute(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except OSError as error:
        raise BridgeError(f"the program cannot start again: {error}") from error


def _keep_nothing_open() -> None:
    """Have every file of ours closed by the system; Python's are already, but a library may have opened one itself."""
    with suppress(OSError):
        for entry in os.listdir(_OPEN_FILES):
            if int(entry) >= _FIRST_OWN:
                with suppress(OSError):  # the listing itself
                    os.set_inheritable(int(entry), False)
