"""What every frame is made of: command codes, checksum, words, packets (tinybms-protocol.md, 1 and 2)."""

import struct
from collections.abc import Sequence
from enum import IntEnum

from tinybms_bridge.errors import LinkError

__all__ = [
    "ACK",
    "ACKNOWLEDGED_COMMANDS",
    "CRC_BYTES",
    "MORE_FOLLOWS",
    "NACK",
    "PACKET_BYTES",
    "SIMPLE_COMMANDS",
    "START",
    "WORD_MAX",
    "Action",
    "CommandCode",
    "FrameError",
    "SettingsTable",
    "crc16",
    "from_float",
    "from_u32",
    "has_valid_crc",
    "pack_words",
    "packet_count",
    "received_crc",
    "seal",
    "split_packets",
    "tidy_float",
    "to_float",
    "to_u32",
    "unpack_words",
]


class FrameError(LinkError):
    """Bytes that are not the frame they should be: wrong start, length, shape, value or checksum."""

    def __init__(
        self,
        reason: str,
        frame: bytes,
        *,
        expected_crc: int | None = None,
        received_crc: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.frame = frame
        """The bytes in question."""
        self.expected_crc = expected_crc
        """CRC computed over the bytes, or None when the CRC is not the problem."""
        self.received_crc = received_crc
        """CRC found in the bytes, or None when the CRC is not the problem."""

    def __str__(self) -> str:
        text = f"{self.reason}: {self.frame.hex(' ').upper() or 'no bytes'}"
        if self.expected_crc is None or self.received_crc is None:
            return text
        return f"{text} (CRC computed 0x{self.expected_crc:04X}, received 0x{self.received_crc:04X})"


START = 0xAA
"""First byte of every frame in both directions; also the Modbus slave address."""

ACK = 0x01
"""Second byte of a reply that says "done"."""

NACK = 0x00
"""Second byte of a reply that refuses a request."""


class CommandCode(IntEnum):
    """Second byte of a request."""

    ACTION = 0x02
    READ_MODBUS = 0x03
    READ_BLOCK = 0x07
    READ_LIST = 0x09
    WRITE_BLOCK = 0x0B
    WRITE_LIST = 0x0D
    WRITE_MODBUS = 0x10
    EVENTS_NEWEST = 0x11
    EVENTS_ALL = 0x12
    PACK_VOLTAGE = 0x14
    PACK_CURRENT = 0x15
    MAX_CELL = 0x16
    MIN_CELL = 0x17
    STATUS = 0x18
    LIFETIME = 0x19
    SOC = 0x1A
    TEMPERATURES = 0x1B
    CELLS = 0x1C
    SETTINGS = 0x1D
    VERSION = 0x1E
    VERSION_EXTENDED = 0x1F
    TRIP = 0x20


class Action(IntEnum):
    """Option of command 0x02."""

    CLEAR_EVENTS = 1
    CLEAR_STATISTICS = 2
    RESET = 5
    """Opens the load and charger switches before the restart: cuts the power of the load."""


class SettingsTable(IntEnum):
    """Option of command 0x1D: which values of the settings to read."""

    MINIMUM = 1
    """Smallest value that the BMS accepts now; moves with other settings."""
    MAXIMUM = 2
    """Largest value that the BMS accepts now; moves with other settings."""
    DEFAULT = 3
    CURRENT = 4


ACKNOWLEDGED_COMMANDS = frozenset({CommandCode.ACTION, CommandCode.WRITE_BLOCK, CommandCode.WRITE_LIST})
"""Commands that the BMS answers with ACK."""

SIMPLE_COMMANDS = frozenset(
    {
        CommandCode.EVENTS_NEWEST,
        CommandCode.EVENTS_ALL,
        CommandCode.PACK_VOLTAGE,
        CommandCode.PACK_CURRENT,
        CommandCode.MAX_CELL,
        CommandCode.MIN_CELL,
        CommandCode.STATUS,
        CommandCode.LIFETIME,
        CommandCode.SOC,
        CommandCode.TEMPERATURES,
        CommandCode.CELLS,
        CommandCode.VERSION,
        CommandCode.VERSION_EXTENDED,
        CommandCode.TRIP,
    }
)
"""Commands whose request carries nothing but the command code."""


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


PACKET_BYTES = 63
"""Payload of a packet that is not the last; the most that bits 0 to 5 of the length byte can tell.

The vendor states neither this size nor what the id of such a packet counts. Sixty-three bytes is what agrees with the
lengths seen on real units; register borders are ignored.
"""

MORE_FOLLOWS = 0x80
"""Bit of the length byte: this is not the last packet, the other bits are an id."""


def packet_count(size: int) -> int:
    """Return how many packets carry ``size`` payload bytes; at least one."""
    return max(1, -(-size // PACKET_BYTES))


def split_packets(command: CommandCode, payload: bytes, *, count_down: bool = True) -> tuple[bytes, ...]:
    """Return the frames that carry ``payload``, each with its own header and CRC.

    The id of a packet that is not the last is the number of packets left, itself included; with ``count_down`` False
    it is the number of packets of the whole reply. Both agree with what was seen on hardware.
    """
    total = packet_count(len(payload))
    frames = []
    for index in range(total):
        chunk = payload[index * PACKET_BYTES : (index + 1) * PACKET_BYTES]
        left = total - index
        length = len(chunk) if left == 1 else MORE_FOLLOWS | (left if count_down else total)
        frames.append(seal(bytes((START, command, length)) + chunk))
    return tuple(frames)
