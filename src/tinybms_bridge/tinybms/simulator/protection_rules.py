"""The table of protections: what trips each, what it switches off and how it ends (user manual Rev D, protections).

Limits are strict: a value at the limit does not trip.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.measurement import CurrentSensor, Measurement
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["BOARD_LIMIT_C", "COLD_FAULT_C", "PROTECTIONS", "Protection", "Recovery", "SinglePort"]

BOARD_LIMIT_C = 90.0
"""Limit of the board while external sensors are in use; fixed."""

COLD_FAULT_C = -40.0
"""Fixed."""

Condition: TypeAlias = Callable[[Measurement, Thresholds, bool], bool]
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


def _at_once(_measured: Measurement, _limits: Thresholds) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Protection:
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
    delay_s: Callable[[Measurement, Thresholds], float] = _at_once
    """For how long the condition must hold."""
    recovery: Recovery = Recovery.TIMED
    keeps_awake: bool = False
    after: EventId | None = None
    """A protection that has to end first."""

    def leaves_charger(self, limits: Thresholds) -> bool:
        """Return whether the charger stays on, in dual-port mode."""
        return self.charger or (self.spares_external_charger and not limits.two_fets)


def _too_hot(measured: Measurement, limits: Thresholds, _charger: bool) -> bool:
    if not measured.external_c:
        return measured.board_c > limits.over_heat_c
    return max(measured.external_c) > limits.over_heat_c or measured.board_c > BOARD_LIMIT_C


def _discharging_too_much(measured: Measurement, limits: Thresholds, _charger: bool) -> bool:
    return -measured.current_a > min(limits.discharge_a, limits.peak_a)


def _discharge_delay_s(measured: Measurement, limits: Thresholds) -> float:
    return 0.0 if -measured.current_a > limits.peak_a else limits.discharge_timeout_s


def _charging_too_much(measured: Measurement, limits: Thresholds, charger: bool) -> bool:
    return (charger or limits.single_port) and measured.current_a > limits.charge_a


def _regenerating_too_much(measured: Measurement, limits: Thresholds, charger: bool) -> bool:
    return not (charger or limits.single_port) and measured.current_a > limits.discharge_a


def _stuck(event: EventId) -> Protection:
    def trips(measured: Measurement, limits: Thresholds, _charger: bool) -> bool:
        return limits.diagnostics and measured.stuck is event

    return Protection(event, None, trips, recovery=Recovery.RESTART)


_VOLTAGE = (
    Protection(
        EventId.UNDER_VOLTAGE,
        EventId.UNDER_VOLTAGE_OVER,
        lambda measured, limits, _: measured.lowest_v < limits.under_voltage_v,
        recovery=Recovery.CHARGER,
    ),
    Protection(
        EventId.DISCHARGED,
        EventId.DISCHARGED_OVER,
        lambda measured, limits, _: measured.lowest_v < limits.empty_v,
        charger=True,
        single=SinglePort.CHARGE_ONLY,
        after=EventId.UNDER_VOLTAGE,
    ),
    Protection(
        EventId.OVER_VOLTAGE,
        EventId.OVER_VOLTAGE_OVER,
        lambda measured, limits, _: measured.highest_v > limits.over_voltage_v,
        load=True,
        single=SinglePort.LOAD_ONLY,
        keeps_awake=True,
    ),
)

_TEMPERATURE = (
    Protection(EventId.OVER_HEAT, EventId.OVER_HEAT_OVER, _too_hot),
    Protection(
        EventId.TOO_COLD,
        EventId.TOO_COLD_OVER,
        lambda measured, _limits, _: measured.coldest_c < COLD_FAULT_C,
    ),
    Protection(
        EventId.TOO_COLD_TO_CHARGE,
        EventId.TOO_COLD_TO_CHARGE_OVER,
        lambda measured, limits, _: measured.coldest_c < limits.cold_c,
        load=True,
        single=SinglePort.LOAD_ONLY,
        after=EventId.TOO_COLD,
    ),
)

_CURRENT = (
    Protection(
        EventId.DISCHARGE_OVER_CURRENT,
        EventId.DISCHARGE_OVER_CURRENT_OVER,
        _discharging_too_much,
        spares_external_charger=True,
        delay_s=_discharge_delay_s,
        keeps_awake=True,
    ),
    Protection(
        EventId.CHARGE_OVER_CURRENT,
        EventId.CHARGE_OVER_CURRENT_OVER,
        _charging_too_much,
        load=True,
        keeps_awake=True,
    ),
    Protection(
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
    Protection(
        EventId.CURRENT_SENSOR_LOST,
        EventId.CURRENT_SENSOR_IN_USE,
        lambda measured, _limits, _: measured.sensor is CurrentSensor.LOST,
        recovery=Recovery.AT_ONCE,
    ),
    Protection(
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

PROTECTIONS: tuple[Protection, ...] = _VOLTAGE + _TEMPERATURE + _CURRENT + _HARDWARE
"""Each protection once; one that has to end before another stands before it."""
