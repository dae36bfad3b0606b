import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.logs import LineHandler
from tinybms_bridge.services.logs import LOG_FILE, LogSettings, LogStore
from tinybms_lab.testing.log_lines import LinesHandler, log_line


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """Put the level of the program's logger back."""
    logger = logging.getLogger("tinybms_bridge")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def _slow_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends without what a slow output does not take in a second; here it has longer."""
    monkeypatch.setattr("tinybms_bridge.services.logs.store._CLOSE_S", 60.0)


@pytest.fixture
def console() -> Iterator[LinesHandler]:
    """A console in memory; one that hangs is let go with the test."""
    console = LinesHandler()
    yield console
    console.free.set()


@pytest.fixture
def store(console: LinesHandler) -> Iterator[LogStore]:
    """A log store with a console in memory; closed with the test."""
    store = LogStore(LogSettings(level="DEBUG"), console=lambda: console, lines=50)
    yield store
    console.free.set()
    store.close()


def fill(store: LogStore, count: int, start: int = 1) -> None:
    """Write numbered lines."""
    for number in range(start, start + count):
        store.take(log_line(f"line {number}"))


def texts(store: LogStore, **options: Any) -> list[str]:
    """Return the texts of a page."""
    return [line.text for line in store.read(**options).lines]


def test_latest_lines_are_read(store: LogStore) -> None:
    """Without a cursor: the newest, oldest of them first, and a cursor to go on from."""
    fill(store, 8)
    page = store.read(limit=3)
    assert [line.text for line in page.lines] == ["line 6", "line 7", "line 8"]
    assert (page.next_cursor, page.more) == (page.lines[-1].number, False)


def test_cursor_gives_what_followed(store: LogStore) -> None:
    """A browser that asks each second gets every line once."""
    fill(store, 3)
    cursor = store.read().next_cursor
    assert store.read(cursor=cursor).lines == ()
    fill(store, 5, start=4)
    page = store.read(limit=2, cursor=cursor)
    assert ([line.text for line in page.lines], page.more) == (["line 4", "line 5"], True)
    page = store.read(limit=20, cursor=page.next_cursor)
    assert ([line.text for line in page.lines], page.more) == (["line 6", "line 7", "line 8"], False)
    assert store.read(cursor=page.next_cursor).next_cursor == page.next_cursor


def test_cursor_passes_lines_that_do_not_match(store: LogStore) -> None:
    """Filtered lines are not searched again at the next request."""
    fill(store, 5)
    page = store.read(cursor=1, level="ERROR")
    assert (page.lines, page.next_cursor, page.more) == ((), store.read().next_cursor, False)


def test_memory_is_bounded(store: LogStore) -> None:
    """The oldest lines make room."""
    fill(store, 120)
    page = store.read(limit=1000, cursor=10)
    assert [line.text for line in page.lines] == [f"line {number}" for number in range(71, 121)]


@pytest.mark.parametrize("limit", [0, 1, 50, 1000])
def test_limit_is_never_exceeded(store: LogStore, limit: int) -> None:
    """Neither with nor without a cursor; none at all for 0."""
    fill(store, 20)
    assert len(store.read(limit=limit).lines) == min(limit, 20)
    page = store.read(limit=limit, cursor=0)
    assert len(page.lines) == min(limit, 20)
    assert page.more is (limit < 20)


def test_level_and_time_filter(store: LogStore) -> None:
    """From a level up, from a moment on."""
    for number, level in enumerate(("DEBUG", "INFO", "WARNING", "ERROR")):
        store.take(log_line(f"line {number}", level, number=number))
    assert texts(store, level="WARNING") == ["line 2", "line 3"]
    last = store.read().lines[-1].at
    assert texts(store, since=last)[-1:] == ["line 3"]
    assert texts(store, since=last + timedelta(seconds=1)) == []


def test_unknown_level_is_an_error(store: LogStore) -> None:
    """A typo is told, not answered with everything."""
    with pytest.raises(ValueError, match="'warning' is no log level"):
        store.read(level="warning")


def test_clear_forgets_and_numbers_go_on(store: LogStore) -> None:
    """A cursor from before stays good."""
    fill(store, 4)
    cursor = store.read().next_cursor
    store.clear()
    assert texts(store) == []
    fill(store, 1, start=5)
    assert texts(store, cursor=cursor) == ["line 5"]


def test_cursor_outlives_a_restart(console: LinesHandler, tmp_path: Path) -> None:
    """Who follows the log gets what the last run wrote and they have not seen, what led to its end among it, once."""
    first = LogStore(LogSettings(folder=tmp_path, console=False), console=lambda: console)
    fill(first, 3)
    cursor = first.read().next_cursor
    fill(first, 2, start=4)
    first.close()
    second = LogStore(LogSettings(folder=tmp_path, console=False), console=lambda: console)
    second.load()
    fill(second, 1, start=6)
    assert texts(second, cursor=cursor) == ["line 4", "line 5", "line 6"]
    assert texts(second) == [f"line {number}" for number in range(1, 7)]
    second.close()
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 6, "what was read is not written again"


def test_cursor_of_another_log_begins_anew(store: LogStore) -> None:
    """A clock that was ahead before, or files that are gone: lines are seen at once, not when numbers catch up."""
    fill(store, 2)
    beyond = store.read().next_cursor + 10**9
    page = store.read(cursor=beyond)
    assert [line.text for line in page.lines] == ["line 1", "line 2"]
    assert page.next_cursor < beyond


def test_clearing_removes_the_files(store: LogStore, tmp_path: Path) -> None:
    """What somebody purges does not come back with the next start; new lines begin a new file."""
    store.settings = LogSettings(folder=tmp_path)
    (tmp_path / f"{LOG_FILE}.3").write_text("old")
    (tmp_path / "state.json").write_text("{}")
    fill(store, 1)
    store.clear()
    store.close()
    assert not (tmp_path / f"{LOG_FILE}.3").exists()
    assert (tmp_path / "state.json").exists()


def test_file_that_cannot_be_removed_is_told(store: LogStore, tmp_path: Path) -> None:
    """To whoever asked for it."""
    store.settings = LogSettings(folder=tmp_path)
    (tmp_path / LOG_FILE).mkdir()
    with pytest.raises(OSError, match=LOG_FILE):
        store.clear()


def test_file_that_cannot_be_read_stops_nobody(
    store: LogStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log begins empty then, and says why."""
    store.settings = LogSettings(folder=tmp_path)
    (tmp_path / LOG_FILE).mkdir()
    store.load()
    assert "the log of earlier runs" in caplog.text
    fill(store, 1)
    assert texts(store) == ["line 1"]


