import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import from_float, from_u32, tidy_float, to_float, to_u32
from tinybms_bridge.tinybms.frames.words import pack_words, unpack_words

WORDS = st.lists(st.integers(0, 0xFFFF), max_size=130).map(tuple)


def test_pack_voltage_of_a_real_unit() -> None:
    """Registers 36 and 37 of a 14-cell unit give 55.78 V only with the low word first."""
    assert to_float(0x1EB8, 0x425F) == pytest.approx(55.78, abs=1e-5)


def test_state_of_charge_of_a_real_unit() -> None:
    """Registers 46 and 47 of the same unit are 83.554824 %."""
    assert to_u32(0xF208, 0x04FA) == 83_554_824


@given(st.integers(0, 0xFFFFFFFF))
def test_u32_round_trip(value: int) -> None:
    """Splitting and joining a 32-bit value are inverses."""
    assert to_u32(*from_u32(value)) == value


@pytest.mark.parametrize("value", [-1, 0x1_0000_0000])
def test_u32_out_of_range(value: int) -> None:
    """A value of more than 32 bits is refused with the numbers."""
    with pytest.raises(ValueError, match=rf"{value} is outside 0\.\.4294967295"):
        from_u32(value)


@given(st.floats(width=32, allow_nan=False))
def test_float_round_trip(value: float) -> None:
    """Splitting and joining a single are inverses, infinities and negative zero included."""
    assert struct.pack("<f", to_float(*from_float(value))) == struct.pack("<f", value)


def test_nan_survives() -> None:
    """A float that is not a number is passed on for others to judge."""
    assert math.isnan(to_float(0x0000, 0x7FC0))


def test_float_too_large() -> None:
    """A value that no single can hold is an error of value, not of arithmetic."""
    with pytest.raises(ValueError, match="too large for a 32-bit float"):
        from_float(1e39)


@given(st.floats(width=32, allow_nan=False))
def test_tidy_float_is_the_same_single(value: float) -> None:
    """Tidying changes the digits shown, never the single they stand for."""
    assert struct.pack("<f", tidy_float(value)) == struct.pack("<f", value)


@pytest.mark.parametrize("shown", [55.78, 4.2, -3.013, 0.1, 16777216.0, 12345.678, 0.0])
def test_tidy_float_shows_what_was_meant(shown: float) -> None:
    """A decimal that went through a single comes back without noise digits."""
    (single,) = struct.unpack("<f", struct.pack("<f", shown))

    assert repr(tidy_float(single)) == repr(shown)


@pytest.mark.parametrize("single", [3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45])
def test_tidy_float_at_the_edges(single: float) -> None:
    """The largest and the smallest single do not overflow while digits are tried."""
    assert struct.pack("<f", tidy_float(single)) == struct.pack("<f", single)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_tidy_float_of_infinity(value: float) -> None:
    """Infinity stays infinity."""
    assert tidy_float(value) == value


def test_tidy_float_of_nan() -> None:
    """Not-a-number stays not-a-number."""
    assert math.isnan(tidy_float(math.nan))


@given(WORDS, st.booleans())
def test_words_round_trip(words: tuple[int, ...], big_endian: bool) -> None:
    """Packing and unpacking words are inverses in both byte orders."""
    assert unpack_words(pack_words(words, big_endian=big_endian), big_endian=big_endian) == words


def test_byte_orders() -> None:
    """Proprietary commands send the low byte first, Modbus commands the high byte."""
    assert pack_words([0x1EB8, 0x425F]) == bytes.fromhex("B8 1E 5F 42")
    assert pack_words([0x1EB8, 0x425F], big_endian=True) == bytes.fromhex("1E B8 42 5F")


@pytest.mark.parametrize("wrong", [-1, 0x10000, 1.5])
def test_word_out_of_range(wrong: float) -> None:
    """The place of a value that is not a word is named."""
    with pytest.raises(ValueError, match=rf"word 1 is {wrong}, outside 0\.\.65535"):
        pack_words([5, wrong])  # type: ignore[list-item]


def test_number_that_only_looks_like_a_word() -> None:
    """A float is refused even where its value is whole."""
    with pytest.raises(ValueError, match=r"a word is no integer, outside 0\.\.65535"):
        pack_words([5, 2.0])  # type: ignore[list-item]
