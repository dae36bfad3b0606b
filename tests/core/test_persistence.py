import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import ChargeState, DischargeMemory, Memory, StateMemory
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import STATE_VERSION, SavedUnits
from tinybms_bridge.core.persistence import StateKeeper, load_state, peek_state
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import RunBlocking, in_place, in_thread
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_lab.testing.fake_clock import FakeClock

INTERVAL_S = 300.0

WAIT_S = 30.0
"""For what a real thread does on a loaded machine."""


def state(charged_wh: float) -> SavedState:
    """Return a state that differs from the start values."""
    return SavedState(EnergyTotals(charged_wh=charged_wh), Memory(StateMemory(ChargeState.FLOAT, float_latched=True)))


def text(saved: SavedState) -> bytes:
    """Return the content of a file with a state."""
    return json.dumps(saved.to_document()).encode()


class Disk(MemoryStorage):
    """A storage that can fail or wait, and that tells how it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.attempts = 0
        self.threads: set[int] = set()
        self.free = threading.Event()
        """Writes wait for it."""
        self.free.set()
        self.writing = 0
        self.at_once = 0
        """Most writes at the same time."""

    def write(self, data: bytes) -> None:
        """Write, late or not at all."""
        self.attempts += 1
        self.threads.add(threading.get_ident())
        self.writing += 1
        self.at_once = max(self.at_once, self.writing)
        try:
            assert self.free.wait(WAIT_S)
            if self.full:
                raise OSError(28, "No space left on device")
            super().write(data)
        finally:
            self.writing -= 1


class Broken(MemoryStorage):
    """A storage that cannot be read."""

    def read(self) -> bytes | None:
        """Fail."""
        raise OSError(5, "Input/output error")


@pytest.fixture
def disk() -> Disk:
    """An empty, healthy disk."""
    return Disk()


class Bench:
    """A keeper at work on a changing state."""

    def __init__(self, disk: Disk, clock: FakeClock, run_blocking: RunBlocking = in_place) -> None:
        self.current = state(1.0)
        self.disk = disk
        self.clock = clock
        self.keeper = StateKeeper(disk, clock, lambda: SavedUnits(unclaimed=self.current), INTERVAL_S, run_blocking)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Run the keeper as the supervisor does."""
        self.task = asyncio.create_task(self.keeper.run())
        return self.task

    async def stop(self) -> None:
        """End the keeper as the supervisor does."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    @property
    def saved(self) -> SavedState:
        """What a restart would find."""
        return load_state(MemoryStorage(self.disk.data)).state


@pytest.fixture
async def bench(disk: Disk, clock: FakeClock) -> AsyncIterator[Bench]:
    """A keeper with its disk; ended with the test."""
    bench = Bench(disk, clock)
    yield bench
    disk.full = False
    if bench.task is not None and not bench.task.done():
        await bench.stop()


def test_a_look_changes_nothing() -> None:
    """The doctor reads the file of a running bridge: whatever is there stays as it is."""
    for data, expected in ((None, SavedState()), (text(state(12.5)), state(12.5)), (b"{", SavedState())):
        storage = MemoryStorage() if data is None else MemoryStorage(data)
        before = storage.read()
        assert peek_state(storage).state == expected
        assert storage.read() == before
        assert storage.read_previous() is None


def test_nothing_saved_gives_the_start_values() -> None:
    """The first start of all."""
    assert load_state(MemoryStorage()).state == SavedState()


def test_saved_state_is_loaded() -> None:
    """What was written comes back."""
    assert load_state(MemoryStorage(text(state(12.5)))).state == state(12.5)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\0" * 4096, b'{"energy": {"charged_wh": 12', b"\xff\xfe{}", b"[" * 100_000, b"energy"],
    ids=["empty", "zeros", "cut off", "not UTF-8", "nested without end", "no JSON"],
)
def test_damaged_file_gives_way_to_the_one_before(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What a power cut leaves behind costs the last minutes of counting, not all of it, and is told once."""
    storage = MemoryStorage(damaged)
    storage.previous = text(state(7.0))
    assert load_state(storage).state == state(7.0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "state in memory cannot be read" in record.getMessage()


def test_unreadable_file_gives_way_to_the_one_before(caplog: pytest.LogCaptureFixture) -> None:
    """A bad sector under the file itself."""
    storage = Broken()
    storage.previous = text(state(7.0))
    assert load_state(storage).state == state(7.0)
    assert "Input/output error" in caplog.text


def test_both_files_damaged_start_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left to read: the bridge starts all the same, with the start values, and says so."""
    storage = MemoryStorage(b"{")
    storage.previous = b"}"
    assert load_state(storage).state == SavedState()
    assert [line.split(" in ")[0] for line in caplog.messages] == ["the state", "the previous copy of the state"]
    assert storage.aside == [b"{", b"}"], "a person may want to look at them"


def test_what_is_loaded_is_there_twice(tmp_path: Path) -> None:
    """A newest file that is lost before the next save takes no counter back, whichever of the two there was."""
    storage = FileStorage(tmp_path / "state.json")
    storage.write(text(state(1.0)))
    storage.write(text(state(2.0)))
    load_state(storage)
    storage.path.unlink()
    assert load_state(storage).state == state(2.0)
    assert storage.read() == storage.read_previous() == text(state(2.0))


def test_state_of_a_later_version_is_kept_aside(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever goes back to an earlier version and forth again finds the file as it was."""
    later = json.dumps({**state(9.0).to_document(), "version": STATE_VERSION + 1}).encode()
    storage = MemoryStorage(later)
    storage.previous = text(state(7.0))
    assert load_state(storage).state == state(7.0)
    assert storage.aside == [later]
    assert "later version" in caplog.text


def test_file_that_vanished_gives_way_to_the_one_before() -> None:
    """A power cut between two renames may leave only the predecessor."""
    storage = MemoryStorage()
    storage.previous = text(state(7.0))
    assert load_state(storage).state == state(7.0)


@given(st.binary(max_size=200))
def test_any_content_lets_the_bridge_start(data: bytes) -> None:
    """No content of the file keeps the bridge from starting."""
    assert isinstance(load_state(MemoryStorage(data)), SavedUnits)


async def test_state_is_saved_at_the_interval_and_not_before(bench: Bench) -> None:
    """An SD card lives longer when it is written every five minutes."""
    bench.start()
    await bench.clock.advance(INTERVAL_S - 1.0)
    assert bench.disk.attempts == 0
    await bench.clock.advance(2.0)
    assert bench.disk.writes == 1
    assert bench.saved == state(1.0)


async def test_unchanged_state_is_not_written_again(bench: Bench) -> None:
    """A battery at rest costs no write; the next change is written again, and its predecessor kept."""
    bench.start()
    for _ in range(4):
        await bench.clock.advance(INTERVAL_S)
        assert bench.disk.writes == 1
    assert bench.disk.attempts == 1
    bench.current = state(2.0)
    await bench.clock.advance(INTERVAL_S)
    assert bench.disk.writes == 2
    assert bench.saved == state(2.0)
    assert bench.disk.previous is not None
    assert SavedUnits.from_document(json.loads(bench.disk.previous)).state == state(1.0)


async def test_stopping_saves_what_came_since(bench: Bench) -> None:
    """A restart of the service loses nothing."""
    bench.start()
    await bench.clock.advance(INTERVAL_S)
    assert bench.disk.writes == 1
    bench.current = state(3.0)
    await bench.stop()
    assert bench.saved == state(3.0)


async def test_stopping_without_a_change_writes_nothing(bench: Bench) -> None:
    """The last save was a moment ago."""
    bench.start()
    await bench.clock.advance(INTERVAL_S)
    assert bench.disk.writes == 1
    await bench.stop()
    assert bench.disk.attempts == 1


async def test_stopping_with_a_full_disk_is_one_line(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can act on it any more; the process still ends."""
    bench.disk.full = True
    task = bench.start()
    await bench.clock.advance(1.0)
    await bench.stop()
    assert task.cancelled()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "could not be saved in memory: [Errno 28] No space left on device" in record.getMessage()


async def test_failure_ends_the_part_without_a_second_attempt(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The supervisor learns of a failed save at once, says it, and decides when to try again."""
    bench.disk.full = True
    task = bench.start()
    await bench.clock.advance(INTERVAL_S)
    with pytest.raises(BridgeError, match="nothing can be saved in memory: No space left on device"):
        await task
    assert bench.disk.attempts == 1
    assert caplog.records == []


async def test_restarted_part_saves_at_once(bench: Bench) -> None:
    """After a failure the next attempt comes with the restart, not an interval later; then the interval holds again."""
    bench.disk.full = True
    with pytest.raises(BridgeError, match="nothing can be saved in memory: No space left on device"):
        await asyncio.gather(bench.start(), bench.clock.advance(INTERVAL_S))
    bench.disk.full = False
    bench.start()
    await bench.clock.advance(0.0)
    assert bench.disk.writes == 1
    bench.current = state(2.0)
    await bench.clock.advance(INTERVAL_S - 1.0)
    assert bench.disk.writes == 1
    await bench.clock.advance(2.0)
    assert bench.disk.writes == 2


async def test_every_write_is_off_the_event_loop(disk: Disk, clock: FakeClock) -> None:
    """A disk that takes its time holds up nobody, neither while running nor at the end."""
    bench = Bench(disk, clock, in_thread)
    bench.start()
    await bench.clock.advance(INTERVAL_S)
    await bench.stop()  # waits for the write under way
    bench.current = state(2.0)
    bench.start()
    await bench.clock.advance(0.0)
    await bench.stop()
    assert bench.saved == state(2.0)
    assert threading.get_ident() not in bench.disk.threads


async def test_stopping_during_a_write_does_not_write_twice_at_once(disk: Disk, clock: FakeClock) -> None:
    """The last save waits for the one under way; two writers of one temporary file would mix their texts."""
    bench = Bench(disk, clock, in_thread)
    bench.start()
    disk.free.clear()
    await bench.clock.advance(INTERVAL_S)
    async with asyncio.timeout(WAIT_S):
        while not disk.attempts:
            await asyncio.sleep(0.001)
    bench.current = state(9.0)
    stopping = asyncio.create_task(bench.stop())
    await asyncio.sleep(0)
    disk.free.set()
    await stopping
    assert bench.disk.writes == 2
    assert bench.disk.at_once == 1
    assert bench.saved == state(9.0)


async def test_interval_may_be_replaced(bench: Bench) -> None:
    """A change of the configuration is in force from the next save."""
    bench.start()
    bench.keeper.interval_s = 60.0
    await bench.clock.advance(INTERVAL_S)
    assert bench.disk.writes == 1
    bench.current = state(2.0)
    await bench.clock.advance(61.0)
    assert bench.disk.writes == 2


async def test_state_survives_in_a_file(tmp_path: Path, clock: FakeClock) -> None:
    """The real storage: saved at the end by a thread, readable, and loaded by the next start."""
    storage = await asyncio.to_thread(FileStorage, tmp_path / "lib" / "state.json", mode=0o644)
    task = asyncio.create_task(StateKeeper(storage, clock, lambda: SavedUnits(unclaimed=state(42.0)), INTERVAL_S).run())
    await clock.advance(1.0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert (await asyncio.to_thread(load_state, storage)).state == state(42.0)


def test_power_cut_while_writing_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens before the rename, the file stays as it was, and nothing is left lying about."""
    storage = FileStorage(tmp_path / "state.json", mode=0o644)
    storage.write(text(state(1.0)))

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        StateKeeper(storage, FakeClock(), lambda: SavedUnits(unclaimed=state(2.0)), INTERVAL_S).save()
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert load_state(storage).state == state(1.0)


def latched(*, empty: bool) -> SavedState:
    """Return a state with a latch."""
    return replace(state(1.0), memory=replace(state(1.0).memory, discharge=DischargeMemory(emptied=empty)))


async def test_a_latch_is_saved_soon(bench: Bench) -> None:
    """A battery that was found empty is still empty after a crash a few seconds later."""
    bench.start()
    await bench.clock.advance(60.0)
    assert bench.disk.attempts == 0
    bench.current = latched(empty=True)
    await bench.clock.advance(2.0)
    assert bench.disk.writes == 1
    assert bench.saved == latched(empty=True)


async def test_a_latch_that_flutters_does_not_wear_out_the_disk(bench: Bench) -> None:
    """Twice a minute at the most, however often it changes; and the last change is not forgotten."""
    bench.start()
    bench.current = latched(empty=True)
    await bench.clock.advance(2.0)
    assert bench.disk.writes == 1
    for number in range(14):
        bench.current = latched(empty=bool(number % 2))
        await bench.clock.advance(2.0)
    assert bench.disk.attempts == 1
    bench.current = latched(empty=False)
    await bench.clock.advance(4.0)
    assert bench.disk.writes == 2
    assert bench.saved == latched(empty=False)


class Plant:
    """A bridge that counts, tells a GX, saves now and then, and is killed; its file may be lost."""

    def __init__(self) -> None:
        self.disk = MemoryStorage()
        self.highest: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """Begin as after a power cut."""
        self.units = load_state(self.disk)
        self.keeper = StateKeeper(self.disk, FakeClock(), lambda: self.units, INTERVAL_S)

    def meet(self, key: str) -> None:
        """Another unit answers."""
        self.units = self.units.meet(key)

    def count(self, amount_wh: float) -> None:
        """Let energy flow."""
        before = self.units.state.energy.charged_wh
        self.units = self.units.with_state(state(before + amount_wh))

    def tell(self) -> None:
        """Send the counter of the unit in use, which must never go back."""
        key = self.units.current
        if key is None:
            return
        told_wh = self.keeper.told_energy(key, self.units.state.energy).charged_wh
        assert told_wh >= self.highest.get(key, 0.0)
        assert told_wh <= self.units.state.energy.charged_wh
        self.highest[key] = told_wh


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("meet"), st.sampled_from(["A", "B", ""])),
            st.tuples(st.just("count"), st.floats(0.0, 500.0)),
            st.tuples(st.sampled_from(["save", "fail", "kill", "lose the file and kill"]), st.none()),
        ),
        max_size=40,
    )
)
def test_no_restart_reads_less_than_a_gx_was_told(story: list[tuple[str, Any]]) -> None:
    """Killed at any moment, disk full at any moment, newest file lost at a start: the counters in 0x378 only grow."""
    plant = Plant()
    for deed, what in story:
        match deed:
            case "meet":
                plant.meet(what)
            case "count":
                plant.count(what)
            case "save":
                plant.keeper.save()
            case "fail":
                with suppress(OSError):
                    StateKeeper(Full(plant.disk), FakeClock(), lambda: plant.units, INTERVAL_S).save()
            case "kill":
                plant.start()
            case _:
                if plant.disk.previous is not None:
                    plant.disk.data = b"\0" * 100
                plant.start()
        plant.tell()


class Full(MemoryStorage):
    """A disk without room."""

    def __init__(self, disk: MemoryStorage) -> None:
        super().__init__(disk.data)

    def write(self, data: bytes) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")


async def test_told_energy_follows_the_saves(bench: Bench) -> None:
    """It lags by up to two saves and never runs ahead of what is on the disk."""
    bench.start()

    def told_wh() -> float:
        return bench.keeper.told_energy(None, bench.current.energy).charged_wh

    assert told_wh() == 1.0
    bench.current = state(50.0)
    assert told_wh() == 1.0
    await bench.clock.advance(INTERVAL_S)
    await bench.clock.advance(INTERVAL_S)
    assert told_wh() == 1.0
    bench.current = state(51.0)
    await bench.clock.advance(INTERVAL_S)
    assert told_wh() == 50.0


async def test_another_unit_is_saved_at_once(bench: Bench) -> None:
    """A kill right after a change of the battery must not give the new one the counters of the old."""
    units = SavedUnits(unclaimed=state(5.0)).meet("A")
    keeper = StateKeeper(bench.disk, bench.clock, lambda: units, INTERVAL_S, in_place)
    task = asyncio.create_task(keeper.run())
    await bench.clock.advance(INTERVAL_S)
    writes = bench.disk.writes
    units = units.meet("B")
    await bench.clock.advance(33.0)
    assert bench.disk.writes == writes + 1
    assert load_state(bench.disk).current == "B"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_older_state_never_replaces_a_newer_one(bench: Bench) -> None:
    """A save that was cancelled may still be under way in its thread, behind the last one."""
    older = bench.keeper._next()
    bench.current = state(9.0)
    bench.keeper.save()
    bench.keeper._save(*older)
    assert bench.saved == state(9.0)
