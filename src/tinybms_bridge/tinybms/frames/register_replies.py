"""Replies that carry registers: 0x03, 0x07, 0x09, 0x10 and 0x1D (protocol Rev D, section 1)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tinybms_bridge.tinybms.frames.commands import Command, SettingsTable
from tinybms_bridge.tinybms.frames.envelopes import counted_reply, pack_fields, plain_reply
from tinybms_bridge.tinybms.frames.packets import split_packets
from tinybms_bridge.tinybms.frames.words import pack_words

__all__ = ["RegisterPairs", "Registers", "SettingsValues", "WriteDone"]


@dataclass(frozen=True, slots=True)
class Registers:
    """Values of consecutive registers: the reply to 0x03 (big-endian) and 0x07 (little-endian)."""

    command: Literal[Command.READ_MODBUS, Command.READ_BLOCK]
    values: tuple[int, ...]

    def encode(self, *, count_down: bool = True) -> tuple[bytes, ...]:
        """Return one frame for 0x03 and the packets for 0x07; ``count_down`` as in ``split_packets``."""
        if self.command is Command.READ_MODBUS:
            return counted_reply(self.command, pack_words(self.values, big_endian=True))
        return split_packets(self.command, pack_words(self.values), count_down=count_down)


@dataclass(frozen=True, slots=True)
class RegisterPairs:
    """``(address, value)`` of each register asked for by 0x09."""

    command: ClassVar[Command] = Command.READ_LIST
    pairs: tuple[tuple[int, int], ...]

    def encode(self, *, count_down: bool = True) -> tuple[bytes, ...]:
        """Return the packets; ``count_down`` as in ``split_packets``."""
        payload = pack_words([word for pair in self.pairs for word in pair])
        return split_packets(self.command, payload, count_down=count_down)


@dataclass(frozen=True, slots=True)
class WriteDone:
    """The BMS accepted ``count`` registers from ``address`` (0x10)."""

    command: ClassVar[Command] = Command.WRITE_MODBUS
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

    command: ClassVar[Command] = Command.SETTINGS
    table: SettingsTable
    values: tuple[int, ...]

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return counted_reply(self.command, pack_words(self.values))
