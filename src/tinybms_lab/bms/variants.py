"""How units differ: firmware, which addresses exist, and quirks where the documents leave a choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = [
    "FIRMWARES",
    "FIRMWARE_242",
    "FIRMWARE_254",
    "HIGH_POWER",
    "LOW_POWER",
    "REGISTER_COUNT",
    "BlockLength",
    "Board",
    "CellOrder",
    "EventOrder",
    "Firmware",
    "OffMap",
    "PacketId",
    "Quirks",
    "RegisterFile",
]


@dataclass(frozen=True, slots=True)
class Board:
    """The power part of the BMS: its activity threshold and its current cutoffs (tinybms-protocol.md, 5.2 and 5.7)."""

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


REGISTER_COUNT = 600
"""Registers 0 to 599 are the map of protocol Rev D."""

_UNDOCUMENTED = range(400, 500)
_GARBAGE = (0xFFFF, 0xFFFB)


class OffMap(Enum):
    """Answer to a read of addresses that are in no document; real units did both (tinybms-protocol.md, 1.3)."""

    NACK = "nack"
    GARBAGE = "garbage"


class RegisterFile:
    """Raw words of registers 0 to 599.

    Args:
        off_map: what reading 400 to 499 or beyond 599 gives.
        masks: bits that exist, by address, for registers of which some or all bits read 0.

    """

    def __init__(self, off_map: OffMap = OffMap.NACK, masks: Mapping[int, int] | None = None) -> None:
        self._off_map = off_map
        self._masks = dict(masks or {})
        self._words = [0] * REGISTER_COUNT

    def patch(self, address: int, words: Sequence[int]) -> None:
        """Set consecutive registers from ``address``."""
        end = address + len(words)
        self._words[address:end] = words
        for masked, mask in self._masks.items():
            if address <= masked < end:
                self._words[masked] &= mask

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return ``count`` registers from ``address``; None when the device refuses to."""
        span = range(address, address + count)
        if span.stop <= _UNDOCUMENTED.start or (address >= _UNDOCUMENTED.stop and span.stop <= REGISTER_COUNT):
            return tuple(self._words[address : span.stop])
        if self._off_map is OffMap.NACK:
            return None
        return tuple(self._words[a] if _exists(a) else _GARBAGE[a % 2] for a in span)


def _exists(address: int) -> bool:
    return 0 <= address < REGISTER_COUNT and address not in _UNDOCUMENTED


class BlockLength(Enum):
    """Which length byte a unit takes in a 0x0B request; it refuses the other."""

    EITHER = "either"
    DATA_ONLY = "data"
    WITH_ADDRESS = "address"


class CellOrder(Enum):
    """Order of the cells in a 0x1C reply."""

    LOWEST_FIRST = "lowest"
    """As in the vendor's CAN chapter."""
    HIGHEST_FIRST = "highest"
    """As one public driver takes it."""


class EventOrder(Enum):
    """Order of the events in a reply to 0x11 or 0x12."""

    NEWEST_FIRST = "newest"
    OLDEST_FIRST = "oldest"
    SLOT = "slot"
    """As in registers 200 to 297."""


class PacketId(Enum):
    """What the id of a packet that is not the last counts, in replies to 0x07 and 0x09."""

    LEFT = "left"
    """Packets left, itself included."""
    TOTAL = "total"
    """Packets of the whole reply."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a unit speaks.

    Raises:
        ValueError: a number of events out of its range.

    """

    block_length: BlockLength = BlockLength.EITHER
    cell_order: CellOrder = CellOrder.LOWEST_FIRST
    newest_count: int = 10
    """Events in a reply to 0x11, 0 to 49."""
    newest_order: EventOrder = EventOrder.NEWEST_FIRST
    all_order: EventOrder = EventOrder.SLOT
    packet_id: PacketId = PacketId.LEFT

    def __post_init__(self) -> None:
        if not 0 <= self.newest_count <= 49:
            raise ValueError(f"a reply holds 0 to 49 events, got {self.newest_count}")
