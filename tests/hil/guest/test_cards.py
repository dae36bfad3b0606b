"""Two emulated cards with an SJA1000 each, can0 and can1, on one bus: the driver of a real controller under our socket.

The emulation knows no bits: it has no bit rate, no missing acknowledgement, no error counters and no bus-off. Those
states are tried with the kernel's slcan (``test_slcan.py``) and with error frames on a virtual interface.
"""

import asyncio
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.hal.can import LOCAL, CanFrame

FRAMES = [CanFrame(0x350 + length, bytes(range(length))) for length in range(9)]
FOREIGN = 0x123
LAST = CanFrame(0x351, b"last")

Ip = Callable[..., str]
Counters = Callable[[str], dict[str, int]]


def state_of(ip: Ip, name: str) -> dict[str, Any]:
    """Return what the kernel knows of a controller."""
    (told,) = json.loads(ip("-json", "-details", "link", "show", name))
    found: dict[str, Any] = told["linkinfo"]["info_data"]
    return found


async def one_by_one(ports: Any, port: Any, heard: list[CanFrame], frames: list[CanFrame]) -> None:
    """Send each frame when the one before has come: the receiving controller keeps five."""
    for frame in frames:
        begun = len(heard)
        assert port.send(frame)
        await ports.until(lambda begun=begun: len(heard) > begun)


async def test_frames_cross_the_bus_both_ways(ports: Any, cards: object) -> None:
    """Every length arrives at the other card, and does not look like a frame of this machine there."""
    one, heard_by_one = await ports.open("can0")
    two, heard_by_two = await ports.open("can1")
    await one_by_one(ports, one, heard_by_two, FRAMES)
    await one_by_one(ports, two, heard_by_one, FRAMES)

    assert heard_by_one == heard_by_two == FRAMES
    assert {frame.origin for frame in heard_by_two} == {"can1"}
    assert not any(frame.origin.endswith(LOCAL) for frame in heard_by_one)
    assert (one.statistics.tx_errors, one.statistics.rx_errors) == (0, 0)


async def test_card_has_the_bit_rate_that_it_was_given(ports: Any, cards: object, ip: Ip) -> None:
    """The kernel refuses one that the controller cannot make, and one for a card that is up; the old one stays."""
    ip("link", "set", "can1", "down")
    with pytest.raises(subprocess.CalledProcessError):
        ip("link", "set", "can1", "type", "can", "bitrate", "7000000")
    with pytest.raises(subprocess.CalledProcessError):
        ip("link", "set", "can0", "type", "can", "bitrate", "250000")
    ip("link", "set", "can1", "type", "can", "bitrate", "250000")

    told = state_of(ip, "can0")
    assert (told["bittiming"]["bitrate"], told["restart_ms"], told["state"]) == (500_000, 100, "ERROR-ACTIVE")
    assert state_of(ip, "can1")["bittiming"]["bitrate"] == 250_000
    assert "ip link set can1 up type can bitrate 500000" in (await ports.refusal("can1")).hint


async def test_card_without_a_partner_that_comes_back(ports: Any, cards: Callable[[], None], ip: Ip) -> None:
    """Sending goes on while nobody listens; what was sent then is not delivered later.

    A real controller would wait for an acknowledgement (error-passive, a full queue); this one sends all the same.
    """
    port, _ = await ports.open("can0")
    ip("link", "set", "can1", "down")
    assert all(port.send(frame) for frame in FRAMES)
    cards()
    _, heard = await ports.open("can1")
    await one_by_one(ports, port, heard, FRAMES[3:5])

    assert heard == FRAMES[3:5]
    assert (port.statistics.outages, ports.trouble(port)) == (0, "")


async def test_card_that_goes_down_and_comes_up_while_frames_are_sent(
    ports: Any, cards: Callable[[], None], ip: Ip
) -> None:
    """One outage, told; frames meanwhile are counted as not sent; afterwards frames cross the bus again."""
    port, _ = await ports.open("can0")
    _, heard = await ports.open("can1")
    await one_by_one(ports, port, heard, FRAMES[:2])
    ip("link", "set", "can0", "down")
    await ports.until(lambda: not port.send(FRAMES[2]))
    await ports.until(lambda: "is down" in ports.trouble(port))
    before = port.statistics.tx_errors
    assert not port.send(FRAMES[2])
    assert port.statistics.tx_errors == before + 1
    cards()
    await ports.until(lambda: port.statistics.up)
    heard.clear()
    await one_by_one(ports, port, heard, FRAMES[4:6])

    assert heard == FRAMES[4:6]
    assert (port.statistics.outages, ports.trouble(port)) == (1, "")


async def test_card_whose_driver_goes_and_comes(ports: Any, cards: Callable[[], None]) -> None:
    """As when a card is pulled out: its interface is gone, and is another one when it is back."""
    port, _ = await ports.open("can0")
    await asyncio.to_thread(subprocess.run, ["modprobe", "-r", "kvaser_pci"], check=True)
    await ports.until(lambda: "No such device" in ports.trouble(port))
    assert not port.statistics.up
    await asyncio.to_thread(subprocess.run, ["modprobe", "kvaser_pci"], check=True)
    await ports.until(lambda: "Network is down" in ports.trouble(port))
    cards()
    await ports.until(lambda: port.statistics.up)
    _, heard = await ports.open("can1")
    await one_by_one(ports, port, heard, FRAMES[:2])

    assert heard == FRAMES[:2]
    assert port.statistics.outages == 1


async def test_own_frames_go_on_in_order_through_a_flood_from_another_card(
    ports: Any, cards: object, start: Any, driver_counters: Counters
) -> None:
    """As many foreign frames as the machine can make: ours arrive in order, and what was dropped is counted somewhere.

    What finds the queue of the socket full is in the statistics of the port, what finds the controller full in the
    counters of its driver.
    """
    port, heard = await ports.open("can0")
    _, came = await ports.open("can1", 0x351)
    flood = await start("cangen", "can1", "-g", "0", "-I", f"{FOREIGN:x}", "-L", "8", "-i")
    await ports.until(lambda: port.statistics.rx_count > 100)
    for number in range(30):
        await ports.until(lambda number=number: port.send(CanFrame(0x351, bytes([number]))))
        await asyncio.sleep(0.01)
    assert flood.returncode is None, "the flood ended before our frames did"
    flood.terminate()
    await flood.wait()
    await ports.until(lambda: port.send(LAST) and LAST in came)  # what has not come by now is lost

    numbers = [frame.data[0] for frame in came if frame != LAST]
    assert numbers == sorted(set(numbers))
    assert 30 - len(numbers) <= driver_counters("can1")["rx_over_errors"], "lost without being counted"
    assert {frame.arbitration_id for frame in heard} == {FOREIGN}
    assert port.statistics.rx_count == len(heard)
    assert port.statistics.rx_count + port.statistics.rx_errors <= driver_counters("can1")["tx_packets"]
    assert port.statistics.outages == 0
