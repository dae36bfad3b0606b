"""A simulated BMS in a thread of its own, for commands in that of the test; a terminal with a person at it."""

import asyncio
import fcntl
import json
import os
import struct
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click import Command as ClickCommand
from click.testing import CliRunner, Result

from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.link.commands import COMMANDS, Command, ReadLog
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.session import Caller
from tinybms_bridge.link.state import CoreState, LogWritten
from tinybms_bridge.tinybms.client import ClientSettings
from tinybms_lab.bms import AnsweringDevice, PtyServer

WAIT_S = 30.0


class _Served:
    """One device on one port."""

    def __init__(self, device: AnsweringDevice, baudrate: int) -> None:
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


class _ServedCore:
    """The end of the link of a core, in a thread, for commands that ask it."""

    def __init__(self, path: Path, state: CoreState, lines: Sequence[LogWritten]) -> None:
        self.path = path
        self.asked: list[Any] = []
        """Commands that came, in their order."""
        self.answers: dict[type[Command[Any]], Any] = {ReadLog: tuple(lines)}
        """What is answered to a command of a type; an error is raised."""
        self._state = state
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self, **answers: Any) -> None:
        """Serve from now on; an answer is given by the name of its command."""
        self.answers |= {COMMANDS[name]: answer for name, answer in answers.items()}
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        names = [each.name for each in fields(CoreState)]
        server = LinkServer(self.path, SystemClock(), names, program_version="9.9")
        for kind in COMMANDS.values():
            server.handle(kind, self._answer)
        for name in names:
            server.publish(name, getattr(self._state, name))
        await server.start()
        self._ready.set()
        await self._over.wait()
        await server.close()

    async def _answer(self, command: Command[Any], _caller: Caller) -> Any:
        self.asked.append(command)
        answer = self.answers[type(command)]
        if isinstance(answer, Exception):
            raise answer
        return answer(command) if callable(answer) else answer

    def end(self) -> None:
        """Be gone; may be called again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(WAIT_S)


COLUMNS, LINES = 80, 24


class Emulator:
    """The other end of a terminal: what a person sees and types."""

    def __init__(self) -> None:
        import pyte  # only a few tests need it

        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.resize(COLUMNS, LINES)
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.received = b""
        self._stream = pyte.ByteStream(self.screen)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self) -> None:
        """Take what has been written."""
        try:
            while data := os.read(self.master, 65536):
                self.received += data
                self._stream.feed(data)
        except BlockingIOError:
            pass

    def modes(self) -> list[Any]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self.slave)

    def type(self, data: bytes) -> None:
        """Press keys."""
        os.write(self.master, data)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until something holds."""
        async with asyncio.timeout(WAIT_S):
            self.read()
            while not condition():
                await asyncio.sleep(0.01)
                self.read()

    async def shows(self, *rows: str) -> None:
        """Wait until these are the first rows of the screen."""
        await self.until(lambda: [row.rstrip() for row in self.screen.display[: len(rows)]] == list(rows))


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Standard input and output of the module alone: those of pytest change under way."""
    streams = SimpleNamespace(stdin=None, stdout=None)
    monkeypatch.setattr("tinybms_bridge.cli.terminal.sys", streams)
    return streams


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, streams: SimpleNamespace) -> Iterator[Emulator]:
    """A terminal in place of standard input and output."""
    emulator = Emulator()
    monkeypatch.setenv("TERM", "xterm-256color")
    with os.fdopen(os.dup(emulator.slave), "r") as stdin, os.fdopen(os.dup(emulator.slave), "w") as stdout:
        streams.stdin, streams.stdout = stdin, stdout
        yield emulator
    for descriptor in (emulator.master, emulator.slave):
        if descriptor >= 0:
            os.close(descriptor)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Return a function that serves a device (made with a ``SystemClock``) and returns its port."""
    served: list[_Served] = []

    def begin(device: AnsweringDevice, baudrate: int = 115200) -> str:
        served.append(_Served(device, baudrate))
        return served[-1].path

    yield begin
    for each in served:
        each.end()


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., _ServedCore]]:
    """Return a function that serves a state and answers, where commands look for the running bridge."""
    served: list[_ServedCore] = []
    monkeypatch.setenv("TINYBMS_BRIDGE_SOCKET", str(tmp_path / "core.sock"))

    def begin(
        state: CoreState = CoreState(),  # noqa: B008 -- frozen
        lines: Sequence[LogWritten] = (),
        **answers: Any,
    ) -> _ServedCore:
        served.append(_ServedCore(tmp_path / "core.sock", state, lines))
        served[-1].start(**answers)
        return served[-1]

    yield begin
    for each in served:
        each.end()


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Return a function that runs a command with arguments, in a terminal 160 columns wide."""

    def run(command: ClickCommand, *arguments: str, typed: str | None = None) -> Result:
        return CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1"}).invoke(command, arguments, input=typed)

    return run


@pytest.fixture
def invoke_json(invoke: Callable[..., Result]) -> Callable[..., Any]:
    """Return a function that runs a command that has to succeed, and returns its JSON."""

    def run(command: ClickCommand, *arguments: str) -> Any:
        result = invoke(command, *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no bridge but that of their test: neither another test's nor one that is installed here."""
    monkeypatch.setenv("TINYBMS_BRIDGE_SOCKET", str(tmp_path / "core.sock"))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated BMS in another thread of a machine that is busy answers late; a write is sent only once."""
    patient = partial(ClientSettings, timeout_s=WAIT_S, drain_max_s=1.0)
    monkeypatch.setattr("tinybms_bridge.tinybms.client.ClientSettings", patient)


@pytest.fixture
def soon_silent(_patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The BMS of the test will not answer for a while, or no more, which need not be waited for so long."""
    less_patient = partial(ClientSettings, timeout_s=2.0, drain_max_s=1.0)
    monkeypatch.setattr("tinybms_bridge.tinybms.client.ClientSettings", less_patient)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of the machine on which the tests run."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
