"""Interfaces of the kernel, and ports on them, which the scenarios share."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can

PATIENCE_S = 120.0
"""For what happens at once; an emulated machine beside other tests may be fifty times as slow."""


def ip(*arguments: str) -> str:
    """Return what ``ip`` prints; it changes an interface or tells of one."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(name="ip", scope="session")
def _ip() -> Callable[..., str]:
    return ip


class Ports:
    """Opens ports, keeps what they hear, and waits for what is to happen."""

    def __init__(self) -> None:
        self._opened: list[CanPort] = []
        self._others: list[can.BusABC] = []

    async def open(self, name: str, *wanted: int, **extra: object) -> tuple[CanPort, list[CanFrame]]:
        """Return a port and the frames that it hears from now on."""
        port = await open_can(CanSettings("socketcan", name, accept_ids=wanted, extra=extra))
        self._opened.append(port)
        heard: list[CanFrame] = []
        port.subscribe(heard.append)
        return port, heard

    async def refusal(self, name: str) -> LinkError:
        """Return why a port cannot be opened now."""
        with pytest.raises(LinkError) as caught:
            await self.open(name)
        return caught.value

    def other(self, name: str, **options: Any) -> can.BusABC:
        """Return a socket of python-can, which is independent of ours."""
        self._others.append(can.Bus(name, interface="socketcan", ignore_config=True, **options))
        return self._others[-1]

    def trouble(self, port: CanPort) -> str:
        """Return why a port cannot send, in English; empty while it can."""
        told = port.statistics.trouble
        return "" if told is None else told.text

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end_s, "it did not happen"
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close whatever is open."""
        for port in self._opened:
            await port.close()
        for other in self._others:
            other.shutdown()


@pytest.fixture
async def ports() -> AsyncIterator[Ports]:
    """Return what opens ports; they are closed at the end."""
    one = Ports()
    yield one
    await one.close()


class Monitor:
    """QEMU's monitor, as far as a test needs it."""

    def __init__(self) -> None:
        self._port = os.open("/run/ports/monitor", os.O_RDWR)
        self._received = b""
        self.events: list[str] = []
        """What has happened since the start, for example ``WATCHDOG``."""
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
        found = [json.loads(line) for line in lines]
        self.events += [line["event"] for line in found if "event" in line]
        return found


@pytest.fixture(scope="session")
def monitor() -> Iterator[Monitor]:
    """QEMU's monitor, which is greeted once."""
    one = Monitor()
    yield one
    one.close()


@pytest.fixture
def vcan() -> Iterator[str]:
    """Return the name of a virtual interface, which is up."""
    name = f"hil{os.getpid() % 100_000}"
    ip("link", "add", name, "type", "vcan")
    ip("link", "set", name, "up")
    yield name
    subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)


def bring_up_cards() -> None:
    """Set the bit rate of both cards and bring them up, where they are not."""
    for name in ("can0", "can1"):
        if "UP" not in ip("link", "show", name).partition("<")[2].partition(">")[0].split(","):
            ip("link", "set", name, "up", "type", "can", "bitrate", "500000", "restart-ms", "100")


@pytest.fixture
def cards() -> Iterator[Callable[[], None]]:
    """Two cards, can0 and can1, up at 500 kbit/s on one bus; the function brings them up again."""
    subprocess.run(["modprobe", "kvaser_pci"], check=True)
    bring_up_cards()
    yield bring_up_cards
    subprocess.run(["modprobe", "-r", "kvaser_pci"], check=True)


Counters = Callable[[str], dict[str, int]]


@pytest.fixture
def driver_counters() -> Counters:
    """Return what reads the counters of an interface, as the kernel keeps them."""

    def read(name: str) -> dict[str, int]:
        return {file.name: int(file.read_text()) for file in Path(f"/sys/class/net/{name}/statistics").iterdir()}

    return read


Process = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start() -> AsyncIterator[Process]:
    """Return what starts a program beside the test; it ends with the test."""
    started: list[asyncio.subprocess.Process] = []

    async def begin(*command: str) -> asyncio.subprocess.Process:
        started.append(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL))
        return started[-1]

    yield begin
    for process in started:
        if process.returncode is None:
            process.terminate()
        await process.wait()
