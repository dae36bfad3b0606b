"""The live messages: one flat object with the README's names, and one kind of object for each further topic."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

from pydantic_core import to_json

from tinybms_bridge.services.web.answer import rounded
from tinybms_bridge.services.web.face import BridgeFace, EventEntry, MonitoredFrame, Picture
from tinybms_bridge.services.web.live.decoding import decoded
from tinybms_bridge.services.web.live.numbers import limit_numbers
from tinybms_bridge.services.web.live.registers import live_registers
from tinybms_bridge.services.web.live.status import live_status

__all__ = [
    "Topic",
    "can_message",
    "error_message",
    "events_message",
    "limits_message",
    "registers_message",
    "status_message",
]


class Topic(StrEnum):
    """What a client may follow."""

    STATUS = "status"
    """The flat object, without a field ``topic``."""
    LIMITS = "limits"
    """The limits with every reason."""
    REGISTERS = "registers"
    """The values of the last sample by register of the BMS."""
    CAN = "can"
    """CAN frames with decoded names."""
    EVENTS = "events"
    """New entries of the event list."""


def status_message(face: BridgeFace, *, registers: bool = True) -> str:
    """Return the message of the seed: compact, at most 1.5 KB with 16 cells and fresh data; ``registers`` add 2 KB."""
    return _text(rounded("", live_status(face, registers=registers)))


def limits_message(picture: Picture) -> str:
    """Return the reasons of the limits that are sent, as codes and numbers."""
    limits = picture.view.limits
    reasons = [] if limits is None else [asdict(reason) for reason in limits.reasons]
    return _text(rounded("", {"topic": Topic.LIMITS, **limit_numbers(limits), "reasons": reasons}))


def registers_message(picture: Picture) -> str:
    """Return the live sample as ``/api/status`` has it under ``registers``."""
    return _text(rounded("", {"topic": Topic.REGISTERS, "registers": live_registers(picture.view.measured)}))


def can_message(frames: Sequence[MonitoredFrame], missed: int = 0) -> str:
    """Return frames with the names of their fields, and how many were left out before them.

    The first call reads the frame table, a file.
    """
    return _text({"topic": Topic.CAN, "missed": missed, "frames": [decoded(frame) for frame in frames]})


def events_message(events: Sequence[EventEntry]) -> str:
    """Return entries of the event list, without names of users: one message goes to every client."""
    return _text({"topic": Topic.EVENTS, "events": [_without_name(event) for event in events]})


def error_message(message: str) -> str:
    """Return what is said to a client whose message was not understood."""
    return _text({"topic": "error", "success": False, "message": message})


def _without_name(event: EventEntry) -> dict[str, object]:
    entry = asdict(event)
    del entry["by"]
    return entry


def _text(document: dict[str, object]) -> str:
    return to_json(document, inf_nan_mode="null").decode()
