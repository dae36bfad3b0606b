import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.hal.blocking import RunBlocking, in_own_thread, in_place, in_thread, or_discard


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


async def test_work_that_hangs_has_a_thread_of_its_own() -> None:
    """Its result and errors are those of the work, it takes none of the threads of others, and keeps nothing alive."""
    assert await in_own_thread(divide, 6, by=4) == 1.5
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(divide, 6, by=0)
    released = threading.Event()
    tasks = [asyncio.create_task(in_own_thread(released.wait)) for _ in range(100)]
    await asyncio.sleep(0)
    assert await in_thread(divide, 6, by=4) == 1.5
    threads = [each for each in threading.enumerate() if each.name == "Event.wait"]
    assert len(threads) == 100
    assert all(each.daemon for each in threads)
    for task in tasks[1:]:
        task.cancel()
    released.set()
    assert await tasks[0] is True
    await asyncio.gather(*tasks, return_exceptions=True)  # whoever gave up is not told
    for thread in threads:  # the next test looks for those of its own
        thread.join(30.0)


def test_a_loop_that_has_ended_is_not_told() -> None:
    """The thread ends without a word."""
    released = threading.Event()
    failures: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(in_own_thread(released.wait), 0.01))
        (thread,) = (each for each in threading.enumerate() if each.name == "Event.wait")
        released.set()
        thread.join(30.0)
    finally:
        threading.excepthook = hook
    assert not thread.is_alive()
    assert failures == []


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


async def test_what_opens_after_its_opener_was_cancelled_is_discarded() -> None:
    """A thread cannot be stopped, so what it opened is closed again; an error then is nobody's."""
    results: list[asyncio.Future[str]] = [asyncio.get_running_loop().create_future() for _ in range(2)]
    discarded: list[str] = []
    waiting = [asyncio.create_task(_waits(each, discarded.append)) for each in results]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert discarded == []
    results[0].set_result("socket")
    results[1].set_exception(OSError("too late"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert discarded == ["socket"]


async def test_what_opens_in_time_is_kept() -> None:
    """Neither the result nor an error is taken from who waits."""
    discarded: list[str] = []
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    opened.set_result("socket")
    assert await or_discard(opened, discarded.append) == "socket"
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    refused.set_exception(OSError("busy"))
    with pytest.raises(OSError, match="busy"):
        await or_discard(refused, discarded.append)
    assert discarded == []


async def _waits(opening: asyncio.Future[str], discard: Callable[[str], object]) -> str:
    return await or_discard(opening, discard)
