"""A port on any adapter of python-can: one thread receives and keeps the adapter open, another sends."""

import asyncio
import contextlib
import errno
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import can

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import LOCAL, CanFrame, CanSettings, CanStatistics, Subscribers
from tinybms_bridge.hal.can_open import open_bus
from tinybms_bridge.hal.can_outage import OutageLog
from tinybms_bridge.hal.clock import monotonic_s
from tinybms_bridge.hal.system_errors import can_advice, error_number, error_text

__all__ = ["AdapterPort"]

_LOGGER = logging.getLogger(__name__)

_RECEIVE_TIMEOUT_S = 0.1  # also how soon the thread notices that it shall stop or reopen
_SEND_TIMEOUT_S = 0.1
_QUEUE_FRAMES = 64
_STALE_AFTER_S = 1.0  # an older frame has been replaced by the next burst
_WAITING_FRAMES = 256  # received, but the event loop has not come to them yet
_SEND_FAILURES_UNTIL_REOPEN = 50  # two seconds of bursts: an adapter that only a new start brings out of bus-off
_JOIN_TIMEOUT_S = 2.0
_FIRST_RETRY_S = 0.2
_SLOWEST_RETRY_S = 5.0
_GONE: Final = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EIO, errno.EPIPE})
_ERROR_FRAME_BUS_OFF = 0x40  # linux/can/error.h, CAN_ERR_BUSOFF


