"""What may answer a request, and what that looks like on the wire (tinybms-protocol.md, 1)."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Protocol

from tinybms_bridge.tinybms.frames.replies import (
    Ack,
    CellValues,
    EventEntry,
    EventsReply,
    ExtendedVersion,
    FloatValue,
    LongValue,
    Nack,
    RegisterPairs,
    RegistersReply,
    Reply,
    SettingsValues,
    ShortValue,
    TemperatureValues,
    Trip,
    Version,
    WriteDone,
)
from tinybms_bridge.tinybms.frames.requests import (
    ActionRequest,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    Request,
    SimpleRequest,
    WriteBlock,
    WriteList,
    WriteModbus,
)
from tinybms_bridge.tinybms.frames.wire import (
    ACK,
    CRC_BYTES,
    MORE_FOLLOWS,
    NACK,
    PACKET_BYTES,
    START,
    CommandCode,
    pack_words,
    packet_count,
    unpack_words,
)

__all__ = ["CountedReply", "FixedReply", "PacketReply", "Pattern", "expected_replies"]


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

    command: CommandCode
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

    command: CommandCode
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


_EVENT_SIZES = range(4, 4 + 4 * 49 + 1, 4)
"""The counter, and up to 49 events of four bytes."""

_CELL_SIZES = range(0, 2 * 16 + 1, 2)


def expected_replies(request: Request) -> tuple[Pattern, Pattern]:
    """Return the two shapes that a reply to ``request`` may have: a refusal and the answer."""
    if isinstance(request, ReadModbus):
        return _modbus_replies(request)
    return _refusal(request.command), _answer(request)


@lru_cache(maxsize=64)
def _modbus_replies(request: ReadModbus) -> tuple[Pattern, Pattern]:
    """Return the shapes for the read that comes ten times a second; they keep no state."""
    return _refusal(request.command), _answer(request)


def _refusal(command: CommandCode) -> Pattern:
    return FixedReply(bytes((START, NACK, command)), 6, partial(_nack, command))


def _answer(request: Request) -> Pattern:
    match request:
        case ActionRequest() | WriteBlock() | WriteList():
            return FixedReply(bytes((START, ACK, request.command)), 5, partial(_ack, request.command))
        case SimpleRequest(command=command):
            return _SIMPLE[command]
        case ReadModbus(command=command, count=count):
            return _fixed(bytes((START, command, 2 * count)), 2 * count, _modbus_registers)
        case ReadBlock(command=command, count=count):
            return PacketReply(command, 2 * count, _block_registers)
        case ReadList(command=command, addresses=addresses):
            return PacketReply(command, 4 * len(addresses), _pairs, pack_words(addresses))
        case WriteModbus(command=command, address=address, values=values):
            done = WriteDone(address, len(values))
            return _fixed(struct.pack(">BBHH", START, command, done.address, done.count), 0, lambda _body: done)
        case ReadSettingValues(command=command, table=table, count=count):
            prefix = bytes((START, command, 2 * count))
            return _fixed(prefix, 2 * count, lambda body: SettingsValues(table, unpack_words(body)))


def _nack(command: CommandCode, body: bytes) -> Nack:
    return Nack(command, body[0])


def _ack(command: CommandCode, _body: bytes) -> Ack:
    return Ack(command)


def _fixed(prefix: bytes, body_bytes: int, build: Callable[[bytes], Reply]) -> FixedReply:
    return FixedReply(prefix, len(prefix) + body_bytes + CRC_BYTES, build)


def _modbus_registers(body: bytes) -> RegistersReply:
    return RegistersReply(CommandCode.READ_MODBUS, unpack_words(body, big_endian=True))


def _block_registers(body: bytes) -> RegistersReply:
    return RegistersReply(CommandCode.READ_BLOCK, unpack_words(body))


def _pairs(body: bytes) -> RegisterPairs:
    words = unpack_words(body)
    return RegisterPairs(tuple(zip(words[::2], words[1::2], strict=True)))


def _events(newest_only: bool, body: bytes) -> EventsReply:
    (now_s,) = struct.unpack_from("<I", body)
    entries = tuple(EventEntry(raw & 0xFFFFFF, raw >> 24) for (raw,) in struct.iter_unpack("<I", body[4:]))
    return EventsReply(newest_only, now_s, entries)


def _plain(command: CommandCode, layout: str, build: Callable[..., Reply]) -> Pattern:
    """Return the shape of a reply without a length byte."""
    return _fixed(bytes((START, command)), struct.calcsize(layout), lambda body: build(*struct.unpack(layout, body)))


def _sized(command: CommandCode, layout: str, build: Callable[..., Reply]) -> Pattern:
    """Return the shape of a reply of fixed size with a length byte."""
    size = struct.calcsize(layout)
    return _fixed(bytes((START, command, size)), size, lambda body: build(*struct.unpack(layout, body)))


_SIMPLE: dict[CommandCode, Pattern] = {
    CommandCode.EVENTS_NEWEST: CountedReply(CommandCode.EVENTS_NEWEST, _EVENT_SIZES, partial(_events, True)),
    CommandCode.EVENTS_ALL: CountedReply(CommandCode.EVENTS_ALL, _EVENT_SIZES, partial(_events, False)),
    CommandCode.PACK_VOLTAGE: _plain(CommandCode.PACK_VOLTAGE, "<f", partial(FloatValue, CommandCode.PACK_VOLTAGE)),
    CommandCode.PACK_CURRENT: _plain(CommandCode.PACK_CURRENT, "<f", partial(FloatValue, CommandCode.PACK_CURRENT)),
    CommandCode.MAX_CELL: _plain(CommandCode.MAX_CELL, "<H", partial(ShortValue, CommandCode.MAX_CELL)),
    CommandCode.MIN_CELL: _plain(CommandCode.MIN_CELL, "<H", partial(ShortValue, CommandCode.MIN_CELL)),
    CommandCode.STATUS: _plain(CommandCode.STATUS, "<H", partial(ShortValue, CommandCode.STATUS)),
    CommandCode.LIFETIME: _plain(CommandCode.LIFETIME, "<I", partial(LongValue, CommandCode.LIFETIME)),
    CommandCode.SOC: _plain(CommandCode.SOC, "<I", partial(LongValue, CommandCode.SOC)),
    CommandCode.TEMPERATURES: _sized(CommandCode.TEMPERATURES, "<3h", TemperatureValues),
    CommandCode.CELLS: CountedReply(CommandCode.CELLS, _CELL_SIZES, lambda body: CellValues(unpack_words(body))),
    CommandCode.VERSION: _sized(CommandCode.VERSION, "<3BH", Version),
    CommandCode.VERSION_EXTENDED: _sized(CommandCode.VERSION_EXTENDED, "<3BHBB", ExtendedVersion),
    CommandCode.TRIP: _plain(CommandCode.TRIP, "<fII", Trip),
}
"""Answers to the commands without parameters; these shapes keep no state."""
