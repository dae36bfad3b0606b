"""The settings of the frames, and how far limits have fallen below those that were sent."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from tinybms_bridge.battery.gx import INSTALLED_CAPACITY_BYTES, reserved_beginning
from tinybms_bridge.battery.limits.model import Limits

__all__ = [
    "OPTIONAL_FRAMES",
    "Fall",
    "FrameSettings",
    "fall_of",
]

OPTIONAL_FRAMES: Final = (
    *(0x35E, 0x35F, 0x370, 0x371, 0x372, 0x373, 0x374, 0x375, 0x376, 0x377),
    *(0x378, 0x379, 0x380, 0x381, 0x382),
)
"""Sent after the minimum, in this order, where the data is known."""

_SMALL_SHARE = 0.02
_SMALL_A = 1.0
_SMALL_V = 0.1
_ROUNDING = 1e-6
"""Limits come in the steps of the frame, as sums of floats."""

_FRAME_TEXT = 8
_PAIRS = ((0x370, 0x371), (0x380, 0x381))


class Fall(IntEnum):
    """How far the limits lie below those that were sent."""

    NONE = 0
    SMALL = 1
    """Below 2 % and below 1 A or 0.1 V."""
    LARGE = 2
    """Has to go out at once: a GX acts on what it last heard, and hears the next burst up to a second later."""


def fall_of(sent: Limits, now: Limits) -> Fall:
    """Return the largest fall of the three limits."""
    return max(
        _fall(sent.cvl_v, now.cvl_v, _SMALL_V),
        _fall(sent.ccl_a, now.ccl_a, _SMALL_A),
        _fall(sent.dcl_a, now.dcl_a, _SMALL_A),
    )


def _fall(before: float, after: float, small: float) -> Fall:
    fall = before - after
    if fall <= _ROUNDING:
        return Fall.NONE
    is_small = fall < min(small, _SMALL_SHARE * before) - _ROUNDING
    return Fall.SMALL if is_small else Fall.LARGE


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """Choices of the user about the frames. Raises ValueError for a choice that a GX would misread."""

    manufacturer_name: str = "ENEPAQ"
    """Up to 8 characters; see ``separate_manufacturer``."""
    battery_name: str = "TinyBMS s516"
    """Up to 16 characters; one of more than 8 goes into 0x370 and 0x371, a shorter one into 0x35E alone."""
    family_name: str = "TinyBMS"
    """Up to 8 characters for 0x382; empty: not sent."""
    separate_manufacturer: bool = False
    """False: 0x35E has the text of 0x370, as the document asks; the manufacturer shows when the battery has no name.
    True: 0x35E carries the manufacturer beside 0x370, as a battery in the field does (victron-can.md, 5)."""
    battery_model_id: int = 0
    """Model or type id of 0x35F, 0..65535."""
    send_high_resolution_soc: bool = True
    discharge_voltage_in_351: bool = True
    """False: 0x351 ends after DCL."""
    system_status: int | Literal["online"] = 0
    """0..3 as they are, or ``online``: 2 while the samples are fresh, otherwise 1 (victron-can.md, 3)."""
    unknown_soh_percent: float = 100.0
    """State of health to send when the BMS does not report one."""
    installed_capacity_bytes: int = 2
    """Length of 0x379: 2 as the document has it, or 8 with zeros after the capacity, for readers that expect that."""
    optional_frames: frozenset[int] = frozenset(OPTIONAL_FRAMES)
    """Which of ``OPTIONAL_FRAMES`` to send."""

    def __post_init__(self) -> None:
        _check_name("manufacturer_name", self.manufacturer_name, _FRAME_TEXT)
        _check_name("battery_name", self.battery_name, 2 * _FRAME_TEXT)
        _check_name("family_name", self.family_name, _FRAME_TEXT)
        if not self.manufacturer_text:
            raise ValueError("manufacturer_name and battery_name are both empty; 0x35E needs a text")
        if not 0 <= self.battery_model_id <= 0xFFFF:
            raise ValueError(f"battery_model_id is {self.battery_model_id}, allowed are 0 to 65535")
        if self.system_status not in (0, 1, 2, 3, "online"):
            raise ValueError(f"system_status is {self.system_status!r}, allowed are 0 to 3 and 'online'")
        if not 0.0 <= self.unknown_soh_percent <= 100.0:
            raise ValueError(f"unknown_soh_percent is {self.unknown_soh_percent}, allowed are 0 to 100")
        if self.installed_capacity_bytes not in INSTALLED_CAPACITY_BYTES:
            raise ValueError(f"installed_capacity_bytes is {self.installed_capacity_bytes}, allowed are 2 and 8")
        _check_frames(self.optional_frames)

    @property
    def has_long_name(self) -> bool:
        """Whether the battery name needs 0x370 and 0x371."""
        return len(self.battery_name) > _FRAME_TEXT

    @property
    def manufacturer_text(self) -> str:
        """Text of 0x35E, which stands alone: a blank between the halves of a name belongs to 0x370 and 0x371 only."""
        if self.separate_manufacturer and self.manufacturer_name:
            return self.manufacturer_name.strip()
        return self.battery_name[:_FRAME_TEXT].strip() or self.manufacturer_name.strip()

    @property
    def battery_name_texts(self) -> tuple[str, str]:
        """Texts of 0x370 and 0x371."""
        return self.battery_name[:_FRAME_TEXT], self.battery_name[_FRAME_TEXT:]


def _check_name(key: str, name: str, size: int) -> None:
    if len(name) > size:
        raise ValueError(f"{key} {name!r} has {len(name)} characters, allowed are {size}")
    if not (name.isascii() and name.isprintable()):
        raise ValueError(f"{key} {name!r} has characters other than printable 7-bit ASCII")
    reserved = reserved_beginning(name)
    if reserved:
        raise ValueError(
            f"{key} {name!r} begins like {reserved}: a GX would apply that maker's own limits to this battery"
        )


def _check_frames(frames: frozenset[int]) -> None:
    unknown = sorted(frames - set(OPTIONAL_FRAMES))
    if unknown:
        known = ", ".join(f"0x{identifier:03X}" for identifier in OPTIONAL_FRAMES)
        raise ValueError(f"frame 0x{unknown[0]:03X} cannot be chosen; the optional ones are {known}")
    for first, second in _PAIRS:
        if (first in frames) != (second in frames):
            raise ValueError(f"0x{first:03X} and 0x{second:03X} go together: choose both or none")
