"""Snapshot, limits and alarms to Victron frames, and frames back to values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import FieldValue
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.frames import MINIMUM_BUILDERS, Builder, check_sendable
from tinybms_bridge.victron.can.frames_optional import OPTIONAL_BUILDERS
from tinybms_bridge.victron.can.outgoing import FrameSettings

__all__ = [
    "LIMITS_ID",
    "DecodedFrame",
    "FrameSettings",
    "UnknownFrame",
    "burst_ids",
    "decode_frame",
    "encode_frames",
    "encode_together",
]

LIMITS_ID: Final = 0x351
"""The only frame that controls; it is sent first, and alone when a limit was lowered."""

_BUILDERS: Final[Mapping[int, Builder]] = {**MINIMUM_BUILDERS, **OPTIONAL_BUILDERS}

_TOGETHER: Final = (
    # limits, the alarms that go with them, and which direction they block; and what hardly changes: names, numbers
    (LIMITS_ID, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x378, 0x379, 0x380, 0x381, 0x382),
    # extremes, and the cells and sensors that have them
    (0x373, 0x374, 0x375, 0x376, 0x377),
)
"""Frames that tell the same moment, because they have to agree; each other one stands for itself."""


class UnknownFrame(LookupError):  # noqa: N818 - a statement about the bus, not a fault of the program
    """The frame table has no frame with this id."""

    def __init__(self, arbitration_id: int) -> None:
        super().__init__(arbitration_id)
        self.arbitration_id = arbitration_id
        """Id of the frame."""

    def __str__(self) -> str:
        return f"no frame 0x{self.arbitration_id:03X} in the Victron CAN-bus BMS protocol"


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """What a frame says."""

    arbitration_id: int
    name: str
    """Name of the frame in ``victron_bms.dbc``."""
    values: dict[str, FieldValue]
    """Numbers in the unit of their field, words, or texts; only fields that the frame is long enough for."""

    def number(self, name: str) -> float | None:
        """Return a numeric field, or None when it is missing or stands for a word."""
        value = self.values.get(name)
        return None if value is None or isinstance(value, str) else float(value)


def encode_frames(state: BatteryState, settings: FrameSettings) -> tuple[CanFrame, ...]:
    """Return the frames of one burst, all of this moment; see ``burst_ids``.

    Raises ValueError when voltage, current, SOC or a limit is not a finite number, CVL is 0 or a current limit
    negative; nothing may be sent then.
    """
    return _encoded(burst_ids(state, settings), state, settings)


def burst_ids(state: BatteryState, settings: FrameSettings) -> tuple[int, ...]:
    """Return which frames a burst has: the minimum set first, then the chosen ones whose data is known."""
    return tuple(identifier for identifier in _BUILDERS if _is_sent(identifier, state, settings))


def encode_together(
    identifier: int, waiting: Collection[int], state: BatteryState, settings: FrameSettings
) -> tuple[CanFrame, ...]:
    """Return a frame, and those of the ``waiting`` ones that have to agree with it; what has no data any more is not.

    Raises ValueError as ``encode_frames`` does.
    """
    group = next((group for group in _TOGETHER if identifier in group), (identifier,))
    wanted = [each for each in group if each == identifier or each in waiting]
    return _encoded([each for each in wanted if _is_sent(each, state, settings)], state, settings)


def _is_sent(identifier: int, state: BatteryState, settings: FrameSettings) -> bool:
    chosen = identifier in MINIMUM_BUILDERS or identifier in settings.optional_frames
    return chosen and _BUILDERS[identifier].has_data(state, settings)


def _encoded(identifiers: Collection[int], state: BatteryState, settings: FrameSettings) -> tuple[CanFrame, ...]:
    check_sendable(state)
    return tuple(_BUILDERS[identifier].build(state, settings) for identifier in identifiers)


def decode_frame(frame: CanFrame) -> DecodedFrame:
    """Return what a frame says. Raises UnknownFrame when the protocol has no such id."""
    frame_format = FRAME_FORMATS.get(frame.arbitration_id)
    if frame_format is None:
        raise UnknownFrame(frame.arbitration_id)
    return DecodedFrame(frame.arbitration_id, frame_format.name, frame_format.decode(frame.data))
