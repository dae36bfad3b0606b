"""One value of the register map: where it is, what it means, and its conversion from and to raw words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Literal, TypeAlias

from tinybms_bridge.tinybms.frames.wire import (
    from_float,
    from_u32,
    pack_words,
    tidy_float,
    to_float,
    to_u32,
    unpack_words,
)
from tinybms_bridge.tinybms.registers.event_text import event_from_text, event_to_text

__all__ = ["Access", "Kind", "Register", "RegisterValue"]

RegisterValue: TypeAlias = int | float | str | None
"""A decoded value; None when the register says that there is none."""

Access: TypeAlias = Literal["R", "RW", "none"]


class Kind(StrEnum):
    """How the words of a register hold the value; two words are low word first."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    F32 = "f32"
    U8_LO = "u8_lo"
    U8_HI = "u8_hi"
    I8_LO = "i8_lo"
    I8_HI = "i8_hi"
    BITS = "bits"
    EVENT = "event"
    """24 bits of seconds and 8 bits of event number."""
    BYTES = "bytes"
    """Two bytes a word, low byte first: serial number and reserved areas."""

    @property
    def is_signed(self) -> bool:
        """Whether the value is a two's complement."""
        return self in {Kind.I16, Kind.I8_LO, Kind.I8_HI}


_BITS_OF_KIND = {Kind.U32: 32, Kind.F32: 32, Kind.EVENT: 32, Kind.BYTES: 0}


