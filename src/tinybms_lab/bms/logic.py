"""The decisions of the BMS from one measurement to the next: balancing, charge, protections, switches, status.

For the course of a charge the manual (tinybms-protocol.md, 5.3) names the conditions and two times (registers 310
and 311); the shorter times here are choices.
"""

from collections.abc import Sequence
from enum import Enum

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_lab.bms.hardware import SwitchStates, dual_port, single_port
from tinybms_lab.bms.measurement import NEVER_S, BmsThresholds, Delay, Measurement
from tinybms_lab.bms.protections import Protections
from tinybms_lab.bms.records import EventId

__all__ = ["BmsLogic", "ChargeControl", "ChargePhase", "balancing_now", "balancing_wanted"]


_BLEED_STRIDE = 3


def balancing_wanted(voltages_v: Sequence[float], limits: BmsThresholds, *, over_voltage: bool = False) -> list[int]:
    """Return the indexes (from 0) of the cells that should bleed, highest voltage first.

    Those above register 303 that stand more than register 308 over the lowest; in an over-voltage fault all above
    register 303, until the fault is over.
    """
    lowest_v = min(voltages_v)
    least_v = limits.balance_above_v if over_voltage else max(limits.balance_above_v, lowest_v + limits.disbalance_v)
    high = [index for index, voltage_v in enumerate(voltages_v) if voltage_v > least_v]
    return sorted(high, key=lambda index: -voltages_v[index])


def balancing_now(wanted: Sequence[int]) -> list[int]:
    """Return those that may bleed at once: at most every third cell."""
    chosen: list[int] = []
    for index in wanted:
        if all(abs(index - other) >= _BLEED_STRIDE for other in chosen):
            chosen.append(index)
    return chosen


FOUND_AFTER_S = 0.3
"""A charger counts as there when it was seen for this long."""

SWITCH_ON_AFTER_S = 0.3
"""Time from finding the charger to switching it on."""

GONE_AFTER_S = 2.0
"""A charger without current counts as gone after this long."""

PAUSE_AT_LEAST_S = 5.0
"""A pause for balancing lasts at least this long, since the voltages fall as soon as the current stops."""

TOO_HIGH_AFTER_S = 2.0
"""Cells may stand above register 300 with too much current for this long."""

_REVIVAL_RATIO = 2.0
"""A charger that gave no current is looked at again when it offers this many times the activity threshold."""

_TOLERANCE_V = 0.002
"""A charger that holds the voltage approaches register 300 without ever reaching it."""


class ChargePhase(Enum):
    """Where a charge stands."""

    AWAY = "away"
    """No charger."""
    FOUND = "found"
    """A charger is there and not switched on, or not any more because of a protection."""
    CHARGING = "charging"
    BALANCING = "balancing"
    """Switched off until the cells are alike."""
    COMPLETE = "complete"
    """Ended properly; the charger is still there."""
    ENDED = "ended"
    """Ended because the voltage of the charger does not fit; the charger is still there."""


