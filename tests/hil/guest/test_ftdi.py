"""An emulated FTDI adapter at a USB port, pulled out and plugged in; a simulated TinyBMS is at the end of its line.

QEMU's monitor plugs; the driver is the kernel's ``ftdi_sio``, the line is ``/run/ports/cable``.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.app.units import UDEV_RULES, unit_files
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import SerialPort, find_ports, open_serial
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import ReadModbus, RegistersReply, Reply
from tinybms_lab.bms import BmsOptions, SimulatedBms
from tinybms_lab.bms.line import Line

DEVICE = "/dev/ttyUSB0"
NUMBER = "A5XK3RJT"
"""Of the adapter, as FTDI gives each one."""
PLUG = {
    "execute": "device_add",
    "arguments": {"driver": "usb-serial", "id": "ftdi", "chardev": "cable", "serial": NUMBER},
}
UNPLUG = {"execute": "device_del", "arguments": {"id": "ftdi"}}
SETTINGS = ClientSettings(timeout_s=10.0, attempts=10)


class Unit:
    """A simulated TinyBMS at the far end of the line, which stays there whatever is plugged."""

    def __init__(self, device: SimulatedBms, clock: SystemClock) -> None:
        self.line = Line(device, clock)
        self._port = os.open("/run/ports/cable", os.O_RDWR | os.O_NONBLOCK)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                with suppress(BlockingIOError):
                    self.line.receive(os.read(self._port, 4096))
                self.line.tick()
                for piece in self.line.due():
                    os.write(self._port, piece)
                await asyncio.sleep(0.01)
        finally:
            os.close(self._port)


Plug = Callable[..., Any]


@pytest.fixture(scope="module")
def cable() -> None:
    """The line of an adapter, whose drivers are there."""
    for module in ("xhci_pci", "ftdi_sio"):
        subprocess.run(["modprobe", module], check=True)


@pytest.fixture
async def adapter(ports: Any, cable: None, monitor: Any) -> AsyncIterator[Plug]:
    """Return what plugs in the adapter (True) and pulls it out (False), with a unit at its line; out at the end.

    It waits for the name by which the kernel is to call it, by default that of the first one.
    """
    clock = SystemClock()
    device = await asyncio.to_thread(SimulatedBms.build, clock, options=BmsOptions(asleep_allowed=False))
    unit = asyncio.create_task(Unit(device, clock).run())
    plugged = ""

    async def plug(wanted: bool, name: str = DEVICE) -> None:
        nonlocal plugged
        name = name if wanted else plugged
        while not await asyncio.to_thread(monitor.run, PLUG if wanted else UNPLUG):
            await asyncio.sleep(0.05)
        await ports.until(lambda: Path(name).exists() is wanted)
        plugged = name if wanted else ""

    yield plug
    if plugged:
        await plug(False)
    unit.cancel()
    with suppress(asyncio.CancelledError):
        await unit


async def ask(client: TinyBmsClient) -> Reply:
    """Return the first registers of the unit, connecting when that is needed."""
    await client.connect()
    return await client.request(ReadModbus(0, 56))


async def test_unit_answers_before_and_after_the_adapter_was_pulled_out(ports: Any, adapter: Plug) -> None:
    """Its loss is reported at once without a request; plugged in again, the same port gives the unit back."""

    async def open_port(on_data: Any, on_lost: Any) -> SerialPort:
        return await open_serial(DEVICE, 115_200, on_data, on_lost)

    client = TinyBmsClient(open_port, SystemClock(), SETTINGS)
    lost: list[LinkError] = []
    client.on_lost = lost.append
    with pytest.raises(LinkError, match=DEVICE):
        await client.connect()
    await adapter(True)
    first = await ask(client)
    await adapter(False)
    await ports.until(lambda: lost)
    with pytest.raises(LinkError):
        await ask(client)
    await adapter(True)
    again = await ask(client)
    await client.close()

    for reply in (first, again):
        assert isinstance(reply, RegistersReply)
        assert len(reply.values) == 56
    assert client.statistics.connects == 2


BY_NUMBER = f"/dev/tinybms-{NUMBER}"
BY_ID = "/dev/serial/by-id"


@pytest.fixture
def udev() -> Iterator[None]:
    """The machine's own udev, with the rule of the bridge beside those of Debian."""
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True, exist_ok=True)
    (rules / UDEV_RULES).write_text(unit_files("/usr/bin/tinybms-bridge")[UDEV_RULES])
    with subprocess.Popen(["/lib/systemd/systemd-udevd", "--resolve-names=late"]) as daemon:
        try:
            ping = ["udevadm", "control", "--ping"]
            while subprocess.run(ping, check=False, stderr=subprocess.DEVNULL).returncode != 0:
                assert daemon.poll() is None, "udev has ended"
                time.sleep(0.1)
            yield
        finally:  # or its end would be waited for, for ever
            daemon.terminate()


@pytest.mark.parametrize("name", [BY_NUMBER, BY_ID])
async def test_adapter_that_comes_back_under_another_number_is_found(
    ports: Any, udev: None, adapter: Plug, name: str
) -> None:
    """By the link of our rule or of Debian's, whatever the kernel calls it; the kernel's name leads to nobody."""

    def link() -> Path | None:
        found = [Path(name)] if name != BY_ID else list(Path(BY_ID).glob(f"*{NUMBER}*"))
        return next((each for each in found if each.exists()), None)

    async def open_port(on_data: Any, on_lost: Any) -> SerialPort:
        return await open_serial(str(path), 115_200, on_data, on_lost)

    await adapter(True)
    await ports.until(link)
    path = link()
    assert path is not None
    assert path.resolve() == Path(DEVICE)
    held = os.open(DEVICE, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)  # its number is not free while it is open
    try:
        client = TinyBmsClient(open_port, SystemClock(), SETTINGS)
        lost: list[LinkError] = []
        client.on_lost = lost.append
        first = await ask(client)
        await adapter(False)
        await ports.until(lambda: lost and link() is None)
        await adapter(True, "/dev/ttyUSB1")
        await ports.until(link)
        assert path.resolve() == Path("/dev/ttyUSB1")
        again = await ask(client)
        await client.close()
        assert not await asyncio.to_thread(Path(DEVICE).exists)
    finally:
        os.close(held)

    for reply in (first, again):
        assert isinstance(reply, RegistersReply)
        assert len(reply.values) == 56


async def test_adapter_pulled_out_during_a_request(ports: Any, adapter: Plug) -> None:
    """Whoever waits for the answer is told, and does not wait for the time-out of every attempt."""
    await adapter(True)
    received = bytearray()
    lost: list[Exception | None] = []
    port = await open_serial(DEVICE, 115_200, received.extend, lost.append)
    port.write(b"\xaa")  # half a request: the unit waits for the rest
    port.expect(100)
    await adapter(False)
    await ports.until(lambda: lost)
    port.write(b"\x00" * 10)  # to nobody; raises nothing
    await port.close()

    assert len(lost) == 1
    assert find_ports() == [path for path in find_ports() if "USB" not in path]
