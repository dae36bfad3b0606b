"""The frame table as Markdown, for ``docs/victron-frames.md``; run as a module to renew that file."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tinybms_bridge.victron.can.field import Encoding, FrameField
from tinybms_bridge.victron.can.frame_format import FrameFormat, Need
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = ["BEGIN", "END", "alarm_table", "frame_table", "renewed"]

BEGIN = "<!-- generated from victron_bms.dbc: begin -->"
END = "<!-- generated from victron_bms.dbc: end -->"

_ALARMS_ID = 0x35A


def frame_table() -> str:
    """Return one table row for each field of each frame, but for 0x35A, which has a table of its own."""
    lines = ["| Id | Frame | Byte | Field | Type | Step | Range | Meaning |", "|---|---|---|---|---|---|---|---|"]
    for frame in FRAME_FORMATS.values():
        lines.extend(_frame_rows(frame))
    return "\n".join(lines)


def alarm_table() -> str:
    """Return the fields of 0x35A by byte and bits."""
    lines = ["| Byte | bits 0-1 | bits 2-3 | bits 4-5 | bits 6-7 |", "|---|---|---|---|---|"]
    at = {field.first_bit: field.name for field in FRAME_FORMATS[_ALARMS_ID].fields.values()}
    for byte in range(8):
        names = (at.get(8 * byte + bit, "reserved") for bit in (0, 2, 4, 6))
        lines.append(f"| {byte} | {' | '.join(names)} |")
    return "\n".join(lines)


def renewed(document: str) -> str:
    """Return the document with fresh tables between its marks. Raises ValueError when a mark is missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document lacks the marks {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{frame_table()}\n\n0x35A:\n\n{alarm_table()}\n\n{END}{tail}"


def _frame_rows(frame: FrameFormat) -> Iterator[str]:
    direction = "from the GX" if frame.need is Need.RECEIVED else frame.need.value
    name = f"**{frame.name}**, {direction}, {frame.length} bytes. {frame.comment}"
    fields = () if frame.arbitration_id == _ALARMS_ID else tuple(frame.fields.values())
    yield f"| 0x{frame.arbitration_id:03X} | {name} | | | | | | |"
    for field in fields:
        cells = (str(field.first_bit // 8), field.name, _type(field), _step(field), _range(field), field.comment)
        yield f"| | | {' | '.join(cells)} |"


def _type(field: FrameField) -> str:
    if field.encoding is Encoding.TEXT:
        return f"text {field.length_bits // 8}"
    order = " big-endian" if field.big_endian else ""
    return f"{'sn' if field.signed else 'un'}{field.length_bits}{order}"


def _step(field: FrameField) -> str:
    return "" if field.encoding is Encoding.TEXT else f"{field.scale} {field.unit}".rstrip()


def _range(field: FrameField) -> str:
    if field.encoding is Encoding.TEXT:
        return ""
    numbers = f"{field.min_raw * field.scale} to {field.max_raw * field.scale}"
    words = (f"{raw} = {word}" for raw, word in field.choices.items())
    return "; ".join((numbers, *words))


def main(path: Path) -> None:
    """Renew the tables of a document in place."""
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
