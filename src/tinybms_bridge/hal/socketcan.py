"""SocketCAN: the kernel's socket on the event loop, without python-can, its memory and its threads.

linux/can.h, linux/can/raw.h and linux/can/error.h; Documentation/networking/can.rst.
"""

import asyncio
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from tinybms_bridge.errors import LinkError, described
from tinybms_bridge.hal.blocking import RunBlocking, in_thread, or_discard
from tinybms_bridge.hal.can import LOCAL, CanFrame, CanSettings, CanStatistics, Subscribers
from tinybms_bridge.hal.can_outage import OutageLog
from tinybms_bridge.hal.system_errors import can_advice, error_words
from tinybms_bridge.words import Message, message

__all__ = ["SocketCanPort", "open_socket", "open_socketcan"]

_LOGGER = logging.getLogger(__name__)

# Numbers of Linux, so that this module can be imported on a system that has none of them.
_AF_CAN, _CAN_RAW, _SOL_CAN_RAW = 29, 1, 101
_RAW_FILTER, _RAW_ERROR_FILTER, _RAW_LOOPBACK, _RAW_RECEIVE_OWN = 1, 2, 3, 4
_COUNT_OVERFLOWS = 40  # SO_RXQ_OVFL: a frame comes with the count of those that found the queue full

_EXTENDED, _REMOTE, _ERROR = 0x8000_0000, 0x4000_0000, 0x2000_0000
_STANDARD_ID = 0x7FF
_ALL_ERRORS = 0x1FFF_FFFF
_BUS_OFF, _RESTARTED = 0x40, 0x100  # CAN_ERR_BUSOFF, CAN_ERR_RESTARTED

_FRAME: Final = struct.Struct("=IB3x8s")
_ONE_FILTER: Final = struct.Struct("=II")
_COUNTER: Final = struct.Struct("=I")
_ANCILLARY_BYTES = 64

_FRAMES_PER_TURN = 32  # of a flood; then others have their turn on the event loop
_SEND_FAILURES_UNTIL_REOPEN = 50  # two seconds of bursts
_FIRST_RETRY_S = 0.2
_SLOWEST_RETRY_S = 1.0  # some ten calls of the system: cheap, and a GX gives a battery up after 3 s
_GONE: Final = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EIO, errno.EPIPE})

_OWN, _LOOPBACK, _NO_ERRORS = "receive_own_messages", "local_loopback", "ignore_rx_error_frames"


async def open_socketcan(settings: CanSettings, run_blocking: RunBlocking = in_thread) -> "SocketCanPort":
    """Open an interface of the kernel. Raises LinkError with a hint when it is missing or down."""
    without_effect = sorted(settings.extra.keys() - {_OWN, _LOOPBACK, _NO_ERRORS})
    if without_effect:
        _LOGGER.warning("CAN %s: options without effect on this interface: %s", settings, ", ".join(without_effect))
    return SocketCanPort(settings, await _opened(settings, run_blocking), run_blocking)


