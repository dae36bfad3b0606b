"""Alarms that the BMS itself raises: it cuts at once, so that the measured value is back before a rule's delay is over.

An alarm lasts while its event is open. A fault is an alarm, a warning is a warning.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.bms_event_kinds import DISCHARGED, TOO_COLD_TO_CHARGE, Severity, severity_of

__all__ = ["alarm_of_event", "alarms_of_events"]

_ALARM_OF_EVENT: Mapping[int, AlarmName] = MappingProxyType(
    {
        0x02: AlarmName.LOW_VOLTAGE,
        0x03: AlarmName.HIGH_VOLTAGE,
        0x04: AlarmName.HIGH_TEMPERATURE,
        0x05: AlarmName.HIGH_DISCHARGE_CURRENT,
        0x06: AlarmName.HIGH_CHARGE_CURRENT,
        0x07: AlarmName.HIGH_CHARGE_CURRENT,  # regeneration flows into the battery: a source has to give less
        0x0A: AlarmName.LOW_TEMPERATURE,
        0x0B: AlarmName.CONTACTOR,
        0x0C: AlarmName.CONTACTOR,
        0x0D: AlarmName.CONTACTOR,
        DISCHARGED: AlarmName.LOW_VOLTAGE,
        TOO_COLD_TO_CHARGE: AlarmName.LOW_TEMPERATURE_CHARGE,
    }
)
"""Numbers of events (tinybms-protocol.md, 3). What is missing here shows as ``BMS_INTERNAL`` when it is a fault."""

_LEVELS = {Severity.FAULT: AlarmLevel.ALARM, Severity.WARNING: AlarmLevel.WARNING}


def alarm_of_event(event_id: int) -> AlarmName | None:
    """Return the alarm that an open event of the BMS raises, or None."""
    return _ALARM_OF_EVENT.get(event_id)


def alarms_of_events(open_events: Iterable[int]) -> dict[AlarmName, AlarmLevel]:
    """Return the alarms of open events, the worst of each name; ``CONTACTOR``, which has no other source, always."""
    levels = {AlarmName.CONTACTOR: AlarmLevel.OK}
    for number in open_events:
        name = alarm_of_event(number)
        if name is not None:
            levels[name] = max(levels.get(name, AlarmLevel.OK), _LEVELS[severity_of(number)])
    return levels
