"""The files of the state directory, which move along when the configuration names another one."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tinybms_bridge.app.relocatable_storage import MovableStorage
from tinybms_bridge.config.paths import is_same
from tinybms_bridge.hal.directory_lock import DirectoryLock, DirectoryTakenError
from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage, Storage

__all__ = ["StateFiles"]

log = logging.getLogger(__name__)

_SECRETS = frozenset({"users.json", "web-key.pem"})
"""Named here: the web server's own constants would load it where it is off."""


class StateFiles:
    """Files that stay together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """The directory in use."""
        self.also: list[Callable[[Path], None]] = []
        """What else moves to a directory, and raises OSError when it cannot."""
        self._files: dict[str, tuple[MovableStorage, Callable[[Path], Storage]]] = {}
        self._lock: DirectoryLock | None = None
        self._owned = False

    def stored(self, name: str, mode: int, kind: type[FileStorage] = FileStorage) -> Storage:
        """Return a file of the directory, wherever that is; the same one for the same name."""
        if name not in self._files:
            make = partial(kind, mode=mode, most_bytes=MOST_STATE_BYTES)
            self._files[name] = MovableStorage(make(self.folder / name)), make
        return self._files[name][0]

    def own(self) -> None:
        """Keep the directory, wherever it moves to, for this process until ``release``. Blocks.

        Raises DirectoryTakenError when it belongs to another running process. A directory that cannot be made is only
        said: nothing can be kept there, but the bridge can run.
        """
        self._owned = True
        try:
            self._lock = DirectoryLock(self.folder)
        except DirectoryTakenError:
            raise
        except OSError as error:
            log.warning("the state directory %s cannot be used: %s", self.folder, error)

    def release(self) -> None:
        """Let another process have the directory."""
        self._owned = False
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def move_to(self, folder: Path) -> None:
        """Take every file to another directory. Blocks.

        The old one keeps a copy of each but those with secrets, which would still be good.
        Raises OSError, for one that belongs to another running process too; then all stay where they were.
        """
        if folder == self.folder:
            return
        lock = DirectoryLock(folder) if self._owned else None
        try:
            self._move(folder)
        except OSError:
            with suppress(OSError):
                self._move(self.folder)
            if lock is not None:
                lock.release()
            raise
        left, self.folder = self.folder, folder
        for name in _SECRETS & self._files.keys():
            if not is_same(left, folder):
                _forget(left / name)
        if self._lock is not None:
            self._lock.release()
        self._lock = lock

    def _move(self, folder: Path) -> None:
        for name, (file, make) in self._files.items():
            file.move_to(make(folder / name))
        for move in self.also:
            move(folder)


def _forget(path: Path) -> None:
    """Remove a document and its predecessor."""
    for each in (path, FileStorage(path).backup_path):
        try:
            each.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s still holds secrets and cannot be removed: %s", each, error)
