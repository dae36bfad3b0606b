from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames.crc import crc16, has_valid_crc, received_crc, seal


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
