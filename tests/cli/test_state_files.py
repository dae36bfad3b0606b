import stat
from pathlib import Path

import pytest

from tinybms_bridge.cli.state_files import StateFiles


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
