"""The course of a charge: charger found, charging, balancing pauses, end, charger gone (user manual Rev D, charging).

The manual names the conditions and two times (registers 310 and 311); the shorter times here are choices.
"""

from enum import Enum

from tinybms_bridge.tinybms.simulator.delay import NEVER_S, Delay
from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.measurement import Measurement
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["ChargeControl", "ChargePhase"]

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
        self, measured: Measurement, limits: Thresholds, now_s: float, *, allowed: bool, unbalanced: bool
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

    def _lost(self, measured: Measurement, limits: Thresholds, now_s: float) -> bool:
        if not limits.internal_detection:
            return not measured.charger
        if self.phase is not ChargePhase.CHARGING:
            return self._gone.ripe(not measured.charger, now_s, GONE_AFTER_S)
        flowing = measured.current_a > limits.idle_a
        self._flowed = self._flowed or flowing
        patience_s = GONE_AFTER_S + (0.0 if self._flowed else limits.startup_s)
        return self._gone.ripe(not flowing, now_s, patience_s)

    def _leave(self, limits: Thresholds, now_s: float) -> list[EventId]:
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
        self, measured: Measurement, limits: Thresholds, now_s: float, *, allowed: bool, unbalanced: bool
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

    def _starved(self, measured: Measurement, limits: Thresholds, *, at_full: bool) -> bool:
        """Return whether the current has run out below the target, as seen by a BMS that is told of the charger."""
        return not limits.internal_detection and not at_full and measured.current_a < limits.finished_a

    def _balance(self, now_s: float, *, unbalanced: bool) -> list[EventId]:
        if self._pause.ripe(True, now_s, PAUSE_AT_LEAST_S) and not unbalanced:
            self._enter(ChargePhase.CHARGING)
            self._flowed = False
        return []

    def _rest(self, measured: Measurement, limits: Thresholds) -> list[EventId]:
        level = limits.restart_percent
        if measured.lowest_v <= limits.empty_v or (level is not None and measured.soc_percent < level):
            return self._begin()
        return []

    def _enter(self, phase: ChargePhase) -> None:
        self.phase = phase
        for delay in (self._found, self._start, self._gone, self._pause, self._high, self._low):
            delay.reset()
