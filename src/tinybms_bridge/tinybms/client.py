"""The client: one transaction at a time with the BMS, with retries, wake-up, and nothing old taken for new.

Reads are repeated; writes and actions are sent once, since a repeated reset cuts the power of the load twice
(tinybms-protocol.md, 1.2 and 1.5). A reply to 0x03 or 0x07 names neither address nor count, so that a late or
doubled one could pass for the next. Therefore each request begins after silence, unexpected bytes are drained, and
after a request without a reply a probe is sent first: its reply is like no other that may still come, and since
replies come in the order of the requests, nothing older can come after it.

A BMS that received half a request, since its length was garbled or bytes were lost, waits for the rest and takes the
next requests for it. So after some requests without any reply the rest is sent: bytes that begin no frame.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from tinybms_bridge.errors import LINE_HINT, DeviceRefused, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import SerialOpener, SerialPort
from tinybms_bridge.hal.system_errors import error_words, serial_advice
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    CrcMismatch,
    Framer,
    Garbage,
    Nack,
    ReadModbus,
    Reply,
    Request,
    SimpleRequest,
)
from tinybms_bridge.tinybms.statistics import FrameTrace, LinkStatistics, TraceEntry
from tinybms_bridge.words import message

__all__ = ["ClientSettings", "TinyBmsClient"]

_PROBE_SIZES = range(1, 17)
_REMEMBERED = 12
"""Requests without a reply that a probe has to differ from; fewer than there are sizes of probes."""

_TOO_LATE_S = 1.0
"""A reply that comes so long after its time-out was read before the machine was suspended."""

_HALF_AFTER = 3
"""Attempts in a row without any valid reply, after which the BMS may be waiting for the rest of a request."""

_REST = bytes(264)
"""Completes the longest request there is. Zeros begin no frame, and make no garbled one valid: they do not change what
its checksum misses by into nothing."""

_REST_S = 0.05
"""Time in which the rest is sent and refused; 264 bytes take 23 ms."""

_WRITES = frozenset({CommandCode.ACTION, CommandCode.WRITE_BLOCK, CommandCode.WRITE_LIST, CommandCode.WRITE_MODBUS})


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Times of the dialogue. May be replaced while the client runs."""

    attempts: int = 3
    """Attempts for a read (the ESP32 firmware's ``uart_retry_count`` counts attempts)."""
    retry_delay_s: float = 0.1
    timeout_s: float = 0.3
    """Time for one complete answer; 300 to 500 ms is right for a wired line."""
    wake_after_s: float = 3.0
    """After this much silence the BMS may sleep and take the first frame as a wake-up only."""
    wake_wait_s: float = 0.075
    """Time to wait for an answer to the wake-up frame; 50 to 100 ms."""
    quiet_s: float = 0.02
    """The line counts as drained after this much silence; above the 16 ms latency timer of an FTDI adapter."""
    drain_max_s: float = 0.3
    gap_s: float = 0.002
    """Silence before each request; Modbus RTU wants 1.75 ms."""


