"""Opening, closing and the link; with a client, a real pseudo-terminal in real time, with wide bounds."""

import asyncio
import os
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    Framer,
    ReadBlock,
    ReadModbus,
    RegistersReply,
    Reply,
    Request,
    ShortValue,
    SimpleRequest,
)
from tinybms_lab.bms import (
    DumpDevice,
    FaultInjector,
    FaultPlan,
    PacketId,
    PtyServer,
    Quirks,
    SimulatedBms,
    parse_profile,
    real_dump,
)
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture
def unit() -> DumpDevice:
    """The captured unit in real time; made before the loop runs, since it reads files."""
    return DumpDevice(real_dump(), SystemClock())


def _exists(link: Path) -> bool:
    return os.path.lexists(link)


async def test_the_link_goes_when_the_server_closes(tmp_path: Path, unit: DumpDevice) -> None:
    """By close and the end of run."""
    link = tmp_path / "tinybms"
    server = PtyServer(unit, SystemClock(), link=link)
    task = asyncio.create_task(server.run())
    async with asyncio.timeout(30.0):
        while not _exists(link):
            await asyncio.sleep(0.005)

    server.close()
    server.close()
    await task
    server.close()

    assert not _exists(link)


def test_a_server_that_never_ran_removes_its_link(tmp_path: Path) -> None:
    """Opened, then given up."""
    clock = FakeClock()
    link = tmp_path / "tinybms"
    server = PtyServer(DumpDevice(real_dump(), clock), clock, link=link)
    server.open()
    assert _exists(link)
    server.close()

    assert not _exists(link)
    with pytest.raises(RuntimeError, match="opened once"):
        server.open()


def test_the_path_is_known_once_open() -> None:
    """And not before."""
    clock = FakeClock()
    server = PtyServer(DumpDevice(real_dump(), clock), clock)
    with pytest.raises(RuntimeError, match="not open"):
        _ = server.path
    server.close()
    assert server.responder.requests == 0


@pytest.mark.parametrize(("baudrate", "chunk"), [(0, None), (115200, 0)])
def test_impossible_options_are_refused(baudrate: int, chunk: int | None) -> None:
    """Before anything is opened."""
    clock = FakeClock()
    with pytest.raises(ValueError, match="must be above 0"):
        PtyServer(DumpDevice(real_dump(), clock), clock, baudrate=baudrate, chunk=chunk)


async def test_a_port_that_cannot_be_had_ends_the_run(tmp_path: Path, unit: DumpDevice) -> None:
    """The mistake reaches whoever runs the server."""
    server = PtyServer(unit, SystemClock(), link=tmp_path / "nowhere" / "tinybms")

    with pytest.raises(FileNotFoundError):
        await server.run()


CHARACTER_S = 10 / 115200
STATUS = SimpleRequest(CommandCode.STATUS)
IDLE = ShortValue(CommandCode.STATUS, 0x97)
LIVE = ReadModbus(0, 56)
WAIT_S = 30.0


