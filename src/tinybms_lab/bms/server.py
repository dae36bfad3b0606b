"""The simulated BMS on a pseudo-terminal that stands for a serial port, with the timing of a real line."""

import asyncio
import os
import pty
import re
import termios
import tty
from pathlib import Path

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.bms.device import REFRESH_S
from tinybms_lab.bms.faults import FaultInjector
from tinybms_lab.bms.line import BAUDRATE, Line
from tinybms_lab.bms.responder import LATENCY_S, AnsweringDevice
from tinybms_lab.bms.variants import Quirks

__all__ = ["BAUDRATE", "PtyPort", "PtyServer", "known_speeds"]


_SPEED_FIELDS = (4, 5)
"""Places of input and output speed in the list of ``termios.tcgetattr``."""


def known_speeds() -> dict[int, int]:
    """Return the constant of this system for each speed in baud."""
    names = (name for name in dir(termios) if re.fullmatch(r"B[1-9]\d*", name))
    return {int(name[1:]): getattr(termios, name) for name in names}


class PtyPort:
    """An open pseudo-terminal in raw mode: the device's end of a port that clients open by ``path``.

    The clients' end stays open here too, so that one client may go and another come without a hang-up. Opening and
    unlinking touch the file system: do both off the event loop.

    Args:
        baudrate: speed of the device, set on the clients' end as well; a client may then set another.
        link: symbolic link to the port, put in place atomically.

    Raises:
        ValueError: a speed that this system does not know.
        OSError: the system refuses a pseudo-terminal, or something that is no link stands where the link should be.

    """

    def __init__(self, baudrate: int, link: Path | None = None) -> None:
        speeds = known_speeds()
        if baudrate not in speeds:
            raise ValueError(f"{baudrate} baud is not a speed of this system")
        self._speed = speeds[baudrate]
        self._link = link
        self.master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        """Device file for the client."""
        try:
            self._configure()
            if link is not None:
                _point(link, self.path)
        except OSError:
            self.hang_up()
            self.unlink()
            raise

    @property
    def speed_matches(self) -> bool:
        """Whether the client has left the line at the speed of the device."""
        attributes = termios.tcgetattr(self._slave)
        return all(attributes[field] == self._speed for field in _SPEED_FIELDS)

    def hang_up(self) -> None:
        """Close the port: a client reads end of file or an error from now on. May be called again; never blocks.

        The number of the terminal stays taken until ``unlink``: whoever opens the path again finds nobody, and not
        the next terminal that the system opens.
        """
        descriptor, self.master = self.master, -1
        if descriptor >= 0:
            os.close(descriptor)

    def unlink(self) -> None:
        """Remove the link if it still leads here, and give the terminal back. May be called again."""
        link, self._link = self._link, None
        if link is not None and link.is_symlink() and str(link.readlink()) == self.path:
            link.unlink()
        descriptor, self._slave = self._slave, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _configure(self) -> None:
        tty.setraw(self._slave, termios.TCSANOW)
        attributes = termios.tcgetattr(self._slave)
        for field in _SPEED_FIELDS:
            attributes[field] = self._speed
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        os.set_blocking(self.master, False)


def _point(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} exists and is not a symbolic link")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(link)) from error
    temporary.replace(link)


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
        quirks: how the device speaks.
        faults: what goes wrong on the line; its plan may be replaced while the server runs.

    Raises:
        ValueError: a baudrate or chunk that is not above 0.

    """

    def __init__(
        self,
        device: AnsweringDevice,
        clock: Clock,
        *,
        baudrate: int = BAUDRATE,
        latency_s: float = LATENCY_S,
        link: Path | None = None,
        chunk: int | None = None,
        quirks: Quirks | None = None,
        faults: FaultInjector | None = None,
    ) -> None:
        self.line = Line(
            device, clock, baudrate=baudrate, latency_s=latency_s, chunk=chunk, quirks=quirks, faults=faults
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

    @property
    def closed(self) -> bool:
        """Whether the device has vanished."""
        return self._closing.is_set()

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
