"""The receiver of the device: cuts the byte stream from the host into requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.tinybms.frames.requests import Request, decode_request
from tinybms_bridge.tinybms.frames.wire import SIMPLE_COMMANDS, START, CommandCode, FrameError, has_valid_crc

__all__ = ["BadRequest", "RequestFramer"]

COMMAND_ERROR = 0
CRC_ERROR = 1

_FIXED_LENGTHS: dict[int, int] = {
    CommandCode.ACTION: 5,
    CommandCode.READ_MODBUS: 8,
    CommandCode.READ_BLOCK: 7,
    CommandCode.SETTINGS: 7,
    **dict.fromkeys(SIMPLE_COMMANDS, 4),
}

_COUNTED_LENGTHS: dict[int, tuple[int, tuple[int, ...]]] = {
    CommandCode.READ_LIST: (2, (5,)),
    CommandCode.WRITE_LIST: (2, (5,)),
    CommandCode.WRITE_BLOCK: (2, (5, 7)),
    CommandCode.WRITE_MODBUS: (6, (9,)),
}
"""Index of the length byte, and what to add to it for the length of the frame.

The vendor does not say whether the length byte of 0x0B counts the two address bytes, hence two lengths.
"""

_UNKNOWN_LENGTHS = range(4, 9)
"""Lengths at which a command that nobody documents is looked for: those of the known requests without data."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A frame that a device refuses; ``code`` is the error of the NACK: 0 command error, 1 CRC error."""

    command: int
    code: int
    frame: bytes


class RequestFramer:
    """Sans-I/O receiver: bytes in, requests out; never raises on line noise and keeps less than 270 bytes.

    After a CRC error one byte is dropped and the search goes on, so that a good request is never lost to noise before
    it. A request that stays incomplete is kept until more bytes or ``reset``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def reset(self) -> None:
        """Drop a partial frame."""
        self._buffer.clear()

    def feed(self, data: bytes) -> list[Request | BadRequest]:
        """Take received bytes and return the requests that they complete, in order."""
        events: list[Request | BadRequest] = []
        self._buffer += data
        self._scan(events)
        return events

    def _scan(self, events: list[Request | BadRequest]) -> None:
        while self._buffer:
            start = self._buffer.find(START)
            if start:
                del self._buffer[: start if start > 0 else len(self._buffer)]
                continue
            lengths = _possible_lengths(self._buffer)
            frame = self._valid_frame(lengths)
            if frame:
                del self._buffer[: len(frame)]
                events.append(_judge(frame))
            elif lengths and len(self._buffer) < lengths[-1]:
                return
            else:
                self._refuse(lengths, events)

    def _valid_frame(self, lengths: Sequence[int]) -> bytes:
        """Return the first complete frame with a valid CRC, or nothing."""
        for length in lengths:
            frame = bytes(self._buffer[:length])
            if len(frame) == length and has_valid_crc(frame):
                return frame
        return b""

    def _refuse(self, lengths: Sequence[int], events: list[Request | BadRequest]) -> None:
        """Drop the start byte; report it when it began a frame of a known command."""
        if lengths and lengths is not _UNKNOWN_LENGTHS:
            frame = bytes(self._buffer[: lengths[-1]])
            events.append(BadRequest(frame[1], CRC_ERROR, frame))
        del self._buffer[:1]


def _possible_lengths(head: bytearray) -> Sequence[int]:
    """Return the lengths, in ascending order, that the frame begun by ``head`` may have; none if it is no frame."""
    if len(head) < 2:
        return (4,)
    command = head[1]
    if command in _FIXED_LENGTHS:
        return (_FIXED_LENGTHS[command],)
    if command in _COUNTED_LENGTHS:
        index, added = _COUNTED_LENGTHS[command]
        payload = head[index] if len(head) > index else 0
        return tuple(length + payload for length in added)
    return _UNKNOWN_LENGTHS if 0 < command < 0x80 else ()


def _judge(frame: bytes) -> Request | BadRequest:
    try:
        return decode_request(frame)
    except FrameError:
        return BadRequest(frame[1], COMMAND_ERROR, frame)
