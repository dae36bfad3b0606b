import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits import Freshness, Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.bus import Bus
from tinybms_bridge.events import LimitsDecided, SampleAccepted
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.services.status_line import StatusLine, describe_status


@pytest.fixture
async def line(bus: Bus, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> AsyncIterator[StatusLine]:
    """A status line at work, every 60 s."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    line = StatusLine(bus, clock, 60.0)
    task = asyncio.create_task(line.run())
    await clock.advance(0.0)
    yield line
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_line_tells_measurements_and_limits(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """What matters on one line, each number with its unit, the current with its sign."""
    assert describe_status(make_snapshot(hottest_c=21.5), limits) == (
        "13.21 V -12.3 A SOC 81.3 % 21.5 °C, cells 3.301 to 3.304 V | "
        "CVL 14.1 V CCL 54.0 A DCL 108.0 A TRANSITION FRESH"
    )


def test_line_without_a_sensor_shows_no_temperature(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """No sensor, no number."""
    assert "°C" not in describe_status(make_snapshot(hottest_c=None), limits)


def test_line_tells_when_data_is_old(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """Values of a battery that no longer answers are marked as such."""
    held = replace(limits, freshness=Freshness.HOLD, ccl_a=0.0)
    assert describe_status(make_snapshot(hottest_c=None), held).endswith("CCL 0.0 A DCL 108.0 A TRANSITION HOLD")


async def test_line_is_written_at_its_interval(
    line: StatusLine,
    bus: Bus,
    clock: FakeClock,
    limits: Limits,
    make_snapshot: Callable[..., Snapshot],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line a minute with the latest values, however many samples there are; a new interval counts from the next."""
    for current_a in (1.0, 2.0, 3.0):
        bus.publish(SampleAccepted(make_snapshot(current_a=current_a, hottest_c=None)), "test")
        bus.publish(LimitsDecided(limits), "test")
    await clock.advance(59.0)
    assert caplog.messages == []
    await clock.advance(2.0)
    assert len(caplog.messages) == 1
    assert "+3.0 A" in caplog.messages[0]
    line.interval_s = 2.0
    await clock.advance(60.0)
    assert len(caplog.messages) == 2
    await clock.advance(4.0)
    assert len(caplog.messages) == 4


async def test_no_line_before_there_are_values(
    line: StatusLine,
    bus: Bus,
    clock: FakeClock,
    limits: Limits,
    make_snapshot: Callable[..., Snapshot],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without limits there is nothing to show yet; the first line comes at the next turn after they are known."""
    await clock.advance(120.0)
    bus.publish(SampleAccepted(make_snapshot(hottest_c=None)), "test")
    await clock.advance(120.0)
    assert caplog.messages == []
    bus.publish(LimitsDecided(limits), "test")
    await clock.advance(line.interval_s)
    assert len(caplog.messages) == 1


async def test_limits_alone_are_no_line(
    line: StatusLine, bus: Bus, clock: FakeClock, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a sample there is nothing to show either."""
    bus.publish(LimitsDecided(limits), "test")
    await clock.advance(2 * line.interval_s)
    assert caplog.messages == []
