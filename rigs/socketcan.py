"""SocketCAN on a real kernel: ``python -m rigs.socketcan [INTERFACE]``, as root, on a virtual interface (vcan0).

python-can is the independent other side. The interface is put down and up, and removed and added again. Prints what was
seen; ends with an error at the first thing that is not as it should be.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import can

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import LOCAL, CanFrame, CanSettings, open_can
from tinybms_bridge.hal.can_adapter import AdapterPort

WAIT_S = 10.0
FRAMES = [CanFrame(0x350 + length, bytes(range(length))) for length in range(9)]


def ip(*arguments: str) -> None:
    """Change the interface."""
    subprocess.run(["ip", "link", *arguments], check=True)  # noqa: S603, S607 -- the rig's own words


async def until(what: str, condition: Callable[[], bool], patience_s: float = WAIT_S) -> float:
    """Wait until something holds; return the seconds it took, told with what it was."""
    begun_s = time.monotonic()
    try:
        async with asyncio.timeout(patience_s):
            while not condition():  # noqa: ASYNC110 -- what is waited for has no event
                await asyncio.sleep(0.002)
    except TimeoutError:
        sys.exit(f"not within {patience_s:.0f} s: {what}")
    took_s = time.monotonic() - begun_s
    print(f"{took_s:6.3f} s  {what}", flush=True)
    return took_s


async def check_frames(name: str) -> None:
    """Both ways, byte by byte, with what the filter keeps away and the marks of who sent."""
    port = await open_can(CanSettings("socketcan", name, accept_ids=tuple(f.arbitration_id for f in FRAMES)))
    own = await open_can(CanSettings("socketcan", name, extra={"receive_own_messages": True}))
    other = can.Bus(name, interface="socketcan", ignore_config=True)
    heard: list[CanFrame] = []
    heard_own: list[CanFrame] = []
    port.subscribe(heard.append)
    own.subscribe(heard_own.append)
    foreign = [
        can.Message(arbitration_id=0x350, is_extended_id=True, data=b"ext"),
        can.Message(arbitration_id=0x350, is_extended_id=False, is_remote_frame=True),
        can.Message(arbitration_id=0x123, is_extended_id=False, data=b"other"),
    ]
    for message in foreign:
        other.send(message)
    for frame in FRAMES:
        other.send(can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False))
    await until("nine frames of python-can came, of twelve that it sent", lambda: len(heard) == len(FRAMES))
    assert heard == FRAMES
    assert {frame.origin for frame in heard} == {f"{name}{LOCAL}"}
    assert len(heard_own) == len(FRAMES) + 1, "without a choice, 0x123 comes too"
    heard_own.clear()
    assert all(own.send(frame) for frame in FRAMES)
    received = [await asyncio.to_thread(other.recv, 1.0) for _ in FRAMES]
    got = [(m.arbitration_id, bytes(m.data), m.is_extended_id) for m in received if m]
    assert got == [(frame.arbitration_id, frame.data, False) for frame in FRAMES]
    await until("python-can got ours, and so did we in loopback mode", lambda: heard_own == FRAMES)
    assert (port.statistics.rx_errors, own.statistics.tx_count) == (0, len(FRAMES))
    other.shutdown()
    await port.close()
    await own.close()


async def check_overflow(name: str) -> None:
    """What does not fit into the socket while the loop is held up is counted."""
    port = await open_can(CanSettings("socketcan", name))
    with can.Bus(name, interface="socketcan", ignore_config=True) as other:
        message = can.Message(arbitration_id=0x305, data=bytes(8), is_extended_id=False)
        for _ in range(5000):
            other.send(message)
        await until("frames of a held-up loop came", lambda: port.statistics.rx_count > 0)
        await asyncio.sleep(0.1)
        other.send(message)
        await until("the lost ones are counted", lambda: port.statistics.rx_count + port.statistics.rx_errors == 5001)
    print(f"          {port.statistics.rx_count} came, {port.statistics.rx_errors} found the queue full")
    await port.close()


async def check_outages(name: str) -> None:
    """Down and up, removed and added: told, refused meanwhile, and back without help."""
    port = await open_can(CanSettings("socketcan", name))
    statistics = port.statistics
    ip("set", name, "down")
    await until("down: noticed while receiving", lambda: not statistics.up)
    print(f"          {statistics.trouble}")
    assert not port.send(FRAMES[0])
    await asyncio.sleep(3.0)
    try:
        await open_can(CanSettings("socketcan", name))
    except LinkError as error:
        print(f"          a further one: {error}")
    else:
        sys.exit("an interface that is down could be opened")
    ip("set", name, "up")
    assert await until("up: open again", lambda: statistics.up) < 1.5
    assert port.send(FRAMES[0])
    assert (statistics.trouble, statistics.outages) == (None, 1)

    ip("del", name)
    await until("removed: noticed", lambda: not statistics.up)
    await asyncio.sleep(1.0)
    print(f"          {statistics.trouble}")
    ip("add", name, "type", "vcan")
    ip("set", name, "up")
    assert await until("added and up: open again", lambda: statistics.up) < 1.5
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    second = await open_can(CanSettings("socketcan", name))
    assert second.send(FRAMES[8])
    await until("a frame came over the new interface", lambda: heard == [FRAMES[8]])
    port.reopen("the rig asks for it")
    await until("opened anew on demand", lambda: statistics.up)
    assert statistics.outages == 2
    await port.close()
    await second.close()


async def cost(name: str, seconds: float) -> None:
    """CPU of a port that sends 19 frames a second and hears one; python-can's threads beside it."""
    settings = CanSettings("socketcan", name, accept_ids=(0x305,))
    for label, port in (
        ("the kernel's socket on the loop", await open_can(settings)),
        ("python-can behind two threads", await asyncio.to_thread(AdapterPort, settings, asyncio.get_running_loop())),
    ):
        begun_s = time.process_time()
        for _ in range(round(19 * seconds)):
            port.send(FRAMES[8])
            await asyncio.sleep(1 / 19)
        print(f"{1000 * (time.process_time() - begun_s) / seconds:6.2f} ms/s {label}", flush=True)
        await port.close()


async def main(name: str = "vcan0") -> None:
    """Check everything on an interface."""
    await check_frames(name)
    await check_overflow(name)
    await check_outages(name)
    await cost(name, 10.0)
    print("all as it should be")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
