"""Error frames of SocketCAN in words (linux/can/error.h: class in the id, details in the bytes)."""

__all__ = ["describe_error", "is_error_id"]

_ERROR_FLAG = 0x20000000

_CLASSES = {
    0x001: "sending timed out",
    0x002: "arbitration lost",
    0x004: "controller",
    0x008: "protocol",
    0x010: "transceiver",
    0x020: "nobody acknowledged a frame (no other node, wrong bit rate, or no terminator)",
    0x040: "bus off: the controller has given up",
    0x080: "error on the bus",
    0x100: "controller restarted",
    0x200: "error counters",
}
_CONTROLLER = {
    0x01: "receive buffer overflow",
    0x02: "transmit buffer overflow",
    0x04: "receive errors at the warning level",
    0x08: "transmit errors at the warning level",
    0x10: "receive errors: error-passive",
    0x20: "transmit errors: error-passive",
    0x40: "back to error-active",
}
_PROTOCOL = {
    0x01: "a single bit",
    0x02: "frame format",
    0x04: "bit stuffing",
    0x08: "could not send a 0",
    0x10: "could not send a 1",
    0x20: "bus overload",
    0x40: "announced by an active error",
    0x80: "while sending",
}
_DETAILS = {0x004: (1, _CONTROLLER), 0x008: (2, _PROTOCOL)}
"""Byte of the details and their bits, by class."""

_COUNTERS = 0x200
_TRANSMIT_BYTE, _RECEIVE_BYTE = 6, 7


def is_error_id(identifier: int) -> bool:
    """Return whether an id carries SocketCAN's flag of an error frame."""
    return bool(identifier & _ERROR_FLAG)


def describe_error(identifier: int, data: bytes) -> str:
    """Return what an error frame says, for example ``controller (receive errors at the warning level)``."""
    parts = [_one_class(bit, name, data) for bit, name in _CLASSES.items() if identifier & bit]
    if identifier & _COUNTERS and len(data) > _RECEIVE_BYTE:
        parts[-1] += f" (transmit {data[_TRANSMIT_BYTE]}, receive {data[_RECEIVE_BYTE]})"
    return ", ".join(parts) or f"of unknown class 0x{identifier & ~_ERROR_FLAG:X}"


def _one_class(bit: int, name: str, data: bytes) -> str:
    place, bits = _DETAILS.get(bit, (0, {}))
    details = [text for flag, text in bits.items() if len(data) > place and data[place] & flag]
    return f"{name} ({', '.join(details)})" if details else name
