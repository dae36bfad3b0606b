"""The BMS's own events: what each number means, how bad it is, what ends it and what to do.

Numbers, severities and pairs: tinybms-protocol.md, 3. What a fault switches off, also where one transistor or one port
serves both directions: tinybms-protocol.md, 5.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from types import MappingProxyType

from tinybms_bridge.battery.snapshot import Switches
from tinybms_bridge.words import Message, message

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
    "message_of_key",
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

    @property
    def message(self) -> Message:
        """What happened, and what a user can do about it."""
        if self.event_id in EVENT_KINDS:
            return message(f"bms.{self.key}")
        return message("bms.unlisted", severity=self.severity, id=f"0x{self.event_id:02X}")

    @property
    def text(self) -> str:
        """What happened, in English."""
        return self.message.text

    @property
    def advice(self) -> str:
        """What a user can do about it, in English; empty where nothing is to be done."""
        return self.message.advice()


def severity_of(event_id: int) -> Severity:
    """Return the severity of an event number by the vendor's ranges (tinybms-protocol.md, 3)."""
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
    return EventKind(event_id, f"{_UNLISTED}{event_id:02x}")


def message_of_key(key: str) -> Message:
    """Return what an event with such a key means; a key of no event, for example ``unknown_fault``, is its own code."""
    number = _NUMBERS.get(key)
    if number is None and key.startswith(_UNLISTED):
        number = int(key.removeprefix(_UNLISTED), 16)
    return message(f"bms.{key}") if number is None else kind_of(number).message


_UNLISTED = "unlisted_0x"

_ONE_PORT = frozenset({Switches.SINGLE})
_ONE_BOARD = frozenset({Switches.SINGLE, Switches.TWO_FETS, Switches.UNKNOWN})
"""Units without a charger switch that stays closed; one that is not known counts, as what is not known is no permission
to charge."""

_FAULTS = (
    EventKind(
        UNDER_VOLTAGE,
        "under_voltage",
        (0x7B,),
        Stops.BOTH,
    ),
    EventKind(
        0x03,
        "over_voltage",
        (0x79,),
        Stops.CHARGE,
    ),
    EventKind(
        0x04,
        "over_heat",
        (0x73,),
        Stops.BOTH,
    ),
    EventKind(
        0x05,
        "discharge_over_current",
        (0x77,),
        Stops.DISCHARGE,
        _ONE_BOARD,
    ),
    EventKind(
        0x06,
        "charge_over_current",
        (0x76,),
        Stops.CHARGE,
        _ONE_PORT,
    ),
    EventKind(
        0x07,
        "regeneration_over_current",
        (0x78,),
        Stops.BOTH,
    ),
    EventKind(
        0x0A,
        "too_cold",
        (0x75,),
        Stops.BOTH,
    ),
    EventKind(0x0B, "charge_switch_stuck"),
    EventKind(0x0C, "load_switch_stuck"),
    EventKind(0x0D, "single_port_switch_stuck"),
    EventKind(
        0x0E,
        "current_sensor_lost",
        (0x7C,),
        Stops.BOTH,
    ),
    EventKind(
        0x0F,
        "current_sensor_not_ready",
    ),
)

_WARNINGS = (
    EventKind(
        DISCHARGED,
        "discharged",
        (0x7A,),
        Stops.DISCHARGE,
    ),
    EventKind(
        TOO_COLD_TO_CHARGE,
        "too_cold_to_charge",
        (0x74,),
        Stops.CHARGE,
    ),
    # These two have no counterpart: the next charge, or no charger any more, makes them history.
    EventKind(
        0x38,
        "charger_voltage_too_high",
        (0x62, 0x63, 0x65),
    ),
    EventKind(
        0x39,
        "charger_voltage_too_low",
        (0x62, 0x63, 0x65),
    ),
)

_INFORMATION = (
    EventKind(BMS_STARTED, "started"),
    EventKind(0x62, "charging_started"),
    EventKind(0x63, "charging_complete"),
    EventKind(0x64, "charger_connected"),
    EventKind(0x65, "charger_gone"),
    EventKind(0x66, "dual_port_mode"),
    EventKind(0x67, "single_port_mode"),
    EventKind(0x73, "over_heat_ended"),
    EventKind(0x74, "too_cold_to_charge_ended"),
    EventKind(0x75, "too_cold_ended"),
    EventKind(0x76, "charge_over_current_ended"),
    EventKind(0x77, "discharge_over_current_ended"),
    EventKind(0x78, "regeneration_over_current_ended"),
    EventKind(0x79, "over_voltage_ended"),
    EventKind(0x7A, "discharged_ended"),
    EventKind(0x7B, "under_voltage_ended"),
    EventKind(0x7C, "current_sensor_in_use"),
    EventKind(0x7D, "current_sensor_removed"),
)

EVENT_KINDS: Mapping[int, EventKind] = MappingProxyType(
    {kind.event_id: kind for kind in (*_FAULTS, *_WARNINGS, *_INFORMATION)}
)
"""Every event that the vendor lists, by number."""

_NUMBERS: Mapping[str, int] = MappingProxyType({kind.key: number for number, kind in EVENT_KINDS.items()})
