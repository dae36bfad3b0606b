import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.hal.storage import (
    FileStorage,
    MemoryStorage,
    SlotStorage,
    Storage,
    UnusableFileError,
    why_not_writable,
)

OLD = b'{"old": true}'
NEW = b'{"new": "' + b"x" * 10_000 + b'"}'


class PowerCut(BaseException):
    """Ends a write as the loss of power does: nothing after it is executed."""


class Fuse:
    """Counts the calls of patched functions and blows at a chosen one."""

    def __init__(self, blow_at: int, error: BaseException) -> None:
        self.calls = 0
        self.is_blown = False
        self._blow_at = blow_at
        self._error = error

    def burn(self) -> None:
        """Count one call; raise when it is the chosen one, and for each call after a power cut."""
        self.calls += 1
        if self.calls == self._blow_at or (self.is_blown and isinstance(self._error, PowerCut)):
            self.is_blown = True
            raise self._error


class HalfWriter:
    """A file whose write is cut in the middle when the fuse blows."""

    def __init__(self, file: Any, fuse: Fuse) -> None:
        self._file = file
        self._fuse = fuse

    def __enter__(self) -> "HalfWriter":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data[: len(data) // 2])
        self._fuse.burn()
        self._file.write(data[len(data) // 2 :])

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        number: int = self._file.fileno()
        return number


def wire(monkeypatch: pytest.MonkeyPatch, fuse: Fuse) -> None:
    """Put the fuse before every system call of a write."""

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            fuse.burn()
            return function(*arguments, **options)

        return call

    open_file = os.fdopen
    for name in ("open", "fsync", "link", "replace", "rename"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    monkeypatch.setattr(os, "fdopen", lambda *arguments: HalfWriter(open_file(*arguments), fuse))
    monkeypatch.setattr(os, "unlink", _unless_blown(os.unlink, fuse))


def _unless_blown(function: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    """After a power cut even the clean-up does not happen."""

    def call(*arguments: Any, **options: Any) -> Any:
        if fuse.is_blown and isinstance(fuse._error, PowerCut):
            raise fuse._error
        return function(*arguments, **options)

    return call


def count_steps(path: Path) -> int:
    """Return how many guarded calls one undisturbed write makes."""
    storage = FileStorage(path)
    storage.write(OLD)
    fuse = Fuse(0, PowerCut())
    with pytest.MonkeyPatch.context() as patch:
        wire(patch, fuse)
        storage.write(NEW)
    assert storage.read() == NEW
    return fuse.calls


STEPS = range(1, 13)


def test_the_steps_of_a_write_are_all_tried(tmp_path: Path) -> None:
    """The parametrised tests below go through every step, and a few beyond the last."""
    steps = count_steps(tmp_path / "a.json")

    assert 7 <= steps < STEPS.stop


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_leaves_old_or_new(tmp_path: Path, step: int) -> None:
    """The file is never half written, never missing; its predecessor is never half either."""
    path = tmp_path / "a.json"
    storage = FileStorage(path)
    storage.write(OLD)
    fuse = Fuse(step, PowerCut())

    with pytest.MonkeyPatch.context() as patch:
        wire(patch, fuse)
        with suppress(PowerCut):
            storage.write(NEW)

    after = FileStorage(path)
    assert after.read() in (OLD, NEW)
    assert after.read_previous() in (None, OLD)
    if not fuse.is_blown:
        assert after.read() == NEW
        assert after.read_previous() == OLD


@pytest.mark.parametrize("step", STEPS)
def test_the_storage_works_again_after_a_power_cut(tmp_path: Path, step: int) -> None:
    """What a cut leaves behind must not stop the next save."""
    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    with pytest.MonkeyPatch.context() as patch:
        wire(patch, Fuse(step, PowerCut()))
        with suppress(PowerCut):
            storage.write(NEW)

    storage.write(b"third")

    assert storage.read() == b"third"
    assert storage.read_previous() in (OLD, NEW)


@pytest.mark.parametrize("step", STEPS)
def test_a_failing_call_at_any_step_leaves_old_or_new(tmp_path: Path, step: int) -> None:
    """A full or read-only disk raises OSError and spoils nothing."""
    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    fuse = Fuse(step, OSError(errno.ENOSPC, "No space left on device"))
    failed = True
    with pytest.MonkeyPatch.context() as patch:
        wire(patch, fuse)
        with suppress(OSError):
            storage.write(NEW)
            failed = False

    assert storage.read() in ((OLD, NEW) if failed else (NEW,))
    assert storage.read_previous() in ((None, OLD) if failed else (OLD, None))
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("step", STEPS)
def test_a_first_write_that_is_cut_leaves_nothing_or_all(tmp_path: Path, step: int) -> None:
    """Without a predecessor there is still no half file."""
    storage = FileStorage(tmp_path / "a.json")
    fuse = Fuse(step, PowerCut())
    with pytest.MonkeyPatch.context() as patch:
        wire(patch, fuse)
        with suppress(PowerCut):
            storage.write(NEW)

    assert storage.read() in (None, NEW)
    assert storage.read_previous() is None


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    """No document yet is not an error."""
    storage = FileStorage(tmp_path / "a.json")

    assert storage.read() is None
    assert storage.read_previous() is None


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The document, and its predecessor after the second write."""
    storage = FileStorage(tmp_path / "deep" / "er" / "a.json")

    storage.write(OLD)
    assert (storage.read(), storage.read_previous()) == (OLD, None)

    storage.write(NEW)
    assert (storage.read(), storage.read_previous()) == (NEW, OLD)

    storage.write(b"")
    assert (storage.read(), storage.read_previous()) == (b"", NEW)


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    """Temporary files do not pile up."""
    storage = FileStorage(tmp_path / "a.json")
    for number in range(5):
        storage.write(b"%d" % number)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.bak"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_files_are_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    """Secrets are in the file, in its predecessor and for a moment in the temporary one."""
    storage = FileStorage(tmp_path / "a.json")
    before = os.umask(mask)
    try:
        storage.write(OLD)
        storage.write(NEW)
    finally:
        os.umask(before)

    assert stat.S_IMODE(storage.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(storage.backup_path.stat().st_mode) == 0o600


def test_the_mode_can_be_chosen(tmp_path: Path) -> None:
    """Counters are no secrets."""
    storage = FileStorage(tmp_path / "a.json", mode=0o640)

    storage.write(OLD)

    assert stat.S_IMODE(storage.path.stat().st_mode) == 0o640


def test_a_readable_file_becomes_private_when_it_is_saved(tmp_path: Path) -> None:
    """A file written by hand with mode 0644 gets the right mode with the first save."""
    path = tmp_path / "a.json"
    path.write_bytes(OLD)
    path.chmod(0o644)

    FileStorage(path).write(NEW)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_predecessor_is_kept_with_the_same_right(tmp_path: Path) -> None:
    """The copy holds the same secrets, so nobody else may read it either; no hard link is needed (FAT has none)."""
    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    storage.write(NEW)

    assert (storage.read(), storage.read_previous()) == (NEW, OLD)
    assert stat.S_IMODE(storage.backup_path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.bak"]


def test_a_folder_that_cannot_be_synced_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems refuse: the document is written all the same."""
    sync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    storage = FileStorage(tmp_path / "a.json")

    storage.write(NEW)

    assert storage.read() == NEW


def test_the_data_is_on_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming first could leave an empty file after a power cut on some file systems."""
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_replace(source: Any, target: Any, **options: Any) -> None:
        order.append(f"rename to {Path(target).name}")
        replace(source, target, **options)

    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)

    storage.write(NEW)

    assert order == ["file", "file", "rename to a.json.bak", "rename to a.json", "folder"]


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    """Only a missing file is None; everything else is said."""
    (tmp_path / "a.json").mkdir()

    with pytest.raises(OSError, match=r"a\.json"):
        FileStorage(tmp_path / "a.json").read()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "blocked").write_bytes(b"")

    with pytest.raises(OSError, match="blocked"):
        FileStorage(tmp_path / "blocked" / "a.json").write(NEW)


def test_names_for_messages(tmp_path: Path) -> None:
    """Errors name the place."""
    assert FileStorage(tmp_path / "a.json").name == str(tmp_path / "a.json")
    assert MemoryStorage().name == "memory"


def test_all_storages_behave_alike(tmp_path: Path) -> None:
    """Tests with the one must hold for the others."""
    storages: list[Storage] = [FileStorage(tmp_path / "a.json"), SlotStorage(tmp_path / "b.json"), MemoryStorage()]

    for storage in storages:
        seen: list[bytes | None] = [storage.read(), storage.read_previous()]
        for data in (OLD, NEW):
            storage.write(data)
            seen += [storage.read(), storage.read_previous()]
        assert seen == [None, None, OLD, None, NEW, OLD]
        storage.append(b"more", after=len(NEW))
        assert storage.read() == NEW + b"more"
        for length in (len(NEW), len(NEW) + 5):
            with pytest.raises(UnusableFileError, match=f"bytes where {length} were left"):
                storage.append(b"too late", after=length)
        assert storage.read() == NEW + b"more"
        assert storage.set_aside(keep=True).endswith(".unusable-1")
        assert storage.read() == NEW + b"more"
        storage.set_aside()
        assert storage.read() is None


def test_what_is_added_is_on_the_disk_and_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line costs the pages that it is in, and no new file."""
    storage = FileStorage(tmp_path / "a")
    storage.write(b"one")
    storage.write(b"two")
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    before = storage.path.stat().st_ino

    storage.append(b" three", after=3)

    assert (storage.read(), storage.read_previous(), synced) == (b"two three", b"one", [9])
    assert storage.path.stat().st_ino == before


@pytest.mark.parametrize("how", ["missing", "symbolic", "pipe", "folder"])
def test_nothing_is_added_to_what_is_no_file(tmp_path: Path, how: str) -> None:
    """Whoever keeps the list writes it anew then; no device is opened that waits for ever."""
    path = tmp_path / "a"
    if how == "symbolic":
        (tmp_path / "other").write_bytes(b"")
        path.symlink_to("other")
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()

    with pytest.raises(OSError, match="a"):
        FileStorage(path).append(b"line", after=0)

    assert not (tmp_path / "other").exists() or (tmp_path / "other").read_bytes() == b""


def test_the_memory_storage_counts_writes() -> None:
    """Tests can see that nothing was written."""
    storage = MemoryStorage(OLD)
    storage.write(NEW)

    assert storage.writes == 1


def test_change_by_two_processes_is_one_after_the_other(tmp_path: Path) -> None:
    """Whoever asks for a file of its own waits for the other; the lock is readable for nobody else and stays empty."""
    path = tmp_path / "folder" / "users.json"
    with FileStorage(path).exclusive():
        lock = path.with_name(".users.json.lock")
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        with lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with MemoryStorage().exclusive():
        assert not path.exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/a.json", "the folder {}/none does not exist; make it with: mkdir -p {}/none"),
        ("two words/a.json", "the folder {}/two words does not exist; make it with: mkdir -p '{}/two words'"),
        ("file/a.json", "{}/file is no folder"),
        ("folder", "it is a folder; name a file in it"),
        ("pipe", "it is no regular file"),
        ("x" * 300 + "/a.json", "File name too long"),
        ("new.json", ""),
        ("file", ""),
    ],
)
def test_a_file_that_cannot_be_written_is_known_before(path: str, reason: str, tmp_path: Path) -> None:
    """In words that say what to do, and without making or changing anything."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())

    assert why_not_writable(tmp_path / path) == reason.replace("{}", str(tmp_path))
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_of_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system would refuse it; root may write everywhere, so the answer is given here."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert why_not_writable(tmp_path / "a.json") == f"no permission to write in the folder {tmp_path}"


def test_a_read_only_file_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an SD card becomes one when it wears out."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))

    assert why_not_writable(tmp_path / "a.json") == f"the file system of {tmp_path} is read-only"


def test_keeping_the_predecessor_writes_nothing(tmp_path: Path) -> None:
    """The file of before gets another name: what is saved each minute wears a card half as much."""
    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    before = storage.path.stat().st_ino
    storage.write(NEW)

    assert storage.backup_path.stat().st_ino == before
    assert storage.path.stat().st_nlink == storage.backup_path.stat().st_nlink == 1
    assert (storage.read(), storage.read_previous()) == (NEW, OLD)


@pytest.mark.parametrize("how", ["readable", "linked", "symbolic", "refused"])
def test_a_predecessor_that_cannot_be_linked_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It is never readable by more than the file itself should be, and is no file that somebody else changes."""
    storage = FileStorage(tmp_path / "a.json")
    other = tmp_path / "other.json"
    storage.write(OLD)
    if how == "readable":
        storage.path.chmod(0o644)
    elif how == "linked":
        os.link(storage.path, other)
    elif how == "symbolic":
        storage.path.replace(other)
        storage.path.symlink_to(other)
    else:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    before = storage.path.stat().st_ino
    storage.write(NEW)

    assert (storage.read(), storage.read_previous()) == (NEW, OLD)
    assert storage.backup_path.stat().st_ino != before
    assert stat.S_IMODE(storage.backup_path.stat().st_mode) == 0o600


def test_a_crash_between_the_names_costs_no_document(tmp_path: Path) -> None:
    """The name of a link that a power cut left is used again."""
    storage = FileStorage(tmp_path / "a.json")
    storage.write(OLD)
    os.link(storage.path, storage.path.with_name(".a.json.bak"))
    storage.write(NEW)
    storage.write(OLD)

    assert (storage.read(), storage.read_previous()) == (OLD, NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.bak"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write into the folder of somebody else")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """`sudo tinybms-bridge users add`: the bridge, which runs as somebody else, goes on reading and locking."""
    os.chown(tmp_path, 12345, 23456)
    storage = FileStorage(tmp_path / "users.json")
    with storage.exclusive():
        storage.write(b"one")
        storage.write(b"two")

    owners = {each.name: (each.stat().st_uid, each.stat().st_gid) for each in tmp_path.iterdir()}
    assert owners == dict.fromkeys((".users.json.lock", "users.json", "users.json.bak"), (12345, 23456))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_nothing_away_that_was_there_before(tmp_path: Path) -> None:
    """A link in the folder of somebody else, in the place of a lock, leads nowhere."""
    os.chown(tmp_path, 12345, 23456)
    precious = tmp_path / "precious"
    precious.write_text("x")
    (tmp_path / ".users.json.lock").symlink_to(precious)

    with pytest.raises(OSError, match="symbolic links"), FileStorage(tmp_path / "users.json").exclusive():
        pass

    assert precious.stat().st_uid == 0
