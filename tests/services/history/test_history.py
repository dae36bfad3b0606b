"""The history as a part of the bridge, from the bus to an answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.errors import described
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import SnapshotAccepted
from tinybms_bridge.services.history import History, HistorySettings
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.ports import EnergyOfToday

START_S = 1_767_225_600


@pytest.fixture(autouse=True)
def _slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends without what a slow disk does not take in 3 s; here it has longer."""
    monkeypatch.setattr("tinybms_bridge.services.history.history._END_S", 60.0)


@asynccontextmanager
async def running(history: History, bus: Bus, clock: Any) -> AsyncIterator[None]:
    """Run a history as the supervisor does."""
    task = asyncio.create_task(history.run(bus, clock))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def record(bus: Bus, clock: Any, sample: Callable[..., Snapshot], seconds: int) -> None:
    """Publish a sample each second."""
    for _ in range(seconds):
        bus.publish(SnapshotAccepted(sample(clock.monotonic(), current_a=1000.0)), "test")
        await clock.advance(1.0)


def soc(history: History, seconds: int) -> list[Any]:
    """Return the mean state of charge of each ten seconds."""
    view = history.view(START_S, START_S + seconds, ["soc_percent.mean"], points=5000, step_s=10)
    (column,) = view.columns()
    return column


async def test_from_the_bus_to_an_answer(folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]) -> None:
    """What happened is there after the end, in the file of the state directory, also for the next run."""
    history = History(folder)
    async with running(history, bus, clock):
        await record(bus, clock, sample, 25)
    assert await asyncio.to_thread(soc, history, 40) == [50.0, 50.0, 50.0, None]
    async with running(history, bus, clock):
        await record(bus, clock, sample, 10)
    assert await asyncio.to_thread(soc, History(folder), 40) == [50.0] * 4
    (day,) = await asyncio.to_thread(history.days, date(2025, 12, 31), date(2026, 1, 1))
    assert day.charged_kwh > 0.05
    state = await asyncio.to_thread(history.state)
    assert (state.enabled, state.path, state.error) == (True, str(folder / "history.db"), "")
    assert (state.written_batches, state.waiting_batches, state.lost_batches) == (1, 0, 0)
    assert state.levels[0].rows == 4
    assert {level.step_s: level.kept_days for level in state.levels} == {10: 2, 60: 14, 900: 730}


async def test_energy_of_today(folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]) -> None:
    """From memory, over a restart in the middle of the day: what the file has, and what was recorded since."""
    history = History(folder)
    assert history.today() is None
    async with running(history, bus, clock):
        assert history.today() == EnergyOfToday(0.0, 0.0, 0)
        await record(bus, clock, sample, 65)
        before = history.today()
        assert before is not None
        assert before.charged_wh == pytest.approx(6.61 * 1000.0 * 59 / 3600.0, rel=0.02)
    after = history.today()
    assert after is not None
    assert after.charged_wh > before.charged_wh
    again = History(folder)
    async with running(again, bus, clock):
        async with asyncio.timeout(30.0):
            while again.today() != after:
                await asyncio.sleep(0.002)
        await record(bus, clock, sample, 30)
        now = again.today()
        assert now is not None
        assert now.charged_wh > after.charged_wh
    today = clock.wall().astimezone().date()
    (day,) = await asyncio.to_thread(again.days, today, today)
    last = again.today()
    assert last is not None
    assert day.charged_kwh == round(last.charged_wh / 1e3, 3)


async def test_energy_of_today_without_a_history(folder: Path, bus: Bus, clock: Any) -> None:
    """Switched off, nothing is known of today."""
    history = History(folder, HistorySettings(enabled=False))
    async with running(history, bus, clock):
        assert history.today() is None


async def test_energy_of_today_of_a_file_that_cannot_be_read(
    folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]
) -> None:
    """Then it begins at nothing; the damaged file is repaired before the first batch."""

    def damage() -> None:
        folder.mkdir()
        (folder / "history.db").write_bytes(b"not a database at all" * 100)

    await asyncio.to_thread(damage)
    history = History(folder)
    async with running(history, bus, clock):
        async with asyncio.timeout(30.0):
            while not await asyncio.to_thread((folder / "damaged-history.db").exists):
                await asyncio.sleep(0.002)
        await record(bus, clock, sample, 15)
        today = history.today()
    assert today is not None
    assert today.charged_wh > 0.0


