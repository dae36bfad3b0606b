"""The kernel's slcan on a pseudo-terminal: a serial adapter whose controller does what the test says.

So the kernel itself reports what no emulated card does: error-passive, bus-off, and a queue that nobody empties.
"""

import json
import os
import subprocess
import termios
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.can import CanFrame

NAME = "hilserial"
ACTIVE, PASSIVE, BUS_OFF = b"sa000000\r", b"sp000128\r", b"sb000255\r"
"""State of the controller with its counters of receive and transmit errors."""


class SerialAdapter:
    """The far end of the terminal: an adapter that speaks the language of Lawicel."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self._received = b""

    def say(self, line: bytes) -> None:
        """Send something to the kernel."""
        os.write(self.master, line)

    def read(self) -> list[bytes]:
        """Return what the kernel has sent up to now, line by line, without the last if that is not whole."""
        with suppress(BlockingIOError):
            self._received += os.read(self.master, 65536)
        *lines, self._received = self._received.split(b"\r")
        return lines

    def unplug(self) -> None:
        """Be gone; may be called again."""
        if self.master >= 0:
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


Plug = Callable[[], Any]


def is_there() -> bool:
    """Return whether the kernel has the interface."""
    return Path(f"/sys/class/net/{NAME}").exists()


@pytest.fixture
async def plug(serial_line: None, start: Any, ports: Any, ip: Callable[..., str]) -> AsyncIterator[Plug]:
    """Return what plugs in an adapter and brings its interface up; all are unplugged at the end."""
    plugged: list[SerialAdapter] = []

    async def one_more() -> SerialAdapter:
        adapter = SerialAdapter()
        plugged.append(adapter)
        await start("slcand", "-F", "-s6", "-o", adapter.path, NAME)
        await ports.until(is_there)
        ip("link", "set", NAME, "up")
        await ports.until(lambda: b"O" in adapter.read())  # slcand opens the channel with it
        return adapter

    yield one_more
    for each in plugged:
        each.unplug()
    await ports.until(lambda: not is_there())


@pytest.fixture(scope="module")
def serial_line() -> None:
    """The kernel has a driver for such adapters."""
    subprocess.run(["modprobe", "slcan"], check=True)


async def frames_of(ports: Any, adapter: SerialAdapter, count: int) -> list[bytes]:
    """Return the next frames that an adapter is sent, without the commands between them."""
    frames: list[bytes] = []

    def read() -> bool:
        frames.extend(line for line in adapter.read() if line.startswith(b"t"))
        return len(frames) >= count

    await ports.until(read)
    return frames


async def test_frames_come_and_go(ports: Any, plug: Plug) -> None:
    """As an adapter with that protocol writes them on its line, and reads them."""
    adapter = await plug()
    port, heard = await ports.open(NAME)
    assert port.send(CanFrame(0x351, bytes([0x43, 0x02])))
    adapter.say(b"t30580102030405060708\r")
    await ports.until(lambda: heard)

    assert await frames_of(ports, adapter, 1) == [b"t35124302"]
    assert heard == [CanFrame(0x305, bytes(range(1, 9)))]


async def test_queue_that_nobody_empties(ports: Any, plug: Plug) -> None:
    """As without a partner that acknowledges: sending fails, is told with a reason and counted, and costs no outage.

    What the kernel had taken goes out in order when the adapter takes it; then sending works again.
    """
    adapter = await plug()
    port, _ = await ports.open(NAME)
    accepted = []
    for number in range(5_000):
        if port.send(CanFrame(0x351, number.to_bytes(8, "big"))):
            accepted.append(number)
        elif port.statistics.tx_errors >= 60:  # more than make the port open again for another reason
            break
    assert "No buffer space available" in ports.trouble(port)
    assert (port.statistics.outages, port.statistics.up) == (0, True)
    came = [int(line[5:], 16) for line in await frames_of(ports, adapter, len(accepted))]
    await ports.until(lambda: port.send(CanFrame(0x35A, b"")))

    assert came == accepted
    assert await frames_of(ports, adapter, 1) == [b"t35A0"]
    assert ports.trouble(port) == ""


async def test_controller_becomes_passive_and_active_again(ports: Any, plug: Plug, ip: Callable[..., str]) -> None:
    """Error frames of the kernel are counted; frames go on, and the port stays open."""
    adapter = await plug()
    port, heard = await ports.open(NAME)
    adapter.say(PASSIVE)
    await ports.until(lambda: port.statistics.rx_errors == 1)
    assert state(ip) == "ERROR-PASSIVE"
    assert port.send(CanFrame(0x351, b"\x01"))
    adapter.say(ACTIVE)
    await ports.until(lambda: state(ip) == "ERROR-ACTIVE")
    adapter.say(b"t3050\r")
    await ports.until(lambda: heard)

    assert await frames_of(ports, adapter, 1) == [b"t351101"]
    assert (port.statistics.bus_off_count, port.statistics.outages, port.statistics.up) == (0, 0, True)


async def test_bus_off_until_somebody_brings_the_interface_up(ports: Any, plug: Plug, ip: Callable[..., str]) -> None:
    """The kernel takes frames for a controller that is off; that is not mistaken for sending."""
    adapter = await plug()
    port, _ = await ports.open(NAME)
    adapter.say(BUS_OFF)
    await ports.until(lambda: port.statistics.bus_off_count == 1)
    assert state(ip) == "BUS-OFF"
    port.send(CanFrame(0x351, b"\x01"))
    assert ports.trouble(port).startswith("bus-off")
    ip("link", "set", NAME, "down")
    await ports.until(lambda: not port.statistics.up)
    ip("link", "set", NAME, "up")
    await ports.until(lambda: port.statistics.up)
    await ports.until(lambda: port.send(CanFrame(0x352, b"\x02")))
    await ports.until(lambda: b"t352102" in adapter.read())

    assert (ports.trouble(port), port.statistics.outages) == ("", 1)


async def test_adapter_that_is_pulled_out_and_plugged_in(ports: Any, plug: Plug) -> None:
    """Its interface goes and comes with it; frames follow without help."""
    adapter = await plug()
    port, heard = await ports.open(NAME)
    adapter.unplug()
    await ports.until(lambda: "No such device" in ports.trouble(port))
    again = await plug()
    await ports.until(lambda: port.statistics.up)
    again.say(b"t3050\r")
    await ports.until(lambda: heard)

    assert port.send(CanFrame(0x351, b"\x01"))
    assert await frames_of(ports, again, 1) == [b"t351101"]


def state(ip: Callable[..., str]) -> str:
    """Return the state of the controller, as the kernel has it."""
    (told,) = json.loads(ip("-json", "-details", "link", "show", NAME))
    return str(told["linkinfo"]["info_data"]["state"])
