import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.hal.blocking import RunBlocking, in_place, in_thread


def divide(dividend: int, *, by: int) -> float:
    """Stand for work that may fail."""
    return dividend / by


@pytest.fixture(params=[in_thread, in_place])
def run_blocking(request: pytest.FixtureRequest) -> RunBlocking:
    """Each of the two ways."""
    chosen: RunBlocking = request.param
    return chosen


async def test_result_and_error_are_those_of_the_work(run_blocking: RunBlocking) -> None:
    """Whoever calls it need not know which of the two it has."""
    assert await run_blocking(divide, 6, by=4) == 1.5
    with pytest.raises(ZeroDivisionError):
        await run_blocking(divide, 6, by=0)


async def test_the_program_does_not_wait_on_its_event_loop() -> None:
    """The sender's tick must not wait for a disk."""
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_in_place_is_over_before_anything_else_runs(tmp_path: Path) -> None:
    """A test that moves a fake clock knows that the file is written; nothing else had a turn in between."""
    others: list[str] = []

    async def other() -> None:
        others.append("had a turn")

    task = asyncio.create_task(other())
    write: Callable[[str], int] = (tmp_path / "file").write_text
    assert await in_place(write, "text") == 4
    assert others == []
    await task
