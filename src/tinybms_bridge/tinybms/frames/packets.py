"""Multi-packet payloads of commands 0x07 and 0x09 (protocol Rev D, section 1).

The vendor states neither the size of a packet that is not the last nor what its id counts. Sixty-three bytes is what
agrees with the lengths seen on real units; register borders are ignored.
"""

from tinybms_bridge.tinybms.frames.commands import START, Command
from tinybms_bridge.tinybms.frames.crc import seal

__all__ = ["MORE_FOLLOWS", "PACKET_BYTES", "packet_count", "split_packets"]

PACKET_BYTES = 63
"""Payload of a packet that is not the last; the most that bits 0 to 5 of the length byte can tell."""

MORE_FOLLOWS = 0x80
"""Bit of the length byte: this is not the last packet, the other bits are an id."""


def packet_count(size: int) -> int:
    """Return how many packets carry ``size`` payload bytes; at least one."""
    return max(1, -(-size // PACKET_BYTES))


def split_packets(command: Command, payload: bytes, *, count_down: bool = True) -> tuple[bytes, ...]:
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
