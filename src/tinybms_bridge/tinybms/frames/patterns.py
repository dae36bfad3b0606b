"""What a reply looks like on the wire, given the request it answers (protocol Rev D, section 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tinybms_bridge.tinybms.frames.commands import START, Command
from tinybms_bridge.tinybms.frames.crc import CRC_BYTES
from tinybms_bridge.tinybms.frames.packets import MORE_FOLLOWS, PACKET_BYTES, packet_count
from tinybms_bridge.tinybms.frames.replies import Reply

__all__ = ["CountedReply", "FixedReply", "PacketReply", "Pattern"]

_HEADER_BYTES = 3
_FRAMING_BYTES = _HEADER_BYTES + CRC_BYTES


class Pattern(Protocol):
    """One shape that the reply to a request may have."""

    def frame_length(self, head: bytes) -> int:
        """Return the least length of the frame that ``head`` begins, or 0 when it cannot be of this shape.

        The length is exact as soon as ``head`` holds the length byte.
        """

    def bytes_after_frame(self) -> int:
        """Return how many bytes of later packets follow the frame being received."""

    def longest(self) -> int:
        """Return the most bytes that a receiver has to keep while it waits for this shape."""

    def accept(self, frame: bytes) -> Reply | None:
        """Return the reply that ``frame``, of the right length and CRC, completes; None when packets are missing."""


def _agrees(head: bytes, prefix: bytes) -> bool:
    shared = min(len(head), len(prefix))
    return head[:shared] == prefix[:shared]


@dataclass(frozen=True, slots=True)
class FixedReply:
    """A frame of known length and known first bytes."""

    prefix: bytes
    length: int
    build: Callable[[bytes], Reply]
    """Makes the reply from the bytes between prefix and CRC."""

    def frame_length(self, head: bytes) -> int:
        """Return the length, or 0 when ``head`` contradicts the prefix."""
        return self.length if _agrees(head, self.prefix) else 0

    def bytes_after_frame(self) -> int:
        """Return 0: there is one frame."""
        return 0

    def longest(self) -> int:
        """Return the length."""
        return self.length

    def accept(self, frame: bytes) -> Reply:
        """Return the reply."""
        return self.build(frame[len(self.prefix) : -CRC_BYTES])


@dataclass(frozen=True, slots=True)
class CountedReply:
    """A frame whose length byte is one of ``sizes``."""

    command: Command
    sizes: range
    build: Callable[[bytes], Reply]
    """Makes the reply from the payload."""

    def frame_length(self, head: bytes) -> int:
        """Return the length by the length byte, before it arrives the least one; 0 when ``head`` does not fit."""
        if not _agrees(head, bytes((START, self.command))):
            return 0
        if len(head) < _HEADER_BYTES:
            return _FRAMING_BYTES + self.sizes[0]
        return _FRAMING_BYTES + head[2] if head[2] in self.sizes else 0

    def bytes_after_frame(self) -> int:
        """Return 0: there is one frame."""
        return 0

    def longest(self) -> int:
        """Return the length of the largest frame."""
        return _FRAMING_BYTES + self.sizes[-1]

    def accept(self, frame: bytes) -> Reply:
        """Return the reply."""
        return self.build(frame[_HEADER_BYTES:-CRC_BYTES])


@dataclass(slots=True)
class PacketReply:
    """A payload of known size in one or more packets, joined in order of arrival; for one reply only."""

    command: Command
    size: int
    build: Callable[[bytes], Reply]
    """Makes the reply from the joined payload."""
    addresses: bytes = b""
    """For 0x09: the address bytes that the reply must repeat, two for each group of four payload bytes."""
    joined: bytearray = field(default_factory=bytearray)
    """Payload of the packets received so far."""

    def frame_length(self, head: bytes) -> int:
        """Return the length of the next packet, or 0 when ``head`` does not begin it."""
        left = self.size - len(self.joined)
        if not _agrees(head, bytes((START, self.command))):
            return 0
        if len(head) >= _HEADER_BYTES and not self._is_expected_length(head[2], left):
            return 0
        if self.addresses and not self._repeats_addresses(head[_HEADER_BYTES:]):
            return 0
        return _FRAMING_BYTES + min(left, PACKET_BYTES)

    def bytes_after_frame(self) -> int:
        """Return the length of the packets after the next one."""
        left = self.size - len(self.joined) - PACKET_BYTES
        return max(left, 0) + _FRAMING_BYTES * (packet_count(left) if left > 0 else 0)

    def longest(self) -> int:
        """Return the size of the payload with the framing of one packet."""
        return self.size + _FRAMING_BYTES

    def accept(self, frame: bytes) -> Reply | None:
        """Add a packet; return the reply when it was the last."""
        self.joined += frame[_HEADER_BYTES:-CRC_BYTES]
        return self.build(bytes(self.joined)) if len(self.joined) >= self.size else None

    @staticmethod
    def _is_expected_length(length: int, left: int) -> bool:
        """Bit 6 is reserved, so both values are taken; the id of a packet before the last is ignored."""
        if left > PACKET_BYTES:
            return bool(length & MORE_FOLLOWS)
        return not length & MORE_FOLLOWS and length & PACKET_BYTES == left

    def _repeats_addresses(self, payload: bytes) -> bool:
        room = min(len(payload), PACKET_BYTES, self.size - len(self.joined))
        for index in range(room):
            group, byte = divmod(len(self.joined) + index, 4)
            if byte < 2 and payload[index] != self.addresses[2 * group + byte]:
                return False
        return True
