"""The device's end of a line: what is on the wire at which moment."""

from collections.abc import Callable

import pytest

from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.tinybms.frames import Command, Framer, ReadBlock, ReadModbus, Registers, ShortValue, SimpleRequest
from tinybms_bridge.tinybms.simulator import (
    DumpDevice,
    FaultInjector,
    FaultPlan,
    Habits,
    Line,
    PacketId,
    SimulatedBms,
    real_dump,
)
from tinybms_bridge.tinybms.simulator.line import BAUDRATE

PassTime = Callable[[float], None]

CHARACTER_S = 10 / BAUDRATE
STATUS = SimpleRequest(Command.STATUS).encode()
IDLE = ShortValue(Command.STATUS, 0x97).encode()[0]
LIVE = ReadModbus(0, 56)


@pytest.fixture
def unit(clock: FakeClock) -> DumpDevice:
    """The capture of the real unit."""
    return DumpDevice(real_dump(), clock)


@pytest.fixture
def line(clock: FakeClock, unit: DumpDevice) -> Line:
    """A good line to it."""
    return Line(unit, clock)


def after(line: Line, pass_time: PassTime, seconds: float) -> bytes:
    """Return what arrives within a time."""
    pass_time(seconds)
    return b"".join(line.due())


def test_a_reply_takes_the_time_of_both_directions(line: Line, pass_time: PassTime) -> None:
    """8 and 117 bytes, and a millisecond between them."""
    line.receive(LIVE.encode())
    needed_s = (8 + 117) * CHARACTER_S + 0.001

    early = after(line, pass_time, needed_s - CHARACTER_S / 2)
    rest = after(line, pass_time, CHARACTER_S)

    assert (len(early), len(rest)) == (116, 1)
    assert line.next_s is None


def test_replies_come_one_after_the_other(line: Line, pass_time: PassTime) -> None:
    """Never mixed."""
    line.receive(STATUS + LIVE.encode())
    data = after(line, pass_time, 0.1)

    assert data[:6] == IDLE
    assert data[6:9] == b"\xaa\x03\x70"


def test_text_fills_the_silence_between_replies(clock: FakeClock, pass_time: PassTime) -> None:
    """It waits while a command is answered, then goes on; the reply stays whole."""
    device = SimulatedBms.build(clock)
    device.write([(342, 1), (343, 1)])
    line = Line(device, clock)
    pass_time(0.1)
    line.receive(ReadModbus(0, 127).encode())
    line.tick()
    data = after(line, pass_time, 0.2)
    framer = Framer()
    framer.expect(ReadModbus(0, 127))
    events = framer.feed(data)

    assert isinstance(events[0], Registers)
    assert data[259:].startswith(b"BPV:")
    assert data.endswith(b"\r\n")


def test_a_request_waits_for_the_text_under_way(clock: FakeClock, pass_time: PassTime) -> None:
    """A line of text that has begun is finished first."""
    device = SimulatedBms.build(clock)
    device.write([(342, 1), (343, 1)])
    line = Line(device, clock)
    pass_time(0.1)
    line.tick()
    begun = after(line, pass_time, 0.002)
    line.receive(STATUS)
    rest = after(line, pass_time, 0.05)

    assert begun.startswith(b"BPV:")
    assert rest.endswith(b"\r\n" + IDLE)


def test_a_late_reply_holds_up_the_next(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """A device answers in order."""
    line = Line(unit, clock, faults=FaultInjector(FaultPlan(late_reply=1.0, late_s=0.5)))
    line.receive(LIVE.encode())
    line.faults.plan = FaultPlan()
    line.receive(STATUS)
    early = after(line, pass_time, 0.02)
    data = early + after(line, pass_time, 1.0)

    assert early == b""
    assert (data[:3], data[117:]) == (b"\xaa\x03\x70", IDLE)


def test_a_restart_in_the_middle_of_a_reply(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """A piece of it comes, and nothing for one and a half seconds."""
    line = Line(unit, clock, faults=FaultInjector(FaultPlan(reboot=1.0)))
    line.receive(LIVE.encode())
    piece = after(line, pass_time, 0.1)
    line.faults.plan = FaultPlan()
    line.receive(STATUS)
    silence = after(line, pass_time, 1.5)
    line.receive(STATUS)

    assert len(piece) < 117
    assert silence == b""
    assert after(line, pass_time, 0.1) == IDLE


def test_a_corrupted_request_is_refused(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """By a bit in its last byte; the device says that the CRC is wrong."""
    line = Line(unit, clock)
    line.receive(STATUS[:-1] + bytes((STATUS[-1] ^ 1,)))

    assert after(line, pass_time, 0.1)[:4] == bytes((0xAA, 0x00, Command.STATUS, 0x01))


def test_habits_and_latency_reach_the_line(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """As options."""
    line = Line(unit, clock, latency_s=0.02, habits=Habits(packet_id=PacketId.TOTAL))
    line.receive(ReadBlock(0, 70).encode())
    early = after(line, pass_time, 0.02)
    data = after(line, pass_time, 0.1)

    assert early == b""
    assert (data[2], data[68 + 2]) == (0x83, 0x83)


def test_an_adapter_collects_bytes(clock: FakeClock, unit: DumpDevice, pass_time: PassTime) -> None:
    """64 at a time."""
    line = Line(unit, clock, chunk=64)
    line.receive(LIVE.encode())
    pass_time(0.1)

    assert [len(piece) for piece in line.due()] == [64, 53]


def test_what_is_under_way_can_be_dropped(line: Line, pass_time: PassTime) -> None:
    """When the port closes."""
    line.receive(LIVE.encode())
    line.clear()

    assert line.next_s is None
    assert after(line, pass_time, 0.1) == b""


def test_half_a_request_at_another_speed_is_forgotten(line: Line, pass_time: PassTime) -> None:
    """It does not mix with what follows."""
    line.receive(LIVE.encode()[:5])
    line.mistuned()
    line.receive(STATUS)

    assert after(line, pass_time, 0.1) == IDLE


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (115200, 0)])
def test_impossible_options_are_refused(clock: FakeClock, unit: DumpDevice, baudrate: int, chunk: int | None) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="must be above 0"):
        Line(unit, clock, baudrate=baudrate, chunk=chunk)