def test_memory_that_is_off_stays_empty(store: LogStore, tmp_path: Path) -> None:
    """logging.output_web: nothing of earlier runs either; switching it off leaves the files."""
    (tmp_path / LOG_FILE).write_text("2026-01-01T00:00:00.000000Z INFO x: old\n")
    store.settings = LogSettings(folder=tmp_path, memory=False)
    store.load()
    assert texts(store) == []
    assert (tmp_path / LOG_FILE).exists()


def test_level_may_be_changed_at_any_time(store: LogStore) -> None:
    """By hand, until the settings are replaced."""
    logger = logging.getLogger("tinybms_bridge.somewhere")
    store.set_level("ERROR")
    assert not logger.isEnabledFor(logging.WARNING)
    store.settings = LogSettings(level="WARNING")
    assert logger.isEnabledFor(logging.WARNING)
    with pytest.raises(ValueError, match="is no log level"):
        store.set_level("LOUD")


def test_lines_of_another_process_are_taken_as_they_come(store: LogStore, console: LinesHandler) -> None:
    """The core counts what repeats itself; what it sends is kept, also when two lines are the same."""
    for _ in range(3):
        store.take(log_line("from the core", "WARNING", "tinybms_bridge.core.pack"))
    store.close()
    assert texts(store, level="WARNING") == console.texts == ["from the core"] * 3
    numbers = [line.number for line in store.read().lines]
    assert numbers == sorted(set(numbers))


