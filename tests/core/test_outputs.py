"""The CAN output by itself: what it sends of the state of the battery, and how old that may be."""

import asyncio
from dataclasses import fields
from typing import Any

import pytest

from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.hardware import Can, Hardware
from tinybms_bridge.core.outputs import CanOutput
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.victron.can.codec import decode_frame
from tinybms_bridge.victron.can.self_test import LoopbackResult, LoopbackVerdict
from tinybms_bridge.words import message
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


async def test_numbers_of_frames_grow_over_restarts(clock: FakeClock, bus: Bus, make_state: Any) -> None:
    """Who follows the frames by number goes on after a restart; a frame that was dropped was never on the bus."""
    before = Core(clock, bus, make_state()).output
    for number in range(3):
        before._on_frame(CanFrame(0x351, bytes([number])))
    last = before.monitored()[-1].number
    await clock.advance(2.0)
    later = Core(clock, bus, make_state()).output
    later._on_sent(CanFrame(0x355, b""), True)
    later._on_sent(CanFrame(0x356, b""), False)
    (frame,) = later.monitored(after=last)
    assert (frame.arbitration_id, frame.direction) == (0x355, "tx")
    assert later.monitored(after=frame.number) == []
    assert later.monitored(after=frame.number + 10_000) == [frame], "a number of a run whose clock was ahead"


def test_what_keeps_frames_from_the_bus_is_told(core: Core) -> None:
    """Why the adapter does not open, and later why nothing gets out; the diagnostics have it with what to do."""
    output = core.output
    assert (output.state().up, output.state().error) == (False, "not open yet")
    assert output.state().message == message("can.not_open_yet")
    output.failure = None
    trouble = message("can.sending_fails", reason=message("system.enobufs"), advice=None)
    output._statistics.trouble = trouble
    assert (output.state().error, output.state().message) == (trouble.text, trouble)
    output.reset_statistics()
    assert (output.state().error, output.state().message) == (trouble.text, trouble), "what is so now is no count"
    output._statistics.trouble = None
    assert (output.state().error, output.state().message) == ("", None)


def test_every_counter_begins_again(core: Core) -> None:
    """Nothing that counts from the start is left out, so that the counts belong to the same time."""
    untouched = core.output.state()
    counted = core.output._statistics
    for each in fields(counted):
        if isinstance(getattr(counted, each.name), int) and not isinstance(getattr(counted, each.name), bool):
            setattr(counted, each.name, 7)
    assert core.output.state() != untouched
    core.output.reset_statistics()
    assert core.output.state() == untouched


class Loopback(Core):
    """A core whose configuration is that of the self-test."""

    def __init__(self, clock: FakeClock, bus: Bus, state: BatteryState) -> None:
        super().__init__(clock, bus, state)
        config = Configuration(hardware=Hardware(can=Can(mode="loopback")))
        self.output = CanOutput(config, self._open, clock, bus, self._state)


async def test_loopback_mode_tests_itself(clock: FakeClock, bus: Bus, make_state: Any) -> None:
    """What was sent and came back as it was sent passes; what stays away fails. In use there is no such test."""
    output = Loopback(clock, bus, make_state()).output
    frame = CanFrame(0x351, bytes(8))
    output._on_sent(frame, True)
    output._on_frame(frame)
    output._on_sent(frame, False)
    assert output.state().loopback == LoopbackResult(LoopbackVerdict.PASSED, 1, 1)
    output._on_sent(frame, True)
    await clock.advance(3.0)
    assert output.state().loopback == LoopbackResult(LoopbackVerdict.FAILED, 2, 1)

    in_use = Core(clock, bus, make_state()).output
    in_use._on_sent(frame, True)
    assert in_use.state().loopback is None


async def test_what_the_kernel_tells_is_in_the_state(clock: FakeClock, bus: Bus, make_state: Any) -> None:
    """The interface with its counters, and faults that two readings have confirmed."""
    device = CanDevice("can0", True, "error_active", 250_000, kind="can", restart_ms=100, tx_queue_frames=10)
    core = Core(clock, bus, make_state())
    asked: list[str] = []

    def read(name: str) -> CanDevice:
        asked.append(name)
        return device

    output = CanOutput(Configuration(), core._open, clock, bus, core._state, read_device=read, run_blocking=in_place)
    for _ in range(2):
        output.look()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await clock.advance(2.5)

    assert asked == ["can0", "can0"]
    assert (output.state().device, output.state().faults) == (device, (CanFault.BIT_RATE,))
