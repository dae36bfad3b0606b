"""One field of a frame: conversion between its raw bits and a number, a word, a text or a version."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final, Literal

__all__ = ["Encoding", "FieldValue", "FrameField"]

FieldValue = float | int | str

_TEXT_ORDER: Final[Literal["little"]] = "little"


class Encoding(StrEnum):
    """How the bits of a field are to be read (attribute ``Encoding`` of the table)."""

    NUMBER = "number"
    TEXT = "text"
    """7-bit ASCII, first character in the lowest byte, padded with zeros."""
    VERSION = "version"
    """Major byte, minor byte; shown as ``major.minor``."""


@dataclass(frozen=True, slots=True)
class FrameField:
    """One field of a frame, as the table ``victron_bms.dbc`` has it."""

    name: str
    first_bit: int
    """Lowest bit, counted from bit 0 of byte 0; of a big-endian field, that of its first byte."""
    length_bits: int
    min_raw: int
    max_raw: int
    scale: Decimal = Decimal(1)
    """Units per raw step."""
    unit: str = ""
    signed: bool = False
    big_endian: bool = False
    """Only of whole bytes."""
    encoding: Encoding = Encoding.NUMBER
    choices: Mapping[int, str] = field(default_factory=dict)
    """Raw values that stand for a word instead of a number."""
    comment: str = ""

    def to_bits(self, raw: int) -> int:
        """Return a raw value at its place among the bits of the frame, of which bit 0 of byte 0 counts 1."""
        bits = raw & ((1 << self.length_bits) - 1)
        if self.big_endian:
            bits = int.from_bytes(bits.to_bytes(self.length_bits // 8, "big"), "little")
        return bits << self.first_bit

    def from_bits(self, frame_bits: int) -> int:
        """Return the raw value out of the bits of a frame; the inverse of ``to_bits``."""
        raw = frame_bits >> self.first_bit & ((1 << self.length_bits) - 1)
        if self.big_endian:
            raw = int.from_bytes(raw.to_bytes(self.length_bits // 8, "little"), "big")
        return raw - (1 << self.length_bits) if self.signed and raw >> (self.length_bits - 1) else raw

    def to_raw(self, value: FieldValue) -> int:
        """Return the raw value: rounded half away from zero on the decimal value, saturated, never wrapped.

        Differences below a millionth of the unit count as noise of binary fractions. Raises ValueError for
        NaN, for a text that does not fit or is not ASCII, and for a word that the field does not know.
        """
        if isinstance(value, str):
            return self._raw_of_text(value)
        if math.isnan(value):
            raise ValueError(f"{self.name} is not a number")
        if math.isinf(value):
            return self.max_raw if value > 0 else self.min_raw
        steps = (Decimal(f"{value:.6f}") / self.scale).to_integral_value(ROUND_HALF_UP)
        return max(self.min_raw, min(self.max_raw, int(steps)))

    def from_raw(self, raw: int) -> FieldValue:
        r"""Return the number in the field's unit, the word of a choice, the text or the ``major.minor`` version.

        Bytes of a text that are not printable ASCII are shown as ``\\xNN``.
        """
        if self.encoding is Encoding.TEXT:
            data = raw.to_bytes(self.length_bits // 8, _TEXT_ORDER).rstrip(b"\0")
            return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in data)
        if self.encoding is Encoding.VERSION:
            return f"{raw >> 8}.{raw & 0xFF}"
        if raw in self.choices:
            return self.choices[raw]
        scaled = raw * self.scale
        return int(scaled) if self.scale == int(self.scale) else float(scaled)

    def _raw_of_text(self, text: str) -> int:
        if self.encoding is Encoding.TEXT:
            data, size = text.encode("ascii"), self.length_bits // 8
            if len(data) > size:
                raise ValueError(f"{self.name}: {text!r} has {len(data)} characters, {size} fit")
            return int.from_bytes(data, _TEXT_ORDER)
        if self.encoding is Encoding.VERSION:
            major, minor = text.split(".")
            return int.from_bytes(bytes((int(major), int(minor))), "big")
        for raw, word in self.choices.items():
            if word == text:
                return raw
        raise ValueError(f"{self.name} does not know the word {text!r}")
