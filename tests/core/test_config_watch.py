import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.core.config_watch import ConfigWatch
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.storage import FileStorage
from tinybms_lab.testing.fake_clock import FakeClock


class Desk:
    """A watched file."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.clock = clock
        self.store = ConfigStore(FileStorage(path))
        self.store.load()
        self.reloads = 0
        self.watch = ConfigWatch(path, self.store, clock, self._reload, run_blocking=in_place)
        self.task: asyncio.Task[None] | None = None

    def _reload(self) -> None:
        self.reloads += 1
        self.store.reload_if_changed()

    async def start(self) -> None:
        """Run the watch until it has looked twice."""
        self.task = asyncio.create_task(self.watch.run())
        await self.looks(3)

    async def looks(self, count: int) -> None:
        """Let the watch look some times."""
        for _ in range(count):
            await self.clock.advance(1.0)

    async def write(self, document: object) -> None:
        """Edit the file as an editor does: a new file in the place of the old one."""

        def edit() -> None:
            beside = self.path.with_name("beside")
            beside.write_text(document if isinstance(document, str) else json.dumps(document))
            beside.replace(self.path)

        await asyncio.to_thread(edit)

    @property
    def hold_s(self) -> float:
        """A key in force."""
        return self.store.configuration.victron.stale_hold_s


def hold(seconds: float) -> dict[str, Any]:
    """Return a document with that key."""
    return {"victron": {"stale_hold_s": seconds}}


@pytest.fixture
async def desk(tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Desk]:
    """A watch at work on a good file."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    path = tmp_path / "config.json"
    await asyncio.to_thread(path.write_text, json.dumps(hold(10)))
    desk = await asyncio.to_thread(Desk, path, clock)
    await desk.start()
    yield desk
    assert desk.task is not None
    desk.task.cancel()
    with suppress(asyncio.CancelledError):
        await desk.task


async def test_edit_is_noticed(desk: Desk) -> None:
    """Within a second; reading goes by ``run_blocking``, or ``blockbuster`` would fail this."""
    await desk.write(hold(20))
    await desk.looks(2)
    assert desk.hold_s == 20


async def test_unchanged_file_is_not_read(desk: Desk) -> None:
    """A look each second costs one stat call, no reading and checking of the whole file."""
    reloads = desk.reloads
    await desk.looks(10)
    assert desk.reloads == reloads


async def test_edit_in_place_of_the_same_length_is_noticed(desk: Desk) -> None:
    """`sed -i` keeps the length, `dd conv=notrunc` even the inode: the times tell."""
    await asyncio.to_thread(desk.path.write_text, json.dumps(hold(11)))
    await desk.looks(2)
    assert desk.hold_s == 11


async def test_hurry_reads_at_once(desk: Desk) -> None:
    """SIGHUP does not wait for the next second, nor for the times of the file."""
    reloads = desk.reloads
    await desk.write(hold(30))
    desk.watch.hurry()
    await desk.clock.advance(0.0)
    assert desk.reloads > reloads
    assert desk.hold_s == 30


async def test_bad_file_is_told_once_with_every_mistake(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each mistake, not one each second; the old configuration stays; the end is told, too."""
    await desk.write({"victron": {"stale_hold_s": 999}, "cann": {}})
    await desk.looks(10)
    told = [record.getMessage() for record in caplog.records]
    assert len([line for line in told if line.startswith("configuration not used: ")]) == 2
    assert told.count("the configuration in force stays") == 1
    assert desk.hold_s == 10
    await desk.write(hold(12))
    await desk.looks(3)
    assert caplog.messages.count("the configuration file can be used again") == 1
    assert desk.hold_s == 12


async def test_half_written_file_is_not_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """An editor in the middle of its work is no mistake of the user's."""
    await desk.write('{"victron": {"stale_')
    await desk.looks(1)
    await desk.write(hold(13))
    await desk.looks(3)
    assert caplog.messages == []
    assert desk.hold_s == 13


async def test_file_that_vanishes_changes_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Removed or on a disk that is gone: what is in force stays; the file is followed when it is back."""
    await asyncio.to_thread(os.unlink, desk.path)
    await desk.looks(3)
    assert desk.hold_s == 10
    await desk.write(hold(14))
    await desk.looks(2)
    assert desk.hold_s == 14
    assert caplog.messages == []


async def test_mistake_known_from_the_start_is_not_told_again(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The start has said that the last good copy is in force."""
    path = tmp_path / "config.json"
    await asyncio.to_thread(path.write_text, "{")
    desk = await asyncio.to_thread(Desk, path, clock)
    assert desk.store.error is not None
    await desk.start()
    assert caplog.messages == []
    assert desk.task is not None
    desk.task.cancel()
    with suppress(asyncio.CancelledError):
        await desk.task
