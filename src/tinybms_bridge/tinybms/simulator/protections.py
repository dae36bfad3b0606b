"""Which protections are active: tripping, delays and recovery (user manual Rev D, protections)."""

from collections.abc import Mapping

from tinybms_bridge.tinybms.simulator.delay import NEVER_S, Delay
from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.measurement import Measurement
from tinybms_bridge.tinybms.simulator.protection_rules import PROTECTIONS, Protection, Recovery
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["Protections"]


class Protections:
    """Follows every protection by itself; several may be active at once (firmware 2.3.236 and later)."""

    def __init__(self) -> None:
        self._active: dict[EventId, Protection] = {}
        self._delays = {row.event: Delay() for row in PROTECTIONS}
        self._charger = False
        self._ignition = True

    @property
    def active(self) -> Mapping[EventId, Protection]:
        """The active protections by the event that began them."""
        return self._active

    @property
    def fault(self) -> bool:
        """Whether a fault is active."""
        return any(event.is_fault for event in self._active)

    @property
    def warning(self) -> bool:
        """Whether a warning is active."""
        return any(event.is_warning for event in self._active)

    @property
    def due_s(self) -> float:
        """Time at which a delay ends."""
        return min((delay.due_s for delay in self._delays.values()), default=NEVER_S)

    def reset(self) -> None:
        """Forget everything, as a restart does."""
        self._active.clear()
        for delay in self._delays.values():
            delay.reset()

    def step(self, measured: Measurement, limits: Thresholds, now_s: float, *, charging: bool) -> list[EventId]:
        """Take a measurement and return the events of protections that begin or end.

        Args:
            measured: readings at ``now_s``.
            limits: settings in force.
            now_s: time in seconds, not falling.
            charging: whether a charger was detected, so that a positive current is no regeneration.

        """
        arrived = (measured.charger and not self._charger) or measured.ignition != self._ignition
        self._charger, self._ignition = measured.charger, measured.ignition
        events: list[EventId] = []
        for row in PROTECTIONS:
            trips = row.trips(measured, limits, charging)
            delay = self._delays[row.event]
            if row.event not in self._active:
                if delay.ripe(trips, now_s, row.delay_s(measured, limits)):
                    self._active[row.event] = row
                    events.append(row.event)
                    delay.reset()
            elif self._ends(row, trips, measured, limits, now_s, arrived=arrived):
                del self._active[row.event]
                delay.reset()
                events += () if row.over is None else (row.over,)
        return events

    def _ends(
        self, row: Protection, trips: bool, measured: Measurement, limits: Thresholds, now_s: float, *, arrived: bool
    ) -> bool:
        gone = not trips and row.after not in self._active
        match row.recovery:
            case Recovery.CHARGER:
                return gone and measured.charger
            case Recovery.AT_ONCE:
                return gone
            case Recovery.RESTART:
                return False
            case Recovery.TIMED:
                if limits.recovery_s == 0.0:
                    self._delays[row.event].reset()
                    return gone and arrived
                return self._delays[row.event].ripe(gone, now_s, limits.recovery_s)
