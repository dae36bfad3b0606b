"""What changed lately, with times: kept from the bus without a task, and looked at when somebody asks."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from tinybms_bridge.bus import Bus, Envelope
from tinybms_bridge.events import (
    ChargeStateChanged,
    Event,
    FreshnessChanged,
    GxChanged,
    LinkChanged,
)

__all__ = ["Change", "Changes"]

_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    at: datetime
    kind: str
    """``freshness``, ``link``, ``gx`` or ``charge_state``."""
    value: str
    detail: str = ""


class Changes:
    """The last changes of freshness, link, GX and charge state since this was made."""

    def __init__(self, bus: Bus, keep: int = 100) -> None:
        types: tuple[type[Event], ...] = (FreshnessChanged, LinkChanged, GxChanged, ChargeStateChanged)
        self._subscription = bus.subscribe(*types, depth=_DEPTH, name="web changes")
        self._kept: deque[Change] = deque(maxlen=keep)

    def recent(self) -> tuple[Change, ...]:
        """Return the kept changes, oldest first."""
        self.drain()
        return tuple(self._kept)

    def drain(self) -> None:
        """Take what the bus has told since the last look."""
        while (envelope := self._subscription.take()) is not None:
            self._kept.append(_change(envelope))

    def close(self) -> None:
        """Follow the bus no more; safe to call twice."""
        self._subscription.close()


def _change(envelope: Envelope[Event]) -> Change:
    match envelope.event:
        case FreshnessChanged(new=new):
            return Change(envelope.wall, "freshness", new.value)
        case LinkChanged(up=up, reason=reason):
            return Change(envelope.wall, "link", "up" if up else "down", reason)
        case GxChanged(state=state):
            return Change(envelope.wall, "gx", state)
        case ChargeStateChanged(new=state_now):
            return Change(envelope.wall, "charge_state", state_now.value)
        case other:
            return Change(envelope.wall, type(other).__name__, "")
