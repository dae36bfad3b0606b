"""Protections: what trips each, what it switches off, its delays and how it ends (tinybms-protocol.md, 5.1).

Limits are strict: a value at the limit does not trip.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tinybms_lab.bms.measurement import NEVER_S, BmsThresholds, CurrentSensor, Delay, Measurement
from tinybms_lab.bms.records import EventId

__all__ = ["BOARD_LIMIT_C", "COLD_FAULT_C", "PROTECTIONS", "ProtectionRow", "Protections", "Recovery", "SinglePort"]


BOARD_LIMIT_C = 90.0
"""Limit of the board while external sensors are in use; fixed."""

COLD_FAULT_C = -40.0
"""Fixed."""

Condition: TypeAlias = Callable[[Measurement, BmsThresholds, bool], bool]
"""Tells whether the readings trip a protection; the flag tells whether a charger was detected."""


class SinglePort(Enum):
    """What a protection leaves to the one switch of the single-port mode."""

    FREE = "free"
    LOAD_ONLY = "on only if a load is detected"
    CHARGE_ONLY = "on only while charge current flows"
    OFF = "off"


class Recovery(Enum):
    """How a protection ends."""

    TIMED = "timed"
    """When its condition is gone for the time in register 332; with 0 there, when a charger or the ignition comes."""
    CHARGER = "charger"
    """When its condition is gone and a charger is there; never by time."""
    AT_ONCE = "at once"
    """With its condition."""
    RESTART = "restart"
    """Only by a restart."""


def _at_once(_measured: Measurement, _limits: BmsThresholds) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class ProtectionRow:
    """One row of the manual's table; what stays on here, something else may still switch off."""

    event: EventId
    over: EventId | None
    """Event at its end."""
    trips: Condition
    load: bool = False
    """The load stays on, in dual-port mode."""
    charger: bool = False
    """The charger stays on, in dual-port mode."""
    spares_external_charger: bool = False
    """The charger stays on unless the board's own transistors switch both load and charger."""
    single: SinglePort = SinglePort.OFF
    delay_s: Callable[[Measurement, BmsThresholds], float] = _at_once
    """For how long the condition must hold."""
    recovery: Recovery = Recovery.TIMED
    keeps_awake: bool = False
    after: EventId | None = None
    """A protection that has to end first."""

    def leaves_charger(self, limits: BmsThresholds) -> bool:
        """Return whether the charger stays on, in dual-port mode."""
        return self.charger or (self.spares_external_charger and not limits.two_fets)


def _too_hot(measured: Measurement, limits: BmsThresholds, _charger: bool) -> bool:
    if not measured.external_c:
        return measured.board_c > limits.over_heat_c
    return max(measured.external_c) > limits.over_heat_c or measured.board_c > BOARD_LIMIT_C


def _discharging_too_much(measured: Measurement, limits: BmsThresholds, _charger: bool) -> bool:
    return -measured.current_a > min(limits.discharge_a, limits.peak_a)


def _discharge_delay_s(measured: Measurement, limits: BmsThresholds) -> float:
    return 0.0 if -measured.current_a > limits.peak_a else limits.discharge_timeout_s


def _charging_too_much(measured: Measurement, limits: BmsThresholds, charger: bool) -> bool:
    return (charger or limits.single_port) and measured.current_a > limits.charge_a


def _regenerating_too_much(measured: Measurement, limits: BmsThresholds, charger: bool) -> bool:
    return not (charger or limits.single_port) and measured.current_a > limits.discharge_a


def _stuck(event: EventId) -> ProtectionRow:
    def trips(measured: Measurement, limits: BmsThresholds, _charger: bool) -> bool:
        return limits.diagnostics and measured.stuck is event

    return ProtectionRow(event, None, trips, recovery=Recovery.RESTART)


