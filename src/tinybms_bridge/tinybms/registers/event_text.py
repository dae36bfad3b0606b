"""Text form of one slot of the event log: number and time, for example ``0x65@4646``."""

import re

__all__ = ["event_from_text", "event_to_text"]

_TIME_BITS = 24
_TIME_MASK = (1 << _TIME_BITS) - 1
_TEXT = re.compile(r"0x([0-9A-Fa-f]{2})@(\d{1,8})")


def event_to_text(raw: int) -> str | None:
    """Return the text of a slot, seconds in the low 24 bits and number above; None for an empty slot."""
    number = raw >> _TIME_BITS
    return f"0x{number:02X}@{raw & _TIME_MASK}" if number else None


def event_from_text(text: str) -> int:
    """Return the slot for a text made by ``event_to_text``.

    Raises:
        ValueError: If the text has another form, the time needs more than 24 bits or the number is 0.

    """
    match = _TEXT.fullmatch(text)
    if not match:
        raise ValueError(f"event {text!r} is not of the form 0x65@4646")
    number, time_s = int(match[1], 16), int(match[2])
    if not number or time_s > _TIME_MASK:
        raise ValueError(f"event {text!r}: number 0x01..0xFF, time 0..{_TIME_MASK} s")
    return number << _TIME_BITS | time_s
