import fcntl
import threading
from pathlib import Path

import pytest

from tinybms_bridge.app.relocatable_storage import MovableStorage
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage


class FullDisk(MemoryStorage):
    """A place without room."""

    def write(self, _data: bytes) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")


def test_it_is_the_storage_behind_it() -> None:
    """Reading and writing go through, with the same name."""
    inner = MemoryStorage(b"one")
    movable = MovableStorage(inner)
    movable.write(b"two")
    assert (movable.name, movable.read(), movable.read_previous()) == ("memory", b"two", b"one")
    movable.append(b" three", after=3)
    assert inner.data == b"two three"


def test_document_moves_along(tmp_path: Path) -> None:
    """Counters go on in the new place; the old one keeps its copy."""
    movable = MovableStorage(FileStorage(tmp_path / "a" / "state.json"))
    movable.write(b"12 kWh")
    movable.move_to(FileStorage(tmp_path / "b" / "state.json"))
    assert movable.name == str(tmp_path / "b" / "state.json")
    assert (tmp_path / "b" / "state.json").read_bytes() == b"12 kWh"
    movable.write(b"13 kWh")
    assert (tmp_path / "a" / "state.json").read_bytes() == b"12 kWh"
    assert movable.read() == b"13 kWh"


def test_nothing_to_move_is_no_problem() -> None:
    """Before the first save there is no document."""
    target = MemoryStorage()
    movable = MovableStorage(MemoryStorage())
    movable.move_to(target)
    assert target.writes == 0
    movable.write(b"x")
    assert target.data == b"x"


def test_place_that_cannot_be_written_is_not_taken() -> None:
    """The old place stays in use, with everything that was there."""
    movable = MovableStorage(MemoryStorage(b"kept"))
    with pytest.raises(OSError, match="No space left"):
        movable.move_to(FullDisk())
    assert movable.read() == b"kept"
    movable.write(b"more")
    assert movable.read() == b"more"


def test_nobody_else_changes_a_document_that_is_being_changed(tmp_path: Path) -> None:
    """Another process waits for the lock of the file in use, and a move waits for the end of the change."""
    movable = MovableStorage(FileStorage(tmp_path / "a" / "users.json"))
    movable.write(b"1")
    mover = threading.Thread(target=movable.move_to, args=(FileStorage(tmp_path / "b" / "users.json"),))
    with movable.exclusive():
        mover.start()
        with (tmp_path / "a" / ".users.json.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        movable.write((movable.read() or b"") + b"2")
    mover.join(30)
    assert movable.name == str(tmp_path / "b" / "users.json")
    assert movable.read() == b"12"
