import stat
from pathlib import Path

import pytest

from tinybms_bridge.app.state_files import StateFiles
from tinybms_bridge.hal.directory_lock import DirectoryLock, DirectoryTakenError
from tinybms_bridge.hal.storage import SlotStorage


def test_a_file_is_kept_in_its_own_way_wherever_it_moves(tmp_path: Path) -> None:
    """What is saved often is written in place in the new directory, too."""
    files = StateFiles(tmp_path / "old")
    state = files.stored("state.json", 0o644, SlotStorage)
    for number in range(3):
        state.write(b'{"counted": %d}' % number)
    files.move_to(tmp_path / "new")
    assert SlotStorage(tmp_path / "new" / "state.json").read() == b'{"counted": 2}'
    assert state.read() == b'{"counted": 2}'
    state.write(b'{"counted": 3}')
    found = [(tmp_path / folder / "state.json").read_bytes()[:8] for folder in ("old", "new")]
    assert found == [b'{"slot":'] * 2
    assert SlotStorage(tmp_path / "old" / "state.json").read() == b'{"counted": 2}'


def test_same_name_is_the_same_file(tmp_path: Path) -> None:
    """Two services that ask for one file do not overwrite each other after a move."""
    files = StateFiles(tmp_path)
    assert files.stored("a.json", 0o600) is files.stored("a.json", 0o600)
    assert files.stored("a.json", 0o600).name == str(tmp_path / "a.json")


def test_every_file_moves_with_its_mode(tmp_path: Path) -> None:
    """What nobody else may read stays so; a file that is not there yet begins in the new directory."""
    files = StateFiles(tmp_path / "old")
    secret, plain, later = (files.stored(name, mode) for name, mode in (("s", 0o600), ("p", 0o644), ("l", 0o600)))
    secret.write(b"secret")
    plain.write(b"plain")
    files.move_to(tmp_path / "new")
    later.write(b"later")
    found = {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "new").iterdir()}
    assert found == {"s": (b"secret", 0o600), "p": (b"plain", 0o644), "l": (b"later", 0o600)}
    assert files.folder == tmp_path / "new"
    assert files.stored("new one", 0o644).name == str(tmp_path / "new" / "new one")


def test_files_stay_together(tmp_path: Path) -> None:
    """When one of them cannot be taken along, all are used where they were, and nothing is lost."""
    files = StateFiles(tmp_path / "old")
    first, second = files.stored("first", 0o644), files.stored("second", 0o644)
    first.write(b"1")
    second.write(b"2")
    (tmp_path / "new" / ".second.tmp").mkdir(parents=True)  # in the way of the file that is written first
    with pytest.raises(OSError, match="second"):
        files.move_to(tmp_path / "new")
    assert files.folder == tmp_path / "old"
    assert (first.name, first.read()) == (str(tmp_path / "old" / "first"), b"1")
    assert (second.name, second.read()) == (str(tmp_path / "old" / "second"), b"2")


def test_the_directory_is_kept_from_other_bridges_wherever_it_moves(tmp_path: Path) -> None:
    """The new one is taken before anything moves, and the old one is free afterwards."""
    old, new = tmp_path / "old", tmp_path / "new"
    files = StateFiles(old)
    files.own()
    with pytest.raises(DirectoryTakenError):
        StateFiles(old).own()
    files.move_to(new)
    DirectoryLock(old).release()
    with pytest.raises(DirectoryTakenError):
        DirectoryLock(new)
    files.release()
    DirectoryLock(new).release()


def test_a_directory_of_another_bridge_is_not_moved_into(tmp_path: Path) -> None:
    """Its files are safe, and ours stay where they are."""
    other = DirectoryLock(tmp_path / "new")
    (tmp_path / "new" / "first").write_text("theirs")
    files = StateFiles(tmp_path / "old")
    files.own()
    first = files.stored("first", 0o644)
    first.write(b"ours")
    with pytest.raises(DirectoryTakenError, match="belongs to process"):
        files.move_to(tmp_path / "new")
    assert (tmp_path / "new" / "first").read_text() == "theirs"
    assert first.name == str(tmp_path / "old" / "first")
    other.release()
    files.move_to(tmp_path / "new")
    assert first.read() == b"ours"
    files.release()


def test_a_failed_move_gives_the_new_directory_back(tmp_path: Path) -> None:
    """Another bridge may use it then."""
    files = StateFiles(tmp_path / "old")
    files.own()
    files.stored("first", 0o644).write(b"1")
    (tmp_path / "new" / ".first.tmp").mkdir(parents=True)
    with pytest.raises(OSError, match="first"):
        files.move_to(tmp_path / "new")
    DirectoryLock(tmp_path / "new").release()
    with pytest.raises(DirectoryTakenError):
        DirectoryLock(tmp_path / "old")
    files.release()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is kept then, but the bridge runs."""
    (tmp_path / "file").write_text("in the way")
    files = StateFiles(tmp_path / "file" / "state")
    files.own()
    assert "cannot be used" in caplog.text
    files.release()


def test_no_secret_stays_in_the_directory_before(tmp_path: Path) -> None:
    """Tokens, password hashes and the key of the certificate are still good; what is no secret stays as a copy."""
    files = StateFiles(tmp_path / "old")
    names = ("users.json", "web-key.pem", "state.json", "stops.json")
    for name in names:
        for _ in range(2):  # with a predecessor
            files.stored(name, 0o600).write(name.encode())
    files.move_to(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(names)
    assert {path.name for path in (tmp_path / "old").iterdir()} == {
        "state.json",
        "state.json.bak",
        "stops.json",
        "stops.json.bak",
    }


def test_a_move_that_fails_takes_no_secret_away(tmp_path: Path) -> None:
    """Users have to be somewhere."""
    files = StateFiles(tmp_path / "old")
    users, other = files.stored("users.json", 0o600), files.stored("other", 0o600)
    users.write(b"users")
    other.write(b"other")
    (tmp_path / "new" / ".other.tmp").mkdir(parents=True)
    with pytest.raises(OSError, match="other"):
        files.move_to(tmp_path / "new")
    assert users.read() == b"users"
    assert (tmp_path / "old" / "users.json").exists()


def test_a_secret_that_cannot_be_removed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The files have moved all the same."""
    files = StateFiles(tmp_path / "old")
    users = files.stored("users.json", 0o600)
    users.write(b"users")
    (tmp_path / "old" / "users.json.bak").mkdir()
    files.move_to(tmp_path / "new")
    assert users.name == str(tmp_path / "new" / "users.json")
    assert "users.json.bak still holds secrets and cannot be removed" in caplog.text


def test_another_name_of_the_same_directory_removes_nothing(tmp_path: Path) -> None:
    """What is there are the only users."""
    (tmp_path / "old").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "old")
    files = StateFiles(tmp_path / "old")
    users = files.stored("users.json", 0o600)
    users.write(b"users")
    files.move_to(tmp_path / "link")
    assert users.read() == b"users"
