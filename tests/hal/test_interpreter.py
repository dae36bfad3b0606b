"""Full garbage collections: in a pause of the sender, often enough, and never too often."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace

import pytest

from tinybms_bridge.hal import interpreter
from tinybms_bridge.hal.interpreter import Collector, keep_what_is_loaded
from tinybms_lab.testing.fake_clock import FakeClock


class Memory:
    """Stands in for ``gc``: counts what waits, and takes its time for a collection."""

    def __init__(self) -> None:
        self.waiting = 0
        self.collected = 0
        self.thresholds = (700, 10, 10)

    def get_count(self) -> tuple[int, int, int]:
        """See ``gc``."""
        return (1, 2, self.waiting)

    def collect(self) -> int:
        """See ``gc``."""
        self.collected += 1
        self.waiting = 0
        return 0

    def get_threshold(self) -> tuple[int, int, int]:
        """See ``gc``."""
        return self.thresholds

    def set_threshold(self, *thresholds: int) -> None:
        """See ``gc``."""
        first, second, third = thresholds
        self.thresholds = (first, second, third)


class Sender:
    """Calls what it is given when the test says so; or there is none."""

    def __init__(self) -> None:
        self.there = True
        self.asked: list[Callable[[], None]] = []

    def when_quiet(self, action: Callable[[], None]) -> bool:
        """See ``WhenQuiet``."""
        if self.there:
            self.asked.append(action)
        return self.there

    def pause(self) -> None:
        """Have a pause."""
        while self.asked:
            self.asked.pop(0)()


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Memory:
    """The memory; a collection takes no time, however busy the machine is."""
    memory = Memory()
    monkeypatch.setattr(interpreter, "gc", memory)
    monkeypatch.setattr(interpreter, "time", SimpleNamespace(perf_counter=clock.monotonic))
    return memory


@pytest.fixture
def sender() -> Sender:
    """The sender."""
    return Sender()


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    """Leave that of the tests as it is."""
    before_s = sys.getswitchinterval()
    yield
    assert sys.getswitchinterval() == pytest.approx(before_s)


@pytest.fixture
async def collector(memory: Memory, sender: Sender, clock: FakeClock) -> AsyncIterator[Collector]:
    """A collector that runs."""
    collector = Collector(clock, sender.when_quiet)
    task = asyncio.create_task(collector.run())
    await clock.advance(0.0)
    yield collector
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert memory.thresholds == (700, 10, 10)


async def test_the_interpreter_does_no_full_collection_itself(collector: Collector, memory: Memory) -> None:
    """The small ones stay as they are."""
    assert memory.thresholds == (700, 10, 1_000_000)
    assert collector.statistics.collections == 0


async def test_a_collection_waits_for_a_pause(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """It is asked for when it is due, and done by the sender."""
    memory.waiting = 10
    await clock.advance(31.0)
    assert (len(sender.asked), memory.collected) == (1, 0)
    sender.pause()
    assert memory.collected == 1
    await clock.advance(60.0)
    assert (len(sender.asked), memory.collected) == (0, 1)
    assert collector.statistics.unasked == 0


async def test_without_a_sender_it_is_done_at_once(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """Without a CAN adapter nobody has to be on time."""
    sender.there, memory.waiting = False, 10
    await clock.advance(31.0)
    assert (memory.collected, collector.statistics.unasked) == (1, 1)


async def test_a_sender_without_a_pause_is_not_waited_for(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """One that was replaced, or that sends without end: memory does not grow for it, and nothing is done twice."""
    memory.waiting = 10
    await clock.advance(40.0)
    assert (memory.collected, collector.statistics.unasked) == (1, 1)
    sender.pause()
    assert memory.collected == 1


async def test_not_more_often_than_twice_a_minute(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """However many small collections there are."""
    for _ in range(300):
        memory.waiting = 50
        await clock.advance(1.0)
        sender.pause()
    assert 8 <= memory.collected <= 10


async def test_memory_that_grows_fast_is_collected_at_once(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """A thousand clients that come and go leave garbage in every second."""
    for _ in range(10):
        memory.waiting = 200
        await clock.advance(1.0)
        sender.pause()
    assert memory.collected == 5


async def test_a_slow_machine_collects_less_often(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """A hundredth of the time at most goes to it."""
    collector.statistics.last_s = 2.0
    memory.waiting = 10
    await clock.advance(190.0)
    sender.pause()
    assert memory.collected == 0
    await clock.advance(11.0)
    sender.pause()
    assert memory.collected == 1


async def test_an_interpreter_that_counts_otherwise_is_collected_too(
    collector: Collector, memory: Memory, sender: Sender, clock: FakeClock
) -> None:
    """Every ten minutes, whatever it counts."""
    for _ in range(1205):
        await clock.advance(1.0)
        sender.pause()
    assert memory.collected == 2


async def test_garbage_goes_and_what_is_used_stays(clock: FakeClock) -> None:
    """With the real interpreter: a ring of objects is gone after the pause."""
    sender = Sender()
    task = asyncio.create_task(Collector(clock, sender.when_quiet).run())
    await clock.advance(0.0)
    ring: list[object] = []
    ring.append(ring)
    mark = id(ring)
    del ring
    await clock.advance(600.0)
    sender.pause()
    assert all(id(each) != mark for each in gc.get_objects() if isinstance(each, list) and each and each[0] is each)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_what_is_loaded_is_kept_and_passed_over() -> None:
    """No collection looks at it again; garbage of the start is gone first."""
    gc.unfreeze()
    try:
        before = len(gc.get_objects())
        ring: list[object] = []
        ring.append(ring)
        del ring
        keep_what_is_loaded()
        assert gc.get_freeze_count() > before // 2
        assert len(gc.get_objects()) < before // 2
    finally:
        gc.unfreeze()


def test_keeping_what_is_loaded_needs_no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another C library has no ``malloc_trim``."""
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    try:
        keep_what_is_loaded()
    finally:
        gc.unfreeze()
