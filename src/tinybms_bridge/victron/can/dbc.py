"""Makes ``frame_table.py`` from ``victron_bms.dbc``; run as a module after a change of that file.

The program itself reads the table only, so that cantools and its parser are needed by developers alone.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tinybms_bridge.victron.can.field import Encoding, FrameField
from tinybms_bridge.victron.can.frame_format import FrameFormat, Need, by_name

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

__all__ = ["DBC", "TABLE", "read_dbc", "table_source"]

DBC = Path(__file__).with_name("victron_bms.dbc")
TABLE = Path(__file__).with_name("frame_table.py")

_WIDTH = 120
_HEAD = '''"""Every frame with its fields; made from victron_bms.dbc by: python -m tinybms_bridge.victron.can.dbc."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tinybms_bridge.victron.can.field import Encoding, FrameField
from tinybms_bridge.victron.can.frame_format import FrameFormat, Need, by_name

__all__ = ["FRAME_FORMATS"]

FRAME_FORMATS: Final[Mapping[int, FrameFormat]] = {
'''


def read_dbc(text: str) -> tuple[FrameFormat, ...]:
    """Return the frames of a DBC in its order. Raises ValueError for a field that our format cannot tell."""
    from cantools.database.can import Database

    database = Database(sort_signals=None)
    database.add_dbc_string(text)
    return tuple(_format(message) for message in database.messages)


def table_source(frames: tuple[FrameFormat, ...]) -> str:
    """Return the module that holds these frames by their id, as the formatter would write it."""
    return _HEAD + "".join(line for frame in frames for line in _frame_lines(frame)) + "}\n"


def _format(message: "Message") -> FrameFormat:
    fields = (_field(signal) for signal in sorted(message.signals, key=_first_bit))
    return FrameFormat(
        arbitration_id=message.frame_id,
        name=message.name,
        length=message.length,
        shortest=min(message.length, _number(message, "ShortestLength", message.length)),
        need=Need(_attribute(message, "Need", Need.OPTIONAL)),
        period_s=(message.cycle_time or 0) / 1000.0,
        comment=message.comment or "",
        fields=by_name(*fields),
    )


def _field(signal: "Signal") -> FrameField:
    scale = Decimal(str(signal.scale))
    big_endian = signal.byte_order == "big_endian"
    if big_endian and (signal.length % 8 or _first_bit(signal) % 8):
        raise ValueError(f"{signal.name} is big-endian and not of whole bytes")
    return FrameField(
        name=signal.name,
        first_bit=_first_bit(signal),
        length_bits=signal.length,
        min_raw=int(Decimal(str(signal.minimum or 0)) / scale),
        max_raw=int(Decimal(str(signal.maximum or 0)) / scale),
        scale=scale,
        unit=signal.unit or "",
        signed=signal.is_signed,
        big_endian=big_endian,
        encoding=Encoding(_attribute(signal, "Encoding", Encoding.NUMBER)),
        choices={raw: str(word) for raw, word in (signal.choices or {}).items()},
        comment=signal.comment or "",
    )


def _first_bit(signal: "Signal") -> int:
    """Return the lowest bit of the field's first byte; a DBC counts big-endian fields from their highest bit."""
    return signal.start - 7 if signal.byte_order == "big_endian" else signal.start


def _attribute(owner: "Message | Signal", name: str, default: str) -> str:
    """Return an ENUM attribute of the table as its word."""
    attributes = owner.dbc.attributes if owner.dbc else {}
    if name not in attributes:
        return default
    attribute = attributes[name]
    return str(attribute.definition.choices[int(attribute.value)])


def _number(owner: "Message", name: str, default: int) -> int:
    """Return an INT attribute of the table."""
    attributes = owner.dbc.attributes if owner.dbc else {}
    return int(attributes[name].value) if name in attributes else default


def _frame_lines(frame: FrameFormat) -> Iterator[str]:
    yield f"    0x{frame.arbitration_id:03X}: FrameFormat(\n"
    yield f"        arbitration_id=0x{frame.arbitration_id:03X},\n"
    yield f"        name={_text(frame.name)},\n"
    yield f"        length={frame.length},\n"
    yield f"        shortest={frame.shortest},\n"
    yield f"        need=Need.{frame.need.name},\n"
    yield f"        period_s={frame.period_s!r},\n"
    comment = f"        comment={_text(frame.comment)},"
    yield f"{comment}  # noqa: E501\n" if len(comment) > _WIDTH else f"{comment}\n"
    if frame.fields:
        yield "        fields=by_name(\n"
        for field in frame.fields.values():
            yield from _field_lines(field)
        yield "        ),\n"
    else:
        yield "        fields=by_name(),\n"
    yield "    ),\n"


def _field_lines(field: FrameField) -> Iterator[str]:
    """Yield a field in one line where it fits, else with a line for each argument."""
    arguments = list(_arguments(field))
    line = f"            FrameField({', '.join(arguments)}),\n"
    if len(line) <= _WIDTH + 1:
        yield line
    else:
        yield "            FrameField(\n"
        yield from (f"                {argument},\n" for argument in arguments)
        yield "            ),\n"


def _arguments(field: FrameField) -> Iterator[str]:
    """Yield what makes the field; what is as the default has it is left out."""
    yield from (_text(field.name), f"first_bit={field.first_bit}", f"length_bits={field.length_bits}")
    yield from (f"min_raw={field.min_raw}", f"max_raw={field.max_raw}")
    if field.scale != 1:
        yield f"scale=Decimal({field.scale if field.scale == int(field.scale) else _text(str(field.scale))})"
    if field.unit:
        yield f"unit={_text(field.unit)}"
    if field.signed:
        yield "signed=True"
    if field.big_endian:
        yield "big_endian=True"
    if field.encoding is not Encoding.NUMBER:
        yield f"encoding=Encoding.{field.encoding.name}"
    if field.choices:
        yield f"choices={{{', '.join(f'{raw}: {_text(word)}' for raw, word in field.choices.items())}}}"
    if field.comment:
        yield f"comment={_text(field.comment)}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    """Renew the table in place."""
    TABLE.write_text(table_source(read_dbc(DBC.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
