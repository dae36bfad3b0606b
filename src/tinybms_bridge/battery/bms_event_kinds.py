"""The BMS's own events: what each number means, how bad it is, what ends it and what to do.

Numbers, severities and pairs: protocol Rev D, events. What a fault switches off, also where one transistor or one port
serves both directions: user manual Rev D, protections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from types import MappingProxyType

from tinybms_bridge.battery.snapshot import Switches

__all__ = [
    "BMS_STARTED",
    "DISCHARGED",
    "EVENT_KINDS",
    "TOO_COLD_TO_CHARGE",
    "UNDER_VOLTAGE",
    "EventKind",
    "Severity",
    "Stops",
    "kind_of",
    "severity_of",
]

BMS_STARTED = 0x61
"""A restart: every fault and warning before it is over."""

UNDER_VOLTAGE = 0x02
"""The fault with which a BMS cuts everything because a cell is empty."""

DISCHARGED, TOO_COLD_TO_CHARGE = 0x31, 0x37
"""The warnings that cut one direction."""


class Severity(StrEnum):
    """How bad an event is."""

    FAULT = "fault"
    WARNING = "warning"
    INFO = "info"
    UNKNOWN = "unknown"
    """A number outside the vendor's ranges."""


class Stops(Flag):
    """What the BMS cuts while a fault or warning lasts."""

    NOTHING = 0
    CHARGE = auto()
    DISCHARGE = auto()
    BOTH = CHARGE | DISCHARGE


@dataclass(frozen=True, slots=True)
class EventKind:
    """What one event number means."""

    event_id: int
    key: str
    """Name for programs, for example ``over_voltage``."""
    text: str
    """What happened, in plain words."""
    advice: str = ""
    """What a user can do about it; empty where nothing is to be done."""
    ended_by: tuple[int, ...] = ()
    """Numbers of the events that end it; a restart ends every fault and warning."""
    stops: Stops = Stops.NOTHING
    """What it cuts wherever load and charger have switches of their own."""
    stops_both_on: frozenset[Switches] = frozenset()
    """Units on which it cuts both directions."""

    def stops_with(self, switches: Switches) -> Stops:
        """Return what it cuts on a unit with such switches."""
        return Stops.BOTH if switches in self.stops_both_on else self.stops

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return severity_of(self.event_id)


def severity_of(event_id: int) -> Severity:
    """Return the severity of an event number by the vendor's ranges (protocol Rev D, events)."""
    if 0x01 <= event_id <= 0x30:
        return Severity.FAULT
    if 0x31 <= event_id <= 0x60:
        return Severity.WARNING
    return Severity.INFO if 0x61 <= event_id <= 0x90 else Severity.UNKNOWN


def kind_of(event_id: int) -> EventKind:
    """Return what an event number means; one that the vendor does not list keeps its number."""
    known = EVENT_KINDS.get(event_id)
    if known is not None:
        return known
    severity = severity_of(event_id)
    what = f"A {severity}" if severity in (Severity.FAULT, Severity.WARNING) else "An event"
    text = f"{what} that the vendor's documents do not list: 0x{event_id:02X}"
    return EventKind(event_id, f"unlisted_0x{event_id:02x}", text)


_ONE_PORT = frozenset({Switches.SINGLE})
_ONE_BOARD = frozenset({Switches.SINGLE, Switches.TWO_FETS, Switches.UNKNOWN})
"""Units without a charger switch that stays closed; one that is not known counts, as what is not known is no permission
to charge."""

_STUCK = "Disconnect the pack from whatever drives the current, then test the switch: it may have failed shorted."