@cache
def _decimals(scale: float) -> int:
    exponent = Decimal(str(scale)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Register:
    """One row of the register catalogue (tinybms-protocol.md, 2)."""

    address: int
    """First register."""
    words: int
    """Number of registers."""
    key: str
    name: str
    kind: Kind
    scale: float = 1
    """Value = raw × scale."""
    unit: str = ""
    minimum_raw: int | None = None
    """Smallest documented raw value, or None where no range is documented; the BMS may allow less."""
    maximum_raw: int | None = None
    default_raw: int | None = None
    """Value shown in the manual; the vendor declares no factory defaults (ask with command 0x1D)."""
    access: Access = "R"
    group: str = ""
    """For example ``live`` or ``settings.cell``; ``reserved`` and ``undocumented`` registers have no meaning."""
    choices: Mapping[int, str] = field(default_factory=dict, hash=False)
    """Texts of an enumeration by raw value."""
    absent_raw: int | None = None
    """Raw value that means "no sensor" or "not a live value"."""
    note: str = ""
    offset: int = 0
    """Lowest bit of the field in its word."""
    width: int = 16
    """Bits of the field in its word."""

    @property
    def mask(self) -> int:
        """The bits of each word that belong to this value."""
        return ((1 << self.width) - 1) << self.offset

    @property
    def decimals(self) -> int:
        """Decimal places of a value, by its scale."""
        return _decimals(self.scale)

    @property
    def is_reserved(self) -> bool:
        """Whether the vendor gives these registers no meaning."""
        return self.group in {"reserved", "undocumented"}

    @property
    def raw_range(self) -> tuple[int, int]:
        """Smallest and largest raw integer: as documented, else what the field holds."""
        bits = _BITS_OF_KIND.get(self.kind, self.width)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.kind.is_signed else (0, (1 << bits) - 1)
        return (
            low if self.minimum_raw is None else self.minimum_raw,
            high if self.maximum_raw is None else self.maximum_raw,
        )

    def decode(self, words: Sequence[int]) -> RegisterValue:
        """Return the value in ``unit`` held by the raw words of this register.

        None stands for "no value"; an enumeration gives its text, ``unknown (raw)`` for a raw value without one;
        ``bytes`` give hex digits, an event gives ``0x65@4646`` (number, seconds).

        Raises:
            ValueError: If the number of words is wrong.

        """
        if len(words) != self.words:
            raise ValueError(f"{self.key} has {self.words} words, got {len(words)}")
        if self.kind is Kind.F32:
            return tidy_float(to_float(words[0], words[1]))
        if self.kind is Kind.BYTES:
            return pack_words(words).hex().upper()
        if self.kind is Kind.EVENT:
            return event_to_text(to_u32(words[0], words[1]))
        return self._value_of(self._raw_of(words))

    def encode(self, value: RegisterValue) -> tuple[int, ...]:
        """Return the raw words for ``value``: the inverse of ``decode``.

        Bits outside ``mask`` are 0. A number is rounded to the step of the register; where the step is 1 it must be
        whole. An enumeration takes its text or its raw value. None is taken only by a read-only register that can say
        "no value".

        Raises:
            ValueError: If the register cannot hold ``value``; names value, range and unit.

        """
        if value is None:
            return self._encode_absent()
        if isinstance(value, str):
            return self._encode_text(value)
        if self.kind is Kind.F32:
            return from_float(value)
        if self.kind in {Kind.BYTES, Kind.EVENT}:
            raise ValueError(f"{self.key} = {value}: not a text")
        return self._words_of(self._raw_choice(value) if self.choices else self._raw_number(value))

    def _raw_of(self, words: Sequence[int]) -> int:
        if self.kind is Kind.U32:
            return to_u32(words[0], words[1])
        raw = (words[0] & self.mask) >> self.offset
        return raw - (1 << self.width) if self.kind.is_signed and raw >> self.width - 1 else raw

    def _words_of(self, raw: int) -> tuple[int, ...]:
        if self.kind is Kind.U32:
            return from_u32(raw)
        return ((raw << self.offset) & self.mask,)

    def _value_of(self, raw: int) -> RegisterValue:
        if raw == self.absent_raw:
            return None
        if self.choices:
            return self.choices.get(raw, f"unknown ({raw})")
        return self._scaled(raw)

    def _scaled(self, raw: int) -> float:
        return raw if self.scale == 1 else round(raw * self.scale, self.decimals)

    def _encode_absent(self) -> tuple[int, ...]:
        if self.kind is Kind.EVENT:
            return (0, 0)
        if self.absent_raw is None or self.access != "R":
            raise ValueError(f"{self.key} needs a value")
        return self._words_of(self.absent_raw)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        if self.kind is Kind.BYTES:
            return self._words_of_hex(text)
        if self.kind is Kind.EVENT:
            return from_u32(event_from_text(text))
        for raw, choice in self.choices.items():
            if choice == text:
                return self._words_of(raw)
        raise ValueError(f"{self.key} = {text!r}: {self._allowed()}")

    def _words_of_hex(self, text: str) -> tuple[int, ...]:
        try:
            data = bytes.fromhex(text)
        except ValueError as error:
            raise ValueError(f"{self.key} = {text!r}: not hex digits") from error
        if len(data) != 2 * self.words:
            raise ValueError(f"{self.key} has {4 * self.words} hex digits, got {2 * len(data)}")
        return unpack_words(data)

    def _raw_choice(self, value: float) -> int:
        if value not in self.choices:
            raise ValueError(f"{self.key} = {value}: {self._allowed()}")
        return int(value)

    def _raw_number(self, value: float) -> int:
        steps = value / self.scale
        if not math.isfinite(steps) or (self.scale == 1 and value != int(value)):
            raise ValueError(f"{self.key} = {value}: {self._allowed()}")
        raw = round(steps)
        low, high = self.raw_range
        if not low <= raw <= high:
            raise ValueError(f"{self.key} = {value}: {self._allowed()}")
        return raw

    def _allowed(self) -> str:
        if self.choices:
            return "allowed are " + ", ".join(self.choices.values())
        if self.kind is Kind.F32:
            return f"allowed is a number in {self.unit}"
        low, high = (self._scaled(raw) for raw in self.raw_range)
        number = "a whole number" if self.scale == 1 else "a number"
        return f"allowed is {number} {low}..{high} {self.unit}".rstrip()