async def test_batches_reach_the_file_each_minute(
    folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]
) -> None:
    """A kill costs the last minute: what is older is in the file while the program runs."""
    history = History(folder)
    async with running(history, bus, clock):
        await record(bus, clock, sample, 61)
        async with asyncio.timeout(30.0):
            while await asyncio.to_thread(lambda: history.state().written_batches) < 1:
                await asyncio.sleep(0.002)
        assert await asyncio.to_thread(soc, history, 70) == [*[50.0] * 6, None]


async def test_folder_that_cannot_be_written_is_told(
    tmp_path: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]
) -> None:
    """The state says what is wrong; the event loop was never held up (blockbuster watches)."""
    await asyncio.to_thread((tmp_path / "file").write_text, "in the way")
    history = History(tmp_path / "file" / "state")
    async with running(history, bus, clock):
        await record(bus, clock, sample, 15)
    state = await asyncio.to_thread(history.state)
    assert "Not a directory" in state.error
    assert (state.waiting_batches, state.bytes) == (1, 0)


async def test_a_thread_that_ended_by_a_mistake_is_begun_anew(
    folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part ends with the reason, which the supervisor tells; when it is started again the history goes on."""

    def mistaken(_database: Database, _rows: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    history = History(folder)
    with monkeypatch.context() as mistake:
        mistake.setattr(Database, "write", mistaken)
        part = asyncio.create_task(history.run(bus, clock))
        await asyncio.sleep(0)
        async with asyncio.timeout(30.0):
            while not part.done():
                await record(bus, clock, sample, 1)
                await asyncio.sleep(0.002)
        failure = part.exception()
        assert failure is not None
        assert "history has ended" in described(failure).text
    first_s = int(clock.wall().timestamp()) - START_S
    async with running(history, bus, clock):
        await record(bus, clock, sample, 11)
    assert (await asyncio.to_thread(soc, history, first_s + 10))[-1] == 50.0


async def test_switched_off(folder: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]) -> None:
    """Off means that no file is made; the setting may change at any time."""
    history = History(folder, HistorySettings(enabled=False))
    async with running(history, bus, clock):
        await record(bus, clock, sample, 15)
        history.settings = HistorySettings()
        await record(bus, clock, sample, 10)
        assert not await asyncio.to_thread(folder.exists)
    assert await asyncio.to_thread(soc, history, 30) == [None, 50.0, 50.0]


async def test_settings_reach_the_file(folder: Path, bus: Bus, clock: Any) -> None:
    """Another retention is told and in force."""
    history = History(folder)
    history.settings = HistorySettings(days=(1, 2, 3))
    levels = (await asyncio.to_thread(history.state)).levels
    assert [(level.step_s, level.kept_days) for level in levels] == [(10, 1), (60, 2), (900, 3)]
    assert history._database.settings.days == (1, 2, 3)


async def test_moves_while_it_runs(tmp_path: Path, bus: Bus, clock: Any, sample: Callable[..., Snapshot]) -> None:
    """Another state directory takes the history along, and recording goes on there."""
    history = History(tmp_path / "a")
    async with running(history, bus, clock):
        await record(bus, clock, sample, 10)
        await asyncio.to_thread(history.move_to, tmp_path / "b")
        await record(bus, clock, sample, 10)
    assert await asyncio.to_thread(soc, History(tmp_path / "b"), 20) == [50.0, 50.0]


async def test_without_a_folder_it_answers_while_it_runs(bus: Bus, clock: Any, sample: Callable[..., Snapshot]) -> None:
    """Before the start, and with no file, everything is empty and nothing fails."""
    history = History()
    assert await asyncio.to_thread(soc, history, 10) == [None]
    assert [*await asyncio.to_thread(history.days, date(2026, 1, 1), date(2026, 1, 1))] == []
    state = await asyncio.to_thread(history.state)
    assert (state.path, state.bytes, state.error) == ("", 0, "")


async def test_damaged_file_is_told(folder: Path) -> None:
    """The state never fails: it says why the file cannot be read."""

    def look() -> Any:
        folder.mkdir()
        (folder / "history.db").write_bytes(b"not a database at all" * 100)
        return History(folder).state()

    assert "not a database" in (await asyncio.to_thread(look)).error
