import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.limits import Inhibited
from tinybms_bridge.core.inhibits import Inhibits, load_inhibits
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_lab.testing.fake_clock import FakeClock

CHARGE, DISCHARGE = Direction.CHARGE, Direction.DISCHARGE
FREE = Inhibited()


class SteppedClock(FakeClock):
    """A clock whose wall time can be set."""

    def __init__(self) -> None:
        super().__init__()
        self.step = timedelta()

    def wall(self) -> datetime:
        """See ``Clock.wall``."""
        return super().wall() + self.step

    slept = 0

    async def sleep(self, delay_s: float) -> None:
        """See ``Clock.sleep``."""
        self.slept += 1
        await super().sleep(delay_s)


class Disk(MemoryStorage):
    """A disk that may be full."""

    full = False

    def write(self, data: bytes) -> None:
        """See ``Storage.write``."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


class Bench:
    """Stops that may be stopped and started again like the program."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.disk = Disk()
        self.applied: list[Inhibited] = []
        self.task: asyncio.Task[None] | None = None
        self.expired: list[Direction] = []
        """Stops that ended by themselves."""
        self.inhibits = self._make()

    def _make(self) -> Inhibits:
        return Inhibits(self.disk, self.clock, self.applied.append, self.expired.append, run_blocking=in_place)

    @property
    def in_force(self) -> Inhibited:
        """What the pipeline was told last."""
        return self.applied[-1] if self.applied else FREE

    async def start(self) -> None:
        """Begin as the program does."""
        self.applied.clear()
        self.inhibits = self._make()
        await self.inhibits.load()
        self.task = asyncio.create_task(self.inhibits.run())

    async def end(self) -> None:
        """End as by SIGTERM."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def crash(self) -> None:
        """End as by a power cut: nothing is saved any more."""
        self.disk.full = True
        await self.end()
        self.disk.full = False

    async def advance(self, seconds: float) -> None:
        """Let the bridge run."""
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)


def left_s(inhibit: Inhibit, bench: Bench) -> float:
    """Return how much longer an inhibit lasts, as people see it."""
    assert inhibit.expires_at is not None
    return (inhibit.expires_at - bench.clock.wall()).total_seconds()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Stops that run."""
    bench = Bench()
    await bench.start()
    yield bench
    await bench.end()


