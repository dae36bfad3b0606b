"""Faults that are over although the log does not tell their end: what a sample of the BMS proves.

An end may have left the ring unread, and a fault that ended long ago must not pass for the cause of the next one.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent
from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot

__all__ = ["FaultEnds"]

_NEVER_S = -(1 << 63)

_SETTLING_S = 2
"""Time by which a status may follow its event: both have their own refresh, and stamps have whole seconds."""

_NO_PROOF = frozenset({BmsStatus.FAULT, BmsStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class FaultEnds:
    """Until when, on the lifetime counter, faults are known to be over."""

    faults_until_s: int = _NEVER_S

    def seen(self, snapshot: Snapshot) -> "FaultEnds":
        """Return what is known with one more sample: a documented status other than fault ends all faults before it."""
        if snapshot.pack.status in _NO_PROOF:
            return self
        return FaultEnds(snapshot.pack.lifetime_s - _SETTLING_S)

    def covers(self, event: BmsEvent) -> bool:
        """Return whether an event is a fault that is over."""
        return event.severity is Severity.FAULT and event.lifetime_s <= self.faults_until_s
