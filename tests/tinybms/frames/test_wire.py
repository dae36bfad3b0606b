import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.errors import BridgeError, LinkError
from tinybms_bridge.tinybms.frames import (
    START,
    Action,
    CommandCode,
    FrameError,
    SettingsTable,
    from_float,
    from_u32,
    split_packets,
    tidy_float,
    to_float,
    to_u32,
)
from tinybms_bridge.tinybms.frames.wire import (
    ACK,
    ACKNOWLEDGED_COMMANDS,
    NACK,
    SIMPLE_COMMANDS,
    crc16,
    has_valid_crc,
    pack_words,
    packet_count,
    received_crc,
    seal,
    unpack_words,
)

DOCUMENTED = {0x02, 0x03, 0x07, 0x09, 0x0B, 0x0D, 0x10, 0x11, 0x12, *range(0x14, 0x21)}


def test_every_documented_command_is_known() -> None:
    """The 22 codes of the vendor's table, no more and no less."""
    assert {int(command) for command in CommandCode} == DOCUMENTED
    assert len(CommandCode) == 22


def test_start_byte_is_the_modbus_address() -> None:
    """Frames begin with 0xAA, slave address 170."""
    assert START == 170


@pytest.mark.parametrize("code", [ACK, NACK, START])
def test_no_command_looks_like_an_envelope(code: int) -> None:
    """The second byte tells ACK, NACK and commands apart, so their codes never meet."""
    assert code not in {int(command) for command in CommandCode}


def test_commands_without_parameters() -> None:
    """All fast reads, events, versions and trip are sent as four bytes; the settings table is not."""
    assert {int(command) for command in SIMPLE_COMMANDS} == {0x11, 0x12, *range(0x14, 0x1D), 0x1E, 0x1F, 0x20}


def test_acknowledged_commands() -> None:
    """Only 0x02, 0x0B and 0x0D are answered by ACK."""
    assert {int(command) for command in ACKNOWLEDGED_COMMANDS} == {0x02, 0x0B, 0x0D}


def test_options() -> None:
    """The option codes of 0x02 and 0x1D are the vendor's; a mistake here would restart instead of clear."""
    assert {action.name: action.value for action in Action} == {"CLEAR_EVENTS": 1, "CLEAR_STATISTICS": 2, "RESET": 5}
    assert [table.name for table in sorted(SettingsTable)] == ["MINIMUM", "MAXIMUM", "DEFAULT", "CURRENT"]


def test_maximum_and_minimum_cell_are_not_swapped() -> None:
    """0x16 is the highest and 0x17 the lowest cell, the reverse of registers 40 and 41."""
    assert (int(CommandCode.MAX_CELL), int(CommandCode.MIN_CELL)) == (0x16, 0x17)


