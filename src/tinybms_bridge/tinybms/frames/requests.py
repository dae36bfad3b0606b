"""Requests of the host to the BMS (tinybms-protocol.md, 1): what they mean, their bytes, and the way back."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

from tinybms_bridge.tinybms.frames.wire import (
    CRC_BYTES,
    SIMPLE_COMMANDS,
    START,
    WORD_MAX,
    Action,
    CommandCode,
    FrameError,
    SettingsTable,
    crc16,
    pack_words,
    received_crc,
    seal,
    unpack_words,
)

__all__ = [
    "ActionRequest",
    "ReadBlock",
    "ReadList",
    "ReadModbus",
    "ReadSettingValues",
    "Request",
    "SimpleRequest",
    "WriteBlock",
    "WriteList",
    "WriteModbus",
    "decode_request",
]


_MAX_READ_MODBUS = 127
_MAX_READ_BLOCK = 255
_MAX_WRITE_MODBUS = 100
_MAX_SETTINGS = 100
_MAX_PAYLOAD = 63
"""Length bytes of proprietary requests use bits 0 to 5."""


def _check_count(what: str, count: int, maximum: int) -> None:
    if not 1 <= count <= maximum:
        raise ValueError(f"{count} {what}, allowed are 1 to {maximum}")


def _check_word(what: str, value: int) -> None:
    if not 0 <= value <= WORD_MAX:
        raise ValueError(f"{what} {value} is outside 0..{WORD_MAX}")


def _check_span(address: int, count: int, maximum: int) -> None:
    _check_count("registers", count, maximum)
    _check_word("address", address)
    _check_word("last address", address + count - 1)


def _check_words(values: tuple[int, ...]) -> None:
    for value in values:
        _check_word("value", value)


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """Clear the events, clear the statistics or restart (0x02); answered by ``Ack``."""

    command: ClassVar[CommandCode] = CommandCode.ACTION
    action: Action

    def __post_init__(self) -> None:
        Action(self.action)

    def encode(self) -> bytes:
        """Return the whole frame."""
        return seal(bytes((START, self.command, self.action)))


@dataclass(frozen=True, slots=True)
class ReadModbus:
    """Read up to 127 consecutive registers, big-endian (0x03); answered by ``Registers``."""

    command: ClassVar[CommandCode] = CommandCode.READ_MODBUS
    address: int
    count: int

    def __post_init__(self) -> None:
        _check_span(self.address, self.count, _MAX_READ_MODBUS)

    def encode(self) -> bytes:
        """Return the whole frame."""
        return _modbus_read(self.address, self.count)


@lru_cache(maxsize=64)
def _modbus_read(address: int, count: int) -> bytes:
    """Return the frame that is sent ten times a second."""
    return seal(struct.pack(">BBHH", START, CommandCode.READ_MODBUS, address, count))


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """Read up to 255 consecutive registers, little-endian (0x07); answered by ``Registers``."""

    command: ClassVar[CommandCode] = CommandCode.READ_BLOCK
    address: int
    count: int

    def __post_init__(self) -> None:
        _check_span(self.address, self.count, _MAX_READ_BLOCK)

    def encode(self) -> bytes:
        """Return the whole frame."""
        return seal(struct.pack("<BBBH", START, self.command, self.count, self.address))


@dataclass(frozen=True, slots=True)
class ReadList:
    """Read up to 31 registers by address (0x09); answered by ``RegisterPairs``, which names them."""

    command: ClassVar[CommandCode] = CommandCode.READ_LIST
    addresses: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_count("addresses", len(self.addresses), _MAX_PAYLOAD // 2)
        for address in self.addresses:
            _check_word("address", address)

    def encode(self) -> bytes:
        """Return the whole frame."""
        payload = pack_words(self.addresses)
        return seal(bytes((START, self.command, len(payload))) + payload)


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """Write consecutive registers, little-endian (0x0B); answered by ``Ack``.

    The vendor does not say whether the length byte counts the two address bytes; ``count_address_bytes`` chooses.
    Prefer ``WriteList`` or ``WriteModbus``.
    """

    command: ClassVar[CommandCode] = CommandCode.WRITE_BLOCK
    address: int
    values: tuple[int, ...]
    count_address_bytes: bool = False

    def __post_init__(self) -> None:
        room = _MAX_PAYLOAD - 2 * self.count_address_bytes
        _check_span(self.address, len(self.values), room // 2)
        _check_words(self.values)

    def encode(self) -> bytes:
        """Return the whole frame."""
        data = pack_words(self.values)
        length = len(data) + 2 * self.count_address_bytes
        return seal(struct.pack("<BBBH", START, self.command, length, self.address) + data)


@dataclass(frozen=True, slots=True)
class WriteList:
    """Write up to 15 registers, each an ``(address, value)`` pair (0x0D); answered by ``Ack``."""

    command: ClassVar[CommandCode] = CommandCode.WRITE_LIST
    pairs: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        _check_count("pairs", len(self.pairs), _MAX_PAYLOAD // 4)
        for address, value in self.pairs:
            _check_word("address", address)
            _check_word("value", value)

    def encode(self) -> bytes:
        """Return the whole frame."""
        payload = pack_words([word for pair in self.pairs for word in pair])
        return seal(bytes((START, self.command, len(payload))) + payload)


@dataclass(frozen=True, slots=True)
class WriteModbus:
    """Write up to 100 consecutive registers, big-endian (0x10); answered by ``WriteDone``."""

    command: ClassVar[CommandCode] = CommandCode.WRITE_MODBUS
    address: int
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_span(self.address, len(self.values), _MAX_WRITE_MODBUS)
        _check_words(self.values)

    def encode(self) -> bytes:
        """Return the whole frame."""
        data = pack_words(self.values, big_endian=True)
        count = len(self.values)
        return seal(struct.pack(">BBHHB", START, self.command, self.address, count, len(data)) + data)


@dataclass(frozen=True, slots=True)
class SimpleRequest:
    """A command without parameters: events, fast values, versions, trip (0x11 to 0x20, less 0x1D)."""

    command: CommandCode

    def __post_init__(self) -> None:
        if self.command not in SIMPLE_COMMANDS:
            raise ValueError(f"command 0x{self.command:02X} needs parameters or does not exist")

    def encode(self) -> bytes:
        """Return the whole frame."""
        return seal(bytes((START, self.command)))


@dataclass(frozen=True, slots=True)
class ReadSettingValues:
    """Read minimum, maximum, default or current values of the settings from register 300 (0x1D)."""

    command: ClassVar[CommandCode] = CommandCode.SETTINGS
    table: SettingsTable
    count: int = _MAX_SETTINGS

    def __post_init__(self) -> None:
        SettingsTable(self.table)
        _check_count("settings", self.count, _MAX_SETTINGS)

    def encode(self) -> bytes:
        """Return the whole frame."""
        return seal(bytes((START, self.command, self.table, 0, self.count)))


Request: TypeAlias = (
    ActionRequest
    | ReadModbus
    | ReadBlock
    | ReadList
    | WriteBlock
    | WriteList
    | WriteModbus
    | SimpleRequest
    | ReadSettingValues
)
"""Anything the host may send."""


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
    return ReadSettingValues(SettingsTable(option), count)


def _simple(frame: bytes) -> Request:
    return SimpleRequest(CommandCode(frame[1]))


_FIELDS: dict[int, Callable[[bytes], Request]] = {
    CommandCode.ACTION: _action,
    CommandCode.READ_MODBUS: _read_modbus,
    CommandCode.READ_BLOCK: _read_block,
    CommandCode.READ_LIST: _read_list,
    CommandCode.WRITE_BLOCK: _write_block,
    CommandCode.WRITE_LIST: _write_list,
    CommandCode.WRITE_MODBUS: _write_modbus,
    CommandCode.SETTINGS: _read_settings,
    **dict.fromkeys(SIMPLE_COMMANDS, _simple),
}
"""Each reads the fields without care for shape; ``decode_request`` proves the shape by encoding again."""
