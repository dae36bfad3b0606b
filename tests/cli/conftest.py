"""A simulated BMS on a pseudo-terminal in a thread of its own, for commands that run in the thread of the test."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner, Result

from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.client import ClientSettings
from tinybms_bridge.tinybms.simulator import Device, PtyServer

WAIT_S = 30.0


class _Served:
    """One device on one port."""

    def __init__(self, device: Device, baudrate: int) -> None:
        self._server = PtyServer(device, SystemClock(), baudrate=baudrate)
        self._server.open()
        self.path = self._server.path
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        running = asyncio.create_task(self._server.run())
        await asyncio.sleep(0)
        self._ready.set()
        await running

    def end(self) -> None:
        """Unplug it; may be called again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.close)
        self._thread.join(WAIT_S)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Return a function that serves a device (made with a ``SystemClock``) and returns its port."""
    served: list[_Served] = []

    def begin(device: Device, baudrate: int = 115200) -> str:
        served.append(_Served(device, baudrate))
        return served[-1].path

    yield begin
    for each in served:
        each.end()


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Return a function that runs a command with arguments, in a terminal 160 columns wide."""

    def run(command: Command, *arguments: str, typed: str | None = None) -> Result:
        return CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1"}).invoke(command, arguments, input=typed)

    return run


@pytest.fixture
def invoke_json(invoke: Callable[..., Result]) -> Callable[..., Any]:
    """Return a function that runs a command that has to succeed, and returns its JSON."""

    def run(command: Command, *arguments: str) -> Any:
        result = invoke(command, *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated BMS in another thread of a machine that is busy answers late; a write is sent only once."""
    patient = partial(ClientSettings, timeout_s=2.0, drain_max_s=1.0)
    monkeypatch.setattr("tinybms_bridge.tinybms.client.ClientSettings", patient)
