"""When frames go out: cadence, order, rate, kicks, stalls and silence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.transmitter import Transmitter, TransmitterSettings
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock

IDS = (0x351, 0x355, 0x356, 0x35A, *range(0x370, 0x37F))
TOGETHER = frozenset((0x373, 0x374, 0x375))
MOST_PER_SECOND = 50
GROUP = 2
GAP_S = 0.02
"""Less than what a frame takes of the time."""


class Stand:
    """A transmitter with its clock, a source that counts what it makes, and what was sent when."""

    def __init__(self, ids: tuple[int, ...] = IDS, transmitter: TransmitterSettings | None = None) -> None:
        self.clock = StallingClock()
        self.bus = MemoryCanBus()
        self.sent: list[tuple[float, CanFrame]] = []
        self.makings = 0
        self.silent = False
        self.unknown: set[int] = set()
        self._ids = ids
        self.transmitter = Transmitter(self.bus.open(), self.clock, self, transmitter)
        self.bus.open().subscribe(lambda frame: self.sent.append((self.clock.monotonic(), frame)))

    def may_send(self) -> bool:
        """See ``FrameSource``."""
        return not self.silent

    def burst_ids(self) -> tuple[int, ...]:
        """See ``FrameSource``."""
        return () if self.silent else self._ids

    def make_frames(self, identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...] | None:
        """Return frames whose only byte counts the makings; those of ``TOGETHER`` come from one."""
        if self.silent:
            return None
        self.makings += 1
        wanted = {identifier, *(TOGETHER.intersection(waiting) if identifier in TOGETHER else ())} - self.unknown
        return tuple(CanFrame(each, bytes((self.makings % 256,))) for each in wanted)

    def values(self, identifier: int) -> list[int]:
        """Return in which making a frame was made, each time that it was sent."""
        return [frame.data[0] for _, frame in self.sent if frame.arbitration_id == identifier]

    def times(self, identifier: int) -> list[float]:
        """Return when a frame was sent."""
        return [time_s for time_s, frame in self.sent if frame.arbitration_id == identifier]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """Run the transmitter; gives the function that lets time pass."""
        task = asyncio.create_task(self.transmitter.run())
        try:
            yield self.clock.advance
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class StallingClock(FakeClock):
    """A clock that can jump as it does for a program that was held up."""

    def stall(self, delay_s: float) -> None:
        """Let time pass without letting anybody run."""
        self._now_s += delay_s


class BusyClock(StallingClock):
    """A clock after whose timers the loop has one turn, as if all others then wanted much time."""

    @staticmethod
    async def _settle() -> None:
        await asyncio.sleep(0)


def busiest(times_s: list[float], window_s: float = 1.0) -> int:
    """Return the most frames within any window, both of its ends included."""
    return max((sum(start <= t <= start + window_s for t in times_s) for start in times_s), default=0)


def spread_times(count: int, over_s: float) -> list[float]:
    """Return when the frames of a burst are due: each second one goes out with the one before it."""
    return [over_s * (number - number % GROUP) / count for number in range(count)]


async def test_each_frame_goes_out_each_second() -> None:
    """After ten seconds every id was sent ten times."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(9.95)
    assert {identifier: len(stand.times(identifier)) for identifier in IDS} == dict.fromkeys(IDS, 10)
    assert stand.transmitter.statistics.bursts == 10
    assert stand.transmitter.statistics.frames == 10 * len(IDS)


async def test_a_frame_needs_one_turn_of_the_loop() -> None:
    """A thousand clients make each turn long; a frame that needed four of them would be late by four times as much."""
    stand = Stand()
    stand.clock = BusyClock()
    stand.transmitter = Transmitter(stand.bus.open(), stand.clock, stand)
    times_s: list[float] = []
    stand.transmitter.on_sent = lambda _frame, _taken: times_s.append(stand.clock.monotonic())
    async with stand.running() as advance:
        for _ in range(5):
            await advance(0.0)  # until it runs
        await advance(0.95)
    assert [time_s - times_s[0] for time_s in times_s] == pytest.approx(spread_times(len(IDS), 0.8))


