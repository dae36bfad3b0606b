import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.link.bus import DEFAULT_DEPTH, Bus, Envelope, Subscription
from tinybms_bridge.link.events import Event, FreshnessChanged, LinkChanged
from tinybms_lab.testing.fake_clock import FakeClock

FRESHNESS = FreshnessChanged(Freshness.FRESH, Freshness.HOLD)
UP, DOWN = LinkChanged(up=True, reason=""), LinkChanged(up=False, reason="unplugged")


@dataclass(frozen=True, slots=True)
class Numbered(Event):
    """An event that can be told from its like."""

    number: int


@dataclass(frozen=True, slots=True)
class Special(Numbered):
    """A subtype of another event."""


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="bus")
def _bus(clock: FakeClock) -> Bus:
    return Bus(clock.monotonic, clock.wall)


def drain(subscription: Subscription) -> list[Event]:
    """Return the events that wait, oldest first."""
    events = []
    while (envelope := subscription.take()) is not None:
        events.append(envelope.event)
    return events


async def test_events_carry_metadata(bus: Bus, clock: FakeClock) -> None:
    """Each event has its number, both times and its source."""
    first = bus.publish(UP, "poller")
    await clock.advance(2.5)
    second = bus.publish(FRESHNESS, "engine")

    assert (first.sequence, second.sequence) == (1, 2)
    assert second.timestamp_s - first.timestamp_s == 2.5
    assert (second.wall - first.wall).total_seconds() == 2.5
    assert second.wall.tzinfo is not None
    assert (first.source, second.source) == ("poller", "engine")


def test_subscriber_gets_what_it_asked_for(bus: Bus) -> None:
    """Types select; no type at all means everything; the order is that of publication."""
    some, every = bus.subscribe(LinkChanged, Numbered), bus.subscribe()
    for event in (UP, FRESHNESS, Numbered(1), DOWN):
        bus.publish(event, "test")

    assert drain(some) == [UP, Numbered(1), DOWN]
    assert drain(every) == [UP, FRESHNESS, Numbered(1), DOWN]


def test_a_subscriber_may_change_what_it_asks_for(bus: Bus) -> None:
    """What is wanted no longer does not wake up anybody; what waits already stays."""
    some = bus.subscribe(LinkChanged, Numbered)
    bus.publish(UP, "test")
    some.want(Numbered)
    bus.publish(DOWN, "test")
    bus.publish(Numbered(1), "test")

    assert drain(some) == [UP, Numbered(1)]


def test_nothing_published_before_is_delivered(bus: Bus) -> None:
    """A subscription begins empty; the past is asked for with ``latest``."""
    bus.publish(UP, "test")

    assert drain(bus.subscribe(LinkChanged)) == []


def test_latest_is_by_exact_type(bus: Bus) -> None:
    """The last event of a type is kept; a subtype is another type; unknown types have none."""
    for event in (Numbered(1), Numbered(2), Special(3)):
        bus.publish(event, "test")

    numbered, special = bus.latest(Numbered), bus.latest(Special)
    assert numbered is not None
    assert special is not None
    assert (numbered.event, numbered.sequence) == (Numbered(2), 2)
    assert special.event == Special(3)
    assert bus.latest(LinkChanged) is None


def test_subtype_is_not_the_latest_of_its_base(bus: Bus) -> None:
    """A subtype does not stand in for an event that never came."""
    bus.publish(Special(1), "test")

    assert bus.latest(Numbered) is None


def test_subtypes_reach_subscribers_of_their_base(bus: Bus) -> None:
    """Who subscribes to a base gets its subtypes too."""
    subscription = bus.subscribe(Numbered)
    bus.publish(Special(1), "test")

    assert drain(subscription) == [Special(1)]


def test_queue_has_32_slots(bus: Bus) -> None:
    """A subscriber that takes nothing keeps the newest 32 events; each lost one is counted."""
    subscription = bus.subscribe(Numbered)
    for number in range(40):
        bus.publish(Numbered(number), "test")

    assert DEFAULT_DEPTH == len(subscription) == 32
    assert subscription.overruns == bus.statistics().queue_overruns == 8
    assert drain(subscription) == [Numbered(number) for number in range(8, 40)]


def test_slow_subscriber_costs_nobody_else(bus: Bus) -> None:
    """A full queue loses its own oldest events, and no other queue loses any."""
    slow, quick = bus.subscribe(Numbered, depth=1, name="slow"), bus.subscribe(Numbered, name="quick")
    received = []
    for number in range(100):
        bus.publish(Numbered(number), "test")
        received += drain(quick)

    assert received == [Numbered(number) for number in range(100)]
    assert (slow.name, slow.overruns, drain(slow)) == ("slow", 99, [Numbered(99)])
    assert quick.overruns == 0


