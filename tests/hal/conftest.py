"""Scripted adapters: one of python-can behind its threads, and one that is a socket of the kernel."""

import asyncio
import queue
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_adapter, socketcan
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings
from tinybms_bridge.hal.can_adapter import AdapterPort

WAIT_S = 30.0


class ScriptedBus(can.BusABC):
    """An adapter of python-can that does what the test says."""

    def __init__(self) -> None:
        super().__init__("scripted")
        self.incoming: queue.Queue[can.Message | Exception] = queue.Queue()
        self.sent: list[can.Message] = []
        self.failure: Exception | None = None
        self.closed = False
        self.sending = threading.Event()
        self.may_send = threading.Event()
        self.may_send.set()

    def recv(self, timeout: float | None = None) -> can.Message | None:
        """Give what the test has put in."""
        try:
            item = self.incoming.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Take a frame, fail, or hang."""
        self.sending.set()
        self.may_send.wait(WAIT_S)
        if self.failure:
            raise self.failure
        self.sent.append(msg)

    def shutdown(self) -> None:
        """Note the end."""
        super().shutdown()
        self.closed = True

    def frames(self) -> list[CanFrame]:
        """Return what was sent; nothing but classic frames with an 11-bit id."""
        assert not any(message.is_extended_id or message.is_fd for message in self.sent)
        return [CanFrame(message.arbitration_id, bytes(message.data)) for message in self.sent]


class ScriptedSocket:
    """A socket of the kernel that does what the test says; that it can be read is real."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self._incoming: deque[tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str]] | OSError] = deque()
        self.sent: list[bytes] = []
        self.failure: Exception | None = None
        self.closed = False

    def put(self, item: bytes | OSError, flags: int = 0, ancillary: tuple[tuple[int, int, bytes], ...] = ()) -> None:
        """Have something come in, or reading fail."""
        self._incoming.append(item if isinstance(item, OSError) else (item, list(ancillary), flags, ("can0",)))
        self._far.send(b"!")

    def fileno(self) -> int:
        """See ``socket.socket``."""
        return self._near.fileno()

    def recvmsg(self, size: int, ancillary_size: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str]]:
        """See ``socket.socket``."""
        assert (size, ancillary_size) == (16, 64)
        self._near.recv(1)
        item = self._incoming.popleft()
        if isinstance(item, OSError):
            raise item
        return item

    def send(self, data: bytes) -> int:
        """See ``socket.socket``."""
        if self.failure:
            raise self.failure
        self.sent.append(data)
        return len(data)

    def close(self) -> None:
        """See ``socket.socket``."""
        self.closed = True
        self._near.close()
        self._far.close()

    def frames(self) -> list[CanFrame]:
        """Return what was sent; nothing but classic frames with an 11-bit id."""
        unpacked = [struct.unpack("=IB3s8s", data) for data in self.sent]
        assert all(identifier < 0x800 and pad == bytes(3) for identifier, _, pad, _ in unpacked)
        return [CanFrame(identifier, data[:length]) for identifier, length, _, data in unpacked]


class Stand:
    """Opens scripted adapters one after the other, or fails to, under a port."""

    def __init__(self) -> None:
        self.adapters: list[ScriptedBus | ScriptedSocket] = []
        self.failures: list[LinkError] = []
        self.attempts = 0
        self.opening = 0
        """How many are being opened now."""
        self.over = False
        """Whether no more is to be opened."""
        self.ports: list[CanPort] = []

    @property
    def opened(self) -> int:
        """How many adapters were opened."""
        return len(self.adapters)

    @property
    def sent(self) -> list[CanFrame]:
        """What the newest adapter was given to send."""
        return self.adapters[-1].frames()

    def fail_sending(self, error: Exception | None) -> None:
        """Let sending fail from now on, or work again."""
        self.adapters[-1].failure = error

    def _open(self, _: CanSettings) -> ScriptedBus | ScriptedSocket:
        self.opening += 1
        try:
            self.attempts += 1
            if failure := self._failure():
                raise failure
            adapter = self._adapter()
            self.adapters.append(adapter)
            return adapter
        finally:
            self.opening -= 1

    def _failure(self) -> LinkError | None:
        if self.over:
            return LinkError("the test is over")
        try:
            return self.failures.pop(0)  # the test may clear them at any moment
        except IndexError:
            return None

    def _adapter(self) -> ScriptedBus | ScriptedSocket:
        raise NotImplementedError

    async def open(self) -> CanPort:
        """Return a port on the first adapter; it is closed at the end and may leave no thread."""
        raise NotImplementedError

    def receive(
        self,
        identifier: int = 0x305,
        data: bytes = bytes(8),
        *,
        extended: bool = False,
        remote: bool = False,
        error: bool = False,
        local: bool = False,
    ) -> None:
        """Have a frame come in."""
        raise NotImplementedError

    def fail_receiving(self, error: OSError) -> None:
        """Have the adapter break."""
        raise NotImplementedError


