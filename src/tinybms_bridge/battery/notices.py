"""Notices: warnings of the ESP32 firmware that have no field in frame 0x35A, so only the bridge itself shows them.

They are communication, low state of charge, high state of charge and derating (firmware.md, 4), and
our own for a temperature sensor that is lost, a lifetime counter that stands, a second BMS on the bus, a CAN interface
that is set up wrong or fails, and a configuration that cannot be used; the alarms with a field are in ``alarm_rules``.
Levels change after a delay and fall back with hysteresis. That the core is not heard is raised by whoever shows its
state (``services.ports``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.evidence_memory import RemarkCode, remarks_on
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.snapshot import Snapshot

__all__ = [
    "Communication",
    "NoticeMemory",
    "NoticeName",
    "NoticeSettings",
    "Notices",
    "communication_causes",
    "evaluate_notices",
]


class NoticeName(StrEnum):
    """One kind of notice."""

    COMMUNICATION = "communication"
    LOW_SOC = "low_soc"
    HIGH_SOC = "high_soc"
    DERATING = "derating"
    CONFIGURATION = "configuration"
    SENSOR_LOST = "temperature_sensor_lost"
    SOC_UNKNOWN = "soc_unknown"
    LOOSE_WIRE = "loose_sense_wire"
    UNCONTROLLED_SOURCE = "uncontrolled_source"
    """A source that no GX controls charges the battery more than may be."""
    CCL_IGNORED = "ccl_ignored"
    """Chargers give clearly more than a CCL that is not enforced."""
    COUNTER_STANDS = "lifetime_counter_stands"
    SECOND_BMS = "second_bms"
    CAN_BUS_OFF = "can_bus_off"
    """The controller has given the bus up after too many errors, or does so again and again."""
    CAN_ERROR_PASSIVE = "can_error_passive"
    """Frames fail, mostly because nobody acknowledges them."""
    CAN_BIT_RATE = "can_bit_rate"
    """The CAN interface has another bit rate than the configured one."""
    CAN_LISTEN_ONLY = "can_listen_only"
    """The CAN interface is set to listen only, so nothing is sent."""
    CAN_NO_RESTART = "can_no_restart"
    """After bus-off nobody would restart the controller."""
    CELLS_UNEVEN = "cells_uneven"
    WEAK_CELL = "weak_cell"
    """A cell that holds less than the others, or has a higher resistance."""
    CAPACITY_WRONG = "capacity_wrong"
    """Register 306 is not what the battery holds."""
    CORE_UNREACHABLE = "core_unreachable"
    """The process that reads the BMS and sends to the GX is not heard; never raised by that process itself."""


_CAN_LEVELS = {
    NoticeName.CAN_BUS_OFF: AlarmLevel.ALARM,
    NoticeName.CAN_ERROR_PASSIVE: AlarmLevel.WARNING,
    NoticeName.CAN_BIT_RATE: AlarmLevel.ALARM,
    NoticeName.CAN_LISTEN_ONLY: AlarmLevel.ALARM,
    NoticeName.CAN_NO_RESTART: AlarmLevel.WARNING,
}
"""Faults of the CAN interface, with their level: an alarm where nothing reaches the GX."""


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """Thresholds; the first three are the user's."""

    soc_low_percent: float = 10.0
    """State of charge at or below which LOW_SOC is raised."""
    soc_high_percent: float = 99.0
    """State of charge at or above which HIGH_SOC is raised."""
    derate_current_a: float = 1.0
    """A current limit at or below this raises DERATING."""
    soc_hysteresis_percent: float = 1.0
    current_hysteresis_a: float = 0.5
    delay_s: float = 5.0
    """Time that a new level must last."""


@dataclass(frozen=True, slots=True)
class Communication:
    """How the bridge stands with its two neighbours."""

    freshness: Freshness
    bms_answers: bool = True
    can_open: bool = True
    """Whether the CAN adapter is there."""
    gx_heard: bool = True
    """False when no GX was heard for its timeout; informative only."""
    frozen: bool = False
    """Whether the BMS answers with readings that stand still."""
    counter_stands: bool = False
    """Whether the lifetime counter of the BMS stands while its readings move."""
    second_bms: bool = False
    """Whether somebody else sends frames of a BMS on the bus."""
    can_faults: frozenset[str] = frozenset()
    """Confirmed faults of the CAN interface, by the names of ``hal.can_faults``."""


@dataclass(frozen=True, slots=True)
class Notices:
    """The level of each notice."""

    levels: Mapping[NoticeName, AlarmLevel] = field(default_factory=lambda: MappingProxyType({}))

    def active(self) -> dict[NoticeName, AlarmLevel]:
        """Return the notices that are not OK."""
        return {name: level for name, level in self.levels.items() if level is not AlarmLevel.OK}


@dataclass(frozen=True, slots=True)
class _Change:
    """A level that has not lasted long enough yet."""

    level: AlarmLevel
    since_s: float


@dataclass(frozen=True, slots=True)
class NoticeMemory:
    """Levels in force, and changes that wait for their delay."""

    notices: Notices = field(default_factory=Notices)
    waiting: Mapping[NoticeName, _Change] = field(default_factory=lambda: MappingProxyType({}))