class TinyBmsClient:
    """Talks to one TinyBMS over one serial port."""

    def __init__(self, open_port: SerialOpener, clock: Clock, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self.statistics = LinkStatistics()
        """Counters since the start; they survive a reconnection."""
        self.trace = FrameTrace()
        """The last frames, for diagnosis."""
        self.on_lost: Callable[[LinkError], None] | None = None
        """Called when the device vanishes."""
        self.on_traffic: Callable[[TraceEntry], None] | None = None
        """Called with each piece of traffic, for a log of it."""
        self._open_port = open_port
        self._clock = clock
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._framer = Framer()
        self._port: SerialPort | None = None
        self._pending: asyncio.Future[Reply] | None = None
        self._crc_failed = False
        self._last_byte_s = float("-inf")
        self._last_answer_s = float("-inf")
        self.last_heard_s = float("-inf")
        """Monotonic time of the last valid reply, also of a refusal."""
        self._dirty = False
        self._unheard = 0
        self._unanswered: deque[Request] = deque(maxlen=_REMEMBERED)  # their replies may still come

    @property
    def connected(self) -> bool:
        """Whether the serial port is open."""
        return self._port is not None

    async def connect(self) -> None:
        """Open the serial port; does nothing when it is open. Raises LinkError."""
        if self._port is None:
            self._port = await self._open_port(self._received, self._lost)
            self._last_answer_s = float("-inf")
            self._dirty = True
            self._unanswered.clear()
            self.statistics.connects += 1

    async def close(self) -> None:
        """Close the serial port; a transaction under way fails with LinkError."""
        port, self._port = self._port, None
        self._fail(LinkError(message("serial.closed")))
        if port is not None:
            await port.close()

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Send a request and return its reply.

        Raises:
            DeviceRefused: the BMS answered NACK. A read is never refused as corrupted: that is a LinkError after all
                attempts.
            LinkError: no good answer after all attempts. A write may or may not have been carried out then.
        """
        if self._owner is asyncio.current_task():
            return await self._transact(request, attempts)
        async with self._lock:
            return await self._transact(request, attempts)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Keep the line for the calling task: requests of others, the poll among them, wait until the block ends.

        Keep it short: without samples for 3 s charging stops.
        """
        async with self._lock:
            self._owner = asyncio.current_task()
            try:
                yield
            finally:
                self._owner = None

    async def _transact(self, request: Request, attempts: int | None) -> Reply:
        self.statistics.polls += 1
        started_s = self._clock.monotonic()
        try:
            reply = await self._attempts(request, 1 if request.command in _WRITES else attempts)
        except (LinkError, DeviceRefused):
            self.statistics.errors += 1
            raise
        self._last_answer_s = self._clock.monotonic()
        self.statistics.success += 1
        self.statistics.latency.add((self._last_answer_s - started_s) * 1000.0)
        return reply

    async def _attempts(self, request: Request, attempts: int | None) -> Reply:
        total = max(1, self.settings.attempts if attempts is None else attempts)
        await self._wake()
        in_step = False
        error: LinkError | DeviceRefused | None = None
        for attempt in range(total):
            if attempt:
                self.statistics.retries += 1
                await self._clock.sleep(self.settings.retry_delay_s)
            in_doubt = bool(self._unanswered)
            try:
                if self._unheard >= _HALF_AFTER and request.command not in _WRITES:
                    await self._complete_half_request()
                if not in_step:
                    await self._get_in_step(request)
                    in_step = True
                return await self._attempt(request)
            except DeviceRefused as refusal:
                if not refusal.corrupted:
                    raise
                self.statistics.crc_errors += 1
                error = refusal if request.command in _WRITES and not in_doubt else _heard_corrupted()
            except LinkError as failure:
                error = failure
                if self._port is None:
                    break
        assert error is not None
        raise error

    async def _wake(self) -> None:
        """Send a cheap read first when the BMS may sleep; whether it answers does not matter."""
        if self._clock.monotonic() - self._last_answer_s <= self.settings.wake_after_s:
            return
        self.statistics.wakeups += 1
        try:
            await self._exchange(SimpleRequest(CommandCode.STATUS), self.settings.wake_wait_s)
        except TimeoutError:
            self._dirty = True
        except DeviceRefused:
            return

    async def _get_in_step(self, request: Request) -> None:
        """Make sure that no reply to an earlier request can come any more. Raises LinkError, DeviceRefused.

        A write is not preceded by a probe, but by silence for as long as a reply may take: whoever writes has read
        before, and reads back.
        """
        if not self._unanswered:
            return
        if request.command in _WRITES:
            self._dirty = True
            await self._drain(self.settings.timeout_s)
            return
        taken = {other.count for other in (*self._unanswered, request) if isinstance(other, ReadModbus)}
        size = next(size for size in _PROBE_SIZES if size not in taken)
        await self._attempt(ReadModbus(0, size))
        self._unanswered.clear()

    async def _attempt(self, request: Request) -> Reply:
        await self._drain()
        try:
            return await self._exchange(request, self.settings.timeout_s)
        except TimeoutError:
            self._dirty = True
            if self._crc_failed:
                self.statistics.crc_errors += 1
                raise LinkError(message("device.answer_corrupted"), hint=LINE_HINT) from None
            self._unheard += 1
            self.statistics.timeouts += 1
            timeout_ms = self.settings.timeout_s * 1000.0
            raise LinkError(message("device.no_answer", timeout_ms=timeout_ms)) from None

    async def _exchange(self, request: Request, timeout_s: float) -> Reply:
        """Send once and wait for the reply. Raises TimeoutError, DeviceRefused, LinkError."""
        port = self._port
        if port is None:
            raise LinkError(message("serial.not_open"))
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[Reply] = loop.create_future()
        self._pending = pending
        self._crc_failed = False
        self._framer.expect(request)
        frame = request.encode()
        self._note("tx", frame)
        sent_s = self._clock.monotonic()
        port.write(frame)
        port.expect(self._framer.answer_bytes)
        timer = loop.call_later(timeout_s, self._give_up, pending)
        try:
            reply = await pending
            self._refuse_old(sent_s, timeout_s)
        except (TimeoutError, DeviceRefused) as failure:
            if not isinstance(failure, DeviceRefused) or failure.corrupted:
                self._unanswered.append(request)
            raise
        else:
            return reply
        finally:
            timer.cancel()
            self._pending = None
            self._framer.reset()
            port.expect(0)

    async def _complete_half_request(self) -> None:
        self._unheard = 0
        if self._port is not None:
            self._note("tx", _REST, "the rest of what may be half a request")
            self._port.write(_REST)
            await self._clock.sleep(_REST_S)
            self._dirty = True

    def _refuse_old(self, sent_s: float, timeout_s: float) -> None:
        """Raise TimeoutError for a reply that was read before the machine was suspended."""
        if self._clock.monotonic() - sent_s > timeout_s + _TOO_LATE_S:
            raise TimeoutError

    async def _drain(self, quiet_s: float | None = None) -> None:
        """Wait until the line is quiet: shortly, or for ``quiet_s`` if anything unexpected was on it."""
        clock, settings = self._clock, self.settings
        gap_s = self._last_byte_s + settings.gap_s - clock.monotonic()
        if gap_s > 0 and not self._dirty:
            await clock.sleep(gap_s)
        if not self._dirty:
            return
        quiet_s = settings.quiet_s if quiet_s is None else quiet_s
        quiet_since_s = clock.monotonic()
        end_s = quiet_since_s + max(settings.drain_max_s, quiet_s)
        while clock.monotonic() < end_s:
            quiet_since_s = max(quiet_since_s, self._last_byte_s)
            if clock.monotonic() - quiet_since_s >= quiet_s:
                break
            await clock.sleep(settings.quiet_s / 4)
        self._dirty = False

    def _received(self, data: bytes) -> None:
        self._last_byte_s = self._clock.monotonic()
        self._note("rx", data)
        if self._pending is None or self._pending.done():
            self._dirty = True
            self.statistics.garbage_bytes += len(data)
            return
        for event in self._framer.feed(data):
            self._handle(event)

    def _handle(self, event: Reply | Garbage | CrcMismatch) -> None:
        match event:
            case Garbage():
                self._dirty = True
                self.statistics.garbage_bytes += len(event.data)
            case CrcMismatch():
                self._give_up_soon()
            case Nack():
                self._heard()
                self.statistics.refused += 1
                self._fail(DeviceRefused(event.command, event.code))
            case _:
                self._heard()
                if self._pending is not None and not self._pending.done():
                    self._pending.set_result(event)

    def _heard(self) -> None:
        self.last_heard_s, self._unheard = self._last_byte_s, 0

    def _give_up_soon(self) -> None:
        """End the attempt early: what failed its CRC may be noise before the reply, so the rest gets a moment."""
        if not self._crc_failed:
            self._crc_failed = True
            asyncio.get_running_loop().call_later(2 * self.settings.quiet_s, self._give_up, self._pending)

    @staticmethod
    def _give_up(pending: asyncio.Future[Reply] | None) -> None:
        if pending is not None and not pending.done():
            pending.set_exception(TimeoutError())

    def _lost(self, error: Exception | None) -> None:
        self._port = None
        told = message("serial.vanished", reason=error_words(error) if error else "")
        failure = LinkError(told, hint=serial_advice(error))
        self._note("note", note=str(failure))
        self._fail(failure)
        if self.on_lost is not None:
            self.on_lost(failure)

    def _note(self, direction: Literal["tx", "rx", "note"], data: bytes = b"", note: str = "") -> None:
        entry = self.trace.add(self._clock.monotonic(), direction, data, note)
        if self.on_traffic is not None:
            self.on_traffic(entry)

    def _fail(self, error: LinkError | DeviceRefused) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(error)


def _heard_corrupted() -> LinkError:
    return LinkError(message("device.request_corrupted"), hint=LINE_HINT)
