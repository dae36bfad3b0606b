"""Files that survive a power cut: written beside, synced, renamed; the previous file is kept.

A file of the state directory is read with care: a device or a pipe would never end, a huge file fills the memory.
"""

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

__all__ = [
    "MOST_STATE_BYTES",
    "FileStorage",
    "MemoryStorage",
    "Storage",
    "UnusableFileError",
    "open_regular",
    "why_not_writable",
]

MOST_STATE_BYTES = 8 << 20
"""Ten times what the largest file of the state directory can hold, the event list of 2000 entries."""

_ASIDE = 9
"""Documents that are kept aside at most; the latest takes the place of the last one then."""


class UnusableFileError(OSError):
    """What is there cannot be a document: no regular file, or one that is far too large."""


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

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """Move the document, or the one before it, out of the way; ``keep``: only a copy. Return its new name.

        Raises OSError when that is not possible.
        """
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes that ask for the same away, for a change between reading and writing. Raises OSError."""
        ...


class FileStorage:
    """One file, replaced atomically; its predecessor stays beside it as ``NAME.bak``.

    Args:
        path: The file.
        mode: Its mode.
        most_bytes: Read only a regular file that is no larger; what else is there is set aside by a write.

    """

    def __init__(self, path: Path, *, mode: int = 0o600, most_bytes: int | None = None) -> None:
        self.path = path
        self._mode = mode
        self._most_bytes = most_bytes

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
        return _read(self.path, self._most_bytes)

    def read_previous(self) -> bytes | None:
        """See ``Storage.read_previous``."""
        return _read(self.backup_path, self._most_bytes)

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

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """See ``Storage.set_aside``: ``NAME.unusable-1`` and so on."""
        source = self.backup_path if previous else self.path
        names = [source.with_name(f"{source.name}.unusable-{number}") for number in range(1, _ASIDE + 1)]
        target = next((name for name in names if not os.path.lexists(name)), names[-1])
        if keep:
            self._write_through(target, _read(source, self._most_bytes) or b"")
        else:
            source.replace(target)
        return str(target)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See ``Storage.exclusive``: a lock on a file beside the document."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_lock(self.path.with_name(f".{self.path.name}.lock"))
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
            _leave_to_owner(descriptor, path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _keep_previous(self) -> None:
        try:
            old = _read(self.path, self._most_bytes)
        except OSError:
            if self._most_bytes is None:
                raise
            self.set_aside()
            return
        if old is None:
            return
        copy = self.path.with_name(f".{self.path.name}.bak")
        if not self._link(copy):
            self._write_through(copy, old)
        copy.replace(self.backup_path)

    def _link(self, copy: Path) -> bool:
        """Give the present file a second name, which writes nothing; False where its bytes have to be copied.

        That is a file that belongs to somebody else or that more may read, a symbolic link, and a system without links.
        """
        status, owner = self.path.lstat(), os.geteuid() or self.path.parent.stat().st_uid
        if status.st_uid != owner or stat.S_IMODE(status.st_mode) & ~self._mode:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            return False
        try:
            copy.unlink(missing_ok=True)  # left by a power cut
            os.link(self.path, copy)
            _sync(copy)  # an editor may have written it
        except OSError:
            return False
        return True

    def _sync_folder(self) -> None:
        with suppress(OSError):  # some network file systems refuse to sync a folder
            _sync(self.path.parent)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """Open a lock file, and make it if there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    _leave_to_owner(descriptor, path.parent)
    return descriptor


def _leave_to_owner(descriptor: int, folder: Path) -> None:
    """Give a file that root has made just now to the owner of its folder, who could not read it otherwise.

    ``sudo tinybms-bridge users add`` must not lock out the bridge, which runs as somebody else.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read it; nothing else is opened, since that alone may wait for ever or act on a device.

    Raises:
        UnusableFileError: It is no regular file.
        OSError: It cannot be opened.

    """
    _check_regular(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def why_not_writable(path: Path) -> str:
    """Return in words why a file cannot be written in its folder as it is now; empty when it probably can be. Blocks.

    For a file that a user names: no folder is made, and nothing but a regular file is replaced.
    """
    folder = path.parent
    try:
        if not folder.exists():
            return f"the folder {folder} does not exist; make it with: mkdir -p {shlex.quote(str(folder))}"
        if not folder.is_dir():
            return f"{folder} is no folder"
        if path.is_dir():
            return "it is a folder; name a file in it"
        if path.exists() and not path.is_file():
            return "it is no regular file"
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return f"the file system of {folder} is read-only"
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"no permission to write in the folder {folder}"


def _read(path: Path, most_bytes: int | None) -> bytes | None:
    """Return what is in a file, or None when there is none. Raises OSError."""
    try:
        if most_bytes is None:
            return path.read_bytes()
        with open_regular(path) as file:
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        return None
    if len(data) > most_bytes:
        raise UnusableFileError(f"{path} is larger than {most_bytes} bytes")
    return data


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError(f"{path} is no regular file")


class MemoryStorage:
    """A document in memory, for tests and for running without a disk."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.previous: bytes | None = None
        self.aside: list[bytes] = []
        """What was set aside."""
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
        self.previous, self.data = self.previous if self.data is None else self.data, data
        self.writes += 1

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """See ``Storage.set_aside``."""
        self.aside.append((self.previous if previous else self.data) or b"")
        if previous and not keep:
            self.previous = None
        elif not keep:
            self.data = None
        return f"memory.unusable-{len(self.aside)}"

    def exclusive(self) -> AbstractContextManager[None]:
        """See ``Storage.exclusive``: no other process sees it."""
        return nullcontext()