class AdapterPort:
    """An adapter that is opened again, with growing pauses, whenever it is lost; a ``CanPort``.

    Frames that could not be sent in time are dropped, so that a bus that returns sees no burst of old values.
    Opening blocks and raises LinkError, which is why ``open_can`` does it in a thread.
    """

    def __init__(self, settings: CanSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.statistics = CanStatistics()
        self._loop = loop
        self._bus: can.BusABC | None = open_bus(settings)
        self._gate = threading.Lock()  # held while sending and while the bus is exchanged
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._gone = threading.Event()  # the sender found the adapter dead
        self._anew = ""  # why the adapter shall be opened anew
        self._outbox: queue.Queue[tuple[float, CanFrame] | None] = queue.Queue(_QUEUE_FRAMES)
        self._inbox: deque[CanFrame] = deque()
        self._subscribers = Subscribers()
        self._outage = OutageLog(_LOGGER, f"CAN {settings}")
        self._send_failures = 0
        self._retry_s = _FIRST_RETRY_S
        self._threads = (
            threading.Thread(target=self._receive_loop, name=f"can-receive {settings}", daemon=True),
            threading.Thread(target=self._send_loop, name=f"can-send {settings}", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def send(self, frame: CanFrame) -> bool:
        """See ``CanPort.send``; also False while the adapter is lost."""
        if self._bus is not None and not self._stop.is_set():
            try:
                self._outbox.put_nowait((monotonic_s(), frame))
            except queue.Full:
                pass
            else:
                return True
        self._count_tx_errors(1)
        return False

    def subscribe(self, on_frame: Callable[[CanFrame], None]) -> Callable[[], None]:
        """See ``CanPort.subscribe``."""
        return self._subscribers.add(on_frame)

    def reopen(self, reason: str) -> None:
        """See ``CanPort.reopen``; an adapter that is lost is being opened anyway."""
        if self._bus is not None:
            self._anew = reason

    def stop(self) -> None:
        """Ask the threads to end and to release the adapter; does not wait for it."""
        self._stop.set()

    async def close(self) -> None:
        """See ``CanPort.close``; may be called again."""
        self.stop()
        await asyncio.to_thread(self._join)
        self._subscribers.clear()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)
            if thread.is_alive():
                _LOGGER.warning("CAN %s: the driver does not return; its thread ends with the program", self.settings)

    # Receiving thread: owns the life of the bus.

    def _receive_loop(self) -> None:
        while not self._stop.is_set():
            bus = self._bus
            if bus is None:
                self._reopen()
            elif self._gone.is_set():
                self._lose("lost: sending failed; opening it again")
            elif self._anew:
                self._open_anew()
            else:
                self._receive(bus)
        self._exchange(None)
        self._outbox.put(None)

    def _receive(self, bus: can.BusABC) -> None:
        try:
            message = bus.recv(_RECEIVE_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - drivers let errors of their own libraries through; all mean a lost link
            self._lose(f"lost: {self._in_words(error)}; opening it again")
            return
        if message is not None:
            self._accept(message)

    def _accept(self, message: can.Message) -> None:
        if message.is_error_frame:
            self._note_error_frame(message)
        elif not (message.is_extended_id or message.is_remote_frame or message.is_fd):
            if len(self._inbox) >= _WAITING_FRAMES:
                self.statistics.rx_errors += 1
                return
            self._note_success()
            self._inbox.append(CanFrame(message.arbitration_id, bytes(message.data), _origin(message)))
            self._on_loop(self._deliver)

    def _note_error_frame(self, message: can.Message) -> None:
        self.statistics.rx_errors += 1
        if message.arbitration_id & _ERROR_FRAME_BUS_OFF:
            self.statistics.bus_off_count += 1
            self._begin_outage("bus-off; check cable, termination and bit rate")

    def _lose(self, reason: str) -> None:
        self.statistics.outages += 1
        self._exchange(None)
        self._begin_outage(reason)

    def _open_anew(self) -> None:
        _LOGGER.info("CAN %s: reopened: %s", self.settings, self._anew)
        self._anew = ""
        self._exchange(None)
        self._open_again()

    def _reopen(self) -> None:
        if not self._stop.wait(self._retry_s):
            self._open_again()

    def _open_again(self) -> None:
        self._retry_s = min(2.0 * self._retry_s, _SLOWEST_RETRY_S)
        try:
            bus = open_bus(self.settings)
        except LinkError as error:
            self._begin_outage(str(error))
            return
        self._exchange(bus)

    def _exchange(self, bus: can.BusABC | None) -> None:
        """Put another bus, or none, in place of the present one; nothing queued for the old one survives."""
        with self._gate:
            old, self._bus = self._bus, bus
            self._flush()
            self._gone.clear()
            self._send_failures = 0
            self.statistics.up = bus is not None
        if old is not None:
            try:
                old.shutdown()
            except Exception as error:  # noqa: BLE001 - the adapter may have been unplugged; it is given up anyway
                _LOGGER.debug("CAN %s: closing failed: %s", self.settings, error)

    # Sending thread.

    def _send_loop(self) -> None:
        while (item := self._outbox.get()) is not None:
            queued_at_s, frame = item
            with self._gate:
                bus = self._bus
                if bus is None or monotonic_s() - queued_at_s > _STALE_AFTER_S:
                    self._count_tx_errors(1)
                else:
                    self._send_now(bus, frame)

    def _send_now(self, bus: can.BusABC, frame: CanFrame) -> None:
        message = can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False)
        try:
            bus.send(message, timeout=_SEND_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - drivers let errors of their own libraries through
            self._note_send_failure(error)
            return
        self.statistics.tx_count += 1
        self._send_failures = 0
        self._note_success()

    def _note_send_failure(self, error: Exception) -> None:
        self._count_tx_errors(1)
        self._begin_outage(f"sending fails: {self._in_words(error)}; further failures are only counted")
        number = error_number(error)
        if number == errno.ENOBUFS:  # nobody acknowledges; a new socket would not change that
            return
        self._send_failures += 1
        if number in _GONE or self._send_failures >= _SEND_FAILURES_UNTIL_REOPEN:
            self._gone.set()

    def _note_success(self) -> None:
        self._retry_s = _FIRST_RETRY_S
        self.statistics.trouble = ""
        self._outage.end()

    def _begin_outage(self, what: str) -> None:
        self.statistics.trouble = what
        self._outage.begin(what)

    def _in_words(self, error: Exception) -> str:
        """Return an error of the adapter with what to do about it."""
        advice = can_advice(error, self.settings)
        return f"{error_text(error)} ({advice})" if advice else error_text(error)

    def _flush(self) -> None:
        """Drop what waits to be sent."""
        dropped = 0
        with contextlib.suppress(queue.Empty):
            while True:
                self._outbox.get_nowait()
                dropped += 1
        self._count_tx_errors(dropped)

    def _count_tx_errors(self, count: int) -> None:
        with self._counting:
            self.statistics.tx_errors += count

    # Event loop.

    def _on_loop(self, action: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop has been closed without closing the port
            self._stop.set()

    def _deliver(self) -> None:
        frame = self._inbox.popleft()
        if self._stop.is_set():
            return
        self.statistics.rx_count += 1
        self._subscribers.deliver(frame)


def _origin(message: can.Message) -> str:
    """Return a name of the sender: SocketCAN marks frames of this machine, the loopback bus names its members."""
    return f"{message.channel or ''}{'' if message.is_rx else LOCAL}"
