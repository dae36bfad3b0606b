"""Files that survive a power cut.

What is written rarely is written beside, synced and renamed, and the previous file is kept (``FileStorage``). That
makes a journal of the file system write some twenty blocks for one page of data, so what is written each minute takes
turns in two files that are written in place (``SlotStorage``), and a list that only grows is appended to.

A file of the state directory is read with care: a device or a pipe would never end, a huge file fills the memory.
"""

import fcntl
import os
import re
import shlex
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

__all__ = [
    "MOST_STATE_BYTES",
    "FileStorage",
    "MemoryStorage",
    "SlotStorage",
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

    def append(self, data: bytes, *, after: int) -> None:
        """Add to the end of the document, which is ``after`` bytes long; the one before the last write stays.

        A power cut may leave any part of what is added. Raises OSError when it is not possible, for a document of
        another length as well.
        """
        ...

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """Move the document, or the one before it, out of the way; ``keep``: only a copy. Return its new name.

        Raises OSError when that is not possible.
        """
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes that ask for the same away, for a change between reading and writing. Raises OSError."""
        ...


def _do_nothing() -> None:
    pass


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
        self._replace(self.path, data, self._keep_previous)

    def append(self, data: bytes, *, after: int) -> None:
        """See ``Storage.append``."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            _check_regular(self.path, status)
            if status.st_size != after:
                raise UnusableFileError(f"{self.path} has {status.st_size} bytes where {after} were left")
            _write_all(descriptor, data, after)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """See ``Storage.set_aside``: ``NAME.unusable-1`` and so on."""
        source = self.backup_path if previous else self.path
        return self._move_aside(source, source.name, keep=keep)

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

    def _move_aside(self, source: Path, name: str, *, keep: bool) -> str:
        """Give a file, or a copy of it, the next name after ``name`` for what cannot be used; return its path."""
        names = [source.with_name(f"{name}.unusable-{number}") for number in range(1, _ASIDE + 1)]
        target = next((each for each in names if not os.path.lexists(each)), names[-1])
        if keep:
            self._write_through(target, _read(source, self._most_bytes) or b"")
        else:
            source.replace(target)
        return str(target)

    def _replace(self, target: Path, data: bytes, before_renaming: Callable[[], object] = _do_nothing) -> None:
        """Put a new file in the place of another, by its name."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self._write_through(temporary, data)
            before_renaming()
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder()

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
        if not self._is_ours(self.path.lstat()):
            return False
        try:
            copy.unlink(missing_ok=True)  # left by a power cut
            os.link(self.path, copy)
            _sync(copy)  # an editor may have written it
        except OSError:
            return False
        return True

    def _is_ours(self, status: os.stat_result) -> bool:
        """Tell whether a file is as this storage makes one: regular, ours, with one name, open to nobody else."""
        owner = os.geteuid() or self.path.parent.stat().st_uid
        private = not stat.S_IMODE(status.st_mode) & ~self._mode
        return stat.S_ISREG(status.st_mode) and status.st_uid == owner and status.st_nlink == 1 and private

    def _sync_folder(self) -> None:
        with suppress(OSError):  # some network file systems refuse to sync a folder
            _sync(self.path.parent)


_PAGE_BYTES = 4096
"""Slots are whole pages; those that differ are written."""
_SPARE_PAGES = 2
"""A slot that is larger than it has to be by more than this gives way to a smaller one."""
_HEAD = '{{"slot": {{"number": {number:12d}, "bytes": {size:8d}, "crc32": "{crc:08x}"}},'
_HEAD_READ = re.compile(rb'\{"slot": \{"number": +(\d+), "bytes": +(\d+), "crc32": "([0-9a-f]{8})"\},')
_OBJECT = re.compile(rb'\{\s*"')
"""How an object of JSON with a member begins, in which a head has a place."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """What is in one of the two files."""

    path: Path
    data: bytes | None = None
    """The document; None when the file is not there, or cannot be used."""
    error: OSError | None = None
    """Why it cannot be used."""
    has_head: bool = False
    number: int = 0
    """That of a whole document with a head; a later one has a greater number."""


class SlotStorage(FileStorage):
    """Two files, ``NAME`` and ``NAME.bak``, written in place by turns, for a document that is saved often.

    Each is an object of JSON whose first member, ``slot``, has a number that grows, and length and checksum of the
    document, which is the object without that member. Blanks fill the last page, so that a file keeps its size. Who
    reads JSON can read it, earlier versions of this program among them.

    A file is written in place only while the other one is known to be on the disk, because this very object has put it
    there: so a power cut costs no more than the older of the two, and the checksum tells what it has left. Everything
    else is replaced by name: the first file that a process writes, one whose last write has failed, one without a head
    or with another owner, mode, name or size. A ``NAME`` without a head comes before its neighbour: a person or an
    earlier version has written it. What is no such object is kept as by ``FileStorage``.
    """

    def __init__(self, path: Path, *, mode: int = 0o600, most_bytes: int | None = None) -> None:
        super().__init__(path, mode=mode, most_bytes=most_bytes)
        self._on_disk: tuple[Path, int] | None = None
        """The file that is known to be on the disk, and its number."""

    def read(self) -> bytes | None:
        """See ``Storage.read``."""
        newest, _ = self._look()
        if newest.error is not None:
            raise newest.error
        return newest.data

    def read_previous(self) -> bytes | None:
        """See ``Storage.read_previous``; None, too, for what a power cut has left beside a document that is whole."""
        newest, older = self._look()
        if older.error is not None and newest.data is None:
            raise older.error
        return older.data

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        on_disk, self._on_disk = self._on_disk, None
        newest, older = self._look()
        number, is_object = 1 + max(newest.number, older.number), _OBJECT.match(data) is not None
        slot = _encode(data, number) if is_object else data
        if newest.has_head and is_object:
            target = older.path
            if older.error is not None and not older.has_head:
                self._move_aside(target, target.name, keep=False)
            if on_disk != (newest.path, newest.number) or not self._write_in_place(target, slot):
                self._replace(target, slot)
        else:
            target = self.path
            self._replace(target, slot, self._keep_previous if newest.path == target else _do_nothing)
        self._on_disk = (target, number) if is_object else None

    def append(self, data: bytes, *, after: int) -> None:
        """See ``Storage.append``; the whole document is written."""
        before = self.read() or b""
        if len(before) != after:
            raise UnusableFileError(f"{self.path} has {len(before)} bytes where {after} were left")
        self.write(before + data)

    def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
        """See ``Storage.set_aside``; the other document keeps its place, before or after."""
        self._on_disk = None
        newest, older = self._look()
        moved, left = (older, newest) if previous else (newest, older)
        name, place = (self.backup_path.name, self.path) if previous else (self.path.name, self.backup_path)
        aside = self._move_aside(moved.path, name, keep=keep)
        if not keep and left.path != place and os.path.lexists(left.path):
            left.path.replace(place)
        return aside

    def _look(self) -> tuple[_Slot, _Slot]:
        """Return the slot that counts, and the other one."""
        main, beside = (_decode(path, self._most_bytes) for path in (self.path, self.backup_path))
        if not main.has_head or beside.data is None or (main.data is not None and main.number > beside.number):
            return main, beside
        return beside, main

    def _write_in_place(self, path: Path, slot: bytes) -> bool:
        """Write over a slot and wait for the disk; False when it has to be replaced. Raises OSError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            status = os.fstat(descriptor)
            fits = len(slot) <= status.st_size <= len(slot) + _SPARE_PAGES * _PAGE_BYTES
            before = os.pread(descriptor, status.st_size, 0) if fits and self._is_ours(status) else b""
            if not _HEAD_READ.match(before):
                return False
            now = slot.ljust(len(before))
            for at in range(0, len(now), _PAGE_BYTES):
                page = now[at : at + _PAGE_BYTES]
                if page != before[at : at + _PAGE_BYTES]:
                    _write_all(descriptor, page, at)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        return True


def _encode(data: bytes, number: int) -> bytes:
    """Return a slot with a document: an object of JSON with a member."""
    head = _HEAD.format(number=number, size=len(data), crc=_checksum(data, number)).encode()
    slot = head + data[1:]
    return slot.ljust(-(-len(slot) // _PAGE_BYTES) * _PAGE_BYTES)


def _decode(path: Path, most_bytes: int | None) -> _Slot:
    """Return what is in a file."""
    try:
        text = _read(path, most_bytes)
    except OSError as error:
        return _Slot(path, error=error)
    head = _HEAD_READ.match(text or b"")
    if text is None or head is None:
        return _Slot(path, text)
    number, size, checksum = int(head[1]), int(head[2]), int(head[3], 16)
    data = b"{" + text[head.end() : head.end() + size - 1]
    if len(data) != size or _checksum(data, number) != checksum:
        return _Slot(path, error=UnusableFileError(f"{path} is not whole"), has_head=True)
    return _Slot(path, data, has_head=True, number=number)


def _checksum(data: bytes, number: int) -> int:
    return zlib.crc32(data, zlib.crc32(str(number).encode()))


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    """Write at a place in a file, however few bytes the system takes at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.pwrite(descriptor, rest, at + len(data) - len(rest)) :]


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
        self.writes = self.appends = 0

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

    def append(self, data: bytes, *, after: int) -> None:
        """See ``Storage.append``."""
        before = self.data or b""
        if len(before) != after:
            raise UnusableFileError(f"it has {len(before)} bytes where {after} were left")
        self.data = before + data
        self.appends += 1

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