class Client:
    """A host with a raw file descriptor; reads without blocking the loop that the server runs on."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.pieces: list[tuple[float, bytes]] = []
        self.gone = False
        self._fresh = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(WAIT_S):
            while len(self.data) < count and not self.gone:
                self._fresh.clear()
                await self._fresh.wait()
        return self.data

    async def ask(self, request: Request) -> Reply:
        self.pieces.clear()
        framer = Framer()
        framer.expect(request)
        self.write(request.encode())
        async with asyncio.timeout(WAIT_S):
            while not (replies := [e for e in framer.feed(self.data) if isinstance(e, ShortValue | RegistersReply)]):
                framer.expect(request)
                self._fresh.clear()
                await self._fresh.wait()
        (reply,) = replies
        return reply

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.pieces.append((time.monotonic(), data))
        else:
            self.gone = True
            asyncio.get_running_loop().remove_reader(self.fd)
        self._fresh.set()


Serve = Callable[..., AbstractAsyncContextManager[tuple[PtyServer, Client]]]


@pytest.fixture
def serve(unit: DumpDevice) -> Serve:
    """Run a server of the captured unit, with options, and a client of it."""

    @asynccontextmanager
    async def running(**options: Any) -> AsyncIterator[tuple[PtyServer, Client]]:
        server = PtyServer(unit, SystemClock(), **options)
        await asyncio.to_thread(server.open)
        task = asyncio.create_task(server.run())
        client = Client(server.path)
        try:
            yield server, client
        finally:
            client.close()
            server.close()
            await task

    return running


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_raw_client_gets_its_answer(serve: Serve, unit: DumpDevice) -> None:
    """Nothing but open and write is needed."""
    async with serve() as (server, client):
        assert await client.ask(STATUS) == IDLE
        reply = await client.ask(LIVE)
        assert isinstance(reply, RegistersReply)
        assert reply.values[34:] == (unit.read(34, 22) or ())
        assert server.responder.requests == 2


async def test_a_reply_takes_its_time_on_the_wire(serve: Serve) -> None:
    """117 bytes need 10.2 ms after the request and the latency."""
    least_s = (8 + 117) * CHARACTER_S + 0.001
    async with serve() as (_, client):
        taken_s = []
        for _ in range(5):
            client.pieces.clear()
            begin_s = time.monotonic()
            client.write(LIVE.encode())
            await client.receive(117)
            taken_s.append(client.pieces[-1][0] - begin_s)

    assert min(taken_s) >= least_s - 1e-4


async def test_a_reply_grows_as_on_the_wire(serve: Serve) -> None:
    """Whatever the pieces in which it comes, no byte comes before its time."""
    async with serve() as (_, client):
        for _ in range(5):
            client.pieces.clear()
            begin_s = time.monotonic()
            client.write(LIVE.encode())
            await client.receive(117)
            arrived = 0
            for now_s, piece in client.pieces:
                arrived += len(piece)
                assert now_s - begin_s >= (8 + arrived) * CHARACTER_S + 0.001 - 1e-4


async def test_the_latency_is_an_option(serve: Serve) -> None:
    """A slow unit answers late, but does answer."""
    async with serve(latency_s=0.08) as (_, client):
        begin_s = time.monotonic()
        assert await client.ask(STATUS) == IDLE

        assert time.monotonic() - begin_s >= 0.08


async def test_an_adapter_delivers_in_blocks_of_64(serve: Serve) -> None:
    """As seen with a CP2102: nothing comes before 64 bytes are complete. How many reads that takes is the system's."""
    least_s = (8 + 64) * CHARACTER_S + 0.001
    async with serve(chunk=64) as (_, client):
        begin_s = time.monotonic()
        client.write(ReadModbus(0, 57).encode())
        await client.receive(119)

    assert client.pieces[0][0] - begin_s >= least_s - 1e-4
    assert len(client.data) == 119


async def test_bytes_may_come_one_by_one(serve: Serve) -> None:
    """The whole reply all the same."""
    async with serve(chunk=1) as (_, client):
        assert isinstance(await client.ask(LIVE), RegistersReply)


async def test_multi_packet_replies_come_as_one_burst(serve: Serve) -> None:
    """124 bytes for 57 registers."""
    async with serve() as (_, client):
        client.write(ReadBlock(0, 57).encode())
        data = await client.receive(124)

    assert len(data) == 124
    assert (data[2], data[68 + 2]) == (0x82, 0x33)


async def test_a_client_may_write_byte_by_byte(serve: Serve) -> None:
    """A request needs no more than its bytes in order."""
    async with serve() as (_, client):
        for byte in LIVE.encode():
            client.write(bytes((byte,)))
            await asyncio.sleep(0.001)

        assert len(await client.receive(117)) == 117


async def test_two_requests_back_to_back_get_two_replies(serve: Serve) -> None:
    """One after the other, never mixed."""
    async with serve() as (_, client):
        client.write(LIVE.encode() + STATUS.encode())
        data = await client.receive(123)

    assert data[:3] == b"\xaa\x03\x70"
    assert data[117:] == IDLE.encode()[0]


async def test_noise_before_a_request_is_skipped(serve: Serve) -> None:
    """A line that was opened in the middle of something."""
    async with serve() as (_, client):
        client.write(b"\x00\xff\x13" + STATUS.encode())

        assert await client.receive(6) == IDLE.encode()[0]


async def test_at_a_wrong_speed_there_is_silence(serve: Serve) -> None:
    """A real unit cannot frame such bytes; at the right speed it answers again."""
    async with serve() as (server, client):
        attributes = termios.tcgetattr(client.fd)
        for speed in (termios.B19200, termios.B115200):
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(client.fd, termios.TCSANOW, attributes)
            client.write(STATUS.encode())
            if speed == termios.B19200:
                await _until(lambda: server.mismatched == 4)
                await asyncio.sleep(0.02)
                assert client.data == b""

        assert await client.receive(6) == IDLE.encode()[0]