def test_console_can_be_switched(store: LogStore, console: LinesHandler) -> None:
    """logging.output_serial: off and on again while running."""
    store.settings = LogSettings(console=False)
    fill(store, 1)
    store.settings = LogSettings(console=True)
    fill(store, 1, start=2)
    store.close()
    assert console.texts == ["line 2"]
    assert texts(store) == ["line 1", "line 2"]


def test_memory_can_be_switched(store: LogStore) -> None:
    """logging.output_web: off forgets, and keeps nothing."""
    fill(store, 2)
    store.settings = LogSettings(memory=False)
    fill(store, 2, start=3)
    assert texts(store) == []
    store.settings = LogSettings(memory=True)
    fill(store, 1, start=5)
    assert texts(store) == ["line 5"]


def test_file_follows_its_folder(store: LogStore, tmp_path: Path) -> None:
    """advanced.state_directory: new lines go to the new place, the old file stays where it was."""
    store.settings = LogSettings(folder=tmp_path / "a")
    fill(store, 2)
    old = store.outputs["file"]
    store.settings = LogSettings(folder=tmp_path / "b")
    assert old.join(30.0)
    fill(store, 1, start=3)
    store.close()
    assert len((tmp_path / "a" / LOG_FILE).read_text().splitlines()) == 2
    assert (tmp_path / "b" / LOG_FILE).read_text().endswith("line 3\n")


def test_syslog_follows_its_server(store: LogStore) -> None:
    """logging.syslog_server: to one, to another, to none."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for number, server in enumerate((one, two), start=1):
            server.bind(("127.0.0.1", 0))
            server.settimeout(30.0)
            store.settings = LogSettings(syslog_server=f"127.0.0.1:{server.getsockname()[1]}")
            fill(store, 1, start=number)
            assert server.recv(4096).endswith(f"line {number}".encode())
        store.settings = LogSettings()
        assert "syslog" not in store.outputs


def test_impossible_server_harms_nobody(store: LogStore) -> None:
    """A port of 99999 passes the configuration: it is an error of its output, and every other one goes on."""
    store.settings = LogSettings(syslog_server="127.0.0.1:99999")
    fill(store, 1)
    output = store.outputs["syslog"]
    end_s = time.monotonic() + 30.0
    while not output.error and time.monotonic() < end_s:
        time.sleep(0.001)
    assert "is no syslog server" in output.error
    assert texts(store) == ["line 1"]


async def test_logging_never_blocks_the_loop(store: LogStore, console: LinesHandler, tmp_path: Path) -> None:
    """Console hangs, file on a real disk: a thousand lines from the event loop take no time. Blockbuster watches."""
    console.free.clear()
    store.settings = LogSettings(folder=tmp_path)
    logger, handler = logging.getLogger("tinybms_bridge.test"), LineHandler(store.take)
    logger.addHandler(handler)
    try:
        for number in range(1000):
            logger.info("line %d", number)
        assert not console.free.is_set()
    finally:
        logger.removeHandler(handler)
    assert store.read(limit=1).lines[0].text == "line 999"


def test_lines_of_several_threads_are_all_there(console: LinesHandler) -> None:
    """Adapters log from threads of their own: each line once, with a number of its own, in order."""
    store = LogStore(LogSettings(), console=lambda: console, lines=5000)

    def work(name: str) -> None:
        for number in range(200):
            store.take(log_line(f"{name} {number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    lines = store.read(limit=5000).lines
    assert all(one.number < other.number for one, other in pairwise(lines))
    assert len({line.text for line in lines}) == 800
    assert console.texts == [line.text for line in lines]


def test_full_disk_keeps_the_log_alive(store: LogStore, tmp_path: Path, console: LinesHandler) -> None:
    """The file cannot be written: memory and console go on, and the output says why."""
    (tmp_path / "file").write_text("in the way")
    store.settings = LogSettings(folder=tmp_path / "file")
    fill(store, 3)
    output = store.outputs["file"]
    store.close()
    assert output.lost == 3
    assert output.error
    assert texts(store) == console.texts == ["line 1", "line 2", "line 3"]
