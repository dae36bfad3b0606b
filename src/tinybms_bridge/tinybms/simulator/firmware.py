"""Firmware profiles: which registers a version has, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FIRMWARES", "FIRMWARE_242", "FIRMWARE_254", "HIGH_POWER", "LOW_POWER", "Board", "Firmware"]


@dataclass(frozen=True, slots=True)
class Board:
    """The power part of the BMS: its activity threshold and its current cutoffs (user manual Rev D)."""

    type_bits: int
    """Power type and current sensor: bits 8 to 10 of register 501."""
    idle_current_a: float
    """Currents up to this one read as exactly 0."""
    peak_cutoff_a: int
    """Register 305."""
    discharge_cutoff_a: int
    """Register 317."""
    charge_cutoff_a: int
    """Register 318."""
    charger_switch: int
    """Register 333: 1 is the transistor of the board, 7 an external switch."""
    discharge_limit_a: int
    """Largest value of register 317 without an external sensor."""
    least_finish_ma: int
    """Smallest value of register 304: below the activity threshold a charge would never be seen to end."""

    def type_word(self, *, external_sensor: bool) -> int:
        """Return power type and current sensor as they stand in register 501."""
        return self.type_bits & ~_SENSOR_BITS | _EXTERNAL_SENSOR if external_sensor else self.type_bits


_SENSOR_BITS = 0x0600
_EXTERNAL_SENSOR = 0x0400

LOW_POWER = Board(0x0000, 0.080, 70, 60, 30, 1, 60, 100)
"""30 A board with a shunt."""

HIGH_POWER = Board(0x0300, 0.800, 180, 150, 100, 7, 150, 1000)
"""150 A board with an internal Hall sensor; charges through an external switch."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """One firmware version as seen from the UART."""

    internal: int
    """Register 502."""
    public: int
    """Low byte of register 501."""
    register_map: int
    """High byte of register 503."""
    masks: Mapping[int, int]
    """Bits that exist, for registers of which this version lacks some or all; the others read 0."""
    hardware: int = 2
    hardware_changes: int = 1
    bootloader: int = 24

    def mask(self, address: int) -> int:
        """Return the bits of a register that exist in this version."""
        return self.masks.get(address, 0xFFFF)

    def version_words(self, board: Board, serial: bytes, *, external_sensor: bool = False) -> list[int]:
        """Return registers 500 to 509; ``serial`` has 12 bytes."""
        return [
            self.hardware | self.hardware_changes << 8,
            self.public | board.type_word(external_sensor=external_sensor),
            self.internal,
            self.bootloader | self.register_map << 8,
            *(serial[i] | serial[i + 1] << 8 for i in range(0, 12, 2)),
        ]


_ABSENT_IN_REV_B = dict.fromkeys((45, 305, 310, 311, 321, 322, 323), 0x0000)

FIRMWARE_242 = Firmware(242, 1, 4, MappingProxyType({**_ABSENT_IN_REV_B, 329: 0x0000, 330: 0x00FF}))
"""2.3.242 with the register map of protocol Rev B; the first two bits of 329 came with 2.3.243."""

FIRMWARE_254 = Firmware(254, 3, 5, MappingProxyType({}))
"""2.3.254 with the register map of protocol Rev D. The number of its register map is not published; 5 is a guess."""

FIRMWARES: Mapping[int, Firmware] = MappingProxyType({f.internal: f for f in (FIRMWARE_242, FIRMWARE_254)})
"""Firmware by internal version."""
