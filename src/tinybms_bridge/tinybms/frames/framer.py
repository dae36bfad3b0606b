"""The receiver of the host: cuts the byte stream from the BMS into the one reply that is waited for."""

from dataclasses import dataclass
from typing import TypeAlias

from tinybms_bridge.tinybms.frames.patterns import Pattern, expected_replies
from tinybms_bridge.tinybms.frames.replies import Reply
from tinybms_bridge.tinybms.frames.requests import Request
from tinybms_bridge.tinybms.frames.wire import CRC_BYTES, START, crc16, received_crc

__all__ = ["CrcMismatch", "Event", "Framer", "Garbage"]


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that belong to no expected reply: broadcast text, noise, a late reply."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CrcMismatch:
    """Bytes that have the shape of the expected reply but the wrong CRC; they are searched again for a reply."""

    expected: int
    """CRC computed over the bytes."""
    received: int
    """CRC found at their end."""
    frame: bytes


Event: TypeAlias = Reply | Garbage | CrcMismatch
"""What ``Framer.feed`` may return."""


class Framer:
    """Sans-I/O receiver: bytes in, events out; never raises on line noise and keeps a bounded number of bytes.

    Every byte fed ends in exactly one of a ``Reply``, a ``Garbage`` or the bytes still kept; a ``CrcMismatch`` shows
    bytes in addition. After its reply the expectation is fulfilled: further bytes are garbage.
    """

    def __init__(self, max_buffer: int = 1024) -> None:
        self.max_buffer = max_buffer
        """Most bytes kept between two calls, joined packets included."""
        self._patterns: tuple[Pattern, Pattern] | tuple[()] = ()  # refusal and answer; none when there is no request
        self._longest = 0  # most bytes that these shapes make us keep
        self._buffer = bytearray()  # empty, or a frame begun by a start byte
        self._skipped = bytearray()  # garbage not yet reported; empty between calls

    def expect(self, request: Request) -> None:
        """Wait for the reply to ``request``; forget everything received before.

        Raises:
            ValueError: If the reply may be longer than ``max_buffer``.

        """
        patterns = expected_replies(request)
        longest = max(pattern.longest() for pattern in patterns)
        if longest > self.max_buffer:
            raise ValueError(f"the reply may have {longest} bytes, the buffer holds {self.max_buffer}")
        self.reset()
        self._patterns, self._longest = patterns, longest

    def reset(self) -> None:
        """Forget the expectation and every byte kept."""
        self._patterns = ()
        self._buffer.clear()

    @property
    def missing(self) -> int:
        """Least number of bytes still needed for a complete reply; 0 when none is expected.

        Before the second byte of a reply this is what the shortest possible one needs, a NACK or an ACK included.
        """
        head = bytes(self._buffer)
        possible = [
            length + pattern.bytes_after_frame() for pattern in self._patterns if (length := pattern.frame_length(head))
        ]
        return min(possible) - len(head) if possible else 0

    @property
    def answer_bytes(self) -> int:
        """Least number of bytes of an answer that is no refusal; 0 when no reply is expected."""
        if not self._patterns:
            return 0
        _, answer = self._patterns
        return answer.frame_length(b"") + answer.bytes_after_frame()

    def feed(self, data: bytes) -> list[Event]:
        """Take received bytes and return what they complete, in order.

        Where garbage is cut into several events depends on how the stream was cut; everything else does not.
        """
        events: list[Event] = []
        self._buffer += data
        self._scan(events)
        self._flush(events)
        return events

    def _scan(self, events: list[Event]) -> None:
        while self._buffer:
            start = self._buffer.find(START) if self._patterns else -1
            if start:
                self._skip(start if start > 0 else len(self._buffer))
                continue
            length, pattern = self._candidate()
            if pattern is None:
                self._skip(1)
            elif len(self._buffer) < length:
                return
            else:
                self._take(bytes(self._buffer[:length]), pattern, events)

    def _candidate(self) -> tuple[int, Pattern | None]:
        """Return the shape that the buffer begins and its length.

        With only the start byte received several shapes fit; the first one is longer than that, so the caller waits.
        """
        head = bytes(self._buffer[: self._longest])
        for pattern in self._patterns:
            length = pattern.frame_length(head)
            if length:
                return length, pattern
        return 0, None

    def _take(self, frame: bytes, pattern: Pattern, events: list[Event]) -> None:
        expected, received = crc16(frame[:-CRC_BYTES]), received_crc(frame)
        if expected != received:
            self._flush(events)
            events.append(CrcMismatch(expected, received, frame))
            self._skip(1)
            return
        del self._buffer[: len(frame)]
        reply = pattern.accept(frame)
        if reply is not None:
            self._flush(events)
            events.append(reply)
            self._patterns = ()

    def _skip(self, count: int) -> None:
        self._skipped += self._buffer[:count]
        del self._buffer[:count]

    def _flush(self, events: list[Event]) -> None:
        if self._skipped:
            events.append(Garbage(bytes(self._skipped)))
            self._skipped.clear()
