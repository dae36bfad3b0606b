"""CAN frames in words."""

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.services.web.face import MonitoredFrame
from tinybms_bridge.victron.codec import UnknownFrame, decode_frame

__all__ = ["decoded"]


def decoded(frame: MonitoredFrame) -> dict[str, object]:
    """Return a frame with its name and the values of its fields; a frame that nobody knows has no name.

    The first call of the process reads the frame table, a file: make it off the event loop.
    """
    document: dict[str, object] = {
        "number": frame.number,
        "at": frame.at.isoformat(timespec="milliseconds"),
        "direction": frame.direction,
        "id": f"0x{frame.arbitration_id:03X}",
        "data": frame.data.hex().upper(),
        "name": None,
        "values": {},
    }
    try:
        found = decode_frame(CanFrame(frame.arbitration_id, frame.data))
    except (UnknownFrame, ValueError):
        return document
    return document | {"name": found.name, "values": found.values}