async def test_a_client_may_disappear_in_the_middle_of_a_reply_and_come_back(serve: Serve) -> None:
    """The server goes on; what was under way is for nobody."""
    async with serve() as (server, first):
        other = Client(server.path)
        other.write(LIVE.encode())
        await asyncio.sleep(0.003)
        other.close()
        await _until(lambda: server.responder.requests == 1 and server.line.next_s is None)
        termios.tcflush(first.fd, termios.TCIFLUSH)

        second = Client(server.path)
        first.close()
        try:
            assert await second.ask(STATUS) == IDLE
        finally:
            second.close()
            first.fd = os.open(server.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


async def test_closing_shows_at_the_client_as_a_hang_up(serve: Serve) -> None:
    """Like an adapter that is pulled, also in the middle of a reply, which takes seconds on this line."""
    async with serve(baudrate=300) as (server, client):
        client.write(LIVE.encode())
        await client.receive(1)
        server.close()
        async with asyncio.timeout(WAIT_S):
            await client.receive(117)

        assert client.gone
        assert len(client.data) < 117


async def test_cancelling_closes_too(tmp_path: Path, unit: DumpDevice) -> None:
    """Ctrl-C leaves neither a port nor a link."""
    link = tmp_path / "tinybms"
    server = PtyServer(unit, SystemClock(), link=link)
    task = asyncio.create_task(server.run())
    await _until(lambda: _exists(link))
    client = Client(str(link))
    assert await client.ask(STATUS) == IDLE

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await client.receive(1000)
    client.close()
    assert client.gone
    assert not _exists(link)


async def test_what_nobody_reads_is_lost_and_counted(serve: Serve) -> None:
    """A UART has no flow control; the server neither waits nor stops."""
    async with serve() as (server, client):
        asyncio.get_running_loop().remove_reader(client.fd)
        server.line.wire.send(0.0, bytes(2_000_000))
        server._work.set()
        await _until(lambda: server.overrun > 0)
        termios.tcflush(client.fd, termios.TCIFLUSH)
        asyncio.get_running_loop().add_reader(client.fd, client._read)

        await asyncio.sleep(0.05)
        assert server.overrun <= 2_000_000
        assert not client.gone


@pytest.fixture
def pulsed(clock: FakeClock) -> SimulatedBms:
    """A pack that is discharged for five seconds and then rests."""
    return SimulatedBms.build(clock, profile=parse_profile("5:-30,3600:0"))


@pytest.fixture
async def faked(clock: FakeClock, pulsed: SimulatedBms) -> AsyncIterator[tuple[PtyServer, SimulatedBms, Client]]:
    """A simulated pack on a server whose time is moved by hand."""
    device = pulsed
    server = PtyServer(device, clock)
    await asyncio.to_thread(server.open)
    task = asyncio.create_task(server.run())
    client = Client(server.path)
    await asyncio.sleep(0)
    yield server, device, client
    client.close()
    server.close()
    await task


async def test_the_pack_goes_on_without_traffic(
    clock: FakeClock, faked: tuple[PtyServer, SimulatedBms, Client]
) -> None:
    """The server keeps the data fresh, so that the model never has to jump."""
    _, device, _ = faked
    await clock.advance(4.0)

    assert device._model.pack.net_ah == pytest.approx(-30.0 * 4.0 / 3600, rel=0.05)


async def test_a_sleeping_unit_takes_the_first_frame_as_a_wake_up(
    clock: FakeClock, faked: tuple[PtyServer, SimulatedBms, Client]
) -> None:
    """Ten seconds after the last current and traffic; the second copy is answered."""
    server, device, client = faked
    await clock.advance(15.2)
    assert device.asleep

    client.write(STATUS.encode())
    await _until(lambda: server.responder.requests == 1)
    await clock.advance(0.05)
    assert client.data == b""
    assert server.responder.lost == 1

    client.write(STATUS.encode())
    await _until(lambda: server.responder.requests == 2)
    await clock.advance(0.05)
    assert await client.receive(6) == IDLE.encode()[0]


async def test_text_is_broadcast_at_its_time(clock: FakeClock, faked: tuple[PtyServer, SimulatedBms, Client]) -> None:
    """Twice a second, in lines; a command in between gets its answer."""
    server, device, client = faked
    device.write([(342, 3), (343, 1)])
    await clock.advance(2.05)
    await _until(lambda: client.data.count(b"\r\n") == 4)
    client.pieces.clear()
    client.write(STATUS.encode())
    await _until(lambda: server.responder.requests == 1)
    await clock.advance(0.05)

    assert await client.receive(6) == ShortValue(CommandCode.STATUS, 0x93).encode()[0]


async def test_faults_can_be_switched_while_it_serves(serve: Serve) -> None:
    """A bad line gets better."""
    faults = FaultInjector(FaultPlan(silence=1.0))
    async with serve(faults=faults) as (server, client):
        client.write(STATUS.encode())
        await _until(lambda: server.responder.requests == 1)
        await asyncio.sleep(0.02)
        assert client.data == b""

        faults.plan = FaultPlan()
        assert await client.ask(STATUS) == IDLE
    assert faults.counts["silence"] == 1


async def test_habits_are_an_option(serve: Serve) -> None:
    """The other meaning of the packet id."""
    async with serve(quirks=Quirks(packet_id=PacketId.TOTAL)) as (_, client):
        client.write(ReadBlock(0, 70).encode())
        data = await client.receive(140 + 15)

    assert (data[2], data[68 + 2]) == (0x83, 0x83)
