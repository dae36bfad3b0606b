"""What the user has inhibited, and the document that keeps it over a restart."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

__all__ = [
    "INHIBITS_VERSION",
    "LONGEST_INHIBIT_S",
    "Direction",
    "Inhibit",
    "inhibits_from_document",
    "inhibits_to_document",
]

INHIBITS_VERSION = 1
"""Version of the document."""

LONGEST_INHIBIT_S = 7 * 24 * 3600.0
"""An inhibit that ends by itself does so within a week; what is to last longer lasts until it is released."""


class Direction(StrEnum):
    """What the user can inhibit."""

    CHARGE = "charge"
    DISCHARGE = "discharge"


@dataclass(frozen=True, slots=True)
class Inhibit:
    """A direction that is stopped by hand."""

    direction: Direction
    since: datetime
    """When it began, for people."""
    expires_at: datetime | None = None
    """When it ends by itself, to the second, for people; None: only by hand."""
    reason: str = ""
    by: str = ""
    """Who stopped it; who is not logged in sees `somebody`."""

    def ending(self, now: datetime, remaining_s: float | None) -> "Inhibit":
        """Return it with its end by the wall clock that shows ``now``, for an inhibit that lasts so much longer."""
        if remaining_s is None:
            return self if self.expires_at is None else replace(self, expires_at=None)
        return replace(self, expires_at=(now + timedelta(seconds=remaining_s + 0.5)).replace(microsecond=0))


def inhibits_to_document(remaining_s: Mapping[Inhibit, float | None]) -> dict[str, object]:
    """Return a JSON-ready document of inhibits with how much longer each lasts; None: until it is released by hand."""
    return {
        "version": INHIBITS_VERSION,
        "stops": [
            {
                "direction": each.direction.value,
                "since": each.since.isoformat(),
                "remaining_s": left_s,
                "reason": each.reason,
                "by": each.by,
            }
            for each, left_s in remaining_s.items()
        ],
    }


def inhibits_from_document(document: object, now: datetime) -> dict[Inhibit, float | None]:
    """Return the inhibits of a document, one for each direction, with how much longer each lasts in seconds.

    An inhibit whose duration makes no sense lasts until it is released by hand; one without a date began ``now``.
    Raises ValueError for a document that does not say what is inhibited.
    """
    entries = document.get("stops") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("it is no list of inhibits")
    found = [(_inhibit(entry, now), _seconds(entry.get("remaining_s"))) for entry in entries]
    return dict({inhibit.direction: (inhibit, left_s) for inhibit, left_s in found}.values())


def _inhibit(entry: Mapping[str, object], now: datetime) -> Inhibit:
    return Inhibit(
        direction=Direction(str(entry.get("direction"))),
        since=_date(entry.get("since"), now),
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