def evaluate_notices(
    memory: NoticeMemory,
    snapshot: Snapshot | None,
    limits: Limits | None,
    communication: Communication,
    settings: NoticeSettings,
    now_s: float,
    *,
    configuration_ok: bool = True,
) -> NoticeMemory:
    """Return the notices at ``now_s``.

    State of charge and limits count only while data is fresh: without it their notices stay as they are.
    """
    before = memory.notices.levels
    wanted = {
        NoticeName.COMMUNICATION: _communication_level(communication),
        NoticeName.CONFIGURATION: _warning_if(not configuration_ok),
        NoticeName.COUNTER_STANDS: _warning_if(communication.counter_stands),
        NoticeName.SECOND_BMS: AlarmLevel.ALARM if communication.second_bms else AlarmLevel.OK,
    }
    for name, level in _CAN_LEVELS.items():
        wanted[name] = level if name in communication.can_faults else AlarmLevel.OK
    if communication.freshness is Freshness.FRESH:
        if snapshot is not None:
            wanted |= _soc_levels(snapshot.pack.soc_percent, before, settings)
        if limits is not None:
            wanted[NoticeName.DERATING] = _derating_level(limits, before, settings)
            wanted[NoticeName.SENSOR_LOST] = _warning_if(bool(limits.lost_sensors))
            wanted[NoticeName.CELLS_UNEVEN] = _warning_if(limits.uneven)
            wanted[NoticeName.SOC_UNKNOWN] = AlarmLevel.OK if limits.soc_known else AlarmLevel.ALARM
            wanted[NoticeName.LOOSE_WIRE] = AlarmLevel.ALARM if limits.loose_wires else AlarmLevel.OK
            wanted[NoticeName.UNCONTROLLED_SOURCE] = _warning_if(limits.uncontrolled)
            wanted[NoticeName.CCL_IGNORED] = _warning_if(limits.ccl_ignored)
            wanted |= _evidence_levels(snapshot, limits)
    levels = dict(before)
    waiting: dict[NoticeName, _Change] = {}
    for name, level in wanted.items():
        present = levels.setdefault(name, AlarmLevel.OK)
        if level is present:
            continue
        change = memory.waiting.get(name)
        if change is None or change.level is not level:
            change = _Change(level, now_s)
        if now_s - change.since_s >= settings.delay_s:
            levels[name] = level
        else:
            waiting[name] = change
    return NoticeMemory(Notices(MappingProxyType(levels)), MappingProxyType(waiting))


def communication_causes(communication: Communication) -> tuple[str, ...]:
    """Return in words what is wrong with the communication; empty when nothing is."""
    stale = communication.freshness in (Freshness.HOLD, Freshness.SILENT)
    causes = {
        "the BMS does not answer": not communication.bms_answers,
        "the readings of the BMS stand still": stale and communication.frozen,
        "no good data from the BMS": stale and not communication.frozen,
        "the CAN adapter is not open": not communication.can_open,
        "no GX device is heard on the CAN bus": not communication.gx_heard,
    }
    return tuple(cause for cause, applies in causes.items() if applies)


def _communication_level(communication: Communication) -> AlarmLevel:
    """Alarm: nothing reaches the GX any more. Warning: something is missing."""
    if communication.freshness is Freshness.SILENT or not communication.can_open:
        return AlarmLevel.ALARM
    return AlarmLevel.WARNING if communication_causes(communication) else AlarmLevel.OK


def _evidence_levels(snapshot: Snapshot | None, limits: Limits) -> dict[NoticeName, AlarmLevel]:
    """Return what use has shown. A resistance that is not learned is told elsewhere: nothing may be wrong."""
    ratings = None if snapshot is None else snapshot.ratings
    codes = set() if ratings is None else {each.code for each in remarks_on(limits.evidence, ratings)}
    weak = codes & {RemarkCode.WEAK_CELL, RemarkCode.RESISTIVE_CELL}
    return {
        NoticeName.WEAK_CELL: _warning_if(bool(weak)),
        NoticeName.CAPACITY_WRONG: _warning_if(RemarkCode.CAPACITY_WRONG in codes),
    }


def _soc_levels(
    soc_percent: float, before: Mapping[NoticeName, AlarmLevel], settings: NoticeSettings
) -> dict[NoticeName, AlarmLevel]:
    room = settings.soc_hysteresis_percent
    low = settings.soc_low_percent + (room if before.get(NoticeName.LOW_SOC) else 0.0)
    high = settings.soc_high_percent - (room if before.get(NoticeName.HIGH_SOC) else 0.0)
    return {
        NoticeName.LOW_SOC: _warning_if(soc_percent <= low),
        NoticeName.HIGH_SOC: _warning_if(soc_percent >= high),
    }


def _derating_level(limits: Limits, before: Mapping[NoticeName, AlarmLevel], settings: NoticeSettings) -> AlarmLevel:
    room_a = settings.current_hysteresis_a if before.get(NoticeName.DERATING) else 0.0
    return _warning_if(min(limits.ccl_a, limits.dcl_a) <= settings.derate_current_a + room_a)


def _warning_if(condition: bool) -> AlarmLevel:
    return AlarmLevel.WARNING if condition else AlarmLevel.OK
