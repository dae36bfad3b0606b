import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.services.logs import LOG_FILE, LogBook, LogSettings
from tinybms_lab.testing.fake_clock import FakeClock

Make = Callable[..., logging.LogRecord]


@pytest.fixture
def moment() -> FakeClock:
    """A clock for the repetitions."""
    return FakeClock()


@pytest.fixture
def book(sheet: Any, moment: FakeClock) -> Iterator[LogBook]:
    """A log book with a console in memory; closed with the test."""
    book = LogBook(LogSettings(level="DEBUG"), console=sheet, monotonic=moment.monotonic, lines=50)
    yield book
    sheet.free.set()
    book.close()


def fill(book: LogBook, record: Make, count: int, start: int = 1) -> None:
    """Write numbered lines."""
    for number in range(start, start + count):
        book.handle(record("line %d", number))


def texts(book: LogBook, **options: Any) -> list[str]:
    """Return the texts of a page."""
    return [line.text for line in book.read(**options).lines]


def test_latest_lines_are_read(book: LogBook, record: Make) -> None:
    """Without a cursor: the newest, oldest of them first, and a cursor to go on from."""
    fill(book, record, 8)
    page = book.read(limit=3)
    assert [line.text for line in page.lines] == ["line 6", "line 7", "line 8"]
    assert (page.next_cursor, page.more) == (page.lines[-1].number, False)


def test_cursor_gives_what_followed(book: LogBook, record: Make) -> None:
    """A browser that asks each second gets every line once."""
    fill(book, record, 3)
    cursor = book.read().next_cursor
    assert book.read(cursor=cursor).lines == ()
    fill(book, record, 5, start=4)
    page = book.read(limit=2, cursor=cursor)
    assert ([line.text for line in page.lines], page.more) == (["line 4", "line 5"], True)
    page = book.read(limit=20, cursor=page.next_cursor)
    assert ([line.text for line in page.lines], page.more) == (["line 6", "line 7", "line 8"], False)
    assert book.read(cursor=page.next_cursor).next_cursor == page.next_cursor


def test_cursor_passes_lines_that_do_not_match(book: LogBook, record: Make) -> None:
    """Filtered lines are not searched again at the next request."""
    fill(book, record, 5)
    page = book.read(cursor=1, level="ERROR")
    assert (page.lines, page.next_cursor, page.more) == ((), book.read().next_cursor, False)


def test_memory_is_bounded(book: LogBook, record: Make) -> None:
    """The oldest lines make room."""
    fill(book, record, 120)
    page = book.read(limit=1000, cursor=10)
    assert [line.text for line in page.lines] == [f"line {number}" for number in range(71, 121)]


@pytest.mark.parametrize("limit", [0, 1, 50, 1000])
def test_limit_is_never_exceeded(book: LogBook, record: Make, limit: int) -> None:
    """Neither with nor without a cursor; none at all for 0."""
    fill(book, record, 20)
    assert len(book.read(limit=limit).lines) == min(limit, 20)
    page = book.read(limit=limit, cursor=0)
    assert len(page.lines) == min(limit, 20)
    assert page.more is (limit < 20)


def test_level_and_time_filter(book: LogBook, record: Make) -> None:
    """From a level up, from a moment on."""
    for number, level in enumerate((logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)):
        book.handle(record(f"line {number}", level=level))
    assert texts(book, level="WARNING") == ["line 2", "line 3"]
    last = book.read().lines[-1].at
    assert texts(book, since=last)[-1:] == ["line 3"]
    assert texts(book, since=last + timedelta(seconds=1)) == []


def test_unknown_level_is_an_error(book: LogBook) -> None:
    """A typo is told, not answered with everything."""
    with pytest.raises(ValueError, match="'warning' is no log level"):
        book.read(level="warning")


def test_clear_forgets_and_numbers_go_on(book: LogBook, record: Make) -> None:
    """A cursor from before stays good."""
    fill(book, record, 4)
    cursor = book.read().next_cursor
    book.clear()
    assert texts(book) == []
    fill(book, record, 1, start=5)
    assert texts(book, cursor=cursor) == ["line 5"]


