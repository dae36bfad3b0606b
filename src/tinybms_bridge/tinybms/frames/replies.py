"""Replies of the BMS (tinybms-protocol.md, 1): what they mean and their bytes.

``encode`` returns one frame per packet, and more than one only for 0x07 and 0x09. It raises ``ValueError`` for a
value that does not fit its field. First the envelopes (with a length byte and without one), then the replies to
commands without parameters, then those that carry registers, then events and refusals.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from tinybms_bridge.tinybms.frames.wire import (
    ACK,
    NACK,
    START,
    CommandCode,
    SettingsTable,
    from_float,
    pack_words,
    seal,
    split_packets,
)

__all__ = [
    "Ack",
    "CellValues",
    "EventEntry",
    "EventsReply",
    "ExtendedVersion",
    "FloatValue",
    "LongValue",
    "Nack",
    "RegisterPairs",
    "RegistersReply",
    "Reply",
    "SettingsValues",
    "ShortValue",
    "TemperatureValues",
    "Trip",
    "Version",
    "WriteDone",
    "counted_reply",
    "pack_fields",
    "plain_reply",
]


_MAX_PAYLOAD = 0xFF


def pack_fields(layout: str, *fields: float) -> bytes:
    """Return ``fields`` packed by ``struct`` layout.

    Raises:
        ValueError: If a field does not fit.

    """
    try:
        return struct.pack(layout, *fields)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{fields} do not fit the layout {layout!r}: {error}") from error


def plain_reply(command: CommandCode, body: bytes) -> tuple[bytes, ...]:
    """Return the one frame of a reply without a length byte."""
    return (seal(bytes((START, command)) + body),)


def counted_reply(command: CommandCode, payload: bytes) -> tuple[bytes, ...]:
    """Return the one frame of a reply with a length byte.

    Raises:
        ValueError: If the payload is longer than the length byte can tell.

    """
    if len(payload) > _MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} payload bytes, 0x{command:02X} can carry {_MAX_PAYLOAD}")
    return plain_reply(command, bytes((len(payload),)) + payload)


@dataclass(frozen=True, slots=True)
class FloatValue:
    """Pack voltage in volts (0x14) or pack current in amperes (0x15)."""

    command: Literal[CommandCode.PACK_VOLTAGE, CommandCode.PACK_CURRENT]
    value: float

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame; the value is rounded to a single."""
        return plain_reply(self.command, pack_words(from_float(self.value)))


@dataclass(frozen=True, slots=True)
class ShortValue:
    """Largest (0x16) or smallest (0x17) cell voltage in millivolts, or the online status (0x18)."""

    command: Literal[CommandCode.MAX_CELL, CommandCode.MIN_CELL, CommandCode.STATUS]
    value: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return plain_reply(self.command, pack_fields("<H", self.value))


@dataclass(frozen=True, slots=True)
class LongValue:
    """Lifetime counter in seconds (0x19) or state of charge in 0.000001 % (0x1A)."""

    command: Literal[CommandCode.LIFETIME, CommandCode.SOC]
    value: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return plain_reply(self.command, pack_fields("<I", self.value))


@dataclass(frozen=True, slots=True)
class TemperatureValues:
    """Raw temperatures in 0.1 °C; -32768 where no external sensor is connected (0x1B)."""

    command: ClassVar[CommandCode] = CommandCode.TEMPERATURES
    internal: int
    external_1: int
    external_2: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return counted_reply(self.command, pack_fields("<3h", self.internal, self.external_1, self.external_2))


@dataclass(frozen=True, slots=True)
class CellValues:
    """Raw cell voltages in 0.1 mV, one per series cell (0x1C).

    Their order is not proven: use registers 0 to 15 where it matters.
    """

    command: ClassVar[CommandCode] = CommandCode.CELLS
    values: tuple[int, ...]

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return counted_reply(self.command, pack_words(self.values))


@dataclass(frozen=True, slots=True)
class Version:
    """Hardware and firmware versions (0x1E)."""

    command: ClassVar[CommandCode] = CommandCode.VERSION
    hardware: int
    hardware_changes: int
    public_firmware: int
    internal_firmware: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        fields = (self.hardware, self.hardware_changes, self.public_firmware, self.internal_firmware)
        return counted_reply(self.command, pack_fields("<3BH", *fields))


