"""A directory that belongs to one running process; the kernel frees it whatever ends that process."""

import errno
import fcntl
import logging
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.hal.storage import open_regular

__all__ = ["HOLDER_FILE", "DirectoryLock", "DirectoryTakenError", "directory_holder"]

log = logging.getLogger(__name__)

HOLDER_FILE = "running"
"""Name of the file in the directory that says who holds it; it locks nothing, so it may be deleted or out of date."""

_MOST_BYTES = 4096
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class DirectoryTakenError(OSError):
    """Another running process holds the directory."""


class DirectoryLock:
    """Holds a directory, made if need be, until ``release`` or the end of the process. Blocks for a moment.

    The lock is on the directory itself: no file in it has to be there, or to be what it should.
    Raises DirectoryTakenError, or OSError for one that cannot be made. Where the file system knows no locks it is said,
    and the directory is used all the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                self.release()
                raise DirectoryTakenError(
                    f"the state directory {folder} belongs to {_holder(folder)}, which is running; end it,"
                    " or give this one a directory of its own (advanced.state_directory)"
                ) from error
            log.warning("no lock on the state directory %s (%s): a second bridge in it goes unseen", folder, error)
        _sign(folder / HOLDER_FILE)

    def release(self) -> None:
        """Let others have it; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def directory_holder(folder: Path) -> str:
    """Return which running process holds a directory, or nothing; makes and keeps nothing. Raises OSError. Blocks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return _holder(folder)
        raise
    finally:
        os.close(descriptor)
    return ""


def _sign(path: Path) -> None:
    """Write down who holds the directory, if that is possible: only people read it."""
    text = f"process {os.getpid()} ({shlex.join(sys.orig_argv)})\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with suppress(OSError):
        descriptor = os.open(path, flags, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode(errors="replace")[:_MOST_BYTES])


def _holder(folder: Path) -> str:
    try:
        with open_regular(folder / HOLDER_FILE) as file:
            text = file.read(_MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        text = ""
    shown = "".join(letter for letter in text if letter.isprintable())
    return shown or "another process"
