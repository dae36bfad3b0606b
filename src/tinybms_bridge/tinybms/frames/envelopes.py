"""The three envelopes of a reply: no length byte, a length byte, and packed fields for both."""

import struct

from tinybms_bridge.tinybms.frames.commands import START, Command
from tinybms_bridge.tinybms.frames.crc import seal

__all__ = ["counted_reply", "pack_fields", "plain_reply"]

_MAX_PAYLOAD = 0xFF


def pack_fields(layout: str, *fields: float) -> bytes:
    """Return ``fields`` packed by ``struct`` layout.

    Raises:
        ValueError: If a field does not fit.

    """
    try:
        return struct.pack(layout, *fields)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{fields} do not fit the layout {layout!r}: {error}") from error


def plain_reply(command: Command, body: bytes) -> tuple[bytes, ...]:
    """Return the one frame of a reply without a length byte."""
    return (seal(bytes((START, command)) + body),)


def counted_reply(command: Command, payload: bytes) -> tuple[bytes, ...]:
    """Return the one frame of a reply with a length byte.

    Raises:
        ValueError: If the payload is longer than the length byte can tell.

    """
    if len(payload) > _MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} payload bytes, 0x{command:02X} can carry {_MAX_PAYLOAD}")
    return plain_reply(command, bytes((len(payload),)) + payload)