async def test_limits_go_first_and_the_rest_in_order() -> None:
    """A burst begins with 0x351 and keeps the order of the source."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(2.95)
    order = [frame.arbitration_id for _, frame in stand.sent]
    assert order == [*IDS, *IDS, *IDS]


@pytest.mark.parametrize("count", [1, 2, 7, 18, 19])
async def test_burst_is_spread_evenly(count: int) -> None:
    """Two frames at a time, the groups a fixed time apart over the chosen part of the period, the first at once."""
    stand = Stand(ids=IDS[:count], transmitter=TransmitterSettings(spread=0.9))
    async with stand.running() as advance:
        await advance(0.95)
    assert [time_s - 1000.0 for time_s, _ in stand.sent] == pytest.approx(spread_times(count, 0.9))


@pytest.mark.parametrize(("period_s", "spread"), [(0.5, 0.8), (1.0, 0.0), (2.0, 0.95)])
async def test_groups_leave_the_mean_rate_as_it_is(period_s: float, spread: float) -> None:
    """As many frames as bursts have in any period, however few turns they take; without a spread as fast as may be."""
    stand = Stand(transmitter=TransmitterSettings(period_s=period_s, spread=spread))
    async with stand.running() as advance:
        await advance(10.0 * period_s - 0.001)
    assert len(stand.sent) == 10 * len(IDS)
    turns = sorted({time_s for time_s, _ in stand.sent})
    assert len(turns) == 10 * -(-len(IDS) // GROUP)
    assert min(later - earlier for earlier, later in pairwise(turns)) >= GROUP * GAP_S


async def test_names_go_out_with_the_voltages_that_they_belong_to() -> None:
    """Frames that agree and follow each other need no turn of their own each, and keep their order."""
    stand = Stand(ids=(0x351, 0x355, 0x373, 0x374, 0x375))
    async with stand.running() as advance:
        await advance(0.9)
    assert stand.times(0x373) == stand.times(0x374)
    assert [frame.arbitration_id for _, frame in stand.sent] == [0x351, 0x355, 0x373, 0x374, 0x375]


async def test_source_that_becomes_silent_within_a_group_ends_it() -> None:
    """The second frame of a group is not sent when the first has found that nothing may be sent."""
    stand = Stand()
    stand.transmitter.on_sent = lambda _frame, _taken: setattr(stand, "silent", True)
    async with stand.running() as advance:
        await advance(0.9)
    assert [frame.arbitration_id for _, frame in stand.sent] == [0x351]


async def test_lowered_limit_waits_for_one_frame_and_not_for_a_group() -> None:
    """Right after a group it goes out after the time of one frame; what follows waits for that time as well."""
    stand = Stand(transmitter=TransmitterSettings(spread=0.0))
    async with stand.running() as advance:
        await advance(0.0)
        stand.transmitter.send_first()
        await advance(0.2)
    times = [time_s - 1000.0 for time_s, _ in stand.sent]
    assert [frame.arbitration_id for _, frame in stand.sent][:5] == [0x351, 0x355, 0x351, 0x356, 0x35A]
    assert times[:5] == pytest.approx([0.0, 0.0, 0.021, 0.063, 0.063])


async def test_each_frame_is_made_when_it_is_sent() -> None:
    """What changes while a burst is under way is in the frames that are still to come, and none is made for nothing."""
    stand = Stand()
    made_at_s: list[float] = []
    make = stand.make_frames

    def noted(identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...] | None:
        made_at_s.append(stand.clock.monotonic())
        return make(identifier, waiting)

    stand.make_frames = noted  # type: ignore[method-assign]  # to see when it is asked
    async with stand.running() as advance:
        await advance(4.95)
    assert made_at_s == [time_s for time_s, frame in stand.sent if frame.arbitration_id not in (0x374, 0x375)]
    assert stand.makings == len(made_at_s)


async def test_frames_that_have_to_agree_are_of_one_moment() -> None:
    """A name of a cell goes with its voltage, though it is sent later; the next burst has new ones of both."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(4.95)
    assert stand.values(0x373) == stand.values(0x374) == stand.values(0x375)
    assert len(set(stand.values(0x373))) == 5


