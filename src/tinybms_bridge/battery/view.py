"""What may be shown at one moment: measurements only while they are live, limits only while they are sent.

Every interface for people and programs shows this, so none shows an old value as a present one. The last values stay
to be seen, apart from the live ones and with their age.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.snapshot import Ratings, Snapshot
from tinybms_bridge.words import Message, message

__all__ = ["Last", "View", "make_view"]


@dataclass(frozen=True, slots=True)
class Last:
    """The last values, of which nobody knows whether they still hold."""

    snapshot: Snapshot
    age_s: float
    """Age of the sample."""
    limits: Limits | None = None
    """The last limits that were decided from fresh data."""

    def at(self, now: datetime) -> datetime:
        """Return when the sample was taken, to the second, by the wall clock that shows ``now``."""
        return (now - timedelta(seconds=self.age_s)).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class View:
    """The battery as it may be shown now."""

    freshness: Freshness = Freshness.STARTING
    measured: Snapshot | None = None
    """The present measurements; None without a sample, and in HOLD and SILENT."""
    limits: Limits | None = None
    """The limits that are sent now; None while nothing is sent."""
    age_s: float | None = None
    """Age of the last sample, live or not; None before the first."""
    last: Last | None = None
    """The last values, while there are no present ones."""
    frozen: bool = False
    """Whether samples come, but their readings stand still; ages count from the last change then."""

    @property
    def ratings(self) -> Ratings | None:
        """The BMS's own settings as last read: they do not change while it does not answer."""
        known = self.measured or (self.last.snapshot if self.last else None)
        return None if known is None else known.ratings

    @property
    def explanation(self) -> Message | None:
        """Why this is not the usual state; None while fresh data is sent."""
        if self.freshness is Freshness.HOLD and self.limits is not None:
            return message("view.hold_frozen" if self.frozen else "view.hold", age_s=self.age_s)
        if self.freshness in (Freshness.HOLD, Freshness.SILENT):
            return message("view.lost")
        return message("view.starting") if self.limits is None else None

    @property
    def remark(self) -> str:
        """The explanation in English; empty while fresh data is sent."""
        return "" if self.explanation is None else self.explanation.text


def make_view(
    freshness: Freshness,
    snapshot: Snapshot | None,
    limits: Limits | None,
    *,
    last_limits: Limits | None = None,
    now_s: float,
    live_for_s: float,
    frozen_since_s: float | None = None,
) -> View:
    """Return what may be shown.

    Args:
        freshness: How much the sample can be trusted.
        snapshot: The last accepted sample.
        limits: The limits in force, whether or not they may be sent.
        last_limits: The last ones that were decided from fresh data.
        now_s: Monotonic time.
        live_for_s: Greatest age of a sample that is shown as present; a start can end with the first sample.
        frozen_since_s: Time of the last change of readings that stand still; None while they move.

    """
    sent = limits if limits is not None and limits.may_send else None
    if snapshot is None:
        return View(freshness, limits=sent)
    age_s = max(0.0, now_s - snapshot.taken_at_s)
    if freshness is Freshness.FRESH or (freshness is Freshness.STARTING and age_s <= live_for_s):
        return View(freshness, snapshot, sent, age_s)
    if frozen_since_s is not None:
        age_s = max(0.0, now_s - frozen_since_s)
    return View(freshness, None, sent, age_s, Last(snapshot, age_s, last_limits), frozen=frozen_since_s is not None)
