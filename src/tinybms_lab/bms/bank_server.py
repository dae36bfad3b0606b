"""The packs of a bank on a pseudo-terminal each, and words that pull one of them and put it back while all runs."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.bms.bank import BatteryBank
from tinybms_lab.bms.faults import FaultInjector
from tinybms_lab.bms.line import BAUDRATE
from tinybms_lab.bms.server import PtyServer

__all__ = ["CONTROL_NAME", "BankServer"]

CONTROL_NAME = "control"
"""Name of the pipe that takes the words."""
_WORDS = ("pull", "silence", "plug")
_READ_BYTES = 4096
_LONGEST_WORDS = 200
_SHOWN = 40


def _nothing(_text: str) -> None:
    """Say it to nobody."""


class BankServer:
    """Serves every BMS of a bank in a folder: a link with the name of each pack, and a pipe for words.

    ``pull b`` takes pack b away, poles and data; ``silence b`` its data only, as when an adapter is unplugged;
    ``plug b`` puts back what is missing.

    Args:
        bank: what is served.
        clock: source of time; must be that of the BMS.
        folder: where links and pipe are made; it must exist.
        say: takes what was done, in words.
        baudrate: speed of the lines.
        chunk: see ``PtyServer``.
        faults: returns what goes wrong on the line of one more pack; None: nothing does.

    """

    def __init__(
        self,
        bank: BatteryBank,
        clock: Clock,
        folder: Path,
        *,
        say: Callable[[str], None] = _nothing,
        baudrate: int = BAUDRATE,
        chunk: int | None = None,
        faults: Callable[[], FaultInjector] | None = None,
    ) -> None:
        self.bank = bank
        self.control = folder / CONTROL_NAME
        """The pipe: whoever writes a line to it is obeyed."""
        self._clock = clock
        self._folder = folder
        self._say = say
        self._baudrate, self._chunk, self._faults = baudrate, chunk, faults
        self._servers: dict[str, PtyServer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pipe = -1
        self._heard = b""

    def path(self, name: str) -> Path:
        """Return the device file for the clients of a pack."""
        return self._folder / name

    def server(self, name: str) -> PtyServer:
        """Return what serves a pack, or served it until it was pulled. Raises KeyError."""
        return self._servers[name]

    def open(self) -> None:
        """Make terminals, links and the pipe. Do it off the event loop.

        Raises:
            OSError: the system refuses, or something else is in the place.

        """
        try:
            self._open()
        except OSError:
            self.close()
            raise

    def _open(self) -> None:
        if self.control.is_fifo():  # of a simulation that was killed
            self.control.unlink()
        os.mkfifo(self.control, 0o600)
        self._pipe = os.open(self.control, os.O_RDWR | os.O_NONBLOCK)  # both ends: it outlives each writer
        for name in self.bank.units:
            server = self._servers[name] = self._make(name)
            server.open()

    def close(self) -> None:
        """Let every unit vanish, and take pipe and links away. May be called again; do it off the event loop."""
        for server in self._servers.values():
            server.close()
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            os.close(pipe)
            self.control.unlink(missing_ok=True)

    async def run(self) -> None:
        """Serve until cancelled; the server must be open. Raises what one of the terminals raised."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._listen)
        for name, server in self._servers.items():
            self._tasks[name] = asyncio.create_task(server.run())
        try:
            while True:
                await self._clock.sleep(1.0)
                for task in self._tasks.values():
                    if task.done():
                        task.result()
        finally:
            loop.remove_reader(self._pipe)
            for server in self._servers.values():
                server.close()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def pull(self, name: str) -> None:
        """Take a pack away: poles and data. Raises KeyError for a name that there is not."""
        self.bank.pull(name)
        self._servers[name].close()

    def silence(self, name: str) -> None:
        """Take its data away: it is still in parallel, and nobody sees its cells. Raises as ``pull``."""
        self._servers[name].close()

    def plug(self, name: str) -> None:
        """Put poles and data back, where they are missing. Raises as ``pull``."""
        self.bank.plug(name)
        gone = self._tasks.get(name)
        if self._servers[name].closed:
            server = self._servers[name] = self._make(name)
            self._tasks[name] = asyncio.create_task(_after(gone, server))

    def obey(self, line: str) -> str:
        """Do what a line says; return what was done, or what it should have said."""
        word, _, name = line.strip().partition(" ")
        name = name.strip()
        if word not in _WORDS or name not in self.bank.units:
            known = ", ".join(f"{word} NAME" for word in _WORDS)
            return f"{line.strip()[:_SHOWN]!r} is none of {known}; the packs are {', '.join(self.bank.units)}"
        match word:
            case "pull":
                self.pull(name)
                return f"pack {name} is pulled: poles and data"
            case "silence":
                self.silence(name)
                return f"pack {name} is silent, and still in parallel"
            case _:
                self.plug(name)
                return f"pack {name} is plugged in"

    def _make(self, name: str) -> PtyServer:
        return PtyServer(
            self.bank.units[name].bms,
            self._clock,
            baudrate=self._baudrate,
            link=self.path(name),
            chunk=self._chunk,
            faults=None if self._faults is None else self._faults(),
        )

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            self._heard += os.read(self._pipe, _READ_BYTES)
        *lines, self._heard = self._heard[-_LONGEST_WORDS:].split(b"\n")
        for line in lines:
            if line.strip():
                self._say(self.obey(line.decode(errors="replace")))


async def _after(gone: asyncio.Task[None] | None, server: PtyServer) -> None:
    """Serve once the one before has given its link back. Raises what ``PtyServer.run`` raises."""
    if gone is not None:
        await asyncio.wait([gone])
    await server.run()