async def test_frames_that_have_to_agree_do_so_when_a_kick_comes_between_them() -> None:
    """The burst after it begins with what the old one owed, and makes the whole group anew for that."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.0)
        while not stand.times(0x373):
            await advance(0.01)
        stand.sent.clear()
        stand.transmitter.kick()
        await advance(0.6)
        await advance(0.9)
    assert [frame.arbitration_id for _, frame in stand.sent][:3] == [0x351, 0x374, 0x375]
    assert stand.values(0x374)[0] == stand.values(0x375)[0]
    assert stand.values(0x373)[0] == stand.values(0x374)[1] == stand.values(0x375)[1], "cut by the grid, then anew"


async def test_frame_that_has_nothing_to_tell_any_more_is_left_out() -> None:
    """Its turn passes, the others keep theirs, and it comes back with its data."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.01)
        stand.unknown = {IDS[-1], 0x374}
        done: list[int] = []
        stand.transmitter.between_bursts(lambda: done.append(stand.transmitter.statistics.frames))
        await advance(0.94)
        assert done == [len(IDS) - 2]
        first = [frame.arbitration_id for _, frame in stand.sent]
        times = [time_s - 1000.0 for time_s, _ in stand.sent]
        stand.unknown = set()
        await advance(1.0)
    assert first == [each for each in IDS if each not in (IDS[-1], 0x374)]
    due = zip(IDS, spread_times(len(IDS), 0.8), strict=True)
    assert times == pytest.approx([time_s for each, time_s in due if each in first])
    assert len(stand.times(0x374)) == 1


async def test_source_that_becomes_silent_ends_the_burst_under_way() -> None:
    """Nobody has to kick: the next frame is not made, nor are those sent that were made with another."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        count = len(stand.sent)
        stand.silent = True
        await advance(0.65)
        assert len(stand.sent) == count
        assert stand.transmitter.statistics.skipped == 1
        stand.silent = False
        await advance(0.06)
    assert stand.sent[count][1].arbitration_id == 0x351


async def test_grid_does_not_drift_within_a_day() -> None:
    """After a whole day of bursts the next one is due on the second."""
    stand = Stand(ids=(0x351,))
    async with stand.running() as advance:
        await advance(3600.5)
        stand.clock.stall(82800.0 - 0.3)
        await advance(10.0)
    last_s = stand.times(0x351)[-1] - 1000.0
    assert last_s == pytest.approx(round(last_s), abs=1e-6)


async def test_source_that_says_nothing_sends_nothing() -> None:
    """None means silence, counted, and the next period asks again."""
    stand = Stand()
    stand.silent = True
    async with stand.running() as advance:
        await advance(2.5)
        assert stand.sent == []
        assert stand.transmitter.statistics.skipped == 3
        stand.silent = False
        await advance(1.0)
    assert stand.times(0x351) == [1003.0]


async def test_kick_sends_the_limits_at_once() -> None:
    """A lowered limit does not wait for the next second."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.5)
        stand.transmitter.kick()
        await advance(0.02)
    times = stand.times(0x351)
    assert len(times) == 2
    assert times[1] - times[0] == pytest.approx(0.5, abs=0.021)


async def test_kick_begins_with_the_limits_and_what_was_owed() -> None:
    """The burst after a kick has first the frames that the old one did not come to."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        owed = IDS[len(stand.sent) :]
        stand.sent.clear()
        stand.transmitter.kick()
        await advance(0.6)
    ids = [frame.arbitration_id for _, frame in stand.sent]
    assert ids[: 1 + len(owed)] == [0x351, *owed]


async def test_kick_leaves_the_grid_alone() -> None:
    """The periodic bursts stay where they were, but for the pause after the frame before."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.45)
        stand.transmitter.kick()
        await advance(3.0)
    starts = [time_s - 1000.0 for time_s in stand.times(0x351)]
    assert [int(start) for start in starts if start % 1 <= 0.021] == [0, 1, 2, 3]


