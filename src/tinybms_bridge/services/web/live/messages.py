"""The live messages: one flat object with the README's names, and one kind of object for each further topic."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic_core import to_json

from tinybms_bridge.services.web.face import BridgeFace, EventEntry, MonitoredFrame, Picture
from tinybms_bridge.services.web.live.decoding import decoded
from tinybms_bridge.services.web.live.numbers import (
    active_levels,
    balancing_bits,
    cells_mv,
    flat_counters,
    limit_numbers,
    pack_numbers,
    rounded,
)
from tinybms_bridge.services.web.live.registers import live_registers

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


def status_message(face: BridgeFace) -> str:
    """Return the message of the seed: compact, at most 1.5 KB with 16 cells."""
    picture = face.picture()
    snapshot = picture.snapshot
    return _text(
        {
            **pack_numbers(picture),
            "power_w": rounded(snapshot.pack.power_w, 1) if snapshot else None,
            "temperatures": _temperatures(picture),
            "cells": cells_mv(snapshot),
            "balancing": balancing_bits(snapshot),
            "time_left_s": snapshot.pack.time_left_s if snapshot else None,
            "age_ms": None if picture.age_s is None else round(picture.age_s * 1000.0),
            "freshness": picture.freshness.value,
            "alarms": active_levels(picture),
            "inhibits": [inhibit.direction.value for inhibit in face.inhibits()],
            "stats": {**flat_counters(face.uart(), face.can()), "cvl": limit_numbers(picture)},
        }
    )


def limits_message(picture: Picture) -> str:
    """Return the reasons of the present limits, as codes and numbers."""
    limits = picture.limits
    reasons = [] if limits is None else limits.reasons
    return _text({"topic": Topic.LIMITS, **limit_numbers(picture), "reasons": reasons})


def registers_message(picture: Picture) -> str:
    """Return the last sample as ``/api/status`` has it under ``registers``."""
    return _text({"topic": Topic.REGISTERS, "registers": live_registers(picture.snapshot)})


def can_message(frames: Sequence[MonitoredFrame], missed: int = 0) -> str:
    """Return frames with the names of their fields, and how many were left out before them.

    The first call reads the frame table, a file.
    """
    return _text({"topic": Topic.CAN, "missed": missed, "frames": [decoded(frame) for frame in frames]})


def events_message(events: Sequence[EventEntry]) -> str:
    """Return entries of the event list."""
    return _text({"topic": Topic.EVENTS, "events": events})


def error_message(message: str) -> str:
    """Return what is said to a client whose message was not understood."""
    return _text({"topic": "error", "success": False, "message": message})


def _temperatures(picture: Picture) -> list[float | None]:
    if picture.snapshot is None:
        return []
    sensors = picture.snapshot.temperatures
    return [rounded(value, 1) for value in (sensors.internal_c, sensors.external_1_c, sensors.external_2_c)]


def _text(document: dict[str, object]) -> str:
    return to_json(document, inf_nan_mode="null").decode()
