import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from tinybms_bridge.config.last_good import LastGood


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual state directory."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "home"))
    return tmp_path / "home"


def configuration(folder: Path | None = None, secret: str = "hush hush") -> bytes:
    """Return a configuration with a password, and with a state directory of its own."""
    advanced = {} if folder is None else {"state_directory": str(folder)}
    return json.dumps({"mqtt": {"password": secret}, "advanced": advanced}).encode()


def holding(folder: Path, secret: bytes = b"hush hush") -> list[str]:
    """Return the files below a folder in which a secret is found."""
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()
    ]


def keep(file: Path, data: bytes) -> LastGood:
    """Write a configuration and its copy."""
    file.write_bytes(data)
    copy = LastGood(file)
    copy.write(data)
    return copy


def test_the_copy_is_where_the_configuration_keeps_its_state(tmp_path: Path, home: Path) -> None:
    """A home directory that cannot be written, or is on a card to be spared, is not used for secrets."""
    keep(tmp_path / "a.json", configuration(tmp_path / "state"))

    (path,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert holding(home) == []


@pytest.mark.parametrize("left", [b"", b"{", b"\x00" * 4096, b'{"advanced": {"state_directory": "/nowhere"}}'])
def test_it_is_found_whatever_became_of_the_file(tmp_path: Path, left: bytes) -> None:
    """After a power cut an empty file cannot tell where its copy is."""
    data = configuration(tmp_path / "state")
    keep(tmp_path / "a.json", data)
    (tmp_path / "a.json").write_bytes(left)

    assert LastGood(tmp_path / "a.json").read() == data


@pytest.mark.parametrize("note", [b"", b"[]", b"[" * 100_000, b'{"file": 1, "folder": null}', b"\xff", None])
def test_without_a_note_that_can_be_used_a_broken_file_still_tells(
    tmp_path: Path, home: Path, note: bytes | None
) -> None:
    """A comma too many does not hide the name of the directory."""
    data = configuration(tmp_path / "state")
    keep(tmp_path / "a.json", data)
    (tmp_path / "a.json").write_bytes(data[:-1] + b",}")
    (path,) = home.glob("*.where")
    path.unlink()
    if note is None:
        path.mkdir()  # somebody who may write there puts another thing in its place
    else:
        path.write_bytes(note)

    assert LastGood(tmp_path / "a.json").read() == data


def test_a_pipe_in_place_of_the_file_holds_nobody_up(tmp_path: Path) -> None:
    """Opening one waits for a writer."""
    data = configuration()
    keep(tmp_path / "a.json", data)
    (tmp_path / "a.json").unlink()
    os.mkfifo(tmp_path / "a.json")

    assert LastGood(tmp_path / "a.json").read() == data


def test_another_directory_leaves_no_copy_in_the_one_before(tmp_path: Path, home: Path) -> None:
    """There and back again: one copy at each time."""
    file = tmp_path / "a.json"
    for folder in (None, tmp_path / "one", tmp_path / "two", None):
        keep(file, configuration(folder))
        assert len(holding(tmp_path)) == 2, "the file itself and one copy"

    assert [Path(name).parent.name for name in holding(tmp_path)].count("home") == 1
    assert holding(tmp_path / "one") == holding(tmp_path / "two") == []


def test_a_password_that_was_replaced_is_nowhere(tmp_path: Path, home: Path) -> None:
    """The copy has no predecessor, not even that of a version before this one."""
    file = tmp_path / "a.json"
    keep(file, configuration())
    (path,) = home.glob("*.json")
    path.with_name(f"{path.name}.bak").write_bytes(configuration())

    keep(file, configuration(secret="new"))

    assert holding(tmp_path) == []
    assert len(holding(home, b"new")) == 1


def test_the_copy_of_a_file_that_is_gone_goes(tmp_path: Path, home: Path) -> None:
    """A trial with a file of one's own leaves its passwords nowhere; the files that are there keep their copies."""
    for name in ("trial", "other"):
        keep(tmp_path / f"{name}.json", configuration(tmp_path / name))
    (tmp_path / "trial.json").unlink()

    keep(tmp_path / "a.json", configuration(secret="mine"))

    assert holding(tmp_path / "trial") == []
    assert len(holding(tmp_path / "other")) == 1
    assert len(list(home.glob("*.where"))) == 2


def test_copies_of_nobody_knows_whom_do_not_pile_up(tmp_path: Path, home: Path) -> None:
    """Versions before this one left one for each file that was ever tried; the latest three stay."""
    home.mkdir()
    for number in range(8):
        path = home / f"last-good-{number:016x}.json"
        path.write_bytes(configuration())
        os.utime(path, (number, number))

    keep(tmp_path / "a.json", configuration(secret="mine"))

    assert sorted(holding(home)) == [f"last-good-{number:016x}.json" for number in (5, 6, 7)]


def test_a_note_names_no_file_of_others(tmp_path: Path, home: Path) -> None:
    """Whatever folder it says, only a last good copy is ever removed."""
    home.mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "users.json").write_text("{}")
    note = {"file": "/gone", "folder": str(tmp_path / "precious")}
    (home / "last-good-users.where").write_text(json.dumps(note))

    keep(tmp_path / "a.json", configuration())

    assert (tmp_path / "precious" / "users.json").exists()
    assert not (home / "last-good-users.where").exists()


def test_the_same_again_writes_nothing(tmp_path: Path, home: Path) -> None:
    """Each start says it; a card wears out."""
    copy = keep(tmp_path / "a.json", configuration())
    before = {path: path.stat().st_ino for path in home.iterdir()}

    copy.write(configuration())

    assert {path: path.stat().st_ino for path in home.iterdir()} == before


def test_another_name_of_the_same_directory_removes_nothing(tmp_path: Path, home: Path) -> None:
    """A link, or a path with dots in it: what is there is the only copy."""
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    for folder in (tmp_path / "link", home / ".." / "home", None):
        data = configuration(folder)
        keep(tmp_path / "a.json", data)
        assert LastGood(tmp_path / "a.json").read() == data


def test_a_file_is_kept_only_as_it_was_judged(tmp_path: Path, home: Path) -> None:
    """Whoever has judged one version of the file does not vouch for the next."""
    file = tmp_path / "a.json"
    file.write_bytes(configuration())
    judged = hashlib.sha256(configuration()).hexdigest()
    LastGood(file).keep(judged)
    assert LastGood(file).read() == configuration()

    file.write_bytes(b"{")
    LastGood(file).keep(judged)
    file.unlink()
    LastGood(file).keep(judged)
    assert LastGood(file).read() == configuration()