def test_statistics_count(bus: Bus) -> None:
    """Published, delivered, lost, subscribers and the deepest queue are counted, losses of closed ones included."""
    first, _second = bus.subscribe(Numbered, depth=2), bus.subscribe()
    for number in range(3):
        bus.publish(Numbered(number), "test")
    bus.publish(UP, "test")
    statistics = bus.statistics()
    assert (statistics.total_published, statistics.total_delivered) == (4, 7)
    assert (statistics.queue_overruns, statistics.subscribers, statistics.deepest_queue) == (1, 2, 4)

    first.close()
    first.close()
    after = bus.statistics()
    assert (after.queue_overruns, after.subscribers) == (1, 1)


def test_statistics_of_an_empty_bus(bus: Bus) -> None:
    """Without subscribers publishing still works and counts."""
    bus.publish(UP, "test")
    statistics = bus.statistics()

    assert (statistics.total_published, statistics.total_delivered, statistics.deepest_queue) == (1, 0, 0)


def test_closed_subscription_gets_nothing_more(bus: Bus) -> None:
    """After the end of a ``with`` block nothing is delivered; what waited can still be taken."""
    with bus.subscribe(LinkChanged) as subscription:
        bus.publish(UP, "test")
    bus.publish(DOWN, "test")

    assert drain(subscription) == [UP]
    assert bus.statistics().subscribers == 0


async def test_iteration_waits_for_events(bus: Bus) -> None:
    """``async for`` gives what waits and then waits for more."""
    subscription, received = bus.subscribe(Numbered), []

    async def consume() -> None:
        async for envelope in subscription:
            received.append(envelope.event)
            if len(received) == 3:
                return

    bus.publish(Numbered(0), "test")
    task = asyncio.create_task(consume())
    for number in (1, 2):
        await asyncio.sleep(0)
        bus.publish(Numbered(number), "test")
    await task

    assert received == [Numbered(0), Numbered(1), Numbered(2)]


async def test_unsubscribing_while_iterating_disturbs_nobody(bus: Bus) -> None:
    """A consumer that leaves in the middle of its iteration neither skips nor repeats an event of another."""
    leaving, staying = bus.subscribe(Numbered), bus.subscribe(Numbered)
    for number in range(4):
        bus.publish(Numbered(number), "test")
    async for envelope in leaving:
        leaving.close()
        if envelope.event == Numbered(1):
            break
    bus.publish(Numbered(4), "test")

    assert drain(leaving) == [Numbered(2), Numbered(3)]
    assert drain(staying) == [Numbered(number) for number in range(5)]


async def test_publishing_from_a_consumer_is_delivered(bus: Bus) -> None:
    """A consumer that answers an event with another one loses neither."""
    subscription = bus.subscribe(Numbered)
    bus.publish(Numbered(0), "test")
    received = []
    async for envelope in subscription:
        received.append(envelope.event)
        if len(received) == 3:
            break
        bus.publish(Numbered(len(received)), "echo")

    assert received == [Numbered(0), Numbered(1), Numbered(2)]


async def test_waiting_can_be_cancelled(bus: Bus) -> None:
    """A cancelled wait loses no event."""
    subscription = bus.subscribe(Numbered)
    task = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bus.publish(Numbered(1), "test")

    assert (await subscription.next()).event == Numbered(1)


_actions = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from([UP, DOWN, FRESHNESS])),
        st.tuples(st.just("take"), st.none()),
    ),
    max_size=60,
)


@given(actions=_actions, depth=st.integers(1, 5))
def test_no_event_is_unaccounted_for(actions: list[tuple[str, Event | None]], depth: int) -> None:
    """Whatever the rhythm, delivered = taken + lost + waiting, and sequences only grow."""
    clock = FakeClock()
    bus = Bus(clock.monotonic, clock.wall)
    subscription, taken = bus.subscribe(LinkChanged, depth=depth), list[Envelope[Event]]()
    act: dict[str, Callable[[Event | None], object]] = {
        "publish": lambda event: bus.publish(event or UP, "test"),
        "take": lambda _: taken.extend(filter(None, [subscription.take()])),
    }
    for kind, event in actions:
        act[kind](event)

    assert bus.statistics().total_delivered == len(taken) + subscription.overruns + len(subscription)
    assert [e.sequence for e in taken] == sorted({e.sequence for e in taken})
    assert len(subscription) <= depth


def test_statistics_begin_again_and_numbers_go_on(bus: Bus) -> None:
    """What was lost before no longer counts; a number never comes twice."""
    slow = bus.subscribe(depth=1)
    before = [bus.publish(UP, "test") for _ in range(3)][-1]
    assert slow.overruns == 2
    bus.reset_statistics()
    after = bus.publish(DOWN, "test")
    assert slow.overruns == 1, "this one found the queue full again"
    assert after.sequence == before.sequence + 1
