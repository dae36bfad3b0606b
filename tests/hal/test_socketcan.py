"""The port on a socket of the kernel: what it asks the kernel for, bounds, and loss in virtual time."""

import asyncio
import errno
import logging
import socket
import struct
from typing import Any

import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import socketcan
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.can import CanFrame, CanSettings, open_can
from tinybms_bridge.hal.socketcan import SocketCanPort, open_socket, open_socketcan

CAN0 = CanSettings("socketcan", "can0")
FRAME = CanFrame(0x351, b"\x43\x02")
OVERFLOWS = (socket.SOL_SOCKET, 40)
RAW = 101
BUS_OFF, RESTARTED = 0x40, 0x100


class KernelSocket:
    """Notes what an opened socket is asked for; binding may fail, and an error may wait in the socket."""

    def __init__(self, *, error: OSError | None = None, waiting: int = 0) -> None:
        self.options: dict[tuple[int, int], int | bytes] = {}
        self.bound: tuple[str] | None = None
        self.blocking = True
        self.closed = False
        self._error = error
        self._waiting = waiting

    def setblocking(self, flag: bool) -> None:
        """See ``socket.socket``."""
        self.blocking = flag

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """See ``socket.socket``."""
        assert self.bound is None, "options after binding come too late for the first frames"
        self.options[level, option] = value

    def bind(self, address: tuple[str]) -> None:
        """See ``socket.socket``."""
        if self._error:
            raise self._error
        self.bound = address

    def getsockopt(self, level: int, option: int) -> int:
        """See ``socket.socket``."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        return self._waiting

    def close(self) -> None:
        """See ``socket.socket``."""
        self.closed = True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> KernelSocket:
    """Return the socket that opening gets."""
    return kernel_gives(monkeypatch, KernelSocket())


def kernel_gives(monkeypatch: pytest.MonkeyPatch, given: KernelSocket) -> KernelSocket:
    """Let the kernel give this socket."""

    def make(family: int, kind: int, protocol: int) -> KernelSocket:
        assert (family, kind, protocol) == (29, socket.SOCK_RAW, 1)
        return given

    monkeypatch.setattr("tinybms_bridge.hal.socketcan.socket.socket", make)
    return given


async def turns(count: int = 3) -> None:
    """Let the event loop see what can be read."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_kernel_filters_what_nobody_wants(kernel: KernelSocket) -> None:
    """Only data frames with the wanted 11-bit identifiers wake the program, beside every kind of error frame."""
    open_socket(CanSettings("socketcan", "can0", accept_ids=(0x305, 0x351)))
    assert kernel.options[RAW, 1] == struct.pack("=IIII", 0x305, 0xC00007FF, 0x351, 0xC00007FF)
    assert kernel.options[RAW, 2] == 0x1FFFFFFF
    assert (kernel.blocking, kernel.bound) == (False, ("can0",))


def test_without_a_choice_every_data_frame_comes(kernel: KernelSocket) -> None:
    """Extended and remote frames stay with the kernel all the same."""
    open_socket(CAN0)
    assert kernel.options[RAW, 1] == struct.pack("=II", 0, 0xC0000000)


@pytest.mark.parametrize(
    ("extra", "own", "loopback", "errors"),
    [
        ({}, 0, 1, 0x1FFFFFFF),
        ({"receive_own_messages": True}, 1, 1, 0x1FFFFFFF),
        ({"local_loopback": False}, 0, 0, 0x1FFFFFFF),
        ({"ignore_rx_error_frames": True}, 0, 1, None),
    ],
)
def test_options_reach_the_kernel(
    kernel: KernelSocket, extra: dict[str, object], own: int, loopback: int, errors: int | None
) -> None:
    """Own frames are heard in loopback mode; the options are those that python-can has for SocketCAN."""
    open_socket(CanSettings("socketcan", "can0", extra=extra))
    assert (kernel.options[RAW, 4], kernel.options[RAW, 3], kernel.options.get((RAW, 2))) == (own, loopback, errors)


