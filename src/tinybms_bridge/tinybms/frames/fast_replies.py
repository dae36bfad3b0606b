"""Replies to the commands without parameters, less the events (protocol Rev D, section 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tinybms_bridge.tinybms.frames.commands import Command
from tinybms_bridge.tinybms.frames.envelopes import counted_reply, pack_fields, plain_reply
from tinybms_bridge.tinybms.frames.words import from_float, pack_words

__all__ = [
    "CellValues",
    "ExtendedVersion",
    "FloatValue",
    "LongValue",
    "ShortValue",
    "TemperatureValues",
    "Trip",
    "Version",
]


@dataclass(frozen=True, slots=True)
class FloatValue:
    """Pack voltage in volts (0x14) or pack current in amperes (0x15)."""

    command: Literal[Command.PACK_VOLTAGE, Command.PACK_CURRENT]
    value: float

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame; the value is rounded to a single."""
        return plain_reply(self.command, pack_words(from_float(self.value)))


@dataclass(frozen=True, slots=True)
class ShortValue:
    """Largest (0x16) or smallest (0x17) cell voltage in millivolts, or the online status (0x18)."""

    command: Literal[Command.MAX_CELL, Command.MIN_CELL, Command.STATUS]
    value: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return plain_reply(self.command, pack_fields("<H", self.value))


@dataclass(frozen=True, slots=True)
class LongValue:
    """Lifetime counter in seconds (0x19) or state of charge in 0.000001 % (0x1A)."""

    command: Literal[Command.LIFETIME, Command.SOC]
    value: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return plain_reply(self.command, pack_fields("<I", self.value))


@dataclass(frozen=True, slots=True)
class TemperatureValues:
    """Raw temperatures in 0.1 °C; -32768 where no external sensor is connected (0x1B)."""

    command: ClassVar[Command] = Command.TEMPERATURES
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

    command: ClassVar[Command] = Command.CELLS
    values: tuple[int, ...]

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame."""
        return counted_reply(self.command, pack_words(self.values))


@dataclass(frozen=True, slots=True)
class Version:
    """Hardware and firmware versions (0x1E)."""

    command: ClassVar[Command] = Command.VERSION
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

    command: ClassVar[Command] = Command.VERSION_EXTENDED
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

    command: ClassVar[Command] = Command.TRIP
    speed_kmh: float
    distance_km: int
    time_left_s: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the frame; the speed is rounded to a single."""
        return plain_reply(self.command, pack_fields("<fII", self.speed_kmh, self.distance_km, self.time_left_s))
