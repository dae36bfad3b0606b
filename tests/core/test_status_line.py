import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tinybms_bridge.battery.limits import Freshness, Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.core.status_line import StatusLine, describe_status
from tinybms_lab.testing.fake_clock import FakeClock


class Desk:
    """Shows what the test has put there."""

    def __init__(self) -> None:
        self.view = View()

    def look(self) -> View:
        """Return the view."""
        return self.view


@pytest.fixture
def desk() -> Desk:
    """A desk on which nothing is known."""
    return Desk()


@pytest.fixture
async def line(desk: Desk, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> AsyncIterator[StatusLine]:
    """A status line at work, every 60 s."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    line = StatusLine(desk.look, clock, 60.0)
    task = asyncio.create_task(line.run())
    await clock.advance(0.0)
    yield line
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_line_tells_measurements_and_limits(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """What matters on one line, each number with its unit, the current with its sign."""
    assert describe_status(View(Freshness.FRESH, make_snapshot(hottest_c=21.5), limits, 0.1)) == (
        "13.21 V -12.3 A SOC 81.3 % 21.5 °C, cells 3.301 to 3.304 V | "
        "CVL 14.1 V CCL 54.0 A DCL 108.0 A TRANSITION FRESH"
    )


def test_line_tells_both_counts(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """The bridge's state of charge, with the BMS's own beside it."""
    snapshot = make_snapshot(hottest_c=None)
    counted = replace(snapshot, pack=replace(snapshot.pack, soc_percent=90.0, bms_soc_percent=81.3))
    assert "SOC 90.0 % (BMS 81.3 %)" in describe_status(View(Freshness.FRESH, counted, limits, 0.1))


def test_line_without_a_sensor_shows_no_temperature(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """No sensor, no number."""
    assert "°C" not in describe_status(View(Freshness.FRESH, make_snapshot(hottest_c=None), limits, 0.1))


def test_line_tells_when_data_is_old(make_snapshot: Callable[..., Snapshot], limits: Limits) -> None:
    """Values of a battery that no longer answers are marked as such, with the limits as they are sent."""
    held = replace(limits, freshness=Freshness.HOLD, ccl_a=0.0)
    last = Last(make_snapshot(hottest_c=None), 4.0, limits)
    assert describe_status(View(Freshness.HOLD, None, held, 4.0, last)) == (
        "old data, 4 s: 13.21 V -12.3 A SOC 81.3 %, cells 3.301 to 3.304 V | "
        "CVL 14.1 V CCL 0.0 A DCL 108.0 A TRANSITION HOLD, "
        "charging is stopped because no good data has come from the BMS for 4 s"
    )
    assert describe_status(View(Freshness.SILENT, None, None, 90.0, replace(last, age_s=90.0))) == (
        "old data, 90 s: 13.21 V -12.3 A SOC 81.3 %, cells 3.301 to 3.304 V | "
        "SILENT, nothing is sent; the GX has lost the BMS"
    )


async def test_line_is_written_at_its_interval(
    line: StatusLine,
    desk: Desk,
    clock: FakeClock,
    limits: Limits,
    make_snapshot: Callable[..., Snapshot],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line a minute with the latest values, however many samples there are; a new interval counts from the next."""
    for current_a in (1.0, 2.0, 3.0):
        desk.view = View(Freshness.FRESH, make_snapshot(current_a=current_a, hottest_c=None), limits, 0.1)
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
    desk: Desk,
    clock: FakeClock,
    make_snapshot: Callable[..., Snapshot],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a sample there is nothing to show; with one that is not sent yet the line says so."""
    await clock.advance(120.0)
    assert caplog.messages == []
    desk.view = View(Freshness.STARTING, make_snapshot(hottest_c=None), None, 0.1)
    await clock.advance(line.interval_s)
    assert len(caplog.messages) == 1
    assert "STARTING, nothing is sent yet" in caplog.messages[0]


async def test_old_data_is_a_warning(
    line: StatusLine,
    desk: Desk,
    clock: FakeClock,
    make_snapshot: Callable[..., Snapshot],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line that tells of lost data is found among the others by its level."""
    desk.view = View(Freshness.SILENT, None, None, 50.0, Last(make_snapshot(hottest_c=None), 50.0))
    await clock.advance(line.interval_s + 1.0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
