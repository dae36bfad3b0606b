"""What the user has inhibited, and the document that keeps it over a restart."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["INHIBITS_VERSION", "Direction", "TimedInhibit", "inhibits_from_document", "inhibits_to_document"]

INHIBITS_VERSION = 1
"""Version of the document."""


class Direction(StrEnum):
    """What the user can inhibit."""

    CHARGE = "charge"
    DISCHARGE = "discharge"


@dataclass(frozen=True, slots=True)
class TimedInhibit:
    """One direction that is inhibited."""

    direction: Direction
    since: datetime
    """When it began, for people."""
    remaining_s: float | None = None
    """How much longer it lasts; None: until it is released by hand."""
    reason: str = ""
    by: str = ""
    """Who asked for it."""


def inhibits_to_document(inhibits: Iterable[TimedInhibit]) -> dict[str, object]:
    """Return a JSON-ready document."""
    return {
        "version": INHIBITS_VERSION,
        "stops": [
            {
                "direction": each.direction.value,
                "since": each.since.isoformat(),
                "remaining_s": each.remaining_s,
                "reason": each.reason,
                "by": each.by,
            }
            for each in inhibits
        ],
    }


def inhibits_from_document(document: object, now: datetime) -> tuple[TimedInhibit, ...]:
    """Return the inhibits of a document, one for each direction.

    An inhibit whose duration makes no sense lasts until it is released by hand; one without a date began ``now``.
    Raises ValueError for a document that does not say what is inhibited.
    """
    entries = document.get("stops") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("it is no list of inhibits")
    found = [_inhibit(entry, now) for entry in entries]
    return tuple({each.direction: each for each in found}.values())


def _inhibit(entry: Mapping[str, object], now: datetime) -> TimedInhibit:
    return TimedInhibit(
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