async def test_option_that_does_nothing_is_told(sockets: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A typing error, or an option of another adapter, does not pass in silence."""
    port = await open_socketcan(CanSettings("socketcan", "can0", extra={"bitrate": 250_000, "local_loopback": True}))
    await port.close()
    assert caplog.messages == ["CAN socketcan:can0: options without effect on this interface: bitrate"]


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        (errno.ENODEV, "No such device", "ip link set can7 up type can bitrate 500000 restart-ms 100"),
        (errno.EPERM, "Operation not permitted", "no permission"),
        (errno.EINVAL, "Invalid argument", "check that the adapter is plugged in, and the name of its interface"),
    ],
)
def test_interface_that_cannot_be_bound(monkeypatch: pytest.MonkeyPatch, error: int, reason: str, hint: str) -> None:
    """The user can mend the usual mistakes from the message alone; the socket is closed."""
    bus = kernel_gives(monkeypatch, KernelSocket(error=OSError(error, reason)))
    with pytest.raises(LinkError) as caught:
        open_socket(CanSettings("socketcan", "can7"))
    assert caught.value.reason == f"cannot open CAN socketcan:can7: {reason}"
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)
    assert bus.closed


def test_interface_that_is_down_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel binds a socket to it, and leaves the error in the socket."""
    bus = kernel_gives(monkeypatch, KernelSocket(waiting=errno.ENETDOWN))
    with pytest.raises(LinkError, match="Network is down") as caught:
        open_socket(CAN0)
    assert caught.value.hint == (
        "the interface is down; bring it up with: sudo ip link set can0 up type can bitrate 500000 restart-ms 100"
    )
    assert bus.closed


def test_kernel_without_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint names the module."""

    def refuse(*_: int) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("tinybms_bridge.hal.socketcan.socket.socket", refuse)
    with pytest.raises(LinkError, match="modprobe can_raw"):
        open_socket(CAN0)


async def test_interface_of_the_kernel_needs_no_python_can(sockets: Any) -> None:
    """``open_can`` gives the port on the socket."""
    port = await open_can(CAN0)
    await port.close()
    assert isinstance(port, SocketCanPort)


async def test_full_socket_means_that_nobody_acknowledges(sockets: Any) -> None:
    """The kernel's queue for this socket is full before that of the interface, or after it: it is the same trouble."""
    port = await sockets.open()
    sockets.fail_sending(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    for _ in range(120):
        assert not port.send(FRAME)
    trouble = port.statistics.trouble
    assert trouble.code == "can.sending_fails"
    assert trouble.text.startswith("sending fails: No buffer space available (nobody acknowledges")
    assert (port.statistics.tx_errors, sockets.opened) == (120, 1)


async def test_frames_that_the_kernel_dropped_are_counted(sockets: Any) -> None:
    """The count that comes with a frame is that of the socket's life, and begins anew with the next socket."""
    port = await sockets.open()
    frame = struct.pack("=IB3x8s", 0x305, 8, bytes(8))
    for count in (3, 3, 10):
        sockets.bus.put(frame, ancillary=((*OVERFLOWS, struct.pack("=I", count)), (1, 1, b"other")))
    await turns()
    assert (port.statistics.rx_count, port.statistics.rx_errors) == (3, 10)
    port.reopen("test")
    while sockets.opened == 1 or not port.statistics.up:
        await asyncio.sleep(0.002)
    sockets.bus.put(frame, ancillary=((*OVERFLOWS, struct.pack("=I", 2)),))
    await turns()
    assert port.statistics.rx_errors == 12


async def test_flood_leaves_others_their_turn(sockets: Any) -> None:
    """A bus full of frames takes a bounded part of each turn of the event loop, and none is lost."""
    port = await sockets.open()
    heard: list[CanFrame] = []
    port.subscribe(heard.append)
    for _ in range(100):
        sockets.receive()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    seen = len(heard)
    await turns(10)
    assert 0 < seen < 100
    assert len(heard) == port.statistics.rx_count == 100


async def test_bytes_that_are_no_frame_are_ignored(sockets: Any) -> None:
    """A datagram of another size cannot be a classic frame."""
    port = await sockets.open()
    sockets.bus.put(b"")
    sockets.bus.put(bytes(72))
    await turns()
    assert (port.statistics.rx_count, port.statistics.up) == (0, True)


async def test_bus_off_stays_told_until_the_controller_is_back(sockets: Any) -> None:
    """The kernel takes frames for a controller that is off; that is no proof that anything works."""
    port = await sockets.open()
    sockets.receive(BUS_OFF, error=True)
    await turns()
    assert port.send(FRAME)
    told = port.statistics.trouble
    sockets.receive(RESTARTED, error=True)
    await turns()
    assert port.send(FRAME)
    assert told.text == "bus-off; check cable, termination and bit rate"
    assert (port.statistics.trouble, port.statistics.rx_errors, port.statistics.bus_off_count) == (None, 2, 1)


async def test_subscriber_may_close_the_port(sockets: Any) -> None:
    """What else waits in the socket is not read any more."""
    port = await sockets.open()
    heard: list[CanFrame] = []
    closing: list[asyncio.Task[None]] = []

    def close(frame: CanFrame) -> None:
        heard.append(frame)
        port._release()
        closing.append(asyncio.ensure_future(port.close()))

    port.subscribe(close)
    for _ in range(3):
        sockets.receive()
    await turns(10)
    await asyncio.gather(*closing)
    assert len(heard) == 1


async def test_cancelled_opening_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interface that opens after nobody waits for it any more is closed again."""
    may_open = asyncio.Event()
    kernel = KernelSocket()

    async def slow(work: Any, /, *args: Any, **kwargs: Any) -> Any:
        await may_open.wait()
        return kernel

    opening = asyncio.create_task(open_socketcan(CAN0, slow))
    await turns()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    may_open.set()
    await turns()
    assert kernel.closed


@pytest.mark.virtual_time
async def test_lost_interface_is_tried_with_growing_pauses_and_logged_once(
    sockets: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause doubles up to its cap; the log has one line for the loss and one for the return."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(socketcan, "_FIRST_RETRY_S", 0.2)
    monkeypatch.setattr(socketcan, "_SLOWEST_RETRY_S", 1.0)
    port = await open_socketcan(CAN0, in_place)
    loop = asyncio.get_running_loop()
    attempts: list[float] = []
    opened = socketcan.open_socket

    def noted(settings: CanSettings) -> socket.socket:
        attempts.append(loop.time())
        return opened(settings)

    monkeypatch.setattr(socketcan, "open_socket", noted)
    sockets.failures = [LinkError("no such device")] * 4
    lost_s = loop.time()
    sockets.fail_receiving(OSError(errno.ENODEV, "No such device"))
    await turns()
    await asyncio.sleep(10.0)
    sockets.receive()
    await turns()
    assert [at_s - lost_s for at_s in attempts] == pytest.approx([0.2, 0.6, 1.4, 2.4, 3.4], abs=0.01)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0].startswith("CAN socketcan:can0: lost: No such device (no such interface: see `ip link")
    assert port.statistics.outages == 1
    await port.close()


@pytest.mark.virtual_time
async def test_reopening_on_demand_does_not_wait(sockets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two bursts there are 200 ms."""
    monkeypatch.setattr(socketcan, "_FIRST_RETRY_S", 0.2)
    port = await open_socketcan(CAN0, in_place)
    before_s = asyncio.get_running_loop().time()
    port.reopen("no frame was heard for 60 s")
    await turns(5)
    assert asyncio.get_running_loop().time() == before_s
    assert (sockets.opened, port.statistics.up) == (2, True)
    await port.close()


@pytest.mark.virtual_time
async def test_machine_that_starts_no_thread_does_not_end_the_attempts(sockets: Any) -> None:
    """Out of memory for a moment is no reason to be silent for ever."""
    refusals = 0

    async def short_of_threads(work: Any, /, *args: Any, **kwargs: Any) -> Any:
        nonlocal refusals
        if work is socketcan.open_socket and sockets.opened == 1 and refusals < 3:
            refusals += 1
            raise RuntimeError("can't start new thread")
        return work(*args, **kwargs)

    first = sockets._open(CAN0)
    port = SocketCanPort(CAN0, first, short_of_threads)
    sockets.fail_receiving(OSError(errno.ENODEV, "No such device"))
    await turns()
    await asyncio.sleep(10.0)
    assert refusals == 3
    assert (sockets.opened, port.statistics.up) == (2, True)
    await port.close()
