"""Lines of candump in, decoded frames as a line of text or a JSON record out."""

import re
from dataclasses import dataclass

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.codec import DecodedFrame
from tinybms_bridge.victron.dbc import frame_format

__all__ = ["Recorded", "as_record", "as_text", "expect_whole", "parse_line"]

_LARGEST_ID = 0x7FF
_MANY_FIELDS = 8

_HEAD = r"^\s*(?:\((?P<time>\d+(?:\.\d+)?)\)\s+)?(?:(?P<channel>[a-zA-Z][\w.-]*)\s+)?(?:[TR]X?\s+(?:[-BE ]{1,5}\s+)?)?"
_COMPACT = re.compile(_HEAD + r"(?:0[xX])?(?P<id>[0-9A-Fa-f]{1,8})#(?P<data>[0-9A-Fa-f._]*)(?:\s+[TR])?\s*$")
_COLUMNS = re.compile(
    _HEAD + r"(?:0[xX])?(?P<id>[0-9A-Fa-f]{1,8})(?::|\s)\s*(?:\[(?P<length>\d+)\])?"
    r"\s*(?P<data>(?:[0-9A-Fa-f]{2}(?:\s+|$))*)(?:'.*')?\s*$"
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A frame, and when it was on the bus where that is known."""

    frame: CanFrame
    time_s: float | None = None
    """Seconds since 1970, or since the start of the recording."""


def parse_line(line: str) -> Recorded | None:
    """Return the frame of a line of candump; None for an empty line or a comment.

    Raises ValueError for a line that holds no classic data frame with an 11-bit id.
    """
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    if "##" in line:
        raise ValueError("a CAN FD frame; the protocol has classic ones only")
    if re.search(r"#R|remote request", line):
        raise ValueError("a remote frame; it carries no data")
    match = _COMPACT.match(line) or _COLUMNS.match(line)
    if match is None:
        raise ValueError(f"not a line of candump: {line.strip()[:60]!r}")
    return Recorded(_frame(match), float(match["time"]) if match["time"] else None)


def _frame(match: re.Match[str]) -> CanFrame:
    identifier = int(match["id"], 16)
    if len(match["id"]) == 8 or identifier > _LARGEST_ID:
        raise ValueError(f"id {match['id']} has more than 11 bits; the protocol has none")
    digits = re.sub(r"[._\s]", "", match["data"])
    if len(digits) % 2:
        raise ValueError(f"id {match['id']} has half a byte at its end: {digits}")
    data = bytes.fromhex(digits)
    length = match.groupdict().get("length")
    if length is not None and int(length) != len(data):
        raise ValueError(f"id {match['id']} announces {length} bytes and shows {len(data)}")
    if len(data) > 8:
        raise ValueError(f"id {match['id']} has {len(data)} bytes, 8 are allowed")
    return CanFrame(identifier, data)


def expect_whole(frame: CanFrame) -> None:
    """Raise ValueError for a frame that is shorter than any that the protocol has under this id."""
    expected = frame_format(frame.arbitration_id)
    if len(frame.data) < expected.shortest:
        span = (
            f"{expected.length}"
            if expected.shortest == expected.length
            else f"{expected.shortest} to {expected.length}"
        )
        raise ValueError(f"0x{frame.arbitration_id:03X} {expected.name} has {_bytes(len(frame.data))}, expected {span}")


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


def as_record(recorded: Recorded, decoded: DecodedFrame) -> dict[str, object]:
    """Return a frame as a JSON object: id, name, values, units of those that have one, bytes and time."""
    fields = frame_format(decoded.arbitration_id).fields
    record: dict[str, object] = {} if recorded.time_s is None else {"time": recorded.time_s}
    return record | {
        "id": f"0x{decoded.arbitration_id:03X}",
        "name": decoded.name,
        "values": decoded.values,
        "units": {name: fields[name].unit for name in decoded.values if fields[name].unit},
        "data": recorded.frame.data.hex(),
    }


def as_text(recorded: Recorded, decoded: DecodedFrame) -> str:
    """Return a frame as one aligned line; of many alarm fields only what is not in order is named."""
    values = _summary(decoded) if len(decoded.values) > _MANY_FIELDS else _values(decoded)
    moment = "" if recorded.time_s is None else f"{recorded.time_s:17.6f}  "
    return f"{moment}0x{decoded.arbitration_id:03X}  {decoded.name:<20}  {values}".rstrip()


def _values(decoded: DecodedFrame) -> str:
    fields = frame_format(decoded.arbitration_id).fields
    return "  ".join(
        f"{name} {_shown(value, fields[name].scale.as_tuple().exponent)} {fields[name].unit}".rstrip()
        for name, value in decoded.values.items()
    )


def _shown(value: float | str, exponent: object) -> str:
    """Return a number with the decimals of its step, a text in quotes."""
    if isinstance(value, str):
        return repr(value)
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return f"{value:.{decimals}f}"


def _summary(decoded: DecodedFrame) -> str:
    by_word: dict[str, list[str]] = {"active": [], "ok": [], "not supported": []}
    numbers: list[str] = []
    for name, value in decoded.values.items():
        if isinstance(value, str):
            by_word[value].append(name)
        else:
            numbers.append(f"{name} {value}")
    active = ", ".join(by_word["active"]) or "none"
    counts = (f"ok {len(by_word['ok'])}", f"not supported {len(by_word['not supported'])}")
    return "  ".join((f"active: {active}", *counts, *numbers))
