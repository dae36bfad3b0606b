"""The writer thread: in order, never in the way, bounded."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tinybms_bridge.services.history.levels import HistoryError
from tinybms_bridge.services.history.steps import RecordedStep, Row
from tinybms_bridge.services.history.writer import Writer


class Disk:
    """Takes rows; can be full or stand still."""

    def __init__(self) -> None:
        self.full = False
        self.goes = threading.Event()
        self.goes.set()
        self.rows: list[int] = []
        self.calls = 0
        self.reasons = ["database or disk is full"]
        self.closed = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Write."""
        self.calls += 1
        self.goes.wait(60.0)
        if self.full:
            raise HistoryError("/card", self.reasons[min(self.calls, len(self.reasons)) - 1])
        self.rows += [row.start_s for row in rows]

    def close(self) -> None:
        """Close."""
        self.closed += 1


@pytest.fixture
def disk() -> Disk:
    """A disk that works until it is told not to."""
    return Disk()


@pytest.fixture
def begin(disk: Disk) -> Iterator[Callable[..., Writer]]:
    """Return a function that starts a writer, which ends with the test."""
    started: list[Writer] = []

    def start(**options: Any) -> Writer:
        started.append(Writer(disk.write, disk.close, **options))
        return started[-1]

    yield start
    disk.goes.set()
    for writer in started:
        writer.stop()
        assert writer.join(30.0)


def until(condition: Callable[[], object]) -> None:
    """Wait for the thread."""
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def batch(number: int) -> list[Row]:
    """Return a batch of one row."""
    return [Row(number, RecordedStep((), ()))]


def test_in_order_and_closed_at_the_end(begin: Callable[..., Writer], disk: Disk) -> None:
    """Everything that was offered is written before the end, once."""
    writer = begin()
    for number in range(50):
        writer.offer(batch(number))
    writer.stop()
    assert writer.join(30.0)
    assert (disk.rows, writer.written, writer.waiting, disk.closed) == (list(range(50)), 50, 0, 1)


def test_disk_that_stands_still_holds_nobody_up(begin: Callable[..., Writer], disk: Disk) -> None:
    """Offers return; the oldest that wait are lost beyond the depth, and the newest are written in the end."""
    disk.goes.clear()
    writer = begin(depth=3)
    writer.offer(batch(0))
    until(lambda: disk.calls == 1)
    for number in range(1, 10):
        writer.offer(batch(number))
    assert (writer.waiting, writer.lost) == (3, 6)
    writer.stop()
    assert not writer.join(0.01)
    disk.goes.set()
    assert writer.join(30.0)
    assert disk.rows == [0, 7, 8, 9]


def test_full_disk(begin: Callable[..., Writer], disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins and one when it is over; what waits is written then, the oldest is lost and counted."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    disk.full = True
    disk.reasons += ["unable to open database file", "database or disk is full"]
    writer = begin(depth=2, retry_s=0.001)
    for number in range(5):
        writer.offer(batch(number))
        until(lambda: disk.calls > 2 * number)  # noqa: B023 -- called at once
    until(lambda: writer.lost == 3 and writer.waiting == 2)
    assert "disk is full" in str(writer.failure)
    disk.full = False
    until(lambda: writer.written == 2)
    until(lambda: writer.failure is None)
    assert disk.rows == [3, 4]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["history in /card: database or disk is full; the last 2 minutes wait in memory"]
    assert "minutes of it that were lost since the start: 3" in caplog.text


def test_failure_is_not_tried_again_at_once(begin: Callable[..., Writer], disk: Disk) -> None:
    """A broken card is left in peace between two attempts, and one last attempt is made at the end."""
    disk.full = True
    writer = begin(retry_s=1000.0)
    for number in range(4):
        writer.offer(batch(number))
        until(lambda: disk.calls)
    assert disk.calls == 1
    writer.stop()
    assert writer.join(30.0)
    assert (disk.calls, disk.closed, writer.waiting) == (2, 1, 4)


def test_an_error_that_nobody_expected_is_no_silence(disk: Disk) -> None:
    """The thread has ended: whoever offers the next batch is told why, and can begin anew; the file is closed."""

    def mistaken() -> None:
        raise ZeroDivisionError("a mistake of ours")

    writer = Writer(disk.write, disk.close, begin=mistaken)
    assert writer.join(30.0)

    with pytest.raises(RuntimeError, match="history has ended") as told:
        writer.offer(batch(1))
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    assert disk.closed == 1