class ThreadedStand(Stand):
    """Adapters of python-can."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(can_adapter, "open_bus", self._open)
        monkeypatch.setattr(can_adapter, "_RECEIVE_TIMEOUT_S", 0.005)
        monkeypatch.setattr(can_adapter, "_FIRST_RETRY_S", 0.005)
        monkeypatch.setattr(can_adapter, "_SLOWEST_RETRY_S", 0.02)
        monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 3600.0)
        monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", WAIT_S)

    @property
    def bus(self) -> ScriptedBus:
        """The newest adapter."""
        bus = self.adapters[-1]
        assert isinstance(bus, ScriptedBus)
        return bus

    def _adapter(self) -> ScriptedBus:
        return ScriptedBus()

    async def open(self) -> AdapterPort:
        """Return a port on the first adapter."""
        port = await asyncio.to_thread(AdapterPort, CanSettings("scripted"), asyncio.get_running_loop())
        self.ports.append(port)
        return port

    def receive(
        self,
        identifier: int = 0x305,
        data: bytes = bytes(8),
        *,
        extended: bool = False,
        remote: bool = False,
        error: bool = False,
        local: bool = False,
    ) -> None:
        """Have a frame come in."""
        self.bus.incoming.put(
            can.Message(
                arbitration_id=identifier,
                data=None if remote else data,
                is_extended_id=extended,
                is_remote_frame=remote,
                is_error_frame=error,
                is_rx=not local,
                channel="can0",
            )
        )

    def fail_receiving(self, error: Exception) -> None:
        """Have the adapter break."""
        self.bus.incoming.put(error)


class SocketStand(Stand):
    """Sockets of the kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(socketcan, "open_socket", self._open)
        monkeypatch.setattr(socketcan, "_FIRST_RETRY_S", 0.005)
        monkeypatch.setattr(socketcan, "_SLOWEST_RETRY_S", 0.02)

    @property
    def bus(self) -> ScriptedSocket:
        """The newest adapter."""
        bus = self.adapters[-1]
        assert isinstance(bus, ScriptedSocket)
        return bus

    def _adapter(self) -> ScriptedSocket:
        return ScriptedSocket()

    async def open(self) -> socketcan.SocketCanPort:
        """Return a port on the first adapter."""
        port = await socketcan.open_socketcan(CanSettings("scripted"))
        self.ports.append(port)
        return port

    def receive(
        self,
        identifier: int = 0x305,
        data: bytes = bytes(8),
        *,
        extended: bool = False,
        remote: bool = False,
        error: bool = False,
        local: bool = False,
    ) -> None:
        """Have a frame come in."""
        kind = 0x8000_0000 * extended + 0x4000_0000 * remote + 0x2000_0000 * error
        self.bus.put(struct.pack("=IB3x8s", kind + identifier, len(data), data), socket.MSG_DONTROUTE if local else 0)

    def fail_receiving(self, error: OSError) -> None:
        """Have the adapter break."""
        self.bus.put(error)


async def _closed(stand: Stand) -> None:
    stand.over = True
    for port in stand.ports:
        await port.close()
    async with asyncio.timeout(WAIT_S):
        while stand.opening or not all(adapter.closed for adapter in stand.adapters):  # what opens now is discarded
            await asyncio.sleep(0.002)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("can-")] == []


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame is too old, and no driver too slow, on a machine that is busy."""
    monkeypatch.setattr(can_adapter, "_STALE_AFTER_S", 3600.0)
    monkeypatch.setattr(can_adapter, "_SEND_TIMEOUT_S", WAIT_S)
    monkeypatch.setattr(can_adapter, "_JOIN_TIMEOUT_S", WAIT_S)


@pytest.fixture
async def threaded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ThreadedStand]:
    """Return adapters of python-can; all pauses are short, and no frame is too old on a machine that is busy."""
    stand = ThreadedStand(monkeypatch)
    yield stand
    await _closed(stand)


@pytest.fixture
async def sockets(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocketStand]:
    """Return sockets of the kernel; all pauses are short."""
    stand = SocketStand(monkeypatch)
    yield stand
    await _closed(stand)


@pytest.fixture(params=[ThreadedStand, SocketStand])
async def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    """Return each of the two in turn."""
    stand: Stand = request.param(monkeypatch)
    yield stand
    await _closed(stand)