async def test_lowered_limit_goes_out_alone_and_at_once() -> None:
    """0x351 with the new values, beside the burst under way, which goes on where it was."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        before = len(stand.sent)
        stand.transmitter.send_first()
        await advance(0.021)
        await advance(0.6)
    ids = [frame.arbitration_id for _, frame in stand.sent]
    assert ids[:before] == list(IDS[:before])
    assert ids[before:] == [0x351, *IDS[before:]]
    assert stand.values(0x351) == [1, before + 1]
    assert stand.times(0x351)[1] - 1000.3 <= 0.021


async def test_lowered_limits_are_100_ms_apart() -> None:
    """A limit that keeps falling takes ten frames a second at most, and the burst keeps its own."""
    stand = Stand()
    async with stand.running() as advance:
        for _ in range(200):
            stand.transmitter.send_first()
            await advance(0.01)
    assert stand.transmitter.statistics.alone == pytest.approx(20, abs=2)
    assert min(len(stand.times(identifier)) for identifier in IDS) == 2
    assert busiest([time_s for time_s, _ in stand.sent]) <= MOST_PER_SECOND


async def test_small_falls_wait_for_a_second() -> None:
    """A fall that matters little goes with the next burst, or a second after the last frame of its kind."""
    stand = Stand(transmitter=TransmitterSettings(period_s=2.0))
    async with stand.running() as advance:
        for _ in range(390):
            stand.transmitter.send_first(small=True)
            await advance(0.01)
    starts = [time_s - 1000.0 for time_s in stand.times(0x351)]
    assert starts == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.03)


async def test_large_fall_overtakes_a_small_one() -> None:
    """What waits because it is small does not hold back what is not."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        stand.transmitter.send_first(small=True)
        stand.transmitter.send_first()
        stand.transmitter.send_first(small=True)
        await advance(0.021)
    assert len(stand.times(0x351)) == 2


async def test_lowered_limit_replaces_one_that_has_not_gone_out_yet() -> None:
    """A burst whose first frame still waits for its gap does not send the higher limit after the lower one."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.995)
        stand.transmitter.send_first()
        await advance(0.5)
    values = [frame.data[0] for _, frame in stand.sent if frame.arbitration_id == 0x351]
    assert values == sorted(values)


async def test_lowered_limit_of_a_silent_source_ends_the_burst() -> None:
    """Nothing of the old set is sent once nothing may be sent."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        count = len(stand.sent)
        stand.silent = True
        stand.transmitter.send_first()
        await advance(0.6)
    assert len(stand.sent) == count


async def test_action_between_bursts_waits_for_the_last_frame() -> None:
    """What disturbs the adapter is done once, while no frame waits; at once while nothing is sent."""
    stand = Stand()
    done: list[int] = []
    async with stand.running() as advance:
        await advance(0.3)
        stand.transmitter.between_bursts(lambda: done.append(stand.transmitter.statistics.frames))
        await advance(1.6)
        assert done == [len(IDS)]
        stand.silent = True
        await advance(1.0)
        stand.transmitter.between_bursts(lambda: done.append(0))
        await advance(0.01)
    assert done[1:] == [0]


async def test_action_has_the_pause_after_a_burst() -> None:
    """Asked for just before the next burst, it waits for the end of that one: it may take the time of the pause."""
    stand = Stand()
    done: list[float] = []
    async with stand.running() as advance:
        await advance(0.99)
        begun_s = stand.clock.monotonic()
        stand.transmitter.between_bursts(lambda: done.append(stand.clock.monotonic() - begun_s))
        stand.transmitter.between_bursts(lambda: done.append(stand.clock.monotonic() - begun_s))
        await advance(0.5)
        assert done == []
        await advance(2.0)
    last_s = 0.8 * (len(IDS) - 1) / len(IDS)
    assert done == pytest.approx([0.01 + last_s, 1.01 + last_s], abs=0.005)


