"""The adapter between the bridge and its web pages: the monitor of CAN frames."""

from types import SimpleNamespace
from typing import Any

import pytest

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.web_face import WebFace


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told to."""
    return FakeClock()


@pytest.fixture
def bridge(clock: FakeClock) -> Any:
    """As much of a bridge as the monitor of CAN frames needs."""
    return SimpleNamespace(client=None, machine=SimpleNamespace(clock=clock), frame_taps=[])


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