_VOLTAGE = (
    ProtectionRow(
        EventId.UNDER_VOLTAGE,
        EventId.UNDER_VOLTAGE_OVER,
        lambda measured, limits, _: measured.lowest_v < limits.under_voltage_v,
        recovery=Recovery.CHARGER,
    ),
    ProtectionRow(
        EventId.DISCHARGED,
        EventId.DISCHARGED_OVER,
        lambda measured, limits, _: measured.lowest_v < limits.empty_v,
        charger=True,
        single=SinglePort.CHARGE_ONLY,
        after=EventId.UNDER_VOLTAGE,
    ),
    ProtectionRow(
        EventId.OVER_VOLTAGE,
        EventId.OVER_VOLTAGE_OVER,
        lambda measured, limits, _: measured.highest_v > limits.over_voltage_v,
        load=True,
        single=SinglePort.LOAD_ONLY,
        keeps_awake=True,
    ),
)

_TEMPERATURE = (
    ProtectionRow(EventId.OVER_HEAT, EventId.OVER_HEAT_OVER, _too_hot),
    ProtectionRow(
        EventId.TOO_COLD,
        EventId.TOO_COLD_OVER,
        lambda measured, _limits, _: measured.coldest_c < COLD_FAULT_C,
    ),
    ProtectionRow(
        EventId.TOO_COLD_TO_CHARGE,
        EventId.TOO_COLD_TO_CHARGE_OVER,
        lambda measured, limits, _: measured.coldest_c < limits.cold_c,
        load=True,
        single=SinglePort.LOAD_ONLY,
        after=EventId.TOO_COLD,
    ),
)

_CURRENT = (
    ProtectionRow(
        EventId.DISCHARGE_OVER_CURRENT,
        EventId.DISCHARGE_OVER_CURRENT_OVER,
        _discharging_too_much,
        spares_external_charger=True,
        delay_s=_discharge_delay_s,
        keeps_awake=True,
    ),
    ProtectionRow(
        EventId.CHARGE_OVER_CURRENT,
        EventId.CHARGE_OVER_CURRENT_OVER,
        _charging_too_much,
        load=True,
        keeps_awake=True,
    ),
    ProtectionRow(
        EventId.REGENERATION_OVER_CURRENT,
        EventId.REGENERATION_OVER_CURRENT_OVER,
        _regenerating_too_much,
        keeps_awake=True,
    ),
)

_HARDWARE = (
    _stuck(EventId.CHARGER_SWITCH_STUCK),
    _stuck(EventId.LOAD_SWITCH_STUCK),
    _stuck(EventId.PORT_SWITCH_STUCK),
    ProtectionRow(
        EventId.CURRENT_SENSOR_LOST,
        EventId.CURRENT_SENSOR_IN_USE,
        lambda measured, _limits, _: measured.sensor is CurrentSensor.LOST,
        recovery=Recovery.AT_ONCE,
    ),
    ProtectionRow(
        EventId.CURRENT_SENSOR_NOT_READY,
        None,
        lambda measured, _limits, _: measured.sensor is CurrentSensor.NOT_READY,
        load=True,
        charger=True,
        single=SinglePort.FREE,
        recovery=Recovery.RESTART,
    ),
)
"""The manual gives no switch states for stuck switches and for a sensor that is not ready; these are choices."""

PROTECTIONS: tuple[ProtectionRow, ...] = _VOLTAGE + _TEMPERATURE + _CURRENT + _HARDWARE
"""Each protection once; one that has to end before another stands before it."""


class Protections:
    """Follows every protection by itself; several may be active at once (firmware 2.3.236 and later)."""

    def __init__(self) -> None:
        self._active: dict[EventId, ProtectionRow] = {}
        self._delays = {row.event: Delay() for row in PROTECTIONS}
        self._charger = False
        self._ignition = True

    @property
    def active(self) -> Mapping[EventId, ProtectionRow]:
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

    def step(self, measured: Measurement, limits: BmsThresholds, now_s: float, *, charging: bool) -> list[EventId]:
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
        self,
        row: ProtectionRow,
        trips: bool,
        measured: Measurement,
        limits: BmsThresholds,
        now_s: float,
        *,
        arrived: bool,
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
