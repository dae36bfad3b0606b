"""Whatever happens to the services, and whatever they do, the frames go on in their order, each of them."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.hal.can import CanFrame, CanSettings, open_can
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.link.client import Connection, open_link
from tinybms_bridge.link.commands import ReadSettings, ReleaseInhibit, SetInhibit
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.tinybms.settings import all_settings

WAIT_S = 60.0
LIMITS = 0x351
PHASE = 3
"""Whole bursts that are watched in each phase."""

FLOOD = """
import socket, sys
from tinybms_bridge.link.wire import Call, Hello, encode
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(encode(Hello("1.0", who="flood")))
commands = b"".join(encode(Call(number, "statistics.reset")) for number in range(10_000))
print("flooding", flush=True)
while True:
    client.sendall(commands)
"""
GARBAGE = """
import os, socket, sys
print("throwing", flush=True)
while True:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(sys.argv[1])
            client.sendall(os.urandom(1_000_000))
        except OSError:
            pass
"""
READS_NOTHING = """
import socket, sys, time
from tinybms_bridge.link.wire import Hello, encode
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(encode(Hello("1.0", who="deaf")))
print("deaf", flush=True)
time.sleep(600)
"""

LOOPS = """
import socket, sys
from tinybms_bridge.link.wire import Hello, encode
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(encode(Hello("1.0", who="loop")))
print("looping", flush=True)
while True:
    pass
"""


@dataclass
class Bus:
    """The frames of the bridge, in bursts."""

    bursts: list[list[int]] = field(default_factory=list)

    def take(self, frame: CanFrame) -> None:
        """Note a frame; one with the limits begins a burst."""
        if frame.arbitration_id == LIMITS:
            self.bursts.append([])
        if self.bursts:
            self.bursts[-1].append(frame.arbitration_id)

    async def whole_bursts(self, count: int = PHASE) -> list[list[int]]:
        """Wait for so many bursts from now on, and return them without the one that is under way."""
        begun = len(self.bursts)
        async with asyncio.timeout(WAIT_S):
            while len(self.bursts) <= begun + count:
                await asyncio.sleep(0.05)
        return self.bursts[begun : begun + count]


@dataclass
class Running:
    """A core with services, and a BMS whose battery is charged."""

    core: Any
    socket: Path
    bus: Bus
    usual: list[int]
    """The frames of a burst while nothing is wrong."""

    async def still_sends(self) -> None:
        """Fail unless whole bursts go on, in their order.

        A core that gets no turn of a busy machine for a moment cuts a burst short; the next ones have another order,
        since they begin with what was missing.
        """
        for _ in range(2 * PHASE):
            bursts = await self.bus.whole_bursts()
            if all(burst == self.usual for burst in bursts):
                return
            if bursts[-1][0] == LIMITS and sorted(bursts[-1]) == sorted(self.usual):
                self.usual = bursts[-1]
        pytest.fail(f"the bursts are not whole: {bursts}")

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Connection[CoreState]]:
        """Give a connection to the core."""
        clock = SystemClock()
        mirror = Mirror(CoreState, {}, clock.monotonic)
        async with open_link([self.socket], mirror, clock, who="test") as link:
            yield link

    async def services(self, other_than: int = 0) -> int:
        """Wait until services have told the core of themselves, and return their process."""
        async with asyncio.timeout(WAIT_S), self.link() as link:
            while (pid := link.mirror.state.services.pid) in (0, other_than):
                await asyncio.sleep(0.05)
            return pid


@pytest.fixture
async def running(start: Any, tmp_path: Path, can_group: str) -> AsyncIterator[Running]:
    """Start everything, and end it with exit status 0."""
    await asyncio.to_thread(all_settings)
    device, config, socket = tmp_path / "bms", tmp_path / "c.json", tmp_path / "s"
    document = {
        "hardware": {"uart": {"device": str(device)}, "can": {"interface": "udp_multicast", "channel": can_group}},
        "web_server": {"enabled": False},
    }
    config.write_text(json.dumps(document))
    simulator = await start("simulate", "--link", str(device), "--profile", "600:+20", "--soc", "50", "--quiet")
    await simulator.line()
    bus = Bus()
    port = await open_can(CanSettings(interface="udp_multicast", channel=can_group))
    port.subscribe(bus.take)
    core = await start("run", "--plain", "-c", str(config), "--socket", str(socket))
    reading = asyncio.create_task(_read(core))
    bursts = await bus.whole_bursts(7)  # limits have come up their ramps: no burst is begun early for a lower one
    while bursts[-2] != bursts[-1]:  # one of them was cut short
        bursts = await bus.whole_bursts(2)
    yield Running(core, socket, bus, bursts[-1])
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    core.signal(signal.SIGTERM)
    code, _, _ = await core.ended()
    await port.close()
    assert code == 0


async def _read(process: Any) -> None:
    """Read what a process writes, so that it never waits for us."""
    with suppress(AssertionError):
        while True:
            await process.error_line(3600.0)


@asynccontextmanager
async def client(code: str, socket: Path) -> AsyncIterator[None]:
    """Run a client in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(socket), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        await process.communicate()


async def test_frames_go_on_whatever_becomes_of_the_services_and_whatever_a_client_does(running: Running) -> None:
    """Killed, or without memory, they come back; stopped, nobody waits for them; bad clients cost nobody a thing."""
    first = await running.services()
    os.kill(first, signal.SIGKILL)
    await running.still_sends()
    second = await running.services(other_than=first)

    os.kill(second, signal.SIGSTOP)
    await running.still_sends()
    os.kill(second, signal.SIGCONT)
    await running.still_sends()
    assert await running.services() == second

    resource.prlimit(second, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))  # nothing more to be had
    await running.still_sends()
    with suppress(ProcessLookupError):  # they may have ended of it
        os.kill(second, signal.SIGKILL)
    await running.services(other_than=second)

    for code in (FLOOD, GARBAGE, READS_NOTHING, LOOPS):
        async with client(code, running.socket):
            await running.still_sends()
            async with running.link() as link:
                assert (await link.call(ReadSettings())).series_cells == 16
                await link.call(SetInhibit(Direction.DISCHARGE, 60.0, "test"))
                assert [each.direction for each in link.mirror.state.inhibits] == [Direction.DISCHARGE]
                assert await link.call(ReleaseInhibit(Direction.DISCHARGE))
