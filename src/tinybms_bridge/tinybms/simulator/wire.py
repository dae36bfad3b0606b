"""When each byte of a UART line is complete: 10 bits a character, without I/O."""

from collections import deque
from dataclasses import dataclass

__all__ = ["BITS_PER_CHARACTER", "Wire"]

BITS_PER_CHARACTER = 10
"""8N1: start bit, eight data bits, stop bit."""

_PIECE_S = 0.001
"""Finest delivery that a timer of an event loop keeps up with."""

_TOLERANCE = 1e-6


@dataclass(slots=True)
class _Message:
    start_s: float
    data: bytes
    sent: int = 0


class Wire:
    """The device's half of a line: what it receives takes time, and so does what it sends.

    Args:
        baudrate: bits a second.
        chunk: None delivers bytes as they are complete; a number collects that many, as a USB adapter does, and the
            rest with the last byte of a message.

    Raises:
        ValueError: a number that is not above 0.

    """

    def __init__(self, baudrate: int, chunk: int | None = None) -> None:
        if baudrate <= 0 or (chunk is not None and chunk <= 0):
            raise ValueError(f"baudrate and chunk must be above 0, got {baudrate} and {chunk}")
        self.character_s = BITS_PER_CHARACTER / baudrate
        """Time of one byte on the wire."""
        self._chunk = chunk or 1
        self._step = max(self._chunk, int(_PIECE_S / self.character_s), 1)
        self._piece = chunk
        self._received_s = float("-inf")
        self._free_s = float("-inf")
        self._queue: deque[_Message] = deque()

    def received(self, now_s: float, count: int) -> float:
        """Return when ``count`` bytes that the host handed over at ``now_s`` have arrived in full."""
        self._received_s = max(self._received_s, now_s) + count * self.character_s
        return self._received_s

    def send(self, start_s: float, data: bytes) -> None:
        """Send ``data`` from ``start_s`` on, or from when the line is free."""
        if data:
            start_s = max(start_s, self._free_s)
            self._free_s = start_s + len(data) * self.character_s
            self._queue.append(_Message(start_s, data))

    def clear(self) -> None:
        """Drop what has not been delivered."""
        self._queue.clear()
        self._free_s = float("-inf")

    @property
    def next_s(self) -> float | None:
        """Time at which the next delivery is worth making, or None when nothing is under way."""
        if not self._queue:
            return None
        message = self._queue[0]
        return message.start_s + min(message.sent + self._step, len(message.data)) * self.character_s

    def due(self, now_s: float) -> list[bytes]:
        """Return the pieces to hand over at ``now_s``; never a byte whose stop bit is not over."""
        pieces: list[bytes] = []
        while self._queue:
            message = self._queue[0]
            complete = int((now_s - message.start_s) / self.character_s + _TOLERANCE)
            whole = complete >= len(message.data)
            end = len(message.data) if whole else max(complete // self._chunk * self._chunk, message.sent)
            pieces += self._cut(message.data[message.sent : end])
            message.sent = end
            if not whole:
                break
            self._queue.popleft()
        return pieces

    def _cut(self, data: bytes) -> list[bytes]:
        size = self._piece or max(len(data), 1)
        return [data[i : i + size] for i in range(0, len(data), size)]
