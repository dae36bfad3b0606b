"""python-can's socketcand through our port: a CAN bus on another computer, whose daemon is played on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can

WAIT_S = 60.0
FRAME = CanFrame(0x351, bytes([0x43, 0x02, 0xFF]))


class Daemon:
    """Serves can0 as socketcand does in its raw mode."""

    def __init__(self) -> None:
        self.said: list[str] = []
        """What the clients sent."""
        self.clients = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.number = 0

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.number)
        self.number = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone, with every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()
            await self._server.wait_closed()
            self._server = None

    def report(self, text: str) -> None:
        """Tell every client of something on the bus."""
        for writer in self._writers:
            writer.write(text.encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"< hi >")
        try:
            while True:
                said = (await reader.readuntil(b">")).decode().strip()
                self.said.append(said)
                if said in ("< open can0 >", "< rawmode >"):
                    writer.write(b"< ok >")
                if said == "< rawmode >":
                    self.clients += 1
                    self._writers.append(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    """A daemon that serves one bus."""
    one = Daemon()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def port(daemon: Daemon, patient: None) -> AsyncIterator[CanPort]:
    """Our port on it."""
    extra = {"host": "127.0.0.1", "port": daemon.number}
    opened = await open_can(CanSettings("socketcand", "can0", extra=extra, accept_ids=(0x305,)))
    yield opened
    await opened.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_frames_come_and_go(daemon: Daemon, port: CanPort) -> None:
    """Byte for byte, several in one piece of the connection, one of them in two."""
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    assert port.send(FRAME)
    await until(lambda: "< send 351 3 43 2 ff >" in daemon.said)
    daemon.report("< frame 305 23.424242 0102030405060708 >< frame 306 23.5 01 >< frame 305 23.6 0")
    await until(lambda: heard)
    daemon.report("9 >")
    await until(lambda: len(heard) == 2)

    assert heard == [CanFrame(0x305, bytes(range(1, 9))), CanFrame(0x305, b"\x09")]


async def test_daemon_that_goes_and_comes(daemon: Daemon, port: CanPort) -> None:
    """Whether sending or listening notices it first, the connection is made again without help."""

    async def keep_sending(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                port.send(FRAME)
                await asyncio.sleep(0.02)

    await daemon.stop()
    await keep_sending(lambda: not port.statistics.up)
    assert port.statistics.trouble is not None
    await daemon.start()
    await keep_sending(lambda: daemon.clients >= 2)
    await keep_sending(lambda: port.statistics.up and not port.statistics.trouble)

    assert port.statistics.outages >= 1
