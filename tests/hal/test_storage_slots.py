"""A document in two files that are written in place by turns, and what a power cut, a full disk or a person does to it.

The disk of these tests keeps what was synced. Of the rest a power cut leaves any sectors, in any order.
"""

import errno
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.hal.documents import LoadedDocument, load, parse_json
from tinybms_bridge.hal.storage import FileStorage, SlotStorage, UnusableFileError

PAGE, SECTOR = 4096, 512
MOST = 1 << 20


def document(number: int, size: int = 1500) -> bytes:
    """Return a document that differs from another one in every sector."""
    text = json.dumps({"counted": number, "learned": [number] * 20, "rest": f"{number % 10}" * size}, indent=1)
    return text.encode()


def opened(path: Path) -> SlotStorage:
    """Return the storage as a process that begins opens it."""
    return SlotStorage(path, mode=0o644, most_bytes=MOST)


def turned(path: Path, writes: int = 3, size: int = 1500) -> SlotStorage:
    """Return a storage that writes in place now: documents 0 to ``writes`` - 1 were written."""
    storage = opened(path)
    for number in range(writes):
        storage.write(document(number, size))
    return storage


def contents(path: Path) -> tuple[bytes, bytes]:
    """Return what both files hold, byte by byte."""
    return path.read_bytes(), path.with_name(f"{path.name}.bak").read_bytes()


def one_write(path: Path, size: int) -> tuple[Path, bytes, bytes]:
    """Write document 3 after 2, and return the file that was written, with its bytes before and after."""
    storage = turned(path, size=size)
    before = contents(path)
    storage.write(document(3, size))
    after = contents(path)
    (place,) = [place for place in (0, 1) if before[place] != after[place]]
    return (path, storage.backup_path)[place], before[place], after[place]


def check_cut(path: Path, target: Path, left: bytes, size: int, whole: bytes) -> bool:
    """Look at what a cut has left; return whether it is the document after the write."""
    target.write_bytes(left)
    found = opened(path).read()
    assert found in (document(2, size), document(3, size))
    assert (found == document(3, size)) == (left == whole)
    assert opened(path).read_previous() in (None, document(1, size), document(2, size))
    return found == document(3, size)


