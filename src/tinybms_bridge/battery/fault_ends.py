"""Faults and warnings that are over although the log does not tell their end: what a sample of the BMS proves.

An end may have left the ring unread, and a fault that ended long ago must not pass for the cause of the next one.
A warning is over only when the BMS does what it would cut and the measured values no longer give cause for it.
"""

from dataclasses import dataclass

from tinybms_bridge.battery.bms_event_kinds import DISCHARGED, TOO_COLD_TO_CHARGE, Severity
from tinybms_bridge.battery.bms_events import BmsEvent
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot

__all__ = ["FaultEnds"]

_NEVER_S = -(1 << 63)

_SETTLING_S = 2
"""Time by which a status may follow its event: both have their own refresh, and stamps have whole seconds."""

_NO_PROOF = frozenset({BmsStatus.FAULT, BmsStatus.UNKNOWN})


@quick
@dataclass(frozen=True, slots=True)
class FaultEnds:
    """Until when, on the lifetime counter, what has begun is known to be over."""

    faults_until_s: int = _NEVER_S
    discharged_until_s: int = _NEVER_S
    cold_until_s: int = _NEVER_S

    def seen(self, snapshot: Snapshot) -> "FaultEnds":
        """Return what is known with one more sample: a documented status other than fault ends all faults before it."""
        if snapshot.pack.status in _NO_PROOF:
            return self
        until_s = snapshot.pack.lifetime_s - _SETTLING_S
        discharged_s = until_s if _discharges(snapshot) else self.discharged_until_s
        cold_s = until_s if _charges_warm(snapshot) else self.cold_until_s
        if (until_s, discharged_s, cold_s) == (self.faults_until_s, self.discharged_until_s, self.cold_until_s):
            return self  # samples come more often than the counter counts
        return FaultEnds(until_s, discharged_s, cold_s)

    def covers(self, event: BmsEvent) -> bool:
        """Return whether an event is a fault or a warning that is over."""
        if event.severity is Severity.FAULT:
            return event.lifetime_s <= self.faults_until_s
        if event.event_id == DISCHARGED:
            return event.lifetime_s <= self.discharged_until_s
        return event.event_id == TOO_COLD_TO_CHARGE and event.lifetime_s <= self.cold_until_s


def _discharges(snapshot: Snapshot) -> bool:
    """Return whether the BMS lets the battery be discharged, with every cell above the level of the warning."""
    pack, ratings = snapshot.pack, snapshot.ratings
    if pack.status is not BmsStatus.DISCHARGING or pack.current_a >= 0.0 or ratings is None:
        return False
    return snapshot.cells.min_v > ratings.fully_discharged_cell_v


def _charges_warm(snapshot: Snapshot) -> bool:
    """Return whether the BMS lets the battery be charged, with every sensor above the limit of the warning."""
    pack, ratings, coldest_c = snapshot.pack, snapshot.ratings, snapshot.temperatures.coldest_c
    if pack.status is not BmsStatus.CHARGING or pack.current_a <= 0.0 or ratings is None or coldest_c is None:
        return False
    return coldest_c > ratings.low_temperature_charge_c
