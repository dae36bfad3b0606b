"""The files of the state directory, which move along when the configuration names another one."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.cli.movable import MovableStorage
from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage, Storage

__all__ = ["StateFiles"]


class StateFiles:
    """Files that stay together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """The directory in use."""
        self.also: list[Callable[[Path], None]] = []
        """What else moves to a directory, and raises OSError when it cannot."""
        self._files: dict[str, tuple[MovableStorage, int]] = {}

    def stored(self, name: str, mode: int) -> Storage:
        """Return a file of the directory, wherever that is; the same one for the same name."""
        if name not in self._files:
            self._files[name] = MovableStorage(_file(self.folder / name, mode)), mode
        return self._files[name][0]

    def move_to(self, folder: Path) -> None:
        """Take every file to another directory. Blocks. Raises OSError; then all stay where they were."""
        if folder == self.folder:
            return
        try:
            self._move(folder)
        except OSError:
            with suppress(OSError):
                self._move(self.folder)
            raise
        self.folder = folder

    def _move(self, folder: Path) -> None:
        for name, (file, mode) in self._files.items():
            file.move_to(_file(folder / name, mode))
        for move in self.also:
            move(folder)


def _file(path: Path, mode: int) -> FileStorage:
    return FileStorage(path, mode=mode, most_bytes=MOST_STATE_BYTES)