@pytest.mark.parametrize("size", [100, 1500, 9000])
def test_a_cut_after_any_byte_leaves_the_old_or_the_new_document(tmp_path: Path, size: int) -> None:
    """Every beginning of what is written in place, with the end of what was there."""
    path = tmp_path / "state.json"
    target, before, after = one_write(path, size)
    assert len(before) == len(after) == -(-(size + 500) // PAGE) * PAGE
    step = 1 if size < PAGE else 7
    seen = [check_cut(path, target, after[:cut] + before[cut:], size, after) for cut in range(0, len(after) + 1, step)]
    assert True in seen
    assert False in seen


@pytest.mark.parametrize(("size", "unit"), [(1500, SECTOR), (3000, SECTOR), (40_000, PAGE)])
def test_any_pages_and_sectors_in_any_order_leave_the_old_or_the_new_document(
    tmp_path: Path, size: int, unit: int
) -> None:
    """A disk writes what it was given in the order that it likes: every subset of it may be there."""
    path = tmp_path / "state.json"
    target, before, after = one_write(path, size)
    places = [at for at in range(0, len(after), unit) if before[at : at + unit] != after[at : at + unit]]
    assert len(places) > 2
    for written in itertools.product((False, True), repeat=len(places)):
        left = bytearray(before)
        for at in itertools.compress(places, written):
            left[at : at + unit] = after[at : at + unit]
        assert check_cut(path, target, bytes(left), size, after) == all(written)


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"{", b" ", b'{"a": 1}'])
@pytest.mark.parametrize("length", [SECTOR, SECTOR // 2, PAGE])
def test_a_sector_that_holds_anything_at_all_leaves_a_whole_document(
    tmp_path: Path, filling: bytes, length: int
) -> None:
    """A card that was cut while it wrote may have lost what was there, too; beyond the document that is no harm."""
    path = tmp_path / "state.json"
    garbage = (filling * length)[:length]
    target, _, after = one_write(path, 3000)
    beside = target.with_name("state.json.bak") if target == path else path
    other, numbers = beside.read_bytes(), set()
    for at in range(0, len(after), length):
        target.write_bytes(after[:at] + garbage + after[at + length :])
        numbers.add(load(opened(path), "the state", counted, lambda _text: None).value)
        for each in tmp_path.iterdir():
            each.unlink()
        target.write_bytes(after)
        beside.write_bytes(other)
    assert numbers <= {2, 3}
    assert 2 in numbers


def counted(data: bytes) -> int:
    """Return the number of a document, which has to be whole."""
    (number,) = {int(each) for each in json.loads(data)["learned"]}
    assert data == document(number, len(json.loads(data)["rest"]))
    return number


def _refuse(number: int) -> Callable[..., Any]:
    def refuse(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_save_writes_one_file_in_place_and_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name changes and none is made: that is what costs a card twenty blocks for one."""
    storage = turned(tmp_path / "state.json")
    for name in ("replace", "rename", "link", "unlink", "fsync", "ftruncate", "truncate"):
        monkeypatch.setattr(os, name, _refuse(errno.EPERM))
    told: list[str] = []
    write, sync = os.pwrite, os.fdatasync

    def note_write(descriptor: int, data: bytes, at: int) -> int:
        told.append(f"{len(data)} bytes at {at}")
        return write(descriptor, data, at)

    def note_sync(descriptor: int) -> None:
        told.append(f"sync {os.fstat(descriptor).st_ino}")
        sync(descriptor)

    monkeypatch.setattr(os, "pwrite", note_write)
    monkeypatch.setattr(os, "fdatasync", note_sync)
    files = [storage.path.stat().st_ino, storage.backup_path.stat().st_ino]
    for number in range(3, 7):
        storage.write(document(number))
        assert (storage.read(), storage.read_previous()) == (document(number), document(number - 1))
    turns = [files[1], files[0]] * 2
    assert told == [text for file in turns for text in ("4096 bytes at 0", f"sync {file}")]
    assert [path.stat().st_size for path in (storage.path, storage.backup_path)] == [PAGE, PAGE]


def test_pages_that_stay_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that are not there any more, and the blanks at the end, cost nothing."""
    storage = opened(tmp_path / "state.json")
    text = {"others": "x" * 9000, "counted": 0}
    for number in range(3):
        storage.write(json.dumps({**text, "counted": number}).encode())
    places: list[int] = []
    write = os.pwrite

    def note(descriptor: int, data: bytes, at: int) -> int:
        places.append(at)
        return write(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", note)
    storage.write(json.dumps({**text, "counted": 3}).encode())
    assert places == [0, 2 * PAGE]
    assert storage.read() == json.dumps({**text, "counted": 3}).encode()


@given(st.lists(st.binary(max_size=40) | st.integers(0, 12_000).map(lambda size: document(1, size)), max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_to_the_byte(tmp_path: Path, documents: list[bytes]) -> None:
    """Also what is no JSON, and whatever the sizes are one after the other."""
    path = tmp_path / "state.json"
    for each in tmp_path.iterdir():
        each.unlink()
    storage = opened(path)
    before: bytes | None = None
    for data in documents:
        storage.write(data)
        assert (storage.read(), storage.read_previous()) == (data, before)
        assert (opened(path).read(), opened(path).read_previous()) == (data, before)
        before = data
    assert {each.name for each in tmp_path.iterdir()} <= {"state.json", "state.json.bak"}


def test_both_files_are_json_for_everybody_else(tmp_path: Path) -> None:
    """An earlier version reads the first one, or the second: a minute older at most."""
    storage = turned(tmp_path / "state.json", 5)
    for text, number in zip(contents(storage.path), (4, 3), strict=True):
        found = json.loads(text)
        assert found.pop("slot")["number"] == number + 1
        assert found == json.loads(document(number))
        assert text.startswith(b'{"slot": {"number":')


class Disk:
    """Keeps what reached it, beside the files as a process sees them; stands in for the calls of the system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fails = False
        """Whether the next sync of data fails: what waited is lost then, and the process goes on seeing it."""
        self.cut_at: int | None = None
        """The call before which the power is cut."""
        self._data: dict[int, bytes] = {}
        self._waiting: dict[int, list[tuple[int, bytes]]] = {}
        self._names: dict[str, int] = {}
        self._changes: list[dict[str, int]] = []

    @contextmanager
    def under(self) -> Iterator[None]:
        """Put it under what a storage does."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("open", "pwrite", "fsync", "fdatasync", "replace", "link"):
                patch.setattr(os, name, self._wrapped(getattr(os, name), getattr(self, f"_{name}")))
            yield

    def restore(self, keep: Callable[[], bool]) -> None:
        """Bring the files to what a power cut leaves: ``keep`` tells for each sector and name that was not synced."""
        names = dict(self._names)
        for change in self._changes:
            if not keep():
                break
            names = change
        data = {}
        for inode in set(names.values()):
            left = bytearray(self._data.get(inode, b""))
            for at, text in self._waiting.get(inode, []):
                for place in range(0, len(text), SECTOR):
                    if keep():
                        left[at + place : at + place + SECTOR] = text[place : place + SECTOR]
            data[inode] = bytes(left)
        for each in self.folder.iterdir():
            each.unlink()
        for name, inode in names.items():
            (self.folder / name).write_bytes(data[inode])
        self._data, self._names, self._waiting, self._changes = {}, {}, {}, []
        for each in self.folder.iterdir():
            self._data[each.stat().st_ino] = each.read_bytes()
        self._names = self._present()

    def _present(self) -> dict[str, int]:
        return {each.name: each.stat().st_ino for each in self.folder.iterdir()}

    def _wrapped(self, function: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.cut_at is not None:
                if self.cut_at <= 0:
                    raise PowerCut
                self.cut_at -= 1
            result = function(*arguments, **options)
            note(result, *arguments)
            return result

        return call

    def _open(self, descriptor: int, _path: Any, flags: int, *_mode: int) -> None:
        if flags & os.O_EXCL:  # the number of a file that is gone may be that of a new one
            inode = os.fstat(descriptor).st_ino
            self._data.pop(inode, None)
            self._waiting.pop(inode, None)

    def _pwrite(self, _written: int, descriptor: int, data: bytes, at: int) -> None:
        self._waiting.setdefault(os.fstat(descriptor).st_ino, []).append((at, bytes(data)))

    def _fdatasync(self, _none: None, descriptor: int) -> None:
        waiting = self._waiting.pop(inode := os.fstat(descriptor).st_ino, [])
        if self.fails:
            self.fails = False
            raise OSError(errno.EIO, "Input/output error")
        left = bytearray(self._data[inode])
        for at, text in waiting:
            left[at : at + len(text)] = text
        self._data[inode] = bytes(left)

    def _fsync(self, _none: None, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._names, self._changes = self._present(), []
            return
        if self.fails:
            self.fails = False
            raise OSError(errno.EIO, "Input/output error")
        inode = os.fstat(descriptor).st_ino
        if inode not in self._data:
            self._data[inode] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _replace(self, *_names: Any) -> None:
        self._changes.append(self._present())

    _link = _replace


class PowerCut(BaseException):
    """Ends a write: nothing after it is executed."""


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["save", "save", "save", "cut", "cut", "fail", "start again", "earlier version"]),
        st.integers(0, 12),
        st.sampled_from([1500, 1500, 3900, 9000]),
    ),
    max_size=20,
)


@given(ACTS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_life_loses_what_was_saved(tmp_path: Path, acts: list[tuple[str, int, int]], chance: Any) -> None:
    """Saves, power cuts at any call, syncs that fail, new starts and earlier versions, in any order.

    After each cut there is the last document that was saved, or one that was being saved after it: never none of them,
    never a mixture.
    """
    folder = tmp_path / "card"
    folder.mkdir(exist_ok=True)
    for each in folder.iterdir():
        each.unlink()
    disk, path = Disk(folder), folder / "state.json"
    storage: FileStorage = opened(path)
    possible: set[bytes | None] = {None}
    for number, (act, at, size) in enumerate(acts):
        if act == "start again":
            storage = opened(path)
            continue
        writer = FileStorage(path, mode=0o644, most_bytes=MOST) if act == "earlier version" else storage
        disk.fails, disk.cut_at = act == "fail", at if act == "cut" else None
        data = document(number, size)
        possible.add(data)
        with disk.under(), suppress(PowerCut, OSError):
            writer.write(data)
            possible = {data}
        if act == "cut":
            disk.restore(lambda: chance.random() < 0.5)
            storage = opened(path)
            assert storage.read() in possible
            possible = {storage.read()}
        elif act == "earlier version":
            storage = opened(path)
    disk.restore(lambda: chance.random() < 0.5)
    assert opened(path).read() in possible


def test_after_a_sync_that_failed_the_good_file_is_not_written_over(tmp_path: Path) -> None:
    """The process still sees what never reached the disk. To write over the other file would risk the only copy."""
    storage, disk = opened(tmp_path / "state.json"), Disk(tmp_path)
    with disk.under():
        for number in range(3):
            storage.write(document(number))
        disk.fails = True
        with pytest.raises(OSError, match="Input/output"):
            storage.write(document(3))
        assert storage.read() == document(3), "as the cache of the system has it"
        disk.cut_at = 1
        with pytest.raises(PowerCut):
            storage.write(document(4))
        disk.restore(lambda: False)
    assert opened(storage.path).read() == document(2)


def test_the_first_save_of_a_process_replaces_a_file(tmp_path: Path) -> None:
    """What it reads may be in the cache of the system only, left by a process that was killed."""
    path = tmp_path / "state.json"
    turned(path)
    files = [path.stat().st_ino, path.with_name("state.json.bak").stat().st_ino]
    storage = opened(path)
    storage.write(document(3))
    assert [path.stat().st_ino, storage.backup_path.stat().st_ino] != files
    assert storage.path.stat().st_ino == files[0], "the newest one stays"
    assert (storage.read(), storage.read_previous()) == (document(3), document(2))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_disk_that_refuses_costs_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """It raises OSError, and the next save works again."""
    storage = turned(tmp_path / "state.json")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _refuse(number))
        with pytest.raises(OSError, match=os.strerror(number)):
            storage.write(document(3))
    assert opened(storage.path).read() in (document(2), document(3))
    storage.write(document(4))
    assert (storage.read(), storage.read_previous()) in [(document(4), document(2)), (document(4), document(3))]
    storage.write(document(5))
    assert (storage.read(), storage.read_previous()) == (document(5), document(4))


def test_a_full_disk_refuses_a_document_that_needs_more_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both documents stay whole, nothing is left beside them, and what fits goes on being saved."""
    storage = turned(tmp_path / "state.json")
    monkeypatch.setattr(os, "fsync", _refuse(errno.ENOSPC))  # as a new file needs it
    before = contents(storage.path)
    with pytest.raises(OSError, match="No space left"):
        storage.write(document(3, 9000))
    assert contents(storage.path) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["state.json", "state.json.bak"]
    monkeypatch.undo()
    storage.write(document(4))
    monkeypatch.setattr(os, "fsync", _refuse(errno.ENOSPC))
    storage.write(document(5))
    assert (storage.read(), storage.read_previous()) == (document(5), document(4))


def test_a_folder_that_can_only_be_read_is_told_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an SD card becomes one when it wears out."""
    turned(tmp_path / "state.json")
    storage = opened(tmp_path / "state.json")
    opening = os.open

    def only_read(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return opening(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", only_read)
    monkeypatch.setattr(os, "unlink", lambda *_arguments, **_options: None)
    with pytest.raises(OSError, match="Read-only"):
        storage.write(document(3))
    assert (storage.read(), storage.read_previous()) == (document(2), document(1))


def _give_away(path: Path) -> None:
    os.chown(path, 12345, 23456)


def _other_name(path: Path) -> None:
    os.link(path, path.with_name("other"))


def _symbolic(path: Path) -> None:
    path.replace(path.with_name("other"))
    path.symlink_to("other")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


MEDDLING: dict[str, Callable[[Path], object]] = {
    "of somebody else": _give_away,
    "for everybody": lambda path: path.chmod(0o666),
    "with a second name": _other_name,
    "a symbolic link": _symbolic,
    "shrunk": lambda path: os.truncate(path, 1000),
    "shrunk by a page": lambda path: os.truncate(path, PAGE),
    "empty": lambda path: os.truncate(path, 0),
    "much too large": lambda path: os.truncate(path, 100_000),
    "too large to read": lambda path: os.truncate(path, MOST + 1),
    "gone": lambda path: path.unlink(),
    "text": lambda path: path.write_text("mine"),
    "a folder": _folder,
    "a pipe": _pipe,
}


@pytest.mark.parametrize("which", ["newest", "older"])
@pytest.mark.parametrize("how", MEDDLING)
def test_a_file_that_is_not_as_it_was_left_is_replaced(tmp_path: Path, how: str, which: str) -> None:
    """It is never written in place, and the other one keeps its document until this one is whole again."""
    if how == "of somebody else" and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    path = tmp_path / "state.json"
    storage = turned(path, 4, 9000)  # the newest is in the second file
    newest, older = storage.backup_path, path
    touched = newest if which == "newest" else older
    MEDDLING[how](touched)
    before = load(storage, "the state", parse_json, lambda _text: None)
    assert before.value in (json.loads(document(3, 9000)), json.loads(document(2, 9000)))
    if which == "older":
        assert before.value == json.loads(document(3, 9000))
    for number in (4, 5, 6):
        storage.write(document(number, 9000))
        assert opened(path).read() == document(number, 9000)
    assert opened(path).read_previous() == document(5, 9000)
    other = tmp_path / "other"
    if other.exists():
        assert json.loads(other.read_bytes())["counted"] in (2, 3), "what has another name is not written to"
    for each in (path, storage.backup_path):
        status = each.lstat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_nlink) == (0o644, os.geteuid(), 1)
        assert status.st_size == 3 * PAGE


def test_a_document_that_grows_and_shrinks_keeps_its_room(tmp_path: Path) -> None:
    """One that moves about the end of a page makes no new file each time; one that was far larger once does, once."""
    storage = turned(tmp_path / "state.json")

    def files_after(sizes: Iterable[int]) -> set[int]:
        found = set()
        for number, size in enumerate(sizes, 100):
            storage.write(document(number, size))
            found |= {storage.path.stat().st_ino, storage.backup_path.stat().st_ino}
        return found

    files_after([3900, 3900])
    assert len(files_after([3500, 3900] * 5)) == 2
    files_after([50_000, 50_000])
    files_after([1500, 1500])
    assert [storage.path.stat().st_size, storage.backup_path.stat().st_size] == [PAGE, PAGE]


def test_two_bad_files_are_kept_aside_and_told(tmp_path: Path) -> None:
    """Then there is nothing left, and the program begins anew."""
    path = tmp_path / "state.json"
    turned(path)
    for each in (path, path.with_name("state.json.bak")):
        text = each.read_bytes()
        each.write_bytes(text[:500] + b"#" + text[501:])
    told: list[str] = []
    assert load(opened(path), "the state", parse_json, told.append).value is None
    assert [text.partition(" cannot be read: ")[2] for text in told] == [
        f"{path} is not whole; it is kept as {path}.unusable-1",
        f"{path}.bak is not whole; it is kept as {path}.bak.unusable-1",
    ]
    storage = opened(path)
    storage.write(document(9))
    assert (storage.read(), storage.read_previous()) == (document(9), None)


def test_a_half_written_file_beside_a_whole_one_is_passed_over(tmp_path: Path) -> None:
    """That is what a power cut leaves: nothing is lost, so nothing is told, and the next save mends it."""
    path = tmp_path / "state.json"
    target, before, after = one_write(path, 1500)
    target.write_bytes(after[:1000] + before[1000:])
    told: list[str] = []
    found = load(opened(path), "the state", parse_json, told.append)
    assert (found, told) == (LoadedDocument(json.loads(document(2))), [])
    assert opened(path).read_previous() is None
    storage = opened(path)
    storage.write(document(4))
    assert (storage.read(), storage.read_previous()) == (document(4), document(2))


@pytest.mark.parametrize("writes", [3, 4])
def test_a_document_of_a_later_version_gives_way_to_the_one_before(tmp_path: Path, writes: int) -> None:
    """Whichever file it is in: it has the name that it had before, and the other one stays the one before."""
    path = tmp_path / "state.json"
    storage = turned(path, writes)
    last = writes - 1

    def parse(data: bytes) -> int:
        counted: int = json.loads(data)["counted"]
        if counted == last:
            raise ValueError("later")
        return counted

    found = load(storage, "the state", parse, lambda _text: None)
    assert (found.value, found.from_previous) == (last - 1, True)
    assert {each.name for each in tmp_path.iterdir()} == {"state.json.bak", "state.json.unusable-1"}
    assert json.loads((tmp_path / "state.json.unusable-1").read_bytes())["counted"] == last
    assert (opened(path).read(), opened(path).read_previous()) == (None, document(last - 1))
    storage.write(document(10))
    assert (storage.read(), storage.read_previous()) == (document(10), document(last - 1))


@pytest.mark.parametrize("writes", [3, 4])
def test_the_one_before_can_be_set_aside_as_well(tmp_path: Path, writes: int) -> None:
    """Whichever file it is in; a copy leaves everything as it is."""
    path = tmp_path / "state.json"
    storage = turned(path, writes)
    assert Path(storage.set_aside(keep=True)).name == "state.json.unusable-1"
    assert (storage.read(), storage.read_previous()) == (document(writes - 1), document(writes - 2))
    assert Path(storage.set_aside(previous=True)).name == "state.json.bak.unusable-1"
    assert (storage.read(), storage.read_previous()) == (document(writes - 1), None)
    storage.write(document(10))
    assert (storage.read(), storage.read_previous()) == (document(10), document(writes - 1))


@pytest.mark.parametrize("saves", range(4))
def test_files_of_the_version_before_are_read_and_go_on(tmp_path: Path, saves: int) -> None:
    """With one document, with two, and after going back and forth between the versions."""
    path = tmp_path / "state.json"
    earlier = FileStorage(path, mode=0o644, most_bytes=MOST)
    number = 0
    for _ in range(3):
        for _ in range(saves):
            number += 1
            earlier.write(document(number))
        assert opened(path).read() == (document(number) if number else None)
        storage = opened(path)
        for _ in range(saves + 1):
            number += 1
            storage.write(document(number))
            assert opened(path).read() == document(number)
            assert opened(path).read_previous() == (document(number - 1) if number > 1 else None)
        found = [json.loads(data)["counted"] for data in (earlier.read(), earlier.read_previous()) if data is not None]
        assert found[0] in (number, number - 1)
        assert set(found) == {number, number - 1} - {0}


def test_a_file_of_the_version_before_is_never_written_in_place(tmp_path: Path) -> None:
    """Half of it with half of a new one could be read as a document, since no checksum would tell."""
    path = tmp_path / "state.json"
    for number in range(2):
        FileStorage(path, mode=0o644, most_bytes=MOST).write(document(number, 5000))
    storage = opened(path)
    for number in (2, 3):
        before = storage.backup_path.stat().st_ino
        assert not storage.backup_path.read_bytes().startswith(b'{"slot"')
        storage.write(document(number, 1500))
        assert storage.backup_path.stat().st_ino != before
    assert (storage.read(), storage.read_previous()) == (document(3), document(2))


def test_a_file_that_a_person_has_written_counts(tmp_path: Path) -> None:
    """Without the head, whatever the number of the other one is."""
    path = tmp_path / "state.json"
    turned(path, 4)
    path.write_bytes(b'{"counted": 77}')
    storage = opened(path)
    assert storage.read() == b'{"counted": 77}'
    storage.write(document(8))
    assert (storage.read(), storage.read_previous()) == (document(8), b'{"counted": 77}')


def test_a_document_grows_as_a_whole(tmp_path: Path) -> None:
    """For whoever only knows that it is a storage; one of another length is refused."""
    storage = opened(tmp_path / "list")
    storage.append(b"one", after=0)
    storage.append(b"two", after=3)
    with pytest.raises(UnusableFileError, match="6 bytes where 3"):
        storage.append(b"three", after=3)
    assert (storage.read(), storage.read_previous()) == (b"onetwo", b"one")
