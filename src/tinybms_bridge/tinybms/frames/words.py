"""16-bit words and the 32-bit values made of two of them, low word first (protocol Rev D, section 2)."""

import struct
from collections.abc import Sequence

__all__ = [
    "WORD_MAX",
    "from_float",
    "from_u32",
    "pack_words",
    "tidy_float",
    "to_float",
    "to_u32",
    "unpack_words",
]

WORD_MAX = 0xFFFF
"""Largest value of a register."""

_WORDS = range(WORD_MAX + 1)
_U32_MAX = 0xFFFFFFFF


def to_u32(low: int, high: int) -> int:
    """Return the unsigned 32-bit value of two registers, low word first."""
    return low | high << 16


def from_u32(value: int) -> tuple[int, int]:
    """Return ``(low, high)`` words of an unsigned 32-bit value.

    Raises:
        ValueError: If ``value`` does not fit in 32 bits.

    """
    if not 0 <= value <= _U32_MAX:
        raise ValueError(f"{value} is outside 0..{_U32_MAX}")
    return value & WORD_MAX, value >> 16


def to_float(low: int, high: int) -> float:
    """Return the IEEE 754 single held by two registers, low word first; may be NaN or infinite."""
    (value,) = struct.unpack("<f", struct.pack("<HH", low, high))
    return float(value)


def from_float(value: float) -> tuple[int, int]:
    """Return ``(low, high)`` words of ``value`` rounded to an IEEE 754 single.

    Raises:
        ValueError: If ``value`` is too large for a single.

    """
    try:
        low, high = struct.unpack("<HH", struct.pack("<f", value))
    except OverflowError as error:
        raise ValueError(f"{value} is too large for a 32-bit float") from error
    return low, high


def tidy_float(value: float) -> float:
    """Return the shortest decimal that is the same IEEE 754 single as ``value``: 55.78, not 55.7799987."""
    single = struct.pack("<f", value)
    for digits in (7, 8):
        candidate = float(f"{value:.{digits}g}")
        if struct.pack("<f", candidate) == single:
            return candidate
    return float(f"{value:.9g}")


def pack_words(values: Sequence[int], *, big_endian: bool = False) -> bytes:
    """Return the bytes of ``values``, two each.

    Raises:
        ValueError: If a value is not an unsigned 16-bit word; names its place.

    """
    try:
        return struct.pack(f"{'>' if big_endian else '<'}{len(values)}H", *values)
    except struct.error as error:
        wrong = [f"word {index} is {value}" for index, value in enumerate(values) if value not in _WORDS]
        raise ValueError(f"{', '.join(wrong) or 'a word is no integer'}, outside 0..{WORD_MAX}") from error


def unpack_words(data: bytes | bytearray, *, big_endian: bool = False) -> tuple[int, ...]:
    """Return the words in ``data``, whose length must be even."""
    return struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 2}H", data)
