"""What follows the bridge while no server listens."""

import asyncio
from typing import Any

from tinybms_bridge.events import AlarmsChanged, LinkChanged
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.services.web.live.watch import Watch


async def test_nothing_is_lost_while_nobody_looks(face: Any, clock: FakeClock) -> None:
    """Queues are emptied all the time, so that a busy week is no overrun."""
    watch = Watch(face)
    task = asyncio.create_task(watch.run())
    for number in range(1000):
        face.bus.publish(LinkChanged(False, str(number)), "test")
        face.bus.publish(AlarmsChanged(face.now.alarms, face.now.alarms), "test")
        if number % 100 == 99:
            await clock.advance(10.0)
    task.cancel()
    assert face.bus.statistics().queue_overruns == 0
    assert [each.detail for each in watch.changes.recent()] == [str(number) for number in range(900, 1000)]


def test_close_ends_what_it_subscribed(face: Any) -> None:
    """The bus has no queue left that nobody empties."""
    watch = Watch(face)
    watch.close()
    watch.close()
    assert face.bus.statistics().subscribers == 0
