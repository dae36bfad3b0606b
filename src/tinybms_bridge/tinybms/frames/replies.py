"""Replies of the BMS (protocol Rev D, section 1): what they mean and their bytes.

``encode`` returns one frame per packet, and more than one only for 0x07 and 0x09. It raises ``ValueError`` for a
value that does not fit its field.
"""

from dataclasses import dataclass
from typing import TypeAlias

from tinybms_bridge.tinybms.frames.commands import ACK, NACK, START, Command
from tinybms_bridge.tinybms.frames.crc import seal
from tinybms_bridge.tinybms.frames.envelopes import counted_reply, pack_fields
from tinybms_bridge.tinybms.frames.fast_replies import (
    CellValues,
    ExtendedVersion,
    FloatValue,
    LongValue,
    ShortValue,
    TemperatureValues,
    Trip,
    Version,
)
from tinybms_bridge.tinybms.frames.register_replies import (
    RegisterPairs,
    Registers,
    SettingsValues,
    WriteDone,
)

__all__ = [
    "Ack",
    "CellValues",
    "EventEntry",
    "Events",
    "ExtendedVersion",
    "FloatValue",
    "LongValue",
    "Nack",
    "RegisterPairs",
    "Registers",
    "Reply",
    "SettingsValues",
    "ShortValue",
    "TemperatureValues",
    "Trip",
    "Version",
    "WriteDone",
]


@dataclass(frozen=True, slots=True)
class Ack:
    """The BMS has done what 0x02, 0x0B or 0x0D asked."""

    command: Command

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
class Events:
    """Events and the lifetime counter at the time of the reply (0x11 and 0x12), in the order of the BMS."""

    newest_only: bool
    now_s: int
    entries: tuple[EventEntry, ...]

    @property
    def command(self) -> Command:
        """0x11 for the newest events, 0x12 for all."""
        return Command.EVENTS_NEWEST if self.newest_only else Command.EVENTS_ALL

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        payload = pack_fields("<I", self.now_s)
        for entry in self.entries:
            payload += pack_fields("<BHB", entry.time_s & 0xFF, entry.time_s >> 8, entry.event_id)
        return counted_reply(self.command, payload)


Reply: TypeAlias = (
    Ack
    | Nack
    | Registers
    | RegisterPairs
    | WriteDone
    | Events
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
