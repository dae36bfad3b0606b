import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.hal.logs import LogLine
from tinybms_bridge.services.logs.rotating_file import LOG_FILE, RotatingFile
from tinybms_lab.testing.log_lines import log_line


def write(file: RotatingFile, lines: Iterable[LogLine]) -> None:
    """Write lines as the thread of an output does."""
    for line in lines:
        file.handle(line.record())


def numbers(folder: Path, files: int) -> list[int]:
    """Return the numbers that lines end with, oldest file first."""
    names = [*(f"{LOG_FILE}.{number}" for number in range(files, 0, -1)), LOG_FILE]
    paths = [folder / name for name in names if (folder / name).exists()]
    return [int(text.split()[-1]) for path in paths for text in path.read_text().splitlines()]


def test_lines_have_time_level_and_source(tmp_path: Path) -> None:
    """A file for bug reports: UTC to the microsecond, and who said it. The folder is made."""
    file = RotatingFile(tmp_path / "deep" / LOG_FILE)
    write(file, [log_line("hello °C"), log_line("failed\nTraceback", level="ERROR", number=1)])
    assert file.path.read_text("utf-8") == (
        "2026-01-01T00:00:00.000000Z INFO tinybms_bridge.x: hello °C\n"
        "2026-01-01T00:00:01.000000Z ERROR tinybms_bridge.x: failed\n  Traceback\n"
    )
    assert file.path.stat().st_mode & 0o777 == 0o640


def test_files_are_64_kilobytes_and_eight(tmp_path: Path) -> None:
    """The figures of the seed; the disk of a small machine never fills."""
    file = RotatingFile(tmp_path / LOG_FILE)
    for start in range(0, 12_000, 100):
        write(file, [log_line(f"some words of an ordinary length {number}") for number in range(start, start + 100)])
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {LOG_FILE, *(f"{LOG_FILE}.{number}" for number in range(1, 8))}
    assert all(size <= 65_536 for size in sizes.values())
    assert all(size > 65_000 for name, size in sizes.items() if name != LOG_FILE)


def test_newest_lines_are_kept_in_order(tmp_path: Path) -> None:
    """What falls out is the oldest, and nothing is missing in between."""
    file = RotatingFile(tmp_path / LOG_FILE, size_bytes=500, files=3)
    for number in range(100):
        write(file, [log_line(f"line {number}")])
    kept = numbers(tmp_path, 3)
    assert kept == list(range(kept[0], 100))
    assert len(kept) >= 10


def test_single_file_begins_again(tmp_path: Path) -> None:
    """With one file only, the full one is dropped."""
    file = RotatingFile(tmp_path / LOG_FILE, size_bytes=200, files=1)
    for number in range(20):
        write(file, [log_line(f"line {number}")])
    assert [path.name for path in tmp_path.iterdir()] == [LOG_FILE]
    assert numbers(tmp_path, 1)[-1] == 19


def test_line_longer_than_a_file_is_written_all_the_same(tmp_path: Path) -> None:
    """In a file of its own; there is no endless rotation."""
    file = RotatingFile(tmp_path / LOG_FILE, size_bytes=200, files=3)
    write(file, [log_line("short 1"), log_line("x" * 900 + " 2"), log_line("short 3")])
    assert numbers(tmp_path, 3) == [1, 2, 3]


def test_file_that_was_deleted_or_moved_is_begun_again(tmp_path: Path) -> None:
    """A log rotator and a tidy user are welcome."""
    file = RotatingFile(tmp_path / LOG_FILE)
    write(file, [log_line("line 1")])
    file.path.rename(tmp_path / "taken")
    write(file, [log_line("line 2")])
    assert numbers(tmp_path, 1) == [2]


def test_file_of_the_last_run_is_continued(tmp_path: Path) -> None:
    """A restart loses nothing."""
    write(RotatingFile(tmp_path / LOG_FILE), [log_line("line 1")])
    write(RotatingFile(tmp_path / LOG_FILE), [log_line("line 2")])
    assert numbers(tmp_path, 1) == [1, 2]


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """The output counts it; nothing else notices."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        write(RotatingFile(tmp_path / "file" / LOG_FILE), [log_line()])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(st.lists(st.lists(st.integers(0, 300), max_size=6), max_size=12))
def test_sizes_hold_for_any_lines(tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]) -> None:
    """No file is above its size unless one line alone is, and the newest lines are kept in order."""
    folder = tmp_path_factory.mktemp("log")
    file = RotatingFile(folder / LOG_FILE, size_bytes=400, files=4)
    number = 0
    for batch in batches:
        lines = [log_line(f"{'x' * length} {number + index}") for index, length in enumerate(batch)]
        write(file, lines)
        number += len(batch)
    kept = numbers(folder, 4)
    assert kept == list(range(kept[0], number)) if kept else number == 0
    assert all(path.stat().st_size <= 400 for path in folder.iterdir())
    assert len(list(folder.iterdir())) <= 4


_TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(st.lists(_TEXT, min_size=1, max_size=4).map("\n".join), max_size=20))
def test_what_was_written_is_read_again(tmp_path: Path, texts: list[str]) -> None:
    """Through every file and with tracebacks, oldest first."""
    file = RotatingFile(tmp_path / LOG_FILE, size_bytes=300, files=50)
    file.delete()
    written = [log_line(text, level="ERROR", number=number) for number, text in enumerate(texts)]
    write(file, written)
    assert [replace(each, number=0) for each in written] == file.read()


def test_what_is_no_line_is_left_out(tmp_path: Path) -> None:
    """A file that a power cut or somebody's editor has damaged still gives its good lines."""
    file = RotatingFile(tmp_path / LOG_FILE)
    file.path.write_bytes(
        b"  half a traceback\n\0\0\0\xff\nnonsense\n2026-02-30T00:00:00.000000Z INFO x: no such day\n"
        b"2026-01-01T00:00:00.000000Z LOUD x: no such level\n"
    )
    write(file, [log_line("good")])
    assert [each.text for each in file.read()] == ["good"]


def test_no_more_is_read_than_was_written(tmp_path: Path) -> None:
    """A foreign file of that name, however large, does not fill the memory."""
    file = RotatingFile(tmp_path / LOG_FILE, size_bytes=1000)
    file.path.write_text("2026-01-01T00:00:00.000000Z INFO x: line\n" * 10_000)
    assert 0 < len(file.read()) < 60


def test_deleting_nothing_is_fine(tmp_path: Path) -> None:
    """Twice in a row, or before the first line."""
    RotatingFile(tmp_path / "nowhere" / LOG_FILE).delete()


def test_a_pipe_in_the_place_of_the_log_holds_nobody_up(tmp_path: Path) -> None:
    """Neither the start, which reads the log of the last run, nor a line waits for who might read or write it."""
    os.mkfifo(tmp_path / LOG_FILE)
    file = RotatingFile(tmp_path / LOG_FILE)
    with pytest.raises(OSError, match="no regular file"):
        file.read()
    with pytest.raises(OSError, match="No such device"):
        write(file, [log_line("a line")])
