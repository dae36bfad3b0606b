"""What is known of alarms and battery at a moment, for the rules and for the messages."""

from tinybms_bridge.battery.alarm_words import unheard_cause
from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.services.flat import limit_numbers, pack_numbers
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.words import JsonValue, Message

__all__ = ["cause_of", "known_levels", "present_values"]

_DECIMALS = 3


def known_levels(moment: Moment) -> dict[str, AlarmLevel]:
    """Return the level of each alarm and notice of which it is known; the others may last or be over.

    Without the core only that is known. An alarm that is not active is known to be over only by a measurement of now,
    and only once the BMS's own limits are known with which it is compared.
    """
    if not moment.hearing.connected:
        return {NoticeName.CORE_UNREACHABLE.value: AlarmLevel.ALARM}
    battery, measured = moment.battery, moment.view.measured
    known = {name.value: level for name, level in battery.notices.levels.items()}
    known[NoticeName.CORE_UNREACHABLE.value] = AlarmLevel.OK
    if measured is not None and measured.ratings is not None and battery.alarms.levels:
        known |= dict.fromkeys((name.value for name in AlarmName), AlarmLevel.OK)
    return known | {name.value: level for name, level in battery.alarms.active().items()}


def cause_of(name: str, moment: Moment) -> Message | None:
    """Return what an active alarm rests on; None where there is nothing more to say."""
    if name == NoticeName.CORE_UNREACHABLE:
        return None if moment.hearing.connected else unheard_cause(moment.hearing.since_s).message
    causes = {alarm.value: cause for alarm, cause in moment.battery.alarms.causes.items()}
    return causes[name].told if name in causes else None


def present_values(moment: Moment) -> dict[str, JsonValue]:
    """Return the flat numbers of the battery, as the API names them; each is None while it is not live or not sent."""
    view, heard = moment.view, moment.hearing.connected
    numbers = {
        **pack_numbers(view.measured if heard else None),
        **limit_numbers(view.limits if heard else None),
        "freshness": view.freshness.value if heard else None,
    }
    return {name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in numbers.items()}