class SocketCanPort:
    """An interface of the kernel, opened again whenever it is lost; a ``CanPort``.

    A frame is with the kernel when ``send`` returns, or is dropped and counted: the bus never sees an old value that
    waited here. A filter of the kernel keeps away what nobody wants; error frames of the controller always come.
    """

    def __init__(self, settings: CanSettings, opened: socket.socket, run_blocking: RunBlocking = in_thread) -> None:
        self.settings = settings
        self.statistics = CanStatistics()
        self._loop = asyncio.get_running_loop()
        self._run_blocking = run_blocking
        self._socket: socket.socket | None = None
        self._subscribers = Subscribers()
        self._outage = OutageLog(_LOGGER, f"CAN {settings}")
        self._coming_back: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._overflows = 0
        self._send_failures = 0
        self._bus_off = False
        self._retry_s = _FIRST_RETRY_S
        self._take(opened)

    def send(self, frame: CanFrame) -> bool:
        """See ``CanPort.send``; also False while the interface is lost."""
        bus = self._socket
        if bus is None:
            self.statistics.tx_errors += 1
            return False
        try:
            bus.send(_FRAME.pack(frame.arbitration_id, len(frame.data), frame.data))
        except OSError as error:
            self._note_send_failure(error)
            return False
        self.statistics.tx_count += 1
        self._send_failures = 0
        if not self._bus_off:  # the kernel takes frames for a controller that is off, and drops them
            self._note_success()
        return True

    def subscribe(self, on_frame: Callable[[CanFrame], None]) -> Callable[[], None]:
        """See ``CanPort.subscribe``."""
        return self._subscribers.add(on_frame)

    def reopen(self, reason: str) -> None:
        """See ``CanPort.reopen``; an interface that is lost is being opened anyway."""
        if self._socket is not None:
            _LOGGER.info("CAN %s: reopened: %s", self.settings, reason)
            self._release()
            self._coming_back = self._loop.create_task(self._come_back(0.0))

    async def close(self) -> None:
        """See ``CanPort.close``; may be called again."""
        if self._coming_back is not None:
            self._coming_back.cancel()
            await asyncio.wait([self._coming_back])
        self._release()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._subscribers.clear()

    # Opening and losing.

    def _take(self, opened: socket.socket) -> None:
        self._socket = opened
        self._overflows = self._send_failures = 0
        self._bus_off = False
        self.statistics.up = True
        self._loop.add_reader(opened.fileno(), self._on_readable, opened)

    def _release(self) -> None:
        """Give the socket up; closing it may wait for the kernel's network lock, so a thread does."""
        bus, self._socket = self._socket, None
        self.statistics.up = False
        if bus is not None:
            self._loop.remove_reader(bus.fileno())
            closing = self._loop.create_task(self._run_blocking(_close, bus))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _lose(self, error: OSError) -> None:
        self.statistics.outages += 1
        self._release()
        self._begin_outage(self._told("can.lost", error))
        self._coming_back = self._loop.create_task(self._come_back(self._retry_s))

    async def _come_back(self, pause_s: float) -> None:
        """Open the interface, with growing pauses, until that succeeds."""
        while True:
            await asyncio.sleep(pause_s)
            self._retry_s = min(2.0 * self._retry_s, _SLOWEST_RETRY_S)
            try:
                opened = await _opened(self.settings, self._run_blocking)
            except Exception as error:  # noqa: BLE001 - a thread that cannot start, too: nobody else would try again
                self._begin_outage(described(error))
                pause_s = self._retry_s
            else:
                self._take(opened)
                return

    # Receiving.

    def _on_readable(self, bus: socket.socket) -> None:
        for _ in range(_FRAMES_PER_TURN):
            if self._socket is not bus:  # a subscriber has closed the port
                return
            try:
                data, ancillary, flags, address = bus.recvmsg(_FRAME.size, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error)
                return
            if ancillary:
                self._note_overflows(ancillary)
            if len(data) == _FRAME.size:
                identifier, length, payload = _FRAME.unpack(data)
                self._accept(
                    identifier, payload[:length], f"{address[0]}{LOCAL if flags & socket.MSG_DONTROUTE else ''}"
                )

    def _accept(self, identifier: int, data: bytes, origin: str) -> None:
        if identifier & _ERROR:
            self._note_error_frame(identifier)
        elif not identifier & (_EXTENDED | _REMOTE):
            self._bus_off = False
            self._note_success()
            self.statistics.rx_count += 1
            self._subscribers.deliver(CanFrame(identifier & _STANDARD_ID, data, origin))

    def _note_overflows(self, ancillary: Iterable[tuple[int, int, bytes]]) -> None:
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _COUNT_OVERFLOWS):
                (count,) = _COUNTER.unpack(value)
                self.statistics.rx_errors += (count - self._overflows) % 2**32
                self._overflows = count

    def _note_error_frame(self, identifier: int) -> None:
        self.statistics.rx_errors += 1
        if identifier & _RESTARTED:
            self._bus_off = False
        if identifier & _BUS_OFF:
            self._bus_off = True
            self.statistics.bus_off_count += 1
            self._begin_outage(message("can.bus_off"))

    # Failures.

    def _note_send_failure(self, error: OSError) -> None:
        self.statistics.tx_errors += 1
        if error.errno in _GONE:
            self._lose(error)
            return
        full = isinstance(error, BlockingIOError) or error.errno == errno.ENOBUFS
        if full:  # nobody acknowledges; a new socket would not change that
            error = OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        self._begin_outage(self._told("can.sending_fails", error))
        if not full:
            self._send_failures += 1
            if self._send_failures >= _SEND_FAILURES_UNTIL_REOPEN:
                self._lose(error)

    def _note_success(self) -> None:
        self._retry_s = _FIRST_RETRY_S
        self.statistics.trouble = None
        self._outage.end()

    def _begin_outage(self, what: Message) -> None:
        self.statistics.trouble = what
        self._outage.begin(what.text)

    def _told(self, code: str, error: OSError) -> Message:
        """Return what happened to the interface, with what the error says and what to do about it."""
        return message(code, reason=error_words(error), advice=can_advice(error, self.settings))


async def _opened(settings: CanSettings, run_blocking: RunBlocking) -> socket.socket:
    return await or_discard(run_blocking(open_socket, settings), _close)


def open_socket(settings: CanSettings) -> socket.socket:
    """Return a socket that is bound to the interface. Blocks for moments. Raises LinkError with a hint."""
    try:
        bus = socket.socket(_AF_CAN, socket.SOCK_RAW, _CAN_RAW)
        try:
            _prepare(bus, settings)
        except OSError:
            bus.close()
            raise
    except OSError as error:
        hint = can_advice(error, settings) or message("can.check_name")
        told = message("can.cannot_open", what=str(settings), reason=error_words(error))
        raise LinkError(told, hint=hint) from error
    return bus


def _prepare(bus: socket.socket, settings: CanSettings) -> None:
    """Bind the socket, after it has been told what to receive."""
    bus.setblocking(False)
    bus.setsockopt(_SOL_CAN_RAW, _RAW_FILTER, _filters(settings.accept_ids))
    if not settings.extra.get(_NO_ERRORS, False):
        bus.setsockopt(_SOL_CAN_RAW, _RAW_ERROR_FILTER, _ALL_ERRORS)
    bus.setsockopt(_SOL_CAN_RAW, _RAW_LOOPBACK, int(bool(settings.extra.get(_LOOPBACK, True))))
    bus.setsockopt(_SOL_CAN_RAW, _RAW_RECEIVE_OWN, int(bool(settings.extra.get(_OWN, False))))
    with suppress(OSError):  # only a count would be missing
        bus.setsockopt(socket.SOL_SOCKET, _COUNT_OVERFLOWS, 1)
    bus.bind((settings.channel,))
    number = bus.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # an interface that is down can be bound to
    if number:
        raise OSError(number, os.strerror(number))


def _filters(accept_ids: Iterable[int]) -> bytes:
    """Return what the kernel lets through: data frames with an 11-bit identifier, of these or of all."""
    kind = _EXTENDED | _REMOTE
    wanted = [_ONE_FILTER.pack(identifier, kind | _STANDARD_ID) for identifier in accept_ids]
    return b"".join(wanted) or _ONE_FILTER.pack(0, kind)


def _close(bus: socket.socket) -> None:
    with suppress(OSError):  # of an adapter that was pulled out
        bus.close()
