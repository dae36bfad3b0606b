"""CRC-16/MODBUS, the checksum of every TinyBMS frame (protocol Rev D, section 1)."""

__all__ = ["CRC_BYTES", "crc16", "has_valid_crc", "received_crc", "seal"]

CRC_BYTES = 2
"""Length of the checksum at the end of a frame."""

_POLYNOMIAL = 0xA001
_INITIAL = 0xFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))


def crc16(data: bytes | bytearray) -> int:
    """Return the CRC-16/MODBUS of ``data``: polynomial 0x8005 reflected, start 0xFFFF, no final xor."""
    crc = _INITIAL
    table = _TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def seal(body: bytes) -> bytes:
    """Return ``body`` with its CRC appended, low byte first."""
    return body + crc16(body).to_bytes(CRC_BYTES, "little")


def received_crc(frame: bytes) -> int:
    """Return the CRC that ends ``frame``."""
    return int.from_bytes(frame[-CRC_BYTES:], "little")


def has_valid_crc(frame: bytes) -> bool:
    """Return whether the last two bytes of ``frame`` are the CRC of the bytes before them."""
    return crc16(frame[:-CRC_BYTES]) == received_crc(frame)
