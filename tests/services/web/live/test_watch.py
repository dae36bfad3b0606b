"""What follows the bridge while no server listens: recent changes, and what flows."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import (
    AlarmsChanged,
    ChargeStateChanged,
    FreshnessChanged,
    GxChanged,
    LinkChanged,
    PartState,
    PartStateChanged,
)
from tinybms_bridge.services.web.live.watch import Changes, Watch
from tinybms_bridge.victron.can.gx import GxState
from tinybms_lab.testing.fake_clock import FakeClock

WALL = datetime(2026, 1, 1, tzinfo=UTC)


async def test_kinds_and_times(clock: FakeClock) -> None:
    """Each kind is told with the time at which it was published; other events are not."""
    bus = Bus(clock.monotonic, clock.wall)
    changes = Changes(bus)
    began = clock.wall()
    bus.publish(FreshnessChanged(Freshness.STARTING, Freshness.FRESH), "test")
    bus.publish(LinkChanged(False, "no answer"), "test")
    bus.publish(LinkChanged(True, ""), "test")
    bus.publish(GxChanged(GxState.LOST, 12.0), "test")
    bus.publish(ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), "test")
    bus.publish(PartStateChanged("x", PartState.RUNNING), "test")
    await clock.advance(5.0)
    found = changes.recent()
    assert [(each.kind, each.value, each.detail) for each in found] == [
        ("freshness", "FRESH", ""),
        ("link", "down", "no answer"),
        ("link", "up", ""),
        ("gx", "lost", ""),
        ("charge_state", "FLOAT", ""),
    ]
    assert {each.at for each in found} == {began}


def test_only_the_last_ones_are_kept(clock: FakeClock) -> None:
    """Memory is bounded, and looking twice changes nothing."""
    bus = Bus(clock.monotonic, clock.wall)
    changes = Changes(bus, keep=3)
    for number in range(1000):
        bus.publish(LinkChanged(False, str(number)), "test")
    assert [each.detail for each in changes.recent()] == ["997", "998", "999"]
    assert changes.recent() == changes.recent()


async def test_nothing_is_lost_while_nobody_looks(core: Any, clock: FakeClock) -> None:
    """Queues are emptied all the time, so that a busy week is no overrun."""
    watch = Watch(core)
    task = asyncio.create_task(watch.run())
    for number in range(1000):
        core.bus.publish(LinkChanged(False, str(number)), "test")
        core.bus.publish(AlarmsChanged(Alarms(), Alarms()), "test")
        if number % 100 == 99:
            await clock.advance(10.0)
    task.cancel()
    assert core.bus.statistics().queue_overruns == 0
    assert [each.detail for each in watch.changes.recent()] == [str(number) for number in range(900, 1000)]


def test_close_ends_what_it_subscribed(core: Any) -> None:
    """The bus has no queue left that nobody empties."""
    watch = Watch(core)
    watch.close()
    watch.close()
    assert core.bus.statistics().subscribers == 0


async def test_the_time_left_is_known_to_the_first_who_looks(core: Any, clock: FakeClock) -> None:
    """The current is noted all the time: a page that opens need not wait for a minute."""
    watch = Watch(core)
    task = asyncio.create_task(watch.run())
    measured = core.now.view.measured
    for second in range(0, 62, 2):
        each = replace(measured, sequence=second + 1, taken_at_s=float(second))
        core.now = replace(core.now, view=replace(core.now.view, measured=each))
        await clock.advance(2.0)
    task.cancel()

    assert watch.overview.flow.hours(100.0) == pytest.approx(0.87345 * 100.0 / 12.5)
