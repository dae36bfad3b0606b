"""The register file of a simulated BMS: which addresses exist and what reading the others gives."""

from collections.abc import Mapping, Sequence
from enum import Enum

__all__ = ["REGISTER_COUNT", "OffMap", "RegisterFile"]

REGISTER_COUNT = 600
"""Registers 0 to 599 are the map of protocol Rev D."""

_UNDOCUMENTED = range(400, 500)
_GARBAGE = (0xFFFF, 0xFFFB)


class OffMap(Enum):
    """Answer to a read of addresses that are in no document; real units did both (protocol reference, 1.3)."""

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
