import asyncio
import ctypes
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.hal.clock import Clock, SystemClock, clock_is_synchronised, until_tick_s
from tinybms_lab.testing.fake_clock import FakeClock


def test_system_time_never_goes_backwards() -> None:
    """Intervals are measured with it."""
    clock: Clock = SystemClock()

    times = [clock.monotonic() for _ in range(100)]

    assert times == sorted(times)


def test_ages_count_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before a suspend is old after it; what has to make progress is not held against it."""
    started_s = {time.CLOCK_BOOTTIME: 5000.0}
    monkeypatch.setattr(time, "clock_gettime", started_s.__getitem__)
    clock = SystemClock()
    ages_s, awake_s = clock.monotonic(), clock.awake()
    started_s[time.CLOCK_BOOTTIME] += 3600.0
    assert clock.monotonic() - ages_s == 3600.0
    assert 0.0 <= clock.awake() - awake_s < 3600.0


@given(st.floats(0.0, 1e7), st.sampled_from([0.5, 1.0, 2.0, 10.0]))
def test_ticks_are_whole_multiples_of_their_period(now_s: float, period_s: float) -> None:
    """The next one is ahead, no further than a period, and the same for everybody."""
    rest_s = until_tick_s(FakeClock(start_s=now_s), period_s)
    assert 0.0 < rest_s <= period_s
    ticks = (now_s + rest_s) / period_s
    assert ticks == pytest.approx(round(ticks), abs=1e-6)


async def test_who_looks_now_and_then_does_so_in_one_turn() -> None:
    """Begun at any moments, looks of a second and of half a second fall together, and none is left out."""
    clock, looks = FakeClock(start_s=100.3), list[tuple[float, float]]()

    async def look(period_s: float) -> None:
        while True:
            await clock.sleep(until_tick_s(clock, period_s))
            looks.append((period_s, clock.monotonic()))

    first = asyncio.create_task(look(1.0))
    await clock.advance(0.4)
    second = asyncio.create_task(look(0.5))
    await clock.advance(2.4)
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert [round(at_s, 6) for period_s, at_s in looks if period_s == 1.0] == [101.0, 102.0, 103.0]
    assert [round(at_s, 6) for period_s, at_s in looks if period_s == 0.5] == [101.0, 101.5, 102.0, 102.5, 103.0]


async def test_fake_suspend_stops_sleeps_and_counts_for_ages() -> None:
    """As on Linux: a sleep goes on where it was."""
    clock = FakeClock(start_s=0.0)
    sleep = asyncio.ensure_future(clock.sleep(1.0))
    await clock.advance(0.4)
    clock.suspend(100.0)
    assert clock.monotonic() == 100.4
    assert clock.awake() == pytest.approx(0.4)
    await clock.advance(0.5)
    assert not sleep.done()
    await clock.advance(0.2)
    assert sleep.done()


def test_system_wall_time_is_aware_and_utc() -> None:
    """People read it in their own zone: it must know its own."""
    wall = SystemClock().wall()

    assert wall.utcoffset() == timedelta(0)
    assert wall.year >= 2024


async def test_the_system_clock_sleeps() -> None:
    """A short sleep takes its time on the monotonic clock."""
    clock = SystemClock()
    start_s = clock.monotonic()

    await clock.sleep(0.01)

    assert clock.monotonic() - start_s >= 0.009


def test_fake_time_stands_still() -> None:
    """Nothing moves unless the test says so."""
    clock: Clock = FakeClock(start_s=50.0)

    assert clock.monotonic() == 50.0
    assert clock.monotonic() == 50.0
    assert clock.wall() == clock.wall()


async def test_fake_time_moves_when_told() -> None:
    """Monotonic and wall time go together."""
    clock = FakeClock(start_s=0.0, wall=datetime(2026, 3, 1, 12, tzinfo=UTC))

    await clock.advance(90.5)

    assert clock.monotonic() == 90.5
    assert clock.wall() == datetime(2026, 3, 1, 12, 1, 30, 500_000, tzinfo=UTC)


async def test_a_sleeper_wakes_at_its_own_moment() -> None:
    """Not at the end of the step: the time it sees is the one it asked for."""
    clock = FakeClock(start_s=0.0)
    seen: list[float] = []

    async def nap() -> None:
        await clock.sleep(3.0)
        seen.append(clock.monotonic())

    task = asyncio.create_task(nap())
    await clock.advance(10.0)
    await task

    assert seen == [3.0]
    assert clock.monotonic() == 10.0


async def test_a_sleeper_does_not_wake_early() -> None:
    """A step that ends just before leaves it asleep."""
    clock = FakeClock(start_s=0.0)
    task = asyncio.create_task(clock.sleep(3.0))

    await clock.advance(2.999)
    assert not task.done()

    await clock.advance(0.001)
    assert task.done()


async def test_a_periodic_task_runs_once_a_period() -> None:
    """A long step runs a loop as often as real time would."""
    clock = FakeClock(start_s=0.0)
    seen: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1.0)
            seen.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.advance(5.5)
    task.cancel()

    assert seen == [1.0, 2.0, 3.0, 4.0, 5.0]


async def test_a_day_passes_in_a_moment() -> None:
    """The reason for this clock."""
    clock = FakeClock(start_s=0.0)
    hours: list[float] = []

    async def strike() -> None:
        while True:
            await clock.sleep(3600.0)
            hours.append(clock.monotonic() / 3600.0)

    task = asyncio.create_task(strike())
    await clock.advance(86_400.0)
    task.cancel()

    assert hours == [float(hour) for hour in range(1, 25)]


async def test_sleepers_of_one_moment_wake_in_their_order() -> None:
    """First come, first served: tests must repeat."""
    clock = FakeClock()
    seen: list[str] = []

    async def nap(name: str) -> None:
        await clock.sleep(1.0)
        seen.append(name)

    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(nap(name)))
        await asyncio.sleep(0)
    await clock.advance(1.0)
    await asyncio.gather(*tasks)

    assert seen == ["a", "b", "c"]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """Advancing past it must not fail."""
    clock = FakeClock(start_s=0.0)
    task = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    task.cancel()

    await clock.advance(2.0)

    assert task.cancelled()
    assert clock.monotonic() == 2.0


@pytest.mark.parametrize("delay_s", [0.0, -1.0])
async def test_no_delay_yields_without_waiting(delay_s: float) -> None:
    """As asyncio.sleep(0): others run, time does not pass."""
    clock = FakeClock(start_s=5.0)
    ran: list[bool] = []
    asyncio.get_running_loop().call_soon(ran.append, True)

    await clock.sleep(delay_s)

    assert ran == [True]
    assert clock.monotonic() == 5.0


async def test_a_timeout_of_a_real_clock_does_not_disturb() -> None:
    """Leaving a sleep early leaves the clock usable."""
    clock = FakeClock(start_s=0.0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clock.sleep(100.0)
    await clock.advance(200.0)

    assert clock.monotonic() == 200.0


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=8), st.lists(st.floats(0.1, 50), min_size=1, max_size=8))
@settings(deadline=None)
def test_every_sleeper_wakes_on_time_whatever_the_steps(delays_s: list[float], steps_s: list[float]) -> None:
    """The way in which time is cut into steps makes no difference."""

    async def scenario() -> None:
        clock = FakeClock(start_s=0.0)
        woken: dict[int, float] = {}

        async def nap(number: int, delay_s: float) -> None:
            await clock.sleep(delay_s)
            woken[number] = clock.monotonic()

        tasks = [asyncio.create_task(nap(number, delay_s)) for number, delay_s in enumerate(delays_s)]
        for step_s in steps_s:
            await clock.advance(step_s)
            due = {number for number, delay_s in enumerate(delays_s) if delay_s <= clock.monotonic()}
            assert set(woken) == due
        assert all(woken[number] == delays_s[number] for number in woken)
        for task in tasks:
            task.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize(("state", "synchronised"), [(0, True), (1, True), (5, False), (-1, None)])
def test_the_kernel_is_asked_whether_its_clock_is_right(
    state: int, synchronised: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """adjtimex(2): 5 is TIME_ERROR, 1 a leap second that comes, -1 a machine that does not let it be asked."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(adjtimex=lambda _buffer: state))

    assert clock_is_synchronised() is synchronised


def test_a_system_without_adjtimex_does_not_know() -> None:
    """What it says on this machine is one of three answers, and asking changes nothing."""
    assert clock_is_synchronised() in (True, False, None)