def test_cursor_outlives_a_restart(record: Make, sheet: Any, tmp_path: Path) -> None:
    """Who follows the log gets what the last run wrote and they have not seen, what led to its end among it, once."""
    first = LogBook(LogSettings(folder=tmp_path, console=False), console=sheet)
    fill(first, record, 3)
    cursor = first.read().next_cursor
    fill(first, record, 2, start=4)
    first.close()
    second = LogBook(LogSettings(folder=tmp_path, console=False), console=sheet)
    second.load()
    fill(second, record, 1, start=6)
    assert texts(second, cursor=cursor) == ["line 4", "line 5", "line 6"]
    assert texts(second) == [f"line {number}" for number in range(1, 7)]
    second.close()
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 6, "what was read is not written again"


def test_cursor_of_another_log_begins_anew(book: LogBook, record: Make) -> None:
    """A clock that was ahead before, or files that are gone: lines are seen at once, not when numbers catch up."""
    fill(book, record, 2)
    beyond = book.read().next_cursor + 10**9
    page = book.read(cursor=beyond)
    assert [line.text for line in page.lines] == ["line 1", "line 2"]
    assert page.next_cursor < beyond


def test_clearing_removes_the_files(book: LogBook, record: Make, tmp_path: Path) -> None:
    """What somebody purges does not come back with the next start; new lines begin a new file."""
    book.settings = LogSettings(folder=tmp_path)
    (tmp_path / f"{LOG_FILE}.3").write_text("old")
    (tmp_path / "state.json").write_text("{}")
    fill(book, record, 1)
    book.clear()
    book.close()
    assert not (tmp_path / f"{LOG_FILE}.3").exists()
    assert (tmp_path / "state.json").exists()


def test_file_that_cannot_be_removed_is_told(book: LogBook, tmp_path: Path) -> None:
    """To whoever asked for it."""
    book.settings = LogSettings(folder=tmp_path)
    (tmp_path / LOG_FILE).mkdir()
    with pytest.raises(OSError, match=LOG_FILE):
        book.clear()


