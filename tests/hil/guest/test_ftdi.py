"""An emulated FTDI adapter at a USB port, pulled out and plugged in; a simulated TinyBMS is at the end of its line.

QEMU's monitor plugs; the driver is the kernel's ``ftdi_sio``, the line is ``/run/ports/cable``.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import SerialPort, find_ports, open_serial
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.frames import ReadModbus, RegistersReply, Reply
from tinybms_lab.bms import BmsOptions, SimulatedBms
from tinybms_lab.bms.line import Line

DEVICE = "/dev/ttyUSB0"
PLUG = {"execute": "device_add", "arguments": {"driver": "usb-serial", "id": "ftdi", "chardev": "cable"}}
UNPLUG = {"execute": "device_del", "arguments": {"id": "ftdi"}}
SETTINGS = ClientSettings(timeout_s=10.0, attempts=10)


class Monitor:
    """QEMU's monitor, as far as a test needs it."""

    def __init__(self) -> None:
        self._port = os.open("/run/ports/monitor", os.O_RDWR)
        self._received = b""
        self.run({"execute": "qmp_capabilities"})

    def run(self, command: dict[str, Any]) -> bool:
        """Have a command carried out; False where it asks for a line of which QEMU still lets go."""
        os.write(self._port, json.dumps(command).encode() + b"\n")
        answers: list[dict[str, Any]] = []
        while not any("return" in line or "error" in line for line in answers):
            answers += self._lines()
        errors = [line["error"]["desc"] for line in answers if "error" in line]
        assert all("is in use" in error for error in errors), answers
        return not errors

    def close(self) -> None:
        """Leave it."""
        os.close(self._port)

    def _lines(self) -> list[dict[str, Any]]:
        self._received += os.read(self._port, 65536)
        *lines, self._received = self._received.split(b"\n")
        return [json.loads(line) for line in lines]


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


Plug = Callable[[bool], Any]


@pytest.fixture(scope="module")
def monitor(cable: None) -> Iterator[Monitor]:
    """QEMU's monitor, which is greeted once."""
    one = Monitor()
    yield one
    one.close()


@pytest.fixture(scope="module")
def cable() -> None:
    """The line of an adapter, whose drivers are there."""
    for module in ("xhci_pci", "ftdi_sio"):
        subprocess.run(["modprobe", module], check=True)


@pytest.fixture
async def adapter(ports: Any, monitor: Monitor) -> AsyncIterator[Plug]:
    """Return what plugs in the adapter (True) and pulls it out (False), with a unit at its line; out at the end."""
    clock = SystemClock()
    device = await asyncio.to_thread(SimulatedBms.build, clock, options=BmsOptions(asleep_allowed=False))
    unit = asyncio.create_task(Unit(device, clock).run())
    plugged = False

    async def plug(wanted: bool) -> None:
        nonlocal plugged
        while not await asyncio.to_thread(monitor.run, PLUG if wanted else UNPLUG):
            await asyncio.sleep(0.05)
        await ports.until(lambda: Path(DEVICE).exists() is wanted)
        plugged = wanted

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
