"""The replies that may answer a request."""

import struct
from collections.abc import Callable
from functools import partial

from tinybms_bridge.tinybms.frames.commands import ACK, NACK, START, Command
from tinybms_bridge.tinybms.frames.crc import CRC_BYTES
from tinybms_bridge.tinybms.frames.patterns import CountedReply, FixedReply, PacketReply, Pattern
from tinybms_bridge.tinybms.frames.replies import (
    Ack,
    CellValues,
    EventEntry,
    Events,
    ExtendedVersion,
    FloatValue,
    LongValue,
    Nack,
    RegisterPairs,
    Registers,
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
    ReadSettings,
    Request,
    SimpleRequest,
    WriteBlock,
    WriteList,
    WriteModbus,
)
from tinybms_bridge.tinybms.frames.words import pack_words, unpack_words

__all__ = ["expected_replies"]

_EVENT_SIZES = range(4, 4 + 4 * 49 + 1, 4)
"""The counter, and up to 49 events of four bytes."""

_CELL_SIZES = range(0, 2 * 16 + 1, 2)


def expected_replies(request: Request) -> tuple[Pattern, Pattern]:
    """Return the two shapes that a reply to ``request`` may have: a refusal and the answer."""
    command = request.command
    return FixedReply(bytes((START, NACK, command)), 6, partial(_nack, command)), _answer(request)


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
        case ReadSettings(command=command, table=table, count=count):
            prefix = bytes((START, command, 2 * count))
            return _fixed(prefix, 2 * count, lambda body: SettingsValues(table, unpack_words(body)))


def _nack(command: Command, body: bytes) -> Nack:
    return Nack(command, body[0])


def _ack(command: Command, _body: bytes) -> Ack:
    return Ack(command)


def _fixed(prefix: bytes, body_bytes: int, build: Callable[[bytes], Reply]) -> FixedReply:
    return FixedReply(prefix, len(prefix) + body_bytes + CRC_BYTES, build)


def _modbus_registers(body: bytes) -> Registers:
    return Registers(Command.READ_MODBUS, unpack_words(body, big_endian=True))


def _block_registers(body: bytes) -> Registers:
    return Registers(Command.READ_BLOCK, unpack_words(body))


def _pairs(body: bytes) -> RegisterPairs:
    words = unpack_words(body)
    return RegisterPairs(tuple(zip(words[::2], words[1::2], strict=True)))


def _events(newest_only: bool, body: bytes) -> Events:
    (now_s,) = struct.unpack_from("<I", body)
    entries = tuple(EventEntry(raw & 0xFFFFFF, raw >> 24) for (raw,) in struct.iter_unpack("<I", body[4:]))
    return Events(newest_only, now_s, entries)


def _plain(command: Command, layout: str, build: Callable[..., Reply]) -> Pattern:
    """Return the shape of a reply without a length byte."""
    return _fixed(bytes((START, command)), struct.calcsize(layout), lambda body: build(*struct.unpack(layout, body)))


def _sized(command: Command, layout: str, build: Callable[..., Reply]) -> Pattern:
    """Return the shape of a reply of fixed size with a length byte."""
    size = struct.calcsize(layout)
    return _fixed(bytes((START, command, size)), size, lambda body: build(*struct.unpack(layout, body)))


_SIMPLE: dict[Command, Pattern] = {
    Command.EVENTS_NEWEST: CountedReply(Command.EVENTS_NEWEST, _EVENT_SIZES, partial(_events, True)),
    Command.EVENTS_ALL: CountedReply(Command.EVENTS_ALL, _EVENT_SIZES, partial(_events, False)),
    Command.PACK_VOLTAGE: _plain(Command.PACK_VOLTAGE, "<f", partial(FloatValue, Command.PACK_VOLTAGE)),
    Command.PACK_CURRENT: _plain(Command.PACK_CURRENT, "<f", partial(FloatValue, Command.PACK_CURRENT)),
    Command.MAX_CELL: _plain(Command.MAX_CELL, "<H", partial(ShortValue, Command.MAX_CELL)),
    Command.MIN_CELL: _plain(Command.MIN_CELL, "<H", partial(ShortValue, Command.MIN_CELL)),
    Command.STATUS: _plain(Command.STATUS, "<H", partial(ShortValue, Command.STATUS)),
    Command.LIFETIME: _plain(Command.LIFETIME, "<I", partial(LongValue, Command.LIFETIME)),
    Command.SOC: _plain(Command.SOC, "<I", partial(LongValue, Command.SOC)),
    Command.TEMPERATURES: _sized(Command.TEMPERATURES, "<3h", TemperatureValues),
    Command.CELLS: CountedReply(Command.CELLS, _CELL_SIZES, lambda body: CellValues(unpack_words(body))),
    Command.VERSION: _sized(Command.VERSION, "<3BH", Version),
    Command.VERSION_EXTENDED: _sized(Command.VERSION_EXTENDED, "<3BHBB", ExtendedVersion),
    Command.TRIP: _plain(Command.TRIP, "<fII", Trip),
}
"""Answers to the commands without parameters; these shapes keep no state."""
