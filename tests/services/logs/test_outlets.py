import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tinybms_bridge.services.logs.lines import LogLine
from tinybms_bridge.services.logs.outlets import Outlet

Make = Callable[..., LogLine]


class Time:
    """A clock in the hand of the test."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def moment() -> Time:
    """A clock that stands."""
    return Time()


@pytest.fixture
def outlet(sheet: Any, moment: Time) -> Iterator[Outlet]:
    """An outlet to the sheet, ended with the test."""
    outlet = Outlet(sheet, name="sheet", depth=10, retry_s=30.0, monotonic=moment.monotonic)
    yield outlet
    sheet.free.set()
    outlet.stop()
    assert outlet.join(30.0)


def wait(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.001)


def test_lines_arrive_in_order_from_another_thread(sheet: Any, outlet: Outlet, line: Make) -> None:
    """Nobody who logs writes."""
    writers: set[int] = set()
    write = sheet.write

    def remember(lines: Any) -> None:
        writers.add(threading.get_ident())
        write(lines)

    sheet.write = remember
    for number in range(8):
        outlet.offer(line(str(number)))
    wait(lambda: len(sheet.lines) == 8)
    assert sheet.texts == [str(number) for number in range(8)]
    assert threading.get_ident() not in writers


def test_target_that_hangs_holds_nobody_up(sheet: Any, outlet: Outlet, line: Make) -> None:
    """A full pipe: offering stays quick, the oldest lines are lost and counted, and the loss is told afterwards."""
    sheet.free.clear()
    outlet.offer(line("first"))
    assert sheet.entered.wait(30.0)
    for number in range(100):
        outlet.offer(line(str(number)))
    assert not sheet.free.is_set()
    assert outlet.lost == 90
    sheet.free.set()
    wait(lambda: len(sheet.lines) == 12)
    assert sheet.texts == [
        "first",
        "90 log lines were lost, the outlet was too slow",
        *(str(number) for number in range(90, 100)),
    ]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_target_that_fails_is_left_alone_for_a_while(
    sheet: Any, outlet: Outlet, moment: Time, line: Make, error: Exception
) -> None:
    """A full disk is not tried at each line; once there is room again, writing goes on and the gap is told."""
    sheet.error = error
    outlet.offer(line("lost"))
    wait(lambda: outlet.error)
    sheet.error = None
    outlet.offer(line("lost too"))
    wait(lambda: outlet.lost == 2)
    assert outlet.error == str(error)
    assert sheet.lines == []
    moment.now_s = 30.0
    outlet.offer(line("written"))
    wait(lambda: len(sheet.lines) == 2)
    assert sheet.texts == [f"2 log lines were lost: {error}", "written"]
    wait(lambda: outlet.error == "")


def test_what_waits_is_written_at_the_end(sheet: Any, line: Make) -> None:
    """The last lines of a program are the ones that matter."""
    outlet = Outlet(sheet, name="sheet")
    for number in range(500):
        outlet.offer(line(str(number)))
    outlet.stop()
    assert outlet.join(30.0)
    assert sheet.texts == [str(number) for number in range(500)]


def test_target_that_never_returns_does_not_keep_the_program(sheet: Any, line: Make) -> None:
    """Waiting for the end has an end."""
    sheet.free.clear()
    outlet = Outlet(sheet, name="sheet")
    outlet.offer(line())
    outlet.stop()
    assert not outlet.join(0.05)
    sheet.free.set()
    assert outlet.join(30.0)
