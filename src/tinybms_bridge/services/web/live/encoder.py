"""From the bridge to the text of one message."""

from dataclasses import dataclass

from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.messages import (
    Topic,
    can_message,
    events_message,
    limits_message,
    registers_message,
    status_message,
)

__all__ = ["BATCHES", "Made", "encode", "newest"]

BATCHES = frozenset({Topic.CAN, Topic.EVENTS})
"""Topics whose messages carry everything new since the one before; of the others only the newest matters."""

_MOST_FRAMES = 100
_MOST_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Made:
    """A message that is ready to go out."""

    text: str
    """Empty when there is nothing new."""
    last: int = 0
    """Number of the newest frame or entry in it."""


def newest(face: BridgeFace, topic: Topic) -> int:
    """Return the number of the newest frame or entry that there is; 0 for none and for other topics."""
    if topic is Topic.CAN:
        return max((frame.number for frame in face.frames()), default=0)
    if topic is Topic.EVENTS:
        return max((event.number for event in face.events()), default=0)
    return 0


def encode(face: BridgeFace, topic: Topic, after: int) -> Made:
    """Return the message of a topic with what is newer than number ``after``."""
    match topic:
        case Topic.STATUS:
            return Made(status_message(face))
        case Topic.LIMITS:
            return Made(limits_message(face.picture()))
        case Topic.REGISTERS:
            return Made(registers_message(face.picture()))
        case Topic.CAN:
            frames = face.frames(after)[-_MOST_FRAMES:]
            return Made(can_message(frames), frames[-1].number) if frames else Made("")
        case Topic.EVENTS:
            events = [event for event in face.events() if event.number > after][-_MOST_EVENTS:]
            return Made(events_message(events), events[-1].number) if events else Made("")