class ChargeControl:
    """Decides when the charger is switched on, and tells the events of the charge."""

    def __init__(self) -> None:
        self.phase = ChargePhase.AWAY
        self._flowed = False
        self._spent = False  # no current came from it; it is ignored until it offers some or was away
        self._off_due_s = -NEVER_S
        self._found, self._start, self._gone, self._pause, self._high, self._low = (Delay() for _ in range(6))

    @property
    def charger(self) -> bool:
        """Whether a charger is known to be there."""
        return self.phase is not ChargePhase.AWAY

    @property
    def ended(self) -> bool:
        """Whether the charge is over while the charger is still there."""
        return self.phase in (ChargePhase.COMPLETE, ChargePhase.ENDED)

    @property
    def due_s(self) -> float:
        """Time at which a delay ends."""
        delays = (self._found, self._start, self._gone, self._pause, self._high, self._low)
        return min(self._off_due_s if self._off_due_s > -NEVER_S else NEVER_S, *(delay.due_s for delay in delays))

    def switched_on(self, now_s: float) -> bool:
        """Return whether the charger may be on; after it has gone the switch stays closed for register 311."""
        return self.phase is ChargePhase.CHARGING or (not self.charger and now_s < self._off_due_s)

    def step(
        self, measured: Measurement, limits: BmsThresholds, now_s: float, *, allowed: bool, unbalanced: bool
    ) -> list[EventId]:
        """Take a measurement and return the events of the charge.

        Args:
            measured: readings at ``now_s``.
            limits: settings in force.
            now_s: time in seconds, not falling.
            allowed: whether no protection keeps the charger off.
            unbalanced: whether a cell wants to be bled.

        """
        if now_s >= self._off_due_s:
            self._off_due_s = -NEVER_S
        if not measured.charger or measured.offered_a > _REVIVAL_RATIO * limits.idle_a:
            self._spent = False
        if self.charger and self._lost(measured, limits, now_s):
            return self._leave(limits, now_s)
        match self.phase:
            case ChargePhase.AWAY:
                return self._look(measured, now_s, allowed=allowed)
            case ChargePhase.FOUND:
                return self._wait(now_s, allowed=allowed)
            case ChargePhase.CHARGING:
                return self._charge(measured, limits, now_s, allowed=allowed, unbalanced=unbalanced)
            case ChargePhase.BALANCING:
                return self._balance(now_s, unbalanced=unbalanced)
            case _:
                return self._rest(measured, limits)

    def _lost(self, measured: Measurement, limits: BmsThresholds, now_s: float) -> bool:
        if not limits.internal_detection:
            return not measured.charger
        if self.phase is not ChargePhase.CHARGING:
            return self._gone.ripe(not measured.charger, now_s, GONE_AFTER_S)
        flowing = measured.current_a > limits.idle_a
        self._flowed = self._flowed or flowing
        patience_s = GONE_AFTER_S + (0.0 if self._flowed else limits.startup_s)
        return self._gone.ripe(not flowing, now_s, patience_s)

    def _leave(self, limits: BmsThresholds, now_s: float) -> list[EventId]:
        was_on = self.phase is ChargePhase.CHARGING
        self._enter(ChargePhase.AWAY)
        self._spent = True
        self._off_due_s = now_s + limits.disable_s if was_on else -NEVER_S
        return [EventId.CHARGER_GONE]

    def _look(self, measured: Measurement, now_s: float, *, allowed: bool) -> list[EventId]:
        if not self._found.ripe(measured.charger and not self._spent, now_s, FOUND_AFTER_S):
            return []
        self._enter(ChargePhase.FOUND)
        return [EventId.CHARGER_FOUND, *self._wait(now_s, allowed=allowed)]

    def _wait(self, now_s: float, *, allowed: bool) -> list[EventId]:
        if not self._start.ripe(allowed, now_s, SWITCH_ON_AFTER_S):
            return []
        return self._begin()

    def _begin(self) -> list[EventId]:
        self._enter(ChargePhase.CHARGING)
        self._flowed = False
        return [EventId.CHARGING_STARTED]

    def _charge(
        self, measured: Measurement, limits: BmsThresholds, now_s: float, *, allowed: bool, unbalanced: bool
    ) -> list[EventId]:
        if not allowed:
            self._enter(ChargePhase.FOUND)
            return []
        at_full = measured.highest_v >= limits.full_v - _TOLERANCE_V
        balanced = measured.imbalance_v < limits.disbalance_v
        if at_full and balanced and 0.0 < measured.current_a < limits.finished_a:
            self._enter(ChargePhase.COMPLETE)
            return [EventId.CHARGING_COMPLETE]
        passed = measured.lowest_v > limits.full_v + _TOLERANCE_V and measured.current_a > limits.finished_a
        if self._high.ripe(passed, now_s, TOO_HIGH_AFTER_S):
            self._enter(ChargePhase.ENDED)
            return [EventId.CHARGER_VOLTAGE_HIGH]
        if self._low.ripe(self._starved(measured, limits, at_full=at_full), now_s, limits.startup_s):
            self._enter(ChargePhase.ENDED)
            return [EventId.CHARGER_VOLTAGE_LOW]
        if measured.highest_v >= limits.full_v and unbalanced:
            self._enter(ChargePhase.BALANCING)
            self._pause.ripe(True, now_s, PAUSE_AT_LEAST_S)
        return []

    def _starved(self, measured: Measurement, limits: BmsThresholds, *, at_full: bool) -> bool:
        """Return whether the current has run out below the target, as seen by a BMS that is told of the charger."""
        return not limits.internal_detection and not at_full and measured.current_a < limits.finished_a

    def _balance(self, now_s: float, *, unbalanced: bool) -> list[EventId]:
        if self._pause.ripe(True, now_s, PAUSE_AT_LEAST_S) and not unbalanced:
            self._enter(ChargePhase.CHARGING)
            self._flowed = False
        return []

    def _rest(self, measured: Measurement, limits: BmsThresholds) -> list[EventId]:
        level = limits.restart_percent
        if measured.lowest_v <= limits.empty_v or (level is not None and measured.soc_percent < level):
            return self._begin()
        return []

    def _enter(self, phase: ChargePhase) -> None:
        self.phase = phase
        for delay in (self._found, self._start, self._gone, self._pause, self._high, self._low):
            delay.reset()


_AT_POWER_UP = SwitchStates(load=True, charger=False)


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

    def step(self, measured: Measurement, limits: BmsThresholds, now_s: float) -> list[EventId]:
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

    def is_active(self, measured: Measurement, limits: BmsThresholds) -> bool:
        """Return whether something keeps the BMS awake (tinybms-protocol.md, 5.6)."""
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

    def _charger_allowed(self, limits: BmsThresholds) -> bool:
        return all(row.leaves_charger(limits) for row in self.protections.active.values())

    def _regenerates(self, measured: Measurement, limits: BmsThresholds) -> bool:
        return measured.current_a > 0.0 and not (self.charge.charger or limits.single_port)

    def _switches(self, measured: Measurement, limits: BmsThresholds, now_s: float) -> SwitchStates:
        active = self.protections.active.values()
        if not limits.single_port:
            return dual_port(active, limits, charge=self.charge.switched_on(now_s))
        over = self.charge.ended or self.charge.phase is ChargePhase.BALANCING
        return single_port(active, charge_over=over, load=measured.load, charger=measured.offered_a > 0.0)

    def _status(self, measured: Measurement, limits: BmsThresholds) -> BmsStatus:
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
