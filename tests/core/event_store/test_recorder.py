import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.core.event_store import EventRecorder, EventStore
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import FreshnessChanged, LinkChanged, PartState, PartStateChanged
from tinybms_lab.testing.fake_clock import FakeClock

FailingStorage = Any
Reopened = Callable[[FailingStorage], EventStore]


@pytest.fixture
def store(failing: FailingStorage) -> EventStore:
    """An empty list."""
    return EventStore(failing)


@pytest.fixture
def recorder(bus: Bus, store: EventStore, clock: FakeClock) -> EventRecorder:
    """A recorder that saves every 10 s."""
    return EventRecorder(bus, store, clock, interval_s=10.0, run_blocking=in_place)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_happens_on_the_bus_is_written_down(
    bus: Bus, clock: FakeClock, recorder: EventRecorder, store: EventStore
) -> None:
    """With the wall time of the event, not of the writing."""
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)
    envelope = bus.publish(LinkChanged(up=False, reason="unplugged"), "uart")
    await clock.advance(3.0)
    (record,) = store.records()
    assert (record.code, record.at) == ("link.down", envelope.wall)
    await ended(task)


async def test_entries_are_saved_in_batches(
    bus: Bus, clock: FakeClock, recorder: EventRecorder, failing: FailingStorage
) -> None:
    """One write for all that happened within the interval, none without news."""
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)
    for number in range(20):
        bus.publish(LinkChanged(up=False, reason=f"reason {number}"), "uart")
    await clock.advance(5.0)
    assert failing.writes == 0
    await clock.advance(5.0)
    assert failing.writes == 1
    await clock.advance(60.0)
    assert failing.writes == 1
    await ended(task)


async def test_a_part_that_fails_for_weeks_is_one_entry(
    bus: Bus, clock: FakeClock, recorder: EventRecorder, store: EventStore
) -> None:
    """Its tries must not drive other entries out, nor wear the disk; another reason or a later spell is news."""
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)

    async def fail(reason: str) -> None:
        for state in (PartState.FAILED, PartState.RUNNING):
            bus.publish(PartStateChanged("web", state, reason), "supervisor")
        await clock.advance(30.0)

    for _ in range(50):
        await fail("port 80 is not permitted")
    await fail("port 80 is in use")
    await fail("port 80 is not permitted")
    await clock.advance(600.0)
    await fail("port 80 is not permitted")
    assert [record.text.rpartition(": ")[2] for record in store.records()] == [
        "port 80 is not permitted",
        "port 80 is in use",
        "port 80 is not permitted",
        "port 80 is not permitted",
    ]
    await ended(task)


async def test_the_end_saves_what_is_left(
    bus: Bus, clock: FakeClock, recorder: EventRecorder, failing: FailingStorage, reopened: Reopened
) -> None:
    """Also what was published in the very last moment."""
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)
    bus.publish(FreshnessChanged(Freshness.FRESH, Freshness.HOLD), "pipeline")
    bus.publish(LinkChanged(up=False, reason="ending"), "uart")
    await ended(task)
    assert len(reopened(failing).records()) == 2


async def test_a_full_disk_is_said_once_and_overcome(
    bus: Bus, clock: FakeClock, recorder: EventRecorder, failing: FailingStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """No entry is lost while the disk is full, and the log does not fill it further."""
    failing.full = True
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)
    bus.publish(LinkChanged(up=False, reason="unplugged"), "uart")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await clock.advance(10.0)
    assert caplog.text.count("cannot be saved") == 1
    failing.full = False
    await clock.advance(20.0)
    assert failing.writes == 1
    await ended(task)


async def test_the_subscription_ends_with_the_recorder(bus: Bus, clock: FakeClock, recorder: EventRecorder) -> None:
    """A recorder that is started again must not leave its old queue behind."""
    task = asyncio.create_task(recorder.run())
    await clock.advance(1.0)
    assert bus.statistics().subscribers == 1
    await ended(task)
    assert bus.statistics().subscribers == 0
