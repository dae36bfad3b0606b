"""The format of a frame: which fields it has, and how their bits make its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import Encoding, FieldValue, FrameField

__all__ = ["FrameFormat", "Need", "by_name"]


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
    fields: Mapping[str, FrameField]
    """By name, in the order of the bits."""

    def encode(self, values: Mapping[str, FieldValue], length: int | None = None) -> CanFrame:
        """Return the frame with these values, cut or padded with zeros to ``length`` bytes.

        Fields that are not given are 0. Raises ValueError for an unknown field or an impossible value.
        """
        fields = self.fields
        unknown = values.keys() - fields.keys()
        if unknown:
            raise ValueError(f"frame 0x{self.arbitration_id:03X} has no field {', '.join(sorted(unknown))}")
        bits = 0
        for name, value in values.items():
            field = fields[name]
            bits |= field.to_bits(field.to_raw(value))
        size = self.length if length is None else length
        return CanFrame(self.arbitration_id, bits.to_bytes(self.length, "little")[:size].ljust(size, b"\0"))

    def decode(self, data: bytes) -> dict[str, FieldValue]:
        """Return the fields that lie completely within ``data``; bytes after the last field are ignored."""
        if any(field.encoding is Encoding.TEXT for field in self.fields.values()):
            data = data.ljust(self.length, b"\0")
        bits, size = int.from_bytes(data, "little"), 8 * len(data)
        return {
            name: field.from_raw(field.from_bits(bits))
            for name, field in self.fields.items()
            if field.first_bit + field.length_bits <= size
        }


def by_name(*fields: FrameField) -> Mapping[str, FrameField]:
    """Return fields by their name, in the order given."""
    return {field.name: field for field in fields}
