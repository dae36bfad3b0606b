"""Bytes of a request back into the request: the side of the device."""

import struct
from collections.abc import Callable

from tinybms_bridge.tinybms.frames.commands import SIMPLE_COMMANDS, START, Action, Command, SettingsTable
from tinybms_bridge.tinybms.frames.crc import CRC_BYTES, crc16, received_crc
from tinybms_bridge.tinybms.frames.errors import FrameError
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
from tinybms_bridge.tinybms.frames.words import unpack_words

__all__ = ["decode_request"]

_SHORTEST = 2 + CRC_BYTES


def decode_request(frame: bytes) -> Request:
    """Return the request that ``frame``, whole and with its CRC, carries.

    Raises:
        FrameError: If start byte, CRC, command, length or a field is wrong.

    """
    if len(frame) < _SHORTEST or frame[0] != START:
        raise FrameError("not a request", frame)
    expected, received = crc16(frame[:-CRC_BYTES]), received_crc(frame)
    if expected != received:
        raise FrameError("wrong CRC", frame, expected_crc=expected, received_crc=received)
    read = _FIELDS.get(frame[1])
    if read is None:
        raise FrameError(f"unknown command 0x{frame[1]:02X}", frame)
    try:
        request = read(frame)
    except (ValueError, struct.error) as error:
        raise FrameError(f"bad request ({error})", frame) from error
    if request.encode() != frame:
        raise FrameError("length and fields of the request contradict each other", frame)
    return request


def _action(frame: bytes) -> Request:
    (option,) = struct.unpack_from("<B", frame, 2)
    return ActionRequest(Action(option))


def _read_modbus(frame: bytes) -> Request:
    return ReadModbus(*struct.unpack_from(">HH", frame, 2))


def _read_block(frame: bytes) -> Request:
    count, address = struct.unpack_from("<BH", frame, 2)
    return ReadBlock(address, count)


def _read_list(frame: bytes) -> Request:
    return ReadList(unpack_words(frame[3:-CRC_BYTES]))


def _write_block(frame: bytes) -> Request:
    length, address = struct.unpack_from("<BH", frame, 2)
    data = frame[5:-CRC_BYTES]
    return WriteBlock(address, unpack_words(data), count_address_bytes=length == len(data) + 2)


def _write_list(frame: bytes) -> Request:
    words = unpack_words(frame[3:-CRC_BYTES])
    return WriteList(tuple(zip(words[::2], words[1::2], strict=True)))


def _write_modbus(frame: bytes) -> Request:
    (address,) = struct.unpack_from(">H", frame, 2)
    return WriteModbus(address, unpack_words(frame[7:-CRC_BYTES], big_endian=True))


def _read_settings(frame: bytes) -> Request:
    option, _zero, count = struct.unpack_from("<3B", frame, 2)
    return ReadSettings(SettingsTable(option), count)


def _simple(frame: bytes) -> Request:
    return SimpleRequest(Command(frame[1]))


_FIELDS: dict[int, Callable[[bytes], Request]] = {
    Command.ACTION: _action,
    Command.READ_MODBUS: _read_modbus,
    Command.READ_BLOCK: _read_block,
    Command.READ_LIST: _read_list,
    Command.WRITE_BLOCK: _write_block,
    Command.WRITE_LIST: _write_list,
    Command.WRITE_MODBUS: _write_modbus,
    Command.SETTINGS: _read_settings,
    **dict.fromkeys(SIMPLE_COMMANDS, _simple),
}
"""Each reads the fields without care for shape; ``decode_request`` proves the shape by encoding again."""