async def test_many_kicks_make_ten_bursts_a_second_at_most() -> None:
    """A limit that keeps falling cannot flood the bus."""
    stand = Stand()
    async with stand.running() as advance:
        for _ in range(200):
            stand.transmitter.kick()
            await advance(0.01)
    assert 18 <= len(stand.times(0x351)) <= 22
    assert busiest([time_s for time_s, _ in stand.sent]) <= MOST_PER_SECOND


async def test_many_kicks_starve_no_frame() -> None:
    """While every burst is cut short by the next kick, all frames still get their turn."""
    stand = Stand()
    async with stand.running() as advance:
        for _ in range(300):
            stand.transmitter.kick()
            await advance(0.01)
    assert min(len(stand.times(identifier)) for identifier in IDS) >= 2


async def test_short_period_starves_no_frame() -> None:
    """With a period that cannot hold a burst, the limits keep it and the rest takes turns."""
    stand = Stand(transmitter=TransmitterSettings(period_s=0.1))
    async with stand.running() as advance:
        await advance(5.0)
    assert len(stand.times(0x351)) == pytest.approx(50, abs=2)
    others = [len(stand.times(identifier)) for identifier in IDS[1:]]
    assert max(others) - min(others) <= 1
    assert busiest([time_s for time_s, _ in stand.sent]) <= MOST_PER_SECOND


async def test_kick_ends_a_burst_when_the_source_has_become_silent() -> None:
    """Frames of the last set are not sent any more once nothing may be sent."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.3)
        count = len(stand.sent)
        stand.silent = True
        stand.transmitter.kick()
        await advance(0.6)
    assert len(stand.sent) == count


@pytest.mark.parametrize("stall_s", [1.5, 5.0, 120.0])
async def test_stall_is_followed_by_one_burst_and_not_by_all_that_were_missed(stall_s: float) -> None:
    """Missed periods are skipped and counted; the bus sees no flood afterwards."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.5)
        before = len(stand.sent)
        stand.clock.stall(stall_s)
        await advance(0.4)
        after = stand.sent[before:]
        await advance(5.0)
    assert len(after) <= 21
    assert busiest([time_s for time_s, _ in stand.sent]) <= MOST_PER_SECOND
    assert stand.transmitter.statistics.missed_periods == pytest.approx(stall_s - 0.5, abs=0.6)


