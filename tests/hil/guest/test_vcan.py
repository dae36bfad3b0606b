"""Our socket on a virtual interface of a real kernel, with python-can as the independent other side."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import can
import pytest

from tinybms_bridge.hal.can import LOCAL, CanFrame

FRAMES = [CanFrame(0x350 + length, bytes(range(length))) for length in range(9)]
IDS = [frame.arbitration_id for frame in FRAMES]
BUS_OFF, RESTARTED = 0x40, 0x100  # linux/can/error.h


def message(frame: CanFrame) -> can.Message:
    """Return a frame as python-can has it."""
    return can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False)


def error_frame(kind: int) -> can.Message:
    """Return what a driver reports of its controller."""
    return can.Message(arbitration_id=kind, data=bytes(8), is_error_frame=True, is_extended_id=False)


async def received(bus: can.BusABC, count: int) -> Sequence[CanFrame]:
    """Return the next frames of the other side."""
    found = [await asyncio.to_thread(bus.recv, 60.0) for _ in range(count)]
    return [CanFrame(each.arbitration_id, bytes(each.data)) for each in found if each is not None]


async def test_frames_of_every_length_come_and_go(ports: Any, vcan: str) -> None:
    """Identifier, length and bytes are those that were sent, both ways, in order."""
    port, heard = await ports.open(vcan)
    other = ports.other(vcan)
    for frame in FRAMES:
        other.send(message(frame))
    await ports.until(lambda: len(heard) >= len(FRAMES))
    assert all(port.send(frame) for frame in FRAMES)

    assert heard == FRAMES
    assert await received(other, len(FRAMES)) == FRAMES
    assert (port.statistics.tx_count, port.statistics.rx_count) == (9, 9)
    assert (port.statistics.tx_errors, port.statistics.rx_errors) == (0, 0)


async def test_kernel_keeps_away_what_nobody_wants(ports: Any, vcan: str) -> None:
    """Other identifiers, extended and remote frames do not wake the program; error frames of the controller do."""
    port, heard = await ports.open(vcan, *IDS)
    other = ports.other(vcan)
    other.send(can.Message(arbitration_id=0x350, is_extended_id=True, data=b"ext"))
    other.send(can.Message(arbitration_id=0x350, is_extended_id=False, is_remote_frame=True))
    other.send(can.Message(arbitration_id=0x123, is_extended_id=False, data=b"other"))
    other.send(error_frame(0x4))
    other.send(message(FRAMES[8]))
    await ports.until(lambda: heard)

    assert heard == [FRAMES[8]]
    assert (port.statistics.rx_count, port.statistics.rx_errors) == (1, 1)


async def test_own_frames_are_heard_in_loopback_mode_only(ports: Any, vcan: str) -> None:
    """What a port sent comes back to it on wish; every other socket of the machine hears it all the same."""
    port, heard = await ports.open(vcan)
    loop, heard_by_itself = await ports.open(vcan, receive_own_messages=True)
    assert loop.send(FRAMES[3])
    await ports.until(lambda: heard)
    await ports.until(lambda: heard_by_itself)
    assert port.send(FRAMES[5])
    await ports.until(lambda: len(heard_by_itself) == 2)

    assert heard == [FRAMES[3]], "its own frame came back although nobody asked for it"
    assert heard_by_itself == [FRAMES[3], FRAMES[5]]


async def test_two_bridges_on_a_bus_hear_each_other(ports: Any, vcan: str) -> None:
    """A second program of this machine is told from the GX by the origin of its frames."""
    one, heard_by_one = await ports.open(vcan)
    two, heard_by_two = await ports.open(vcan)
    assert one.send(FRAMES[1])
    assert two.send(FRAMES[2])
    await ports.until(lambda: heard_by_one and heard_by_two)

    assert (heard_by_one, heard_by_two) == ([FRAMES[2]], [FRAMES[1]])
    assert heard_by_one[0].origin == heard_by_two[0].origin == f"{vcan}{LOCAL}"


async def test_what_a_held_up_program_loses_is_counted(ports: Any, vcan: str) -> None:
    """Of 5 000 frames during which the event loop stands, each was delivered or is among the errors."""
    port, heard = await ports.open(vcan)
    other = ports.other(vcan)
    for number in range(5_000):
        other.send(message(CanFrame(0x305, number.to_bytes(2, "big"))))
    await ports.until(lambda: heard)
    await ports.until(lambda: len(heard) == port.statistics.rx_count)
    await asyncio.sleep(0.1)
    other.send(message(FRAMES[8]))  # a frame brings the count of those that found the queue full
    await ports.until(lambda: heard[-1] == FRAMES[8])

    assert port.statistics.rx_errors > 0, "the queue of the socket was to overflow"
    assert port.statistics.rx_count + port.statistics.rx_errors == 5_001
    numbers = [frame.data for frame in heard[:-1]]
    assert numbers == sorted(numbers)


async def test_own_frames_pass_a_flood_of_foreign_ones(
    ports: Any, vcan: str, start: Any, driver_counters: Callable[[str], dict[str, int]]
) -> None:
    """As many frames as the kernel makes: ours go out in order, all of them, and the flood is not even received."""
    port, heard = await ports.open(vcan, 0x305)
    gx = ports.other(vcan, can_filters=[{"can_id": 0x351, "can_mask": 0x7FF}])
    flood = await start("cangen", vcan, "-g", "0", "-I", "123", "-L", "8", "-i")
    await ports.until(lambda: driver_counters(vcan)["tx_packets"] > 100)
    own = [CanFrame(0x351, number.to_bytes(2, "big")) for number in range(100)]
    for frame in own:
        while not port.send(frame):  # the queue of the interface may be full of the flood
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.001)

    assert await received(gx, len(own)) == own
    assert flood.returncode is None, "the flood ended before our frames did"
    assert (heard, port.statistics.rx_count, port.statistics.rx_errors) == ([], 0, 0)


async def test_interface_that_goes_down_and_comes_up(ports: Any, vcan: str, ip: Callable[..., str]) -> None:
    """It is noticed without sending, told once, refused meanwhile, and open again without help."""
    port, heard = await ports.open(vcan)
    ip("link", "set", vcan, "down")
    await ports.until(lambda: not port.statistics.up)
    assert "lost" in ports.trouble(port)
    assert not port.send(FRAMES[0])
    assert "is down" in (await ports.refusal(vcan)).hint
    ip("link", "set", vcan, "up")
    await ports.until(lambda: port.statistics.up)

    assert port.send(FRAMES[0])
    assert (ports.trouble(port), port.statistics.outages) == ("", 1)
    ports.other(vcan).send(message(FRAMES[4]))
    await ports.until(lambda: heard == [FRAMES[4]])


async def test_interface_that_is_removed_and_appears_again(ports: Any, vcan: str, ip: Callable[..., str]) -> None:
    """An adapter that was pulled out and plugged in has another number in the kernel, and its old name."""
    port, heard = await ports.open(vcan)
    ip("link", "del", vcan)
    await ports.until(lambda: not port.statistics.up)
    await ports.until(lambda: "No such device" in ports.trouble(port))
    ip("link", "add", vcan, "type", "vcan")
    ip("link", "set", vcan, "up")
    await ports.until(lambda: port.statistics.up)

    ports.other(vcan).send(message(FRAMES[8]))
    await ports.until(lambda: heard == [FRAMES[8]])
    assert port.statistics.outages == 1


async def test_interface_that_appears_late(ports: Any, vcan: str, ip: Callable[..., str]) -> None:
    """Until it is there under its name, opening says what is missing; then it opens at the first attempt."""
    late = f"{vcan}b"
    assert "No such device" in (await ports.refusal(late)).reason
    ip("link", "set", vcan, "down")
    ip("link", "set", vcan, "name", late)
    try:
        assert "Network is down" in (await ports.refusal(late)).reason
        ip("link", "set", late, "up")
        port, _ = await ports.open(late)
        assert port.send(FRAMES[1])
    finally:
        ip("link", "del", late)


async def test_interface_that_is_renamed_is_lost_until_it_has_its_name(
    ports: Any, vcan: str, ip: Callable[..., str]
) -> None:
    """Adapters that change places after a start must not be mistaken for each other."""
    port, _ = await ports.open(vcan)
    ip("link", "set", vcan, "down")
    ip("link", "set", vcan, "name", f"{vcan}b")
    ip("link", "set", f"{vcan}b", "up")
    await ports.until(lambda: "No such device" in ports.trouble(port))
    assert not port.statistics.up
    ip("link", "set", f"{vcan}b", "down")
    ip("link", "set", f"{vcan}b", "name", vcan)
    ip("link", "set", vcan, "up")
    await ports.until(lambda: port.statistics.up)

    assert port.send(FRAMES[1])


@pytest.mark.parametrize("cleared_by", ["a frame of another", "the restart of the controller"])
async def test_bus_off_is_told_until_it_is_over(ports: Any, vcan: str, cleared_by: str) -> None:
    """A controller that is off takes frames and sends none, so frames that went out do not end the trouble.

    The error frames are put onto a virtual interface by python-can, as a driver would: no emulated card makes them.
    """
    port, heard = await ports.open(vcan)
    other = ports.other(vcan)
    other.send(error_frame(BUS_OFF))
    await ports.until(lambda: port.statistics.bus_off_count)
    assert ports.trouble(port).startswith("bus-off")
    assert port.send(FRAMES[1])
    assert ports.trouble(port).startswith("bus-off"), "a frame that is not on the bus has ended the trouble"
    if cleared_by == "a frame of another":
        other.send(message(FRAMES[8]))
        await ports.until(lambda: heard)
    else:
        other.send(error_frame(RESTARTED))
        await ports.until(lambda: port.statistics.rx_errors == 2)
        assert port.send(FRAMES[2])

    assert ports.trouble(port) == ""
    assert (port.statistics.bus_off_count, port.statistics.outages, port.statistics.up) == (1, 0, True)
