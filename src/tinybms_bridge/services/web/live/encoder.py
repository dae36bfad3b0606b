"""From the bridge to the text of one message."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.services.web.face import BridgeFace, MonitoredFrame
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
"""Topics whose messages carry what is new since the one before; of the others only the newest matters."""

_MOST_FRAMES = 100
_MOST_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Made:
    """A message that is ready to go out."""

    text: str
    """Empty when there is nothing new."""
    last: int = 0
    """Number of the last frame or entry in it."""


def newest(face: BridgeFace, topic: Topic) -> int:
    """Return the number of the newest frame or entry that there is; 0 for none and for other topics."""
    if topic is Topic.CAN:
        return max((frame.number for frame in face.frames()), default=0)
    if topic is Topic.EVENTS:
        return max((event.number for event in face.events()), default=0)
    return 0


def encode(face: BridgeFace, topic: Topic, after: int, *, registers: bool = True) -> Made:
    """Return the message of a topic with what is newer than number ``after``; ``registers`` is about the flat one."""
    match topic:
        case Topic.STATUS:
            return Made(status_message(face, registers=registers))
        case Topic.LIMITS:
            return Made(limits_message(face.picture()))
        case Topic.REGISTERS:
            return Made(registers_message(face.picture()))
        case Topic.CAN:
            return _frames(face.frames(after), after)
        case Topic.EVENTS:
            events = [event for event in face.events() if event.number > after][:_MOST_EVENTS]
            return Made(events_message(events), events[-1].number) if events else Made("")


def _frames(found: Sequence[MonitoredFrame], after: int) -> Made:
    """Return the newest of some frames, which are numbered without a gap, and how many came before them."""
    if not found:
        return Made("")
    shown = found[-_MOST_FRAMES:]
    missed = shown[0].number - (after or found[0].number - 1) - 1
    return Made(can_message(shown, missed), shown[-1].number)
