"""The frame table ``victron_bms.dbc``: every frame with its fields; one source for encoder, decoder, docs and tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import Encoding, Field, FieldValue

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

__all__ = ["FrameFormat", "Need", "frame_format", "frame_formats"]

_TABLE = "victron_bms.dbc"


class Need(StrEnum):
    """How much a GX needs a frame (attribute ``Need`` of the table)."""

    MINIMUM = "minimum"
    SUPPORTED = "supported"
    """Sent by the batteries that Victron supports officially."""
    OPTIONAL = "optional"
    RECEIVED = "received"
    """Comes from the GX; a battery never sends it."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """One frame: id, length and fields."""

    arbitration_id: int
    name: str
    length: int
    """Bytes of the complete frame."""
    shortest: int
    """Bytes that a frame has at least which is not cut (attribute ``ShortestLength``); optional fields end some."""
    need: Need
    period_s: float
    comment: str
    fields: Mapping[str, Field]
    """By name, in the order of the bits."""
    message: "Message"
    """cantools' own object, which packs and unpacks the bits."""

    def encode(self, values: Mapping[str, FieldValue], length: int | None = None) -> CanFrame:
        """Return the frame with these values, cut or padded with zeros to ``length`` bytes.

        Fields that are not given are 0. Raises ValueError for an unknown field or an impossible value.
        """
        unknown = values.keys() - self.fields.keys()
        if unknown:
            raise ValueError(f"frame 0x{self.arbitration_id:03X} has no field {', '.join(sorted(unknown))}")
        raw = {name: field.to_raw(values[name]) if name in values else 0 for name, field in self.fields.items()}
        data = self.message.encode(raw, scaling=False, strict=False)
        size = self.length if length is None else length
        return CanFrame(self.arbitration_id, data[:size].ljust(size, b"\0"))

    def decode(self, data: bytes) -> dict[str, FieldValue]:
        """Return the fields that lie completely within ``data``; bytes after the last field are ignored."""
        if any(field.encoding is Encoding.TEXT for field in self.fields.values()):
            data = data.ljust(self.length, b"\0")
        raw: dict[str, Any] = dict(
            self.message.decode_simple(data, decode_choices=False, scaling=False, allow_truncated=True)
        )
        return {name: field.from_raw(raw[name]) for name, field in self.fields.items() if name in raw}


@lru_cache(maxsize=1)
def frame_formats() -> Mapping[int, FrameFormat]:
    """Return every frame of the table by id, in the order of the table; loaded at the first call."""
    from cantools.database.can import Database

    database = Database(sort_signals=None)
    database.add_dbc_string(resources.files(__package__).joinpath(_TABLE).read_text("utf-8"))
    return {message.frame_id: _format(message) for message in database.messages}


def frame_format(arbitration_id: int) -> FrameFormat:
    """Return the frame with this id. Raises KeyError when the table has none."""
    return frame_formats()[arbitration_id]


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
        fields={field.name: field for field in fields},
        message=message,
    )


def _field(signal: "Signal") -> Field:
    scale = Decimal(str(signal.scale))
    return Field(
        name=signal.name,
        unit=signal.unit or "",
        scale=scale,
        min_raw=int(Decimal(str(signal.minimum or 0)) / scale),
        max_raw=int(Decimal(str(signal.maximum or 0)) / scale),
        first_bit=_first_bit(signal),
        length_bits=signal.length,
        signed=signal.is_signed,
        big_endian=signal.byte_order == "big_endian",
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