def test_file_that_cannot_be_read_stops_nobody(
    book: LogBook, record: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log begins empty then, and says why."""
    book.settings = LogSettings(folder=tmp_path)
    (tmp_path / LOG_FILE).mkdir()
    book.load()
    assert "the log of earlier runs" in caplog.text
    fill(book, record, 1)
    assert texts(book) == ["line 1"]


def test_memory_that_is_off_stays_empty(book: LogBook, record: Make, tmp_path: Path) -> None:
    """logging.output_web: nothing of earlier runs either; switching it off leaves the files."""
    (tmp_path / LOG_FILE).write_text("2026-01-01T00:00:00.000000Z INFO x: old\n")
    book.settings = LogSettings(folder=tmp_path, memory=False)
    book.load()
    assert texts(book) == []
    assert (tmp_path / LOG_FILE).exists()


def test_level_may_be_changed_at_any_time(book: LogBook) -> None:
    """By hand, until the settings are replaced."""
    logger = logging.getLogger("tinybms_bridge.somewhere")
    book.set_level("ERROR")
    assert not logger.isEnabledFor(logging.WARNING)
    book.settings = LogSettings(level="WARNING")
    assert logger.isEnabledFor(logging.WARNING)
    with pytest.raises(ValueError, match="is no log level"):
        book.set_level("LOUD")


def test_repetitions_are_counted_everywhere(book: LogBook, record: Make, sheet: Any, moment: FakeClock) -> None:
    """In memory and on the console alike."""
    for _ in range(100):
        book.handle(record("gone"))
    book.handle(record("back"))
    book.close()
    assert texts(book) == sheet.texts == ["gone", "gone (repeated 99 times)", "back"]


async def test_count_is_told_when_its_minute_is_over(book: LogBook, record: Make, moment: FakeClock) -> None:
    """Also when nothing else is logged."""
    task = asyncio.create_task(book.run(moment))
    for _ in range(3):
        book.handle(record("gone"))
    await moment.advance(61.0)
    task.cancel()
    assert texts(book) == ["gone", "gone (repeated 2 times)"]


def test_last_count_is_told_at_the_end(book: LogBook, record: Make, sheet: Any) -> None:
    """Closing writes what was counted and what waits; closing twice does no harm."""
    for _ in range(3):
        book.handle(record("gone"))
    book.close()
    book.close()
    assert sheet.texts == ["gone", "gone (repeated 2 times)"]


def test_console_can_be_switched(book: LogBook, record: Make, sheet: Any) -> None:
    """logging.output_serial: off and on again while running."""
    book.settings = LogSettings(console=False)
    fill(book, record, 1)
    book.settings = LogSettings(console=True)
    fill(book, record, 1, start=2)
    book.close()
    assert sheet.texts == ["line 2"]
    assert texts(book) == ["line 1", "line 2"]


def test_memory_can_be_switched(book: LogBook, record: Make) -> None:
    """logging.output_web: off forgets, and keeps nothing."""
    fill(book, record, 2)
    book.settings = LogSettings(memory=False)
    fill(book, record, 2, start=3)
    assert texts(book) == []
    book.settings = LogSettings(memory=True)
    fill(book, record, 1, start=5)
    assert texts(book) == ["line 5"]


def test_file_follows_its_folder(book: LogBook, record: Make, tmp_path: Path) -> None:
    """advanced.state_directory: new lines go to the new place, the old file stays where it was."""
    book.settings = LogSettings(folder=tmp_path / "a")
    fill(book, record, 2)
    old = book.outlets["file"]
    book.settings = LogSettings(folder=tmp_path / "b")
    assert old.join(30.0)
    fill(book, record, 1, start=3)
    book.close()
    assert len((tmp_path / "a" / LOG_FILE).read_text().splitlines()) == 2
    assert (tmp_path / "b" / LOG_FILE).read_text().endswith("line 3\n")


def test_syslog_follows_its_server(book: LogBook, record: Make) -> None:
    """logging.syslog_server: to one, to another, to none."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for number, server in enumerate((one, two), start=1):
            server.bind(("127.0.0.1", 0))
            server.settimeout(30.0)
            book.settings = LogSettings(syslog_server=f"127.0.0.1:{server.getsockname()[1]}")
            fill(book, record, 1, start=number)
            assert server.recv(4096).endswith(f"line {number}".encode())
        book.settings = LogSettings()
        assert "syslog" not in book.outlets


def test_impossible_server_harms_nobody(book: LogBook, record: Make) -> None:
    """A port of 99999 passes the configuration: it is an error of its outlet, and every other one goes on."""
    book.settings = LogSettings(syslog_server="127.0.0.1:99999")
    fill(book, record, 1)
    outlet = book.outlets["syslog"]
    end_s = time.monotonic() + 30.0
    while not outlet.error and time.monotonic() < end_s:
        time.sleep(0.001)
    assert "is no syslog server" in outlet.error
    assert texts(book) == ["line 1"]


async def test_logging_never_blocks_the_loop(book: LogBook, record: Make, sheet: Any, tmp_path: Path) -> None:
    """Console hangs, file on a real disk: a thousand lines from the event loop take no time. Blockbuster watches."""
    sheet.free.clear()
    book.settings = LogSettings(folder=tmp_path)
    logger = logging.getLogger("tinybms_bridge.test")
    logger.addHandler(book)
    try:
        for number in range(1000):
            logger.info("line %d", number)
        assert not sheet.free.is_set()
    finally:
        logger.removeHandler(book)
    assert book.read(limit=1).lines[0].text == "line 999"


def test_lines_of_several_threads_are_all_there(record: Make, sheet: Any) -> None:
    """Adapters log from threads of their own: each line once, with a number of its own, in order."""
    book = LogBook(LogSettings(), console=sheet, lines=5000)

    def work(name: str) -> None:
        for number in range(200):
            book.handle(record("%s %d", name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book.close()
    lines = book.read(limit=5000).lines
    assert all(one.number < other.number for one, other in pairwise(lines))
    assert len({line.text for line in lines}) == 800
    assert sheet.lines == list(lines)


def test_full_disk_keeps_the_log_alive(book: LogBook, record: Make, tmp_path: Path, sheet: Any) -> None:
    """The file cannot be written: memory and console go on, and the outlet says why."""
    (tmp_path / "file").write_text("in the way")
    book.settings = LogSettings(folder=tmp_path / "file")
    fill(book, record, 3)
    outlet = book.outlets["file"]
    book.close()
    assert outlet.lost == 3
    assert outlet.error
    assert texts(book) == sheet.texts == ["line 1", "line 2", "line 3"]
