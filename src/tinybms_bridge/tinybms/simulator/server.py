"""The simulated BMS on a pseudo-terminal, with the timing of a real line."""

import asyncio
import os
from pathlib import Path

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.simulator.device import REFRESH_S
from tinybms_bridge.tinybms.simulator.faults import FaultInjector
from tinybms_bridge.tinybms.simulator.habits import Habits
from tinybms_bridge.tinybms.simulator.interface import Device
from tinybms_bridge.tinybms.simulator.line import BAUDRATE, Line
from tinybms_bridge.tinybms.simulator.pty_port import PtyPort
from tinybms_bridge.tinybms.simulator.responder import LATENCY_S

__all__ = ["BAUDRATE", "PtyServer"]

_READ_BYTES = 4096


class PtyServer:
    """Serves one device on one pseudo-terminal, as often as clients come and go.

    A pseudo-terminal has no bits, so the speed of the client cannot be heard; it is read from the terminal settings
    with each reception, and what was sent at another speed is dropped, as a UART drops what it cannot frame. The
    client gets its replies byte by byte at the pace of the line; what it does not fetch is lost once the buffer of
    the terminal is full, since the line has no flow control.

    Args:
        device: what is served.
        clock: source of time; must be the device's own.
        baudrate: speed of the line.
        latency_s: time that the device takes to answer.
        link: stable name of the port.
        chunk: bytes are delivered in groups of this many: None for as they come, 1 singly, 64 like a USB adapter.
        habits: how the device speaks.
        faults: what goes wrong on the line; its plan may be replaced while the server runs.

    Raises:
        ValueError: a baudrate or chunk that is not above 0.

    """

    def __init__(
        self,
        device: Device,
        clock: Clock,
        *,
        baudrate: int = BAUDRATE,
        latency_s: float = LATENCY_S,
        link: Path | None = None,
        chunk: int | None = None,
        habits: Habits | None = None,
        faults: FaultInjector | None = None,
    ) -> None:
        self.line = Line(
            device, clock, baudrate=baudrate, latency_s=latency_s, chunk=chunk, habits=habits, faults=faults
        )
        """The line without its terminal."""
        self.responder = self.line.responder
        """Counts the requests."""
        self.mismatched = 0
        """Bytes received at a wrong speed."""
        self.overrun = 0
        """Bytes lost because the client did not read."""
        self._clock = clock
        self._baudrate = baudrate
        self._link = link
        self._port: PtyPort | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = False
        self._work = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def path(self) -> str:
        """Device file for the client.

        Raises:
            RuntimeError: the server is not open.

        """
        if self._port is None:
            raise RuntimeError("the server is not open")
        return self._port.path

    def open(self) -> None:
        """Create the terminal and its link, so that ``path`` can be told before ``run``. Do it off the event loop.

        Raises:
            RuntimeError: the server is open or was closed.
            ValueError: a baudrate that this system does not know.
            OSError: no terminal or no link to be had.

        """
        if self._port is not None or self._closing.is_set():
            raise RuntimeError("a server is opened once")
        self._port = PtyPort(self._baudrate, self._link)

    async def run(self) -> None:
        """Serve until ``close`` or cancellation; opens the server if that was not done. Raises as ``open``."""
        if self._port is None:
            await asyncio.to_thread(self.open)
        port, self._running = self._port, True
        assert port is not None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(port.master, self._receive)
        tasks = [asyncio.create_task(job) for job in (self._transmit(), self._keep_fresh(), self._closing.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            self.close()
            await asyncio.to_thread(port.unlink)
            self._running = False

    def close(self) -> None:
        """Let the device vanish: the client sees a hang-up, and ``run`` ends. Call it in the thread of the loop.

        The link is removed here, or by ``run`` while that is under way. May be called again.
        """
        self._closing.set()
        if self._port is None:
            return
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.remove_reader(self._port.master)
        self.line.clear()
        self._port.hang_up()
        if not self._running:
            self._port.unlink()

    def _receive(self) -> None:
        assert self._port is not None
        try:
            data = os.read(self._port.master, _READ_BYTES)
        except BlockingIOError:
            return
        if not self._port.speed_matches:
            self.mismatched += len(data)
            self.line.mistuned()
            return
        self.line.receive(data)
        self._work.set()

    async def _transmit(self) -> None:
        while True:
            next_s = self.line.next_s
            if next_s is None:
                self._work.clear()
                await self._work.wait()
                continue
            await self._clock.sleep(next_s - self._clock.monotonic())
            for piece in self.line.due():
                self._write(piece)

    def _write(self, piece: bytes) -> None:
        assert self._port is not None
        try:
            written = os.write(self._port.master, piece)
        except BlockingIOError:
            written = 0
        self.overrun += len(piece) - written

    async def _keep_fresh(self) -> None:
        while True:
            self.line.tick()
            if self.line.next_s is not None:
                self._work.set()
            await self._clock.sleep(REFRESH_S)
