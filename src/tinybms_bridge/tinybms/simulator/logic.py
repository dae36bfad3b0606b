"""The decisions of the BMS, from one measurement to the next: protections, charge, balancing, switches, status."""

from collections.abc import Sequence

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.simulator.balancing import balancing_now, balancing_wanted
from tinybms_bridge.tinybms.simulator.charging import ChargeControl, ChargePhase
from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.measurement import Measurement
from tinybms_bridge.tinybms.simulator.protections import Protections
from tinybms_bridge.tinybms.simulator.switches import Switches, dual_port, single_port
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["BmsLogic"]

_AT_POWER_UP = Switches(load=True, charger=False)


class BmsLogic:
    """What the BMS decides. Knows neither cells nor chargers, only measurements.

    Args:
        warning_is_fault: register 50 says "fault" during a warning too; the manual leaves it open.

    """

    def __init__(self, *, warning_is_fault: bool = False) -> None:
        self.protections = Protections()
        self.charge = ChargeControl()
        self.switches = _AT_POWER_UP
        self.status = BmsStatus.IDLE
        self.wanted: Sequence[int] = ()
        """Indexes (from 0) of the configured cells that should bleed."""
        self.bleeding: Sequence[int] = ()
        """Those that bleed."""
        self._warning_is_fault = warning_is_fault

    @property
    def due_s(self) -> float:
        """Time at which a decision is due although nothing changes."""
        return min(self.protections.due_s, self.charge.due_s)

    def restart(self) -> None:
        """Forget everything, as at power-up."""
        self.protections.reset()
        self.charge = ChargeControl()
        self.switches = _AT_POWER_UP
        self.status = BmsStatus.IDLE
        self.wanted = self.bleeding = ()

    def step(self, measured: Measurement, limits: Thresholds, now_s: float) -> list[EventId]:
        """Decide on a measurement at ``now_s`` and return the events."""
        events = self.protections.step(measured, limits, now_s, charging=self.charge.charger)
        over_voltage = EventId.OVER_VOLTAGE in self.protections.active
        high = balancing_wanted(measured.cells_v, limits, over_voltage=over_voltage)
        events += self.charge.step(
            measured, limits, now_s, allowed=self._charger_allowed(limits), unbalanced=bool(high)
        )
        bleeds = over_voltage or self._regenerates(measured, limits) or self._charges
        self.wanted = high if bleeds else ()
        self.bleeding = balancing_now(self.wanted)
        self.switches = self._switches(measured, limits, now_s)
        self.status = self._status(measured, limits)
        return events

    def is_active(self, measured: Measurement, limits: Thresholds) -> bool:
        """Return whether something keeps the BMS awake (user manual Rev D, sleep)."""
        active = self.protections.active
        empty = EventId.UNDER_VOLTAGE in active or EventId.DISCHARGED in active
        charger = self.charge.charger and EventId.UNDER_VOLTAGE not in active
        if limits.ignition:
            return charger or (measured.ignition and not empty)
        holding = any(row.keeps_awake and not (row.event is EventId.OVER_VOLTAGE and empty) for row in active.values())
        return charger or holding or bool(self.bleeding) or measured.current_a != 0.0

    @property
    def _charges(self) -> bool:
        return self.charge.phase in (ChargePhase.CHARGING, ChargePhase.BALANCING)

    def _charger_allowed(self, limits: Thresholds) -> bool:
        return all(row.leaves_charger(limits) for row in self.protections.active.values())

    def _regenerates(self, measured: Measurement, limits: Thresholds) -> bool:
        return measured.current_a > 0.0 and not (self.charge.charger or limits.single_port)

    def _switches(self, measured: Measurement, limits: Thresholds, now_s: float) -> Switches:
        active = self.protections.active.values()
        if not limits.single_port:
            return dual_port(active, limits, charge=self.charge.switched_on(now_s))
        over = self.charge.ended or self.charge.phase is ChargePhase.BALANCING
        return single_port(active, charge_over=over, load=measured.load, charger=measured.offered_a > 0.0)

    def _status(self, measured: Measurement, limits: Thresholds) -> BmsStatus:
        protections = self.protections
        if protections.fault or (protections.warning and self._warning_is_fault):
            return BmsStatus.FAULT
        if self.charge.ended:
            return BmsStatus.FULLY_CHARGED
        if measured.current_a < 0.0:
            return BmsStatus.DISCHARGING
        if self._regenerates(measured, limits):
            return BmsStatus.REGENERATION
        if measured.current_a > 0.0 or self._charges:
            return BmsStatus.CHARGING
        waiting = self.charge.phase is ChargePhase.FOUND and self._charger_allowed(limits)
        return BmsStatus.CHARGING if waiting else BmsStatus.IDLE
