"""Documents that a person, a card or another version has spoilt."""

import json
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.documents import LaterVersionError, LoadedDocument, check_version, load, parse_json
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage, SlotStorage, UnusableFileError

MOST = 4096


def parse(data: bytes) -> Any:
    """Return what a document of version 1 says."""
    document = parse_json(data)
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 -- what a file holds is no error of type
    check_version(document.get("version"), 1)
    return document


def make_huge(path: Path) -> None:
    """Larger than the memory of a small machine, without taking room on the disk."""
    with path.open("wb") as file:
        file.truncate(64 << 30)


def make_socket(path: Path) -> None:
    """Something that cannot be opened as a file."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)  # the whole path may be too long for a socket
    finally:
        os.chdir(here)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "socket": make_socket,
    "folder": lambda path: (path / "inside").mkdir(parents=True),
    "link to itself": lambda path: path.symlink_to(path),
    "huge": make_huge,
    "nested": lambda path: path.write_bytes(b"[" * (MOST - 1)),
    "later version": lambda path: path.write_text('{"version": 2, "energy": 5}'),
    "no text": lambda path: path.write_bytes(b"\xff\x00\xfe"),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that cannot be used, of each kind."""
    path = tmp_path / "state.json"
    HOSTILE[request.param](path)
    return path


Opened = Callable[[Path], FileStorage]


@pytest.fixture(params=[FileStorage, SlotStorage])
def storage(request: pytest.FixtureRequest) -> Opened:
    """Opens a file as one of the state directory, in both ways in which one is kept there."""
    kind: type[FileStorage] = request.param
    return lambda path: kind(path, most_bytes=MOST)


def test_a_hostile_file_is_kept_by_name_and_told(
    hostile: Path, caplog: pytest.LogCaptureFixture, storage: Opened
) -> None:
    """Nothing waits, nothing raises, nothing is lost: what was there has another name, and the log says which."""
    before = os.lstat(hostile).st_ino
    caplog.set_level(logging.WARNING)
    found = load(storage(hostile), "the state", parse)
    assert found.value is None
    aside = hostile.with_name("state.json.unusable-1")
    assert os.lstat(aside).st_ino == before
    assert not os.path.lexists(hostile)
    (line,) = caplog.messages
    assert line.startswith(f"the state in {hostile} cannot be read: ")
    assert line.endswith(f"it is kept as {aside}")
    assert found.problem in line


def test_the_document_before_counts(hostile: Path, storage: Opened) -> None:
    """Whatever is in the place of the file, its predecessor is used and stays where it is."""
    backup = hostile.with_name("state.json.bak")
    backup.write_text('{"version": 1, "a": 7}')
    found = load(storage(hostile), "the state", parse)
    assert (found.value, found.from_previous, bool(found.problem)) == ({"version": 1, "a": 7}, True, True)
    assert backup.exists()


def test_a_hostile_predecessor_is_no_obstacle(hostile: Path, storage: Opened) -> None:
    """It gets out of the way as well; a link that has come to lead nowhere is no file at all."""
    backup = hostile.with_name("state.json.bak")
    hostile.replace(backup)
    assert load(storage(hostile), "the state", parse).value is None
    assert os.path.lexists(backup.with_name("state.json.bak.unusable-1")) or not backup.exists()
    storage(hostile).write(b'{"version": 1}')
    storage(hostile).write(b'{"version": 1, "a": 2}')
    assert load(storage(hostile), "the state", parse) == LoadedDocument({"version": 1, "a": 2})


def test_writing_over_a_hostile_file_keeps_it(hostile: Path, storage: Opened) -> None:
    """Also one that appeared while the program ran, which nobody has read."""
    file = storage(hostile)
    file.write(b'{"version": 1}')
    assert file.read() == b'{"version": 1}'
    kept = [path.name for path in hostile.parent.iterdir() if path != hostile]
    assert len(kept) == 1
    assert kept[0] in ("state.json.unusable-1", "state.json.bak")


def test_a_document_that_is_whole_stays(tmp_path: Path, storage: Opened) -> None:
    """No file is touched by reading it."""
    path = tmp_path / "state.json"
    path.write_text('{"version": 1}')
    assert load(storage(path), "the state", parse) == LoadedDocument({"version": 1})
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_without_a_document_there_is_no_problem(tmp_path: Path, storage: Opened) -> None:
    """The first start."""
    assert load(storage(tmp_path / "state.json"), "the state", parse) == LoadedDocument(None)


def test_names_run_out_without_an_end(tmp_path: Path, storage: Opened) -> None:
    """A file that is spoilt again and again fills no disk: the last name is used again."""
    path = tmp_path / "state.json"
    for number in range(12):
        path.write_text(str(number))
        load(storage(path), "the state", parse)
    kept = sorted(each.name for each in tmp_path.iterdir())
    assert kept == [f"state.json.unusable-{number}" for number in range(1, 10)]
    assert (tmp_path / "state.json.unusable-1").read_text() == "0"
    assert (tmp_path / "state.json.unusable-9").read_text() == "11"


def test_a_copy_leaves_the_document(tmp_path: Path, storage: Opened) -> None:
    """For one of which most can be used."""
    path = tmp_path / "events.jsonl"
    path.write_text("some")
    assert storage(path).set_aside(keep=True) == f"{path}.unusable-1"
    assert path.read_text() == (tmp_path / "events.jsonl.unusable-1").read_text() == "some"


def test_a_folder_that_lets_nothing_be_moved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A card that can only be read: it is said, and the program starts."""

    class Frozen(MemoryStorage):
        def set_aside(self, *, previous: bool = False, keep: bool = False) -> str:
            raise OSError(30, "Read-only file system")

    assert load(Frozen(b"["), "the state", parse).value is None
    assert "it cannot be kept aside: [Errno 30] Read-only file system" in caplog.text


def test_a_file_without_bounds_is_read_as_any_other(tmp_path: Path, storage: Opened) -> None:
    """A configuration may come through a pipe."""
    path = tmp_path / "config.json"
    path.write_bytes(b" " * (MOST + 1))
    assert FileStorage(path).read() == b" " * (MOST + 1)
    with pytest.raises(UnusableFileError, match="larger than"):
        storage(path).read()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda child: st.lists(child)))
def test_json_is_read_as_it_is(document: object) -> None:
    """Whatever has a sensible depth."""
    assert parse_json(json.dumps(document)) == document


@given(st.binary(max_size=50))
def test_anything_else_is_one_kind_of_error(data: bytes) -> None:
    """Who reads has one thing to catch."""
    with suppress(ValueError):
        parse_json(data)


@pytest.mark.parametrize("version", [2, 10**30])
def test_later_versions_are_refused(version: int) -> None:
    """What they mean is not known."""
    with pytest.raises(LaterVersionError, match="later version"):
        check_version(version, 1)


@pytest.mark.parametrize("version", [1, 0, -1, None, "2", True, 1.5])
def test_what_is_no_later_version_passes(version: object) -> None:
    """Old documents had none."""
    check_version(version, 1)
