"""The adapter between the bridge and its web pages: frames and counters."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.bridge import Bridge, Machine
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.can_memory import MemoryCanBus
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.victron.transmitter import Transmitter
from tinybms_bridge.web_face import WebFace


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told to."""
    return FakeClock()


@pytest.fixture
def bridge(clock: FakeClock) -> Any:
    """As much of a bridge as the monitor of CAN frames needs."""
    return SimpleNamespace(client=None, machine=SimpleNamespace(clock=clock, run_blocking=None), frame_taps=[])


def new_face(bridge: Any) -> WebFace:
    """Return a face of its own, as each start of the program makes one."""
    nothing: Any = None
    return WebFace(bridge, nothing, nothing, lambda: None)


async def test_numbers_of_frames_grow_over_restarts(bridge: Any, clock: FakeClock) -> None:
    """Who follows the frames by number goes on after a restart."""
    new_face(bridge)
    for number in range(3):
        bridge.frame_taps[0](CanFrame(0x351, bytes([number])), "tx")
    await clock.advance(2.0)
    later = new_face(bridge)
    bridge.frame_taps[1](CanFrame(0x355, b""), "rx")
    (frame,) = later.frames(after=int(clock.wall().timestamp() * 1000.0) - 1)
    assert (frame.arbitration_id, frame.direction) == (0x355, "rx")
    assert later.frames(after=frame.number) == []
    assert later.frames(after=frame.number + 10_000) == [frame], "a number of a run whose clock was ahead"


async def test_reset_sets_every_counter_to_zero(clock: FakeClock) -> None:
    """Nothing that counts from the start is left out, so that figures belong to the same time; gauges stay."""

    async def absent(*_: object) -> NoReturn:
        raise LinkError("not here")

    bridge = Bridge(Configuration(), Machine(clock, absent, absent, MemoryStorage()), SavedUnits())
    face = new_face(bridge)
    untouched = asdict(face.can()), asdict(face.uart())
    bridge.transmitter = Transmitter(MemoryCanBus().open(), clock, tuple)
    sent, line, can = bridge.transmitter.statistics, bridge.client.statistics, bridge.can_statistics
    sent.bursts, sent.skipped, sent.jitter_max_s = 7, 2, 0.01
    line.polls, line.errors = 9, 1
    can.tx_count = can.rx_errors = 3
    bridge.pipeline.rejected = 4
    assert (face.can().bursts, face.uart().polls, face.picture().rejected) == (7, 9, 4)
    face.reset_statistics()
    assert (asdict(face.can()), asdict(face.uart())) == untouched
    assert face.picture().rejected == 0
    bridge.pipeline.rejected += 1
    assert face.picture().rejected == 1
