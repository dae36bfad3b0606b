"""Lines of candump in, decoded frames as a line of text or a JSON record out."""

import re
from dataclasses import dataclass
from datetime import datetime

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.can_errors import describe_error, is_error_id
from tinybms_bridge.victron.can.codec import DecodedFrame
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = [
    "LARGEST_ID",
    "CaptureRemark",
    "NotCandumpError",
    "Recorded",
    "as_record",
    "as_text",
    "expect_whole",
    "log_line",
    "parse_line",
    "remark_as_record",
    "remark_as_text",
]

LARGEST_ID = 0x7FF
"""Of classic frames with 11 bits."""

_MANY_FIELDS = 8

_DATE = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?"
_HEAD = (
    rf"^\s*(?:\((?:(?P<time>\d+(?:\.\d+)?)|(?P<date>{_DATE}))\)\s+)?"
    r"(?:(?P<channel>[a-zA-Z][\w.-]*)\s+)?(?:[TR]X?\s+(?:[-BEP ]{1,7}\s+)?)?"
)
_COMPACT = re.compile(_HEAD + r"(?:0[xX])?(?P<id>[0-9A-Fa-f]{1,8})#(?P<data>[0-9A-Fa-f._]*)(?:\s+[TR])?\s*$")
_COLUMNS = re.compile(
    _HEAD + r"(?:0[xX])?(?P<id>[0-9A-Fa-f]{1,8})(?::|\s)\s*(?:\[(?P<length>\d+)\])?\s*"
    r"(?P<data>(?:[01]{8}(?:[\s`]+|$))+|(?:[0-9A-Fa-f]{2}(?:[\s`]+|$))*)(?P<rest>'.*'|\"[^\"]*\"|ERRORFRAME)?\s*$"
)
_DROPPED = re.compile(r"^\s*DROPCOUNT: dropped (\d+) CAN frames? on '([^']*)' socket \(total drops (\d+)\)")
_ERROR_DETAILS = re.compile(r"^\s+[a-z][\w-]*(?:\{[^}]*\})?(?:,?\s*[a-z][\w-]*\{[^}]*\})*\s*$")


class NotCandumpError(ValueError):
    """The line does not look like one of candump at all."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A frame, and when it was on the bus where that is known."""

    frame: CanFrame
    time_s: float | None = None
    """Seconds since 1970, or since the start of the recording."""


@dataclass(frozen=True, slots=True)
class CaptureRemark:
    """What a recording says beside its data frames: an error of the bus, or frames that were lost."""

    text: str
    time_s: float | None = None


def parse_line(line: str) -> Recorded | CaptureRemark | None:
    """Return the frame or the remark of a line of candump; None for an empty line or a comment.

    Every form of candump is read: times as ``-t a``, ``d``, ``z`` or ``A``, bytes with ``-i`` and ``-S``, ``-x``,
    ``-a``, ``-e``, ``-L``. Raises ValueError for a line that holds no classic data frame with an 11-bit id.
    """
    if not line.strip() or line.lstrip().startswith("#") or _ERROR_DETAILS.match(line):
        return None
    if "##" in line:
        raise ValueError("a CAN FD frame; the protocol has classic ones only")
    if re.search(r"#R|remote request", line):
        raise ValueError("a remote frame; it carries no data")
    dropped = _DROPPED.match(line)
    if dropped is not None:
        return CaptureRemark(f"candump lost {dropped[1]} frames of {dropped[2]}, {dropped[3]} in all")
    match = _COMPACT.match(line) or _COLUMNS.match(line)
    if match is None:
        raise NotCandumpError(f"not a line of candump: {line.strip()[:60]!r}")
    return _content(match)


def _content(match: re.Match[str]) -> Recorded | CaptureRemark:
    identifier, data, time_s = int(match["id"], 16), _bytes_of(match), _time_s(match)
    if len(match["id"]) == 8 and is_error_id(identifier):
        return CaptureRemark(f"bus error: {describe_error(identifier, data)}", time_s)
    if len(match["id"]) == 8 or identifier > LARGEST_ID:
        raise ValueError(f"id {match['id']} has more than 11 bits; the protocol has none")
    return Recorded(CanFrame(identifier, data), time_s)


def _time_s(match: re.Match[str]) -> float | None:
    """Return the time; a date of ``-t A`` is local time."""
    if match["time"]:
        return float(match["time"])
    return datetime.fromisoformat(match["date"]).astimezone().timestamp() if match["date"] else None


def _bytes_of(match: re.Match[str]) -> bytes:
    text = match["data"]
    if re.fullmatch(r"(?:[01]{8}[\s`]*)+", text) and "#" not in match[0]:  # -i
        data = bytes(int(digits, 2) for digits in re.findall(r"[01]{8}", text))
    else:
        digits = re.sub(r"[._\s`]", "", text)
        if len(digits) % 2:
            raise ValueError(f"id {match['id']} has half a byte at its end: {digits}")
        data = bytes.fromhex(digits)
    if "`" in text:  # -S: the last byte first
        data = data[::-1]
    length = match.groupdict().get("length")
    if length is not None and int(length) != len(data):
        raise ValueError(f"id {match['id']} announces {length} bytes and shows {len(data)}")
    if len(data) > 8:
        raise ValueError(f"id {match['id']} has {len(data)} bytes, 8 are allowed")
    return data


def log_line(frame: CanFrame, time_s: float, channel: str = "can0") -> str:
    """Return a frame as ``candump -l`` writes it, for ``canplayer`` and others; seconds since 1970."""
    return f"({time_s:.6f}) {channel} {frame}"


def expect_whole(frame: CanFrame) -> None:
    """Raise ValueError for a frame that is shorter than any that the protocol has under this id."""
    expected = FRAME_FORMATS[frame.arbitration_id]
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
    fields = FRAME_FORMATS[decoded.arbitration_id].fields
    record: dict[str, object] = {} if recorded.time_s is None else {"time": recorded.time_s}
    return record | {
        "id": f"0x{decoded.arbitration_id:03X}",
        "name": decoded.name,
        "values": decoded.values,
        "units": {name: fields[name].unit for name in decoded.values if fields[name].unit},
        "data": recorded.frame.data.hex(),
    }


def remark_as_record(remark: CaptureRemark) -> dict[str, object]:
    """Return a remark as a JSON object."""
    return ({} if remark.time_s is None else {"time": remark.time_s}) | {"remark": remark.text}


def remark_as_text(remark: CaptureRemark) -> str:
    """Return a remark as one line, aligned with frames."""
    return f"{_moment(remark.time_s)}----   {remark.text}"


def as_text(recorded: Recorded, decoded: DecodedFrame) -> str:
    """Return a frame as one aligned line; of many alarm fields only what is not in order is named."""
    values = _summary(decoded) if len(decoded.values) > _MANY_FIELDS else _values(decoded)
    return f"{_moment(recorded.time_s)}0x{decoded.arbitration_id:03X}  {decoded.name:<20}  {values}".rstrip()


def _moment(time_s: float | None) -> str:
    return "" if time_s is None else f"{time_s:17.6f}  "


def _values(decoded: DecodedFrame) -> str:
    fields = FRAME_FORMATS[decoded.arbitration_id].fields
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