@dataclass(frozen=True, slots=True)
class ExtendedVersion:
    """Hardware, firmware, bootloader and register map versions (0x1F)."""

    command: ClassVar[CommandCode] = CommandCode.VERSION_EXTENDED
    hardware: int
    hardware_changes: int
    public_firmware: int
    internal_firmware: int
    bootloader: int
    register_map: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        fields: Sequence[int] = (
            self.hardware,
            self.hardware_changes,
            self.public_firmware,
            self.internal_firmware,
            self.bootloader,
            self.register_map,
        )
        return counted_reply(self.command, pack_fields("<3BHBB", *fields))


@dataclass(frozen=True, slots=True)
class Trip:
    """Speed, distance left and time left (0x20)."""

    command: ClassVar[CommandCode] = CommandCode.TRIP
    speed_kmh: float
    distance_km: int
    time_left_s: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame; the speed is rounded to a single."""
        return plain_reply(self.command, pack_fields("<fII", self.speed_kmh, self.distance_km, self.time_left_s))


@dataclass(frozen=True, slots=True)
class RegistersReply:
    """Values of consecutive registers: the reply to 0x03 (big-endian) and 0x07 (little-endian)."""

    command: Literal[CommandCode.READ_MODBUS, CommandCode.READ_BLOCK]
    values: tuple[int, ...]

    def encode(self, *, count_down: bool = True) -> tuple[bytes, ...]:
        """Return one frame for 0x03 and the packets for 0x07; ``count_down`` as in ``split_packets``."""
        if self.command is CommandCode.READ_MODBUS:
            return counted_reply(self.command, pack_words(self.values, big_endian=True))
        return split_packets(self.command, pack_words(self.values), count_down=count_down)


@dataclass(frozen=True, slots=True)
class RegisterPairs:
    """``(address, value)`` of each register asked for by 0x09."""

    command: ClassVar[CommandCode] = CommandCode.READ_LIST
    pairs: tuple[tuple[int, int], ...]

    def encode(self, *, count_down: bool = True) -> tuple[bytes, ...]:
        """Return the packets; ``count_down`` as in ``split_packets``."""
        payload = pack_words([word for pair in self.pairs for word in pair])
        return split_packets(self.command, payload, count_down=count_down)


@dataclass(frozen=True, slots=True)
class WriteDone:
    """The BMS accepted ``count`` registers from ``address`` (0x10)."""

    command: ClassVar[CommandCode] = CommandCode.WRITE_MODBUS
    address: int
    count: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return plain_reply(self.command, pack_fields(">HH", self.address, self.count))


@dataclass(frozen=True, slots=True)
class SettingsValues:
    """Raw values of the settings from register 300 (0x1D).

    The table is not on the wire: a receiver takes it from its request.
    """

    command: ClassVar[CommandCode] = CommandCode.SETTINGS
    table: SettingsTable
    values: tuple[int, ...]

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return counted_reply(self.command, pack_words(self.values))


@dataclass(frozen=True, slots=True)
class Ack:
    """The BMS has done what 0x02, 0x0B or 0x0D asked."""

    command: CommandCode

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return (seal(bytes((START, ACK, self.command))),)


@dataclass(frozen=True, slots=True)
class Nack:
    """The BMS refused a command; ``code`` 0 is a command error, 1 a CRC error.

    ``command`` is a plain number, because a device also refuses commands that nobody documents.
    """

    command: int
    code: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return (seal(pack_fields("4B", START, NACK, self.command, self.code)),)


@dataclass(frozen=True, slots=True)
class EventEntry:
    """One event: seconds of the lifetime counter modulo 2**24, and the event number."""

    time_s: int
    event_id: int


@dataclass(frozen=True, slots=True)
class EventsReply:
    """Events and the lifetime counter at the time of the reply (0x11 and 0x12), in the order of the BMS."""

    newest_only: bool
    now_s: int
    entries: tuple[EventEntry, ...]

    @property
    def command(self) -> CommandCode:
        """0x11 for the newest events, 0x12 for all."""
        return CommandCode.EVENTS_NEWEST if self.newest_only else CommandCode.EVENTS_ALL

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        payload = pack_fields("<I", self.now_s)
        for entry in self.entries:
            payload += pack_fields("<BHB", entry.time_s & 0xFF, entry.time_s >> 8, entry.event_id)
        return counted_reply(self.command, payload)


Reply: TypeAlias = (
    Ack
    | Nack
    | RegistersReply
    | RegisterPairs
    | WriteDone
    | EventsReply
    | FloatValue
    | ShortValue
    | LongValue
    | TemperatureValues
    | CellValues
    | SettingsValues
    | Version
    | ExtendedVersion
    | Trip
)
"""Anything the BMS may answer."""
