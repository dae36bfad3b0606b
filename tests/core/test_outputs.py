"""The CAN output by itself: what it sends of the state of the battery, and how old that may be."""

from typing import Any

import pytest

from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.outputs import CanOutput
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock


class Core:
    """Stands for the core: gives a state, and notes how old it may be."""

    def __init__(self, clock: FakeClock, bus: Bus, state: BatteryState) -> None:
        self.can = MemoryCanBus()
        self.state = state
        self.asked_s: list[float] = []
        self.output = CanOutput(Configuration(), self._open, clock, bus, self._state)

    async def _open(self) -> CanPort:
        return self.can.open()

    def _state(self, oldest_s: float) -> BatteryState:
        self.asked_s.append(oldest_s)
        return self.state


@pytest.fixture
def core(clock: FakeClock, bus: Bus, make_state: Any) -> Core:
    """A healthy battery, whose limits may be sent."""
    return Core(clock, bus, make_state())


def field(frames: tuple[CanFrame, ...] | None, identifier: int, name: str) -> float | None:
    """Return a field of one of the frames."""
    assert frames is not None
    (frame,) = (frame for frame in frames if frame.arbitration_id == identifier)
    return decode_frame(frame).number(name)


def test_each_frame_tells_the_state_of_its_moment(core: Core, make_state: Any) -> None:
    """What changes after the beginning of a burst is in the frames that are still to come."""
    waiting = core.output.burst_ids()
    first = core.output.make_frames(0x351, waiting)
    core.state = make_state(ccl_a=12.0, current_a=-7.5)
    second = core.output.make_frames(0x356, waiting)
    assert field(first, 0x351, "charge_current_limit") != 12.0
    assert field(second, 0x356, "current") == -7.5
    last = {frame.arbitration_id for frame in core.output.last_frames}
    assert {0x351, 0x35A, 0x372, 0x356} <= last
    assert last.isdisjoint({0x355, 0x373, 0x374})


def test_limits_are_decided_for_their_frame(core: Core) -> None:
    """Everything else tells what was decided at one of the last looks of the bridge."""
    core.output.burst_ids()
    core.output.make_frames(0x351, ())
    core.output.make_frames(0x355, ())
    core.output.may_send()
    assert core.asked_s == [0.6, 0.0, 0.6, 0.6]


def test_nothing_is_made_of_a_silent_battery(core: Core, make_state: Any) -> None:
    """Neither a burst, nor a frame of the one under way, nor one that was made before."""
    assert core.output.may_send()
    core.state = make_state(freshness=Freshness.SILENT)
    assert not core.output.may_send()
    assert core.output.burst_ids() == ()
    assert core.output.make_frames(0x351, (0x35A,)) is None
    assert core.output.make_frames(0x356, ()) is None
    assert core.output.last_frames == ()
