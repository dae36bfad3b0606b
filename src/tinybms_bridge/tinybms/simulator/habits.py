"""How a simulated unit speaks where the vendor's documents leave a choice (protocol reference, 5.9)."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["BlockLength", "CellOrder", "EventOrder", "Habits", "PacketId"]


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
class Habits:
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
