"""Snapshot, limits and alarms to Victron frames, and frames back to values."""

from dataclasses import dataclass

from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import FieldValue
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.frames import MINIMUM_BUILDERS, check_sendable
from tinybms_bridge.victron.can.frames_optional import OPTIONAL_BUILDERS
from tinybms_bridge.victron.can.outgoing import FrameSettings

__all__ = ["DecodedFrame", "FrameSettings", "UnknownFrame", "decode_frame", "encode_frames"]


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
    """Return one burst: the minimum set first, then the chosen frames whose data is known.

    Raises ValueError when voltage, current, SOC or a limit is not a finite number, CVL is 0 or a current limit
    negative; nothing may be sent then.
    """
    check_sendable(state)
    chosen = (build for identifier, build in OPTIONAL_BUILDERS.items() if identifier in settings.optional_frames)
    built = (build(state, settings) for build in (*MINIMUM_BUILDERS.values(), *chosen))
    return tuple(frame for frame in built if frame is not None)


def decode_frame(frame: CanFrame) -> DecodedFrame:
    """Return what a frame says. Raises UnknownFrame when the protocol has no such id."""
    frame_format = FRAME_FORMATS.get(frame.arbitration_id)
    if frame_format is None:
        raise UnknownFrame(frame.arbitration_id)
    return DecodedFrame(frame.arbitration_id, frame_format.name, frame_format.decode(frame.data))