async def test_stop_without_an_end_is_back_after_a_crash(bench: Bench) -> None:
    """Who stopped what, when and why is on the disk before success is told, and in force before anything is decided."""
    inhibit = await bench.inhibits.inhibit(CHARGE, None, "work on the cables", "boss")
    assert bench.in_force == Inhibited(charge=True)
    await bench.crash()
    await bench.start()
    assert bench.applied == [Inhibited(charge=True)]
    assert bench.inhibits.current() == (inhibit,)
    assert (inhibit.reason, inhibit.by, inhibit.since) == (
        "work on the cables",
        "boss",
        datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_release_is_kept_too(bench: Bench) -> None:
    """What was released does not come back; the other direction stays."""
    await bench.inhibits.inhibit(CHARGE, None, "", "boss")
    await bench.inhibits.inhibit(DISCHARGE, None, "", "boss")
    assert await bench.inhibits.release(CHARGE)
    assert not await bench.inhibits.release(CHARGE)
    await bench.crash()
    await bench.start()
    assert bench.in_force == Inhibited(discharge=True)


async def test_stop_is_on_the_disk_and_not_only_in_memory(tmp_path: Path) -> None:
    """The file is there, whole, when the call returns."""
    path = tmp_path / "stops.json"
    inhibits = Inhibits(FileStorage(path), FakeClock(), lambda _manual: None, run_blocking=in_place)
    await inhibits.inhibit(DISCHARGE, 90.0, "lightning", "guest")
    document = json.loads(await asyncio.to_thread(path.read_bytes))
    assert document["stops"] == [
        {
            "direction": "discharge",
            "since": "2026-01-01T00:00:00+00:00",
            "remaining_s": 90.0,
            "reason": "lightning",
            "by": "guest",
        }
    ]


async def test_end_by_time_is_told_and_a_release_is_not(bench: Bench) -> None:
    """Whoever stopped it finds in the event list when it went on by itself."""
    await bench.inhibits.inhibit(Direction.CHARGE, 60.0, "", "ann")
    await bench.inhibits.inhibit(Direction.DISCHARGE, 60.0, "", "ann")
    await bench.inhibits.release(Direction.DISCHARGE)
    await bench.advance(59.0)
    assert bench.expired == []
    await bench.advance(3.0)
    assert bench.expired == [Direction.CHARGE]


async def test_time_is_over_by_the_monotonic_clock(bench: Bench) -> None:
    """An hour is an hour, whatever NTP does to the wall clock meanwhile."""
    await bench.inhibits.inhibit(CHARGE, 3600.0, "", "boss")
    bench.clock.step = timedelta(hours=5)
    await bench.advance(100)
    assert bench.in_force.charge
    bench.clock.step = timedelta(days=-3000)
    await bench.advance(3500)
    assert bench.in_force == FREE
    assert bench.inhibits.current() == ()


@pytest.mark.parametrize("step", [timedelta(), timedelta(days=400), timedelta(days=-9000)])
async def test_restart_neither_ends_a_stop_early_nor_begins_it_anew(bench: Bench, step: timedelta) -> None:
    """After a restart the time that was left at the end is left, whether or not the clock is set by then."""
    await bench.inhibits.inhibit(CHARGE, 600.0, "", "boss")
    await bench.advance(200)
    await bench.end()
    bench.clock.step = step
    await bench.start()
    (inhibit,) = bench.inhibits.current()
    assert left_s(inhibit, bench) == pytest.approx(400, abs=1)
    await bench.advance(390)
    assert bench.in_force.charge
    await bench.advance(15)
    assert bench.in_force == FREE
    await bench.crash()
    await bench.start()
    assert bench.in_force == FREE


async def test_crash_costs_at_most_a_minute(bench: Bench) -> None:
    """The time that is left is saved while the stop lasts, so crashes in a row do not make it endless."""
    await bench.inhibits.inhibit(CHARGE, 600.0, "", "boss")
    await bench.advance(500)
    await bench.crash()
    await bench.start()
    (inhibit,) = bench.inhibits.current()
    assert 100 <= left_s(inhibit, bench) <= 165


async def test_nobody_looks_at_a_clock_for_what_does_not_end(bench: Bench) -> None:
    """Without a time that runs out there is nothing to wake up for; the next stop with an end ends all the same."""
    await bench.inhibits.inhibit(CHARGE, None, "", "boss")
    await bench.advance(3)
    slept = bench.clock.slept
    await bench.advance(200)
    assert bench.clock.slept == slept

    await bench.inhibits.inhibit(CHARGE, 5.0, "", "boss")
    await bench.advance(7)
    assert bench.in_force == FREE
    assert bench.expired == [CHARGE]


async def test_nothing_is_written_while_there_is_nothing_to_write(bench: Bench) -> None:
    """A stop without an end, or none at all, wears no flash memory."""
    await bench.advance(200)
    assert bench.disk.writes == 0
    await bench.inhibits.inhibit(CHARGE, None, "", "boss")
    await bench.advance(200)
    await bench.end()
    assert bench.disk.writes == 1


async def test_stop_that_cannot_be_saved_is_in_force_and_tells_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk keeps nobody from stopping; it is saved as soon as there is room, and told once until then."""
    bench.disk.full = True
    with pytest.raises(OSError, match="No space left"):
        await bench.inhibits.inhibit(CHARGE, None, "fire", "boss")
    assert bench.in_force.charge
    await bench.advance(200)
    assert sum("the inhibits cannot be saved" in line for line in caplog.messages) == 1
    bench.disk.full = False
    await bench.advance(70)
    await bench.crash()
    await bench.start()
    assert bench.in_force.charge


async def test_release_that_cannot_be_saved_is_in_force_and_can_be_repeated(bench: Bench) -> None:
    """A full disk must not keep charging stopped for ever; asking again saves it."""
    await bench.inhibits.inhibit(CHARGE, None, "", "boss")
    bench.disk.full = True
    with pytest.raises(OSError, match="No space left"):
        await bench.inhibits.release(CHARGE)
    assert bench.in_force == FREE
    with pytest.raises(OSError, match="No space left"):
        await bench.inhibits.release(CHARGE)
    bench.disk.full = False
    assert not await bench.inhibits.release(CHARGE)
    await bench.crash()
    await bench.start()
    assert bench.in_force == FREE


async def test_what_is_still_stopped_is_told_at_the_start(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody should wonder for days why the battery does not charge."""
    await bench.inhibits.inhibit(CHARGE, 600.0, "cables", "boss")
    await bench.end()
    await bench.start()
    assert "charging is stopped by hand, for another 600 s: cables" in caplog.messages


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"stops": [{"direction": "up"}]}', b"[" * 100_000])
def test_file_that_cannot_be_read_is_no_permission_to_charge(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Then charging is stopped until somebody releases it, and what the file before said of discharging counts."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    disk = MemoryStorage(data)
    ((inhibit, remaining_s),) = load_inhibits(disk, now).items()
    assert (inhibit.direction, remaining_s, inhibit.by) == (CHARGE, None, "tinybms-bridge")
    assert "cannot be read" in inhibit.reason
    assert any("charging is stopped until somebody releases it" in line for line in caplog.messages)
    assert disk.aside == [data], "what it was is not lost"
    disk.data = data
    disk.previous = b'{"stops": [{"direction": "discharge", "by": "boss"}, {"direction": "charge", "remaining_s": 5}]}'
    assert load_inhibits(disk, now) == {Inhibit(DISCHARGE, now, by="boss"): None, inhibit: None}


async def test_a_stop_for_want_of_a_file_outlasts_the_next_crash(bench: Bench) -> None:
    """The spoilt file is no longer there, so what it led to is saved at once."""
    bench.disk.data = b"{"
    await bench.start()
    assert bench.disk.data is not None
    assert b'"charge"' in bench.disk.data
    assert bench.disk.aside == [b"{"]


def test_a_list_that_is_gone_is_no_permission_to_charge() -> None:
    """Only its predecessor is there: nobody knows what the list itself said."""
    disk = MemoryStorage()
    disk.previous = b'{"stops": [{"direction": "discharge", "by": "boss"}]}'
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert {stop.direction for stop in load_inhibits(disk, now)} == {CHARGE, DISCHARGE}


def test_inhibits_of_a_later_version_are_no_permission_to_charge() -> None:
    """What they say is not known."""
    disk = MemoryStorage(b'{"version": 2, "stops": []}')
    (inhibit,) = load_inhibits(disk, datetime(2026, 1, 1, tzinfo=UTC))
    assert inhibit.direction is CHARGE
    assert "later version" in inhibit.reason


def test_disk_that_cannot_be_read_is_no_permission_to_charge(tmp_path: Path) -> None:
    """A folder in place of the file, or an input error."""
    (tmp_path / "stops.json").mkdir()
    (inhibit,) = load_inhibits(FileStorage(tmp_path / "stops.json"), datetime(2026, 1, 1, tzinfo=UTC))
    assert inhibit.direction is CHARGE


def test_without_a_file_nothing_is_stopped() -> None:
    """The first start."""
    assert load_inhibits(MemoryStorage(), datetime(2026, 1, 1, tzinfo=UTC)) == {}


ACTIONS = st.one_of(
    st.tuples(st.just("stop"), st.sampled_from(Direction), st.none() | st.integers(1, 300)),
    st.tuples(st.just("release"), st.sampled_from(Direction), st.none()),
    st.tuples(st.just("run"), st.just(CHARGE), st.integers(1, 120)),
    st.tuples(st.just("restart"), st.just(CHARGE), st.none()),
    st.tuples(st.just("set the clock"), st.just(CHARGE), st.integers(-100_000, 100_000)),
)


@given(st.lists(ACTIONS, max_size=8))
@settings(max_examples=25)
def test_no_stop_ends_early_whatever_happens(actions: list[tuple[str, Direction, int | None]]) -> None:
    """Through restarts and steps of the clock a stop lasts as long as the bridge has to run for it."""
    asyncio.run(_play(actions))


async def _play(actions: list[tuple[str, Direction, int | None]]) -> None:
    bench = Bench()
    await bench.start()
    left: dict[Direction, float | None] = {}
    for what, direction, number in actions:
        if what == "stop":
            await bench.inhibits.inhibit(direction, number, "", "boss")
            left[direction] = number
        elif what == "release":
            await bench.inhibits.release(direction)
            left.pop(direction, None)
        elif what == "run":
            assert number is not None
            for _ in range(number):
                await bench.clock.advance(1.0)
            left = {key: None if rest is None else rest - number for key, rest in left.items()}
        elif what == "restart":
            await bench.end()
            await bench.start()
        elif number is not None:
            bench.clock.step = timedelta(minutes=number)
        stopped = {inhibit.direction for inhibit in bench.inhibits.current()}
        assert {key for key, rest in left.items() if rest is None or rest > 0} <= stopped
        assert not {key for key, rest in left.items() if rest is not None and rest < -len(actions)} & stopped
        assert stopped <= left.keys()
    await bench.end()