def _bitwise_crc(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def test_check_value() -> None:
    """The published check value of CRC-16/MODBUS comes out."""
    assert crc16(b"123456789") == 0x4B37


def test_empty_input_gives_the_start_value() -> None:
    """No bytes leave the start value untouched."""
    assert crc16(b"") == 0xFFFF


@given(st.binary(max_size=300))
def test_table_equals_bitwise_calculation(data: bytes) -> None:
    """The 256-entry table agrees with the definition bit by bit."""
    assert crc16(data) == _bitwise_crc(data)


def test_seal_appends_low_byte_first() -> None:
    """The vendor's temperature request ends with 3F 1B for CRC 0x1B3F."""
    assert seal(b"\xaa\x1b") == b"\xaa\x1b\x3f\x1b"
    assert received_crc(b"\xaa\x1b\x3f\x1b") == 0x1B3F


@given(st.binary(max_size=300))
def test_sealed_bytes_are_valid(body: bytes) -> None:
    """Whatever is sealed passes the check."""
    assert has_valid_crc(seal(body))


@given(st.binary(min_size=1, max_size=60), st.integers(min_value=0))
def test_a_flipped_bit_is_noticed(body: bytes, position: int) -> None:
    """One wrong bit anywhere, CRC included, fails the check."""
    frame = bytearray(seal(body))
    index, bit = divmod(position % (8 * len(frame)), 8)
    frame[index] ^= 1 << bit

    assert not has_valid_crc(bytes(frame))


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


def test_fifty_seven_registers_take_124_bytes() -> None:
    """The reply that a real unit sent for 57 registers: 0x82 with 63 bytes, then the other 51."""
    first, second = split_packets(CommandCode.READ_BLOCK, bytes(114))

    assert len(first) + len(second) == 124
    assert (first[2], second[2]) == (0x82, 51)


def test_forty_five_registers_end_with_27_bytes() -> None:
    """The last packet that a real unit sent for 45 registers had length 27."""
    assert split_packets(CommandCode.READ_BLOCK, bytes(90))[-1][2] == 27


@pytest.mark.parametrize(("size", "lengths"), [(0, [0]), (62, [62]), (63, [63]), (64, [0x82, 1]), (126, [0x82, 63])])
def test_borders(size: int, lengths: list[int]) -> None:
    """Sixty-three bytes still fit one packet, one more needs a second."""
    assert [frame[2] for frame in split_packets(CommandCode.READ_LIST, bytes(size))] == lengths


def test_ids_count_packets_left() -> None:
    """By default the id says how many packets are left, itself included."""
    assert [frame[2] for frame in split_packets(CommandCode.READ_BLOCK, bytes(200))] == [0x84, 0x83, 0x82, 11]


def test_ids_may_give_the_total() -> None:
    """The other reading of what was seen on hardware: every id is the number of packets."""
    frames = split_packets(CommandCode.READ_BLOCK, bytes(200), count_down=False)

    assert [frame[2] for frame in frames] == [0x84, 0x84, 0x84, 11]


@given(st.binary(max_size=510), st.booleans())
def test_payload_is_kept_in_order(payload: bytes, count_down: bool) -> None:
    """Joining the packets gives the payload; each has its own header and CRC."""
    frames = split_packets(CommandCode.READ_BLOCK, payload, count_down=count_down)

    assert b"".join(frame[3:-2] for frame in frames) == payload
    assert all(frame[:2] == b"\xaa\x07" and has_valid_crc(frame) for frame in frames)
    assert len(frames) == packet_count(len(payload))


@given(st.integers(64, 510))
def test_only_the_last_packet_lacks_the_flag(size: int) -> None:
    """Bit 7 is set in every packet but the last, and all those are full."""
    *others, last = split_packets(CommandCode.READ_BLOCK, bytes(size))

    assert all(frame[2] & 0x80 and len(frame) == 68 for frame in others)
    assert not last[2] & 0x80


def test_text_shows_bytes_and_both_crcs() -> None:
    """A wrong CRC is shown with the frame and both numbers in hex."""
    error = FrameError("wrong CRC", b"\xaa\x14\x7e\xaf", expected_crc=0x1F7F, received_crc=0xAF7E)

    assert str(error) == "wrong CRC: AA 14 7E AF (CRC computed 0x1F7F, received 0xAF7E)"


def test_text_without_crc() -> None:
    """Where the CRC is not the problem it is not mentioned."""
    assert str(FrameError("unknown command 0x08", b"\xaa\x08")) == "unknown command 0x08: AA 08"


def test_text_without_bytes() -> None:
    """An empty frame is said to be empty."""
    assert str(FrameError("not a request", b"")) == "not a request: no bytes"


def test_attributes() -> None:
    """What the text says can also be read without parsing it."""
    error = FrameError("wrong CRC", b"\xaa", expected_crc=1, received_crc=2)

    assert (error.reason, error.frame, error.expected_crc, error.received_crc) == ("wrong CRC", b"\xaa", 1, 2)


def test_place_in_the_error_tree() -> None:
    """Bad bytes are a fault of the line: the caller may retry."""
    assert issubclass(FrameError, LinkError)
    assert issubclass(FrameError, BridgeError)
