"""The bus in memory."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.can import CanFrame, CanStatistics
from tinybms_lab.testing.can_memory import MemoryCanBus, MemoryCanPort

FRAME = CanFrame(0x351, b"\x01\x02")


async def settle() -> None:
    """Let frames arrive."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def listening(port: MemoryCanPort) -> list[CanFrame]:
    """Return the list that the port's frames will be in."""
    frames: list[CanFrame] = []
    port.subscribe(frames.append)
    return frames


async def test_frame_reaches_every_port_but_the_sender() -> None:
    """A bus has many ears, and a controller does not hear itself."""
    bus = MemoryCanBus()
    ports = [bus.open() for _ in range(3)]
    heard = [listening(port) for port in ports]
    assert ports[0].send(FRAME)
    await settle()
    assert heard == [[], [FRAME], [FRAME]]
    assert (ports[0].statistics.tx_count, ports[1].statistics.rx_count) == (1, 1)


async def test_frames_arrive_on_the_loop_and_in_order() -> None:
    """Sending returns before anybody receives, as with an adapter."""
    bus = MemoryCanBus()
    sender, heard = bus.open(), listening(bus.open())
    frames = [CanFrame(number, b"") for number in range(20)]
    for frame in frames:
        sender.send(frame)
    assert heard == []
    await settle()
    assert heard == frames == list(bus.frames)


async def test_ended_subscription_hears_no_more() -> None:
    """Ending twice is harmless, and other subscriptions go on."""
    bus = MemoryCanBus()
    sender, receiver = bus.open(), bus.open()
    kept, dropped = listening(receiver), list[CanFrame]()
    unsubscribe = receiver.subscribe(dropped.append)
    unsubscribe()
    unsubscribe()
    sender.send(FRAME)
    await settle()
    assert (kept, dropped) == ([FRAME], [])


async def test_pulled_cable() -> None:
    """While the bus is down nothing is sent or kept for later."""
    bus = MemoryCanBus()
    sender, heard = bus.open(), listening(bus.open())
    bus.down = True
    assert not sender.send(FRAME)
    bus.down = False
    await settle()
    assert heard == []
    assert sender.statistics == CanStatistics(tx_errors=1)


async def test_lost_frames_count_as_sent() -> None:
    """The sender cannot know that a frame was lost on its way."""
    bus = MemoryCanBus(lose=lambda frame: frame.arbitration_id == 0x351)
    sender, heard = bus.open(), listening(bus.open())
    assert sender.send(FRAME)
    assert sender.send(CanFrame(0x355, b""))
    await settle()
    assert [frame.arbitration_id for frame in heard] == [0x355]
    assert sender.statistics.tx_count == 2


async def test_closed_port_neither_sends_nor_hears() -> None:
    """Frames on their way to a port that closes are dropped."""
    bus = MemoryCanBus()
    first, second = bus.open(), bus.open()
    heard = listening(second)
    first.send(FRAME)
    await second.close()
    await settle()
    assert heard == []
    assert not second.send(FRAME)
    assert not second.statistics.up
    assert first.send(FRAME)


async def test_closing_twice_is_harmless() -> None:
    """A port may be closed by two owners."""
    bus = MemoryCanBus()
    port = bus.open()
    await port.close()
    await port.close()
    assert not port.statistics.up


@pytest.mark.parametrize("count", [10_001, 12_345])
async def test_memory_of_the_bus_is_bounded(count: int) -> None:
    """A long demonstration does not fill the memory."""
    bus = MemoryCanBus()
    port = bus.open()
    for number in range(count):
        port.send(CanFrame(number % 0x800, b""))
    assert len(bus.frames) == 10_000
    assert bus.frames[-1].arbitration_id == (count - 1) % 0x800


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=8)), max_size=30))
async def test_what_is_sent_is_received(story: list[tuple[int, bytes]]) -> None:
    """Counters of all ports add up, and each port hears exactly the frames of the others."""
    bus = MemoryCanBus()
    ports = [bus.open() for _ in range(4)]
    heard = [listening(port) for port in ports]
    for sender, data in story:
        ports[sender].send(CanFrame(sender, data))
    await settle()
    for number, port in enumerate(ports):
        assert heard[number] == [CanFrame(sender, data) for sender, data in story if sender != number]
        assert port.statistics.rx_count == len(heard[number])
