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
from tinybms_bridge.hal.system_errors import can_advice, error_number, error_words
from tinybms_bridge.words import Message, message

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
        self._outbox: queue.Queue[tuple[float, can.BusABC, CanFrame] | None] = queue.Queue(_QUEUE_FRAMES)
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
        bus = self._bus
        if bus is not None and not self._stop.is_set():
            try:
                self._outbox.put_nowait((monotonic_s(), bus, frame))
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
                self._lose(message("can.sending_failed"))
            elif self._anew:
                self._open_anew()
            else:
                self._receive(bus)
        self._exchange(None)
        self._outbox.put(None)

    def _receive(self, bus: can.BusABC) -> None:
        try:
            received = bus.recv(_RECEIVE_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - drivers let errors of their own libraries through; all mean a lost link
            self._lose(self._told("can.lost", error))
            return
        if received is not None:
            try:
                self._accept(received)
            except Exception as error:  # noqa: BLE001 - one frame that a driver made badly must not end the thread
                self.statistics.rx_errors += 1
                _LOGGER.debug("CAN %s: a frame that cannot be read: %r", self.settings, error)

    def _accept(self, received: can.Message) -> None:
        if received.is_error_frame:
            self._note_error_frame(received)
        elif not (received.is_extended_id or received.is_remote_frame or received.is_fd):
            if len(self._inbox) >= _WAITING_FRAMES:
                self.statistics.rx_errors += 1
                return
            self._note_success()
            self._inbox.append(CanFrame(received.arbitration_id, bytes(received.data), _origin(received)))
            self._on_loop(self._deliver)

    def _note_error_frame(self, received: can.Message) -> None:
        self.statistics.rx_errors += 1
        if received.arbitration_id & _ERROR_FRAME_BUS_OFF:
            self.statistics.bus_off_count += 1
            self._begin_outage(message("can.bus_off"))

    def _lose(self, reason: Message) -> None:
        self.statistics.outages += 1
        self._exchange(None, reason)

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
            self._begin_outage(error.description)
            return
        self._exchange(bus)

    def _exchange(self, bus: can.BusABC | None, trouble: Message | None = None) -> None:
        """Put another bus, or none, in place of the present one; nothing queued for the old one survives.

        Whoever sees that there is none sees the ``trouble`` too.
        """
        with self._gate:
            old, self._bus = self._bus, bus
            self._flush()
            self._gone.clear()
            self._send_failures = 0
            if trouble is not None:
                self._begin_outage(trouble)
            self.statistics.up = bus is not None
        if old is not None:
            try:
                old.shutdown()
            except Exception as error:  # noqa: BLE001 - the adapter may have been unplugged; it is given up anyway
                _LOGGER.debug("CAN %s: closing failed: %s", self.settings, error)

    # Sending thread.

    def _send_loop(self) -> None:
        while (item := self._outbox.get()) is not None:
            queued_at_s, bus, frame = item
            with self._gate:
                if bus is not self._bus or monotonic_s() - queued_at_s > _STALE_AFTER_S:
                    self._count_tx_errors(1)
                else:
                    self._send_now(bus, frame)

    def _send_now(self, bus: can.BusABC, frame: CanFrame) -> None:
        try:
            sent = can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False)
            bus.send(sent, timeout=_SEND_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - drivers let errors of their own libraries through
            self._note_send_failure(error)
            return
        self.statistics.tx_count += 1
        self._send_failures = 0
        self._note_success()

    def _note_send_failure(self, error: Exception) -> None:
        self._count_tx_errors(1)
        self._begin_outage(self._told("can.sending_fails", error))
        number = error_number(error)
        if number == errno.ENOBUFS:  # nobody acknowledges; a new socket would not change that
            return
        self._send_failures += 1
        if number in _GONE or self._send_failures >= _SEND_FAILURES_UNTIL_REOPEN:
            self._gone.set()

    def _note_success(self) -> None:
        self._retry_s = _FIRST_RETRY_S
        self._outage.end()
        self.statistics.trouble = None  # after its line in the log

    def _begin_outage(self, what: Message) -> None:
        self._outage.begin(what.text)
        self.statistics.trouble = what  # after its line in the log

    def _told(self, code: str, error: Exception) -> Message:
        """Return what happened to the adapter, with what the error says and what to do about it."""
        return message(code, reason=error_words(error), advice=can_advice(error, self.settings))

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


def _origin(received: can.Message) -> str:
    """Return a name of the sender: SocketCAN marks frames of this machine, the loopback bus names its members."""
    return f"{received.channel or ''}{'' if received.is_rx else LOCAL}"