_FAULTS = (
    EventKind(
        UNDER_VOLTAGE,
        "under_voltage",
        "Cell under-voltage: a cell is below the cutoff, everything is off",
        "Connect a charger while every cell is above register 316, or restart the BMS; time alone never ends it.",
        (0x7B,),
        Stops.BOTH,
    ),
    EventKind(
        0x03,
        "over_voltage",
        "Cell over-voltage: a cell is above the cutoff, charging is off",
        "Let the cells balance or discharge, then check the voltage of every charger (cutoff: register 315).",
        (0x79,),
        Stops.CHARGE,
    ),
    EventKind(
        0x04,
        "over_heat",
        "Too hot: a sensor or the board is above its limit, everything is off",
        "Let it cool; check currents, connections and ventilation (limit: register 319, board 90 °C).",
        (0x73,),
        Stops.BOTH,
    ),
    EventKind(
        0x05,
        "discharge_over_current",
        "Discharge current too high: discharging is off, charging too where one board or port switches both",
        "Reduce the loads (cutoffs: register 317 and, without delay, 305).",
        (0x77,),
        Stops.DISCHARGE,
        _ONE_BOARD,
    ),
    EventKind(
        0x06,
        "charge_over_current",
        "Charge current too high: charging is off, with a single port discharging too",
        "Reduce the current of the chargers (cutoff: register 318).",
        (0x76,),
        Stops.CHARGE,
        _ONE_PORT,
    ),
    EventKind(
        0x07,
        "regeneration_over_current",
        "Current into the load terminal too high, everything is off",
        "Reduce what flows in through the load terminal (cutoff: register 317).",
        (0x78,),
        Stops.BOTH,
    ),
    EventKind(
        0x0A,
        "too_cold",
        "Too cold for any use: below -40 °C, everything is off",
        "Warm the battery; if it is not that cold, check the temperature sensors.",
        (0x75,),
        Stops.BOTH,
    ),
    EventKind(0x0B, "charge_switch_stuck", "Charge switch stuck: charge current flows while it is off", _STUCK),
    EventKind(0x0C, "load_switch_stuck", "Load switch stuck: current flows while it is off", _STUCK),
    EventKind(0x0D, "single_port_switch_stuck", "Single-port switch stuck: current flows while it is off", _STUCK),
    EventKind(
        0x0E,
        "current_sensor_lost",
        "External current sensor lost, everything is off",
        "Check its plug; plug it in again or restart the BMS.",
        (0x7C,),
        Stops.BOTH,
    ),
    EventKind(
        0x0F,
        "current_sensor_not_ready",
        "External current sensor plugged in, but not in use yet",
        "Restart the BMS, which takes the sensor into use.",
    ),
)

_WARNINGS = (
    EventKind(
        DISCHARGED,
        "discharged",
        "Discharged: a cell is below the lower level, discharging is off",
        "Charge the battery (level: register 301).",
        (0x7A,),
        Stops.DISCHARGE,
    ),
    EventKind(
        TOO_COLD_TO_CHARGE,
        "too_cold_to_charge",
        "Too cold to charge, charging is off",
        "Warm the battery, or wait (limit: register 320).",
        (0x74,),
        Stops.CHARGE,
    ),
    # These two have no counterpart: the next charge, or no charger any more, makes them history.
    EventKind(
        0x38,
        "charger_voltage_too_high",
        "Charging ended early: the voltage of the charger is too high",
        "Lower the charge voltage; the state of charge was not set to 100 %.",
        (0x62, 0x63, 0x65),
    ),
    EventKind(
        0x39,
        "charger_voltage_too_low",
        "Charging ended early: the voltage of the charger is too low",
        "Raise the charge voltage to register 300 for each cell; the state of charge was not set to 100 %.",
        (0x62, 0x63, 0x65),
    ),
)

_INFORMATION = (
    EventKind(BMS_STARTED, "started", "The BMS started"),
    EventKind(0x62, "charging_started", "Charging started"),
    EventKind(0x63, "charging_complete", "Charging is complete; the state of charge is 100 %"),
    EventKind(0x64, "charger_connected", "A charger is there"),
    EventKind(0x65, "charger_gone", "The charger is gone"),
    EventKind(0x66, "dual_port_mode", "Dual-port mode is active"),
    EventKind(0x67, "single_port_mode", "Single-port mode is active"),
    EventKind(0x73, "over_heat_ended", "Cool enough again"),
    EventKind(0x74, "too_cold_to_charge_ended", "Warm enough to charge again"),
    EventKind(0x75, "too_cold_ended", "No longer below -40 °C"),
    EventKind(0x76, "charge_over_current_ended", "Charge current no longer too high"),
    EventKind(0x77, "discharge_over_current_ended", "Discharge current no longer too high"),
    EventKind(0x78, "regeneration_over_current_ended", "Current into the load terminal no longer too high"),
    EventKind(0x79, "over_voltage_ended", "Cell over-voltage is over"),
    EventKind(0x7A, "discharged_ended", "No longer discharged"),
    EventKind(0x7B, "under_voltage_ended", "Cell under-voltage is over"),
    EventKind(0x7C, "current_sensor_in_use", "External current sensor connected and in use"),
    EventKind(0x7D, "current_sensor_removed", "External current sensor removed, the internal one is in use"),
)

EVENT_KINDS: Mapping[int, EventKind] = MappingProxyType(
    {kind.event_id: kind for kind in (*_FAULTS, *_WARNINGS, *_INFORMATION)}
)
"""Every event that the vendor lists, by number."""
