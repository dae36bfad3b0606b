"""The whole bridge on real pseudo-terminals and an in-memory CAN bus, and the program itself as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.bridge import Bridge, Machine
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_lab.testing.can_memory import MemoryCanBus

WAIT_S = 60.0
"""Longer than anything takes on a machine that is busy with something else."""


@dataclass
class Watched:
    """A running bridge and what it sent: each frame with its time of arrival."""

    bridge: Bridge
    storage: MemoryStorage
    frames: list[tuple[float, CanFrame]] = field(default_factory=list)

    def last(self, arbitration_id: int) -> bytes | None:
        """Return the data of the last frame with this id."""
        return next((f.data for _, f in reversed(self.frames) if f.arbitration_id == arbitration_id), None)

    def count(self, arbitration_id: int) -> int:
        """Return how many frames with this id were sent."""
        return sum(f.arbitration_id == arbitration_id for _, f in self.frames)

    @property
    def now_s(self) -> float:
        """Time on the clock of the bridge."""
        return self.bridge.machine.clock.monotonic()

    async def until(self, condition: Callable[[], bool]) -> float:
        """Wait until a condition holds; returns the time then."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.01)
        return self.now_s


@pytest.fixture
def run_bridge() -> Callable[..., object]:
    """Return a context manager that runs a bridge against a serial device."""

    @asynccontextmanager
    async def running(device: str, document: dict[str, object] | None = None) -> AsyncIterator[Watched]:
        config = interpret(document or {}, "test").configuration
        can_bus, storage = MemoryCanBus(), MemoryStorage()

        async def open_port(on_data: OnData, on_lost: OnLost) -> SerialPort:
            return await open_serial(device, config.hardware.uart.baudrate, on_data, on_lost)

        async def open_can() -> CanPort:
            return can_bus.open()

        bridge = Bridge(config, Machine(SystemClock(), open_port, open_can, storage), SavedUnits())
        watched = Watched(bridge, storage)
        listener = can_bus.open()
        listener.subscribe(lambda frame: watched.frames.append((watched.now_s, frame)))
        task = asyncio.create_task(bridge.run())
        try:
            yield watched
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return running


class Process:
    """The program as a user starts it; ended with the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def line(self, timeout_s: float = WAIT_S) -> str:
        """Return the next line of its standard output."""
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def error_line(self, timeout_s: float = WAIT_S) -> str:
        """Return the next line of its standard error; fails when there is none any more."""
        assert self._process.stderr is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stderr.readline()
        assert line, "the process has ended"
        return line.decode().rstrip("\n")

    async def ended(self, timeout_s: float = WAIT_S) -> tuple[int, str, str]:
        """Wait for its end and return exit code, rest of standard output, standard error."""
        async with asyncio.timeout(timeout_s):
            out, err = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()

    def signal(self, number: int) -> None:
        """Send a signal to this process."""
        self._process.send_signal(number)

    def kill_if_running(self) -> None:
        """End it in whatever way."""
        if self._process.returncode is None:
            self._process.kill()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Return a function that starts ``tinybms-bridge`` with arguments, in a home of its own.

    The configuration there has its web server listen on this machine alone, so that no network is told of it.
    """
    started: list[Process] = []
    usual = tmp_path / ".config" / "tinybms-bridge" / "config.json"
    usual.parent.mkdir(parents=True)
    usual.write_text('{"web_server": {"listen_address": "127.0.0.1"}}')
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "120"}
    environment["TMPDIR"] = str(tmp_path)  # what a demo that is killed leaves behind goes with the test
    environment.pop("TINYBMS_BRIDGE_CONFIG", None)
    environment.pop("NOTIFY_SOCKET", None)

    async def begin(*arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tinybms_bridge",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=tmp_path,
        )
        started.append(Process(process))
        return started[-1]

    yield begin
    for process in started:
        process.kill_if_running()
        with suppress(ProcessLookupError):
            await process.ended()