async def test_jitter_is_how_late_a_burst_began() -> None:
    """The statistics keep the last delay and the largest."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.9)
        stand.clock.stall(0.35)
        await advance(0.1)
        assert stand.transmitter.statistics.jitter_last_s == pytest.approx(0.25)
        await advance(1.0)
    assert stand.transmitter.statistics.jitter_last_s == pytest.approx(0.0, abs=1e-6)
    assert stand.transmitter.statistics.jitter_max_s == pytest.approx(0.25)


async def test_frames_that_the_port_refuses_are_counted_and_not_repeated() -> None:
    """With the cable pulled the cadence goes on; when it is back there is no burst of old frames."""
    stand = Stand()
    async with stand.running() as advance:
        stand.bus.down = True
        await advance(4.95)
        assert stand.transmitter.statistics.dropped == 5 * len(IDS)
        stand.bus.down = False
        await advance(1.0)
    assert len(stand.sent) == len(IDS)
    assert min(frame.data[0] for _, frame in stand.sent) > 5 * (len(IDS) - 2)


async def test_exception_of_the_source_is_not_swallowed() -> None:
    """Without valid frames the transmitter ends, so that the GX stops and the log says why."""
    stand = Stand()

    def broken(identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...]:
        raise ValueError("CVL is nan V")

    stand.make_frames = broken  # type: ignore[method-assign]  # a state that cannot be put into frames
    with pytest.raises(ValueError, match="CVL is nan"):
        await stand.transmitter.run()
    assert list(stand.bus.frames) == []


async def test_cancelled_transmitter_leaves_no_task() -> None:
    """Nothing keeps sending, or waiting, after the end."""
    stand = Stand()
    async with stand.running() as advance:
        await advance(0.5)
    count = len(stand.sent)
    await asyncio.sleep(0)
    await stand.clock.advance(5.0)
    assert len(stand.sent) == count
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("period_s", "spread"), [(0.05, 0.8), (2.5, 0.8), (1.0, 1.0), (1.0, -0.1)])
def test_settings_that_a_gx_would_not_bear_are_refused(period_s: float, spread: float) -> None:
    """The period stays below the 3 s after which a GX stops, and a burst within its period."""
    with pytest.raises(ValueError, match="allowed are"):
        TransmitterSettings(period_s=period_s, spread=spread)


events = st.lists(
    st.tuples(st.sampled_from(["wait", "kick", "first", "small", "stall", "silence"]), st.floats(0.001, 2.0)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(events, st.floats(0.1, 2.0), st.floats(0, 0.95), st.integers(1, len(IDS)))
async def test_bus_is_never_flooded(story: list[tuple[str, float]], period_s: float, spread: float, count: int) -> None:
    """Whatever the order of kicks, stalls and silences, no second sees more than 50 frames, and no moment three."""
    stand = Stand(ids=IDS[:count], transmitter=TransmitterSettings(period_s=period_s, spread=spread))
    async with stand.running() as advance:
        for event, length_s in story:
            if event == "kick":
                stand.transmitter.kick()
            elif event in ("first", "small"):
                stand.transmitter.send_first(small=event == "small")
            elif event == "stall":
                stand.clock.stall(length_s)
            elif event == "silence":
                stand.silent = not stand.silent
            await advance(length_s if event == "wait" else 0.01)
        stand.silent = False
        seen = len(stand.sent)
        await advance(2.0 * period_s + 0.1)
    times_s = [time_s for time_s, _ in stand.sent]
    assert busiest(times_s) <= MOST_PER_SECOND
    assert busiest(times_s, 0.1) <= 7
    assert busiest(times_s, GAP_S) <= GROUP
    assert 0x351 in {frame.arbitration_id for _, frame in stand.sent[seen:]}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["kick", "first"]), st.floats(0.001, 0.2)), min_size=1, max_size=12),
    st.floats(0.1, 2.0),
    st.integers(2, len(IDS)),
)
async def test_no_frame_starves(story: list[tuple[str, float]], period_s: float, count: int) -> None:
    """Bursts that are cut short again and again leave none out, whether their number is odd or even.

    Ten of them in a second, and ten limits alone beside them, are what is allowed at most; then 20 groups and more are
    left in a second and a half, and the one that was sent longest ago goes first.
    """
    stand = Stand(ids=IDS[:count], transmitter=TransmitterSettings(period_s=period_s, spread=0.0))
    async with stand.running() as advance:
        while stand.clock.monotonic() < 1006.0:
            for event, length_s in story:
                if event == "kick":
                    stand.transmitter.kick()
                else:
                    stand.transmitter.send_first()
                await advance(length_s)
    ends_s = stand.clock.monotonic()
    longest_s = period_s + 1.5
    for identifier in IDS[:count]:
        times_s = [1000.0, *stand.times(identifier), ends_s]
        assert max(later - earlier for earlier, later in pairwise(times_s)) <= longest_s


async def test_each_frame_is_told_with_its_fate() -> None:
    """For a log of the traffic: taken, or not while the bus is down."""
    stand = Stand()
    told: list[tuple[int, bool]] = []
    stand.transmitter.on_sent = lambda frame, taken: told.append((frame.arbitration_id, taken))
    async with stand.running() as advance:
        await advance(1.0)
        stand.bus.down = True
        await advance(1.0)
    assert (0x351, True) in told
    assert (0x351, False) in told
    assert sum(taken for _, taken in told) == stand.transmitter.statistics.frames
    assert sum(not taken for _, taken in told) == stand.transmitter.statistics.dropped
