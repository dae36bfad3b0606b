"""What the user has stopped by hand, and the document that keeps it over a restart."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["STOPS_VERSION", "Direction", "ManualStop", "stops_from_document", "stops_to_document"]

STOPS_VERSION = 1
"""Version of the document."""


class Direction(StrEnum):
    """What the user can stop."""

    CHARGE = "charge"
    DISCHARGE = "discharge"


@dataclass(frozen=True, slots=True)
class ManualStop:
    """One direction that is stopped."""

    direction: Direction
    since: datetime
    """When it began, for people."""
    remaining_s: float | None = None
    """How much longer it lasts; None: until it is released by hand."""
    reason: str = ""
    by: str = ""
    """Who stopped it."""


def stops_to_document(stops: Iterable[ManualStop]) -> dict[str, object]:
    """Return a JSON-ready document."""
    return {
        "version": STOPS_VERSION,
        "stops": [
            {
                "direction": stop.direction.value,
                "since": stop.since.isoformat(),
                "remaining_s": stop.remaining_s,
                "reason": stop.reason,
                "by": stop.by,
            }
            for stop in stops
        ],
    }


def stops_from_document(document: object, now: datetime) -> tuple[ManualStop, ...]:
    """Return the stops of a document, one for each direction.

    A stop whose duration makes no sense lasts until it is released by hand; one without a date began ``now``. Raises
    ValueError for a document that does not say what is stopped.
    """
    entries = document.get("stops") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("it is no list of stops")
    stops = [_stop(entry, now) for entry in entries]
    return tuple({stop.direction: stop for stop in stops}.values())


def _stop(entry: Mapping[str, object], now: datetime) -> ManualStop:
    return ManualStop(
        direction=Direction(str(entry.get("direction"))),
        since=_date(entry.get("since"), now),
        remaining_s=_seconds(entry.get("remaining_s")),
        reason=_text(entry.get("reason")),
        by=_text(entry.get("by")),
    )


def _date(value: object, default: datetime) -> datetime:
    try:
        date = datetime.fromisoformat(value) if isinstance(value, str) else default
    except ValueError:
        return default
    return default if date.tzinfo is None else date


def _seconds(value: object) -> float | None:
    """Return a duration that can be; an unknown one has no end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf and value < 1e9 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
