"""Files that survive a power cut: written beside, synced, renamed; the previous file is kept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

__all__ = ["FileStorage", "MemoryStorage", "Storage"]


class Storage(Protocol):
    """A named place for one small document. Calls block; callers on the event loop use a thread."""

    @property
    def name(self) -> str:
        """What to call the place in messages."""
        ...

    def read(self) -> bytes | None:
        """Return the document, or None when there is none. Raises OSError when it cannot be read."""
        ...

    def read_previous(self) -> bytes | None:
        """Return the document before the last write, or None."""
        ...

    def write(self, data: bytes) -> None:
        """Replace the document at once or not at all. Raises OSError when that is not possible."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes that ask for the same away, for a change between reading and writing. Raises OSError."""
        ...


class FileStorage:
    """One file, replaced atomically; its predecessor stays beside it as ``NAME.bak``."""

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self.path = path
        self._mode = mode

    @property
    def name(self) -> str:
        """See ``Storage.name``."""
        return str(self.path)

    @property
    def backup_path(self) -> Path:
        """Where the previous document is kept."""
        return self.path.with_name(self.path.name + ".bak")

    def read(self) -> bytes | None:
        """See ``Storage.read``."""
        return _read(self.path)

    def read_previous(self) -> bytes | None:
        """See ``Storage.read_previous``."""
        return _read(self.backup_path)

    def write(self, data: bytes) -> None:
        """See ``Storage.write``: write a temporary file, fsync, keep the old one, rename, fsync the folder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self._write_through(temporary, data)
            self._keep_previous()
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See ``Storage.exclusive``: a lock on a file beside the document."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write_through(self, path: Path, data: bytes) -> None:
        """Write a new file with the right mode and wait until it is on the disk."""
        path.unlink(missing_ok=True)  # left by a power cut, perhaps with another mode
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _keep_previous(self) -> None:
        old = _read(self.path)
        if old is None:
            return
        copy = self.path.with_name(f".{self.path.name}.bak")
        self._write_through(copy, old)
        copy.replace(self.backup_path)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError:  # some network file systems refuse to sync a folder
            pass
        finally:
            os.close(descriptor)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class MemoryStorage:
    """A document in memory, for tests and for running without a disk."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.previous: bytes | None = None
        self.writes = 0

    @property
    def name(self) -> str:
        """See ``Storage.name``."""
        return "memory"

    def read(self) -> bytes | None:
        """See ``Storage.read``."""
        return self.data

    def read_previous(self) -> bytes | None:
        """See ``Storage.read_previous``."""
        return self.previous

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        self.previous, self.data = self.data, data
        self.writes += 1

    def exclusive(self) -> AbstractContextManager[None]:
        """See ``Storage.exclusive``: no other process sees it."""
        return nullcontext()
