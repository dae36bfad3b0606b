"""Work that nobody waits for."""

import asyncio
import gc

import pytest

from tinybms_bridge.app.background import Background


async def test_work_goes_on_while_nobody_holds_it() -> None:
    """A garbage collection in the middle takes nothing away: the event loop's own references are weak."""
    gate, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    background = Background()
    background.begin(work())
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    await asyncio.wait_for(done.wait(), 10.0)


async def test_failure_is_logged_when_it_happens(caplog: pytest.LogCaptureFixture) -> None:
    """An error of work that nobody waits for does not wait for a garbage collection to be seen."""

    async def work() -> None:
        raise RuntimeError("no such folder")

    Background().begin(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["no such folder"]
