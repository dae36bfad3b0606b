"""The adapter between the bridge and its web pages: frames, counters, and what is live."""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from tinybms_bridge.app.web_face import WebFace
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.live.status import battery_numbers, limit_numbers
from tinybms_bridge.victron.can.transmitter import Transmitter
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock

SAMPLE = Snapshot(
    sequence=0,
    taken_at_s=0.0,
    pack=PackValues(13.2, 12.0, 54.0, 98.0, BmsStatus.CHARGING, 0x91),
    cells=Cells((3.3, 3.3, 3.3, 3.3)),
    temperatures=Temperatures(internal_c=30.0, external_1_c=21.5),
    ratings=Ratings(4, 3.5, 2.9, 3.75, 2.5, 60.0, 120.0, None, 60.0, 1.0, 100.0),
)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told to."""
    return FakeClock()


async def absent(*_: object) -> NoReturn:
    """Open nothing."""
    raise LinkError("not here")


def new_face(bridge: Any) -> WebFace:
    """Return a face of its own, as each start of the program makes one."""
    nothing: Any = None
    return WebFace(bridge, nothing, nothing, lambda: None)


async def test_numbers_of_frames_grow_over_restarts(clock: FakeClock) -> None:
    """Who follows the frames by number goes on after a restart."""
    before = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    for number in range(3):
        before.can._on_frame(CanFrame(0x351, bytes([number])))
    await clock.advance(2.0)
    later = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    later.can._on_sent(CanFrame(0x355, b""), True)
    later.can._on_sent(CanFrame(0x356, b""), False)
    (frame,) = later.can.monitored(after=int(clock.wall().timestamp() * 1000.0) - 1)
    assert (frame.arbitration_id, frame.direction) == (0x355, "tx"), "a frame that was dropped was never on the bus"
    assert later.can.monitored(after=frame.number) == []
    assert later.can.monitored(after=frame.number + 10_000) == [frame], "a number of a run whose clock was ahead"


async def test_reset_sets_every_counter_to_zero(clock: FakeClock) -> None:
    """Nothing that counts from the start is left out, so that figures belong to the same time; gauges stay."""
    bridge = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    face = new_face(bridge)
    untouched = asdict(face.can()), asdict(face.uart())
    bridge.can.transmitter = Transmitter(MemoryCanBus().open(), clock, tuple)
    sent, line, can = bridge.can.transmitter.statistics, bridge.pack.client.statistics, bridge.can.statistics
    sent.bursts, sent.skipped, sent.jitter_max_s = 7, 2, 0.01
    line.polls, line.errors = 9, 1
    can.tx_count = can.rx_errors = 3
    bridge.battery.rejected = 4
    assert (face.can().bursts, face.uart().polls, face.picture().rejected) == (7, 9, 4)
    face.reset_statistics()
    assert (asdict(face.can()), asdict(face.uart())) == untouched
    assert face.picture().rejected == 0
    bridge.battery.rejected += 1
    assert face.picture().rejected == 1


async def test_what_keeps_frames_from_the_bus_is_told(clock: FakeClock) -> None:
    """Why the adapter does not open, and later why nothing gets out; the diagnostics have it with what to do."""
    bridge = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    face = new_face(bridge)
    assert (face.can().up, face.can().error) == (False, "not open yet")

    bridge.can.error = ""
    bridge.can.statistics.trouble = "sending fails: No buffer space available (nobody acknowledges the frames)"
    assert (face.can().up, face.can().error) == (True, bridge.can.statistics.trouble)

    bridge.can.statistics.trouble = ""
    assert (face.can().up, face.can().error) == (True, "")


async def test_no_interface_shows_old_values_as_live(clock: FakeClock) -> None:
    """One bridge through all states of its data: what API and WebSocket make of the same picture."""
    bridge = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    face = new_face(bridge)
    sequence = 0

    async def feed(count: int) -> None:
        nonlocal sequence
        for _ in range(count):
            await clock.advance(0.1)
            sequence += 1
            now_s, pack = clock.monotonic(), replace(SAMPLE.pack, lifetime_s=sequence)
            bridge.battery.accept(replace(SAMPLE, sequence=sequence, taken_at_s=now_s, pack=pack), now_s)

    async def wait(seconds: float) -> tuple[Any, Any, Any]:
        await clock.advance(seconds)
        bridge.battery.tick(clock.monotonic())
        picture = face.picture()
        return picture.view.freshness, battery_numbers(picture), limit_numbers(picture.view.limits)

    await feed(40)
    freshness, live, limits = await wait(0.0)
    assert (freshness, live["voltage"], live["last"], live["remark"]) == (Freshness.FRESH, 13.2, None, "")
    assert limits["ccl_limit_a"] > 0.0
    freshness, held, limits = await wait(5.0)
    assert (freshness, held["voltage"], held["last"]["voltage"]) == (Freshness.HOLD, None, 13.2)
    assert (limits["ccl_limit_a"], limits["state"]) == (0.0, "BULK")
    freshness, silent, limits = await wait(60.0)
    assert (freshness, silent["voltage"], silent["last"]["voltage"]) == (Freshness.SILENT, None, 13.2)
    assert set(limits.values()) == {None}
    wall = clock.wall()
    assert silent["last"]["at"] == (wall - timedelta(seconds=65)).replace(microsecond=0)
    await feed(2)
    freshness, doubted, limits = await wait(0.0)
    assert (freshness, doubted["voltage"], limits["state"]) == (Freshness.SILENT, None, None)
    await feed(8)
    freshness, back, _ = await wait(0.0)
    assert (freshness, back["voltage"], back["last"]) == (Freshness.FRESH, 13.2, None)
