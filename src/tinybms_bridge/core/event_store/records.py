"""One entry of the bridge's own event list, and the words for what happens on the bus."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.hal.documents import check_version, parse_json
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import (
    AlarmsChanged,
    BmsEventsSeen,
    Event,
    EventCode,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LinkChanged,
    Noted,
    NoticesChanged,
    PartState,
    PartStateChanged,
)
from tinybms_bridge.victron.can.gx import GxState
from tinybms_bridge.words import JsonValue, knows, message, say

__all__ = ["RECORDED", "level_news", "line_of", "news_of", "record_of"]

Name = TypeVar("Name", bound=str)


_NAME_WITHIN = re.compile(
    r"((?:Charging|Discharging) (?:stopped|released)|Settings of the BMS written|[^:]*: (?:done|acknowledged))"
    r" by (?!hand\b)([a-z0-9][a-z0-9._-]{0,31})(|: .*| for \d+ s.*)"
)
_VERSION = 1
"""Version of a line that names none."""


def line_of(record: EventRecord) -> str:
    """Return an entry as one line of JSON."""
    document: dict[str, JsonValue] = {
        "number": record.number,
        "at": None if record.at is None else record.at.isoformat(),
        "source": record.source,
        "severity": record.severity,
        "code": record.code,
        "text": record.text,
    }
    if record.event_id is not None:
        document |= {"lifetime_s": record.lifetime_s, "event_id": record.event_id}
    if record.serial_number:
        document["serial_number"] = record.serial_number
    if record.after_gap:
        document["after_gap"] = True
    if record.by:
        document["by"] = record.by
    if record.parameters:
        document["parameters"] = record.parameters
    if record.pack:
        document["pack"] = record.pack
    return json.dumps(document, ensure_ascii=False)


def record_of(line: str) -> EventRecord:
    """Return the entry of a line made by ``line_of``.

    Raises ValueError for any other text, and LaterVersionError for one that names a later version.
    """
    document = parse_json(line)
    if not isinstance(document, Mapping):
        raise ValueError(f"not an entry: {line[:60]!r}")  # noqa: TRY004 -- what the file holds is no type error
    check_version(document.get("version"), _VERSION)
    try:
        text, by = _apart(str(document["text"]), str(document.get("by", "")))
        return EventRecord(
            number=_whole(document["number"]),
            at=_moment(document["at"]),
            source=EventSource(document["source"]),
            severity=Severity(document["severity"]),
            code=str(document["code"]),
            text=text,
            lifetime_s=_optional(document.get("lifetime_s")),
            event_id=_optional(document.get("event_id")),
            serial_number=str(document.get("serial_number", "")),
            after_gap=document.get("after_gap") is True,
            by=by,
            parameters=_parameters(document),
            pack=str(document.get("pack", "")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an entry: {line[:60]!r}") from error


def _apart(text: str, by: str) -> tuple[str, str]:
    """Return the text without the name of a user, which earlier versions wrote into it, and the name."""
    found = None if by else _NAME_WITHIN.fullmatch(text)
    return (found[1] + found[3], found[2]) if found else (text, by)


def _parameters(document: Mapping[str, JsonValue]) -> Mapping[str, JsonValue] | None:
    """Return the parameters of a line; empty for a code that says all without."""
    found, code = document.get("parameters"), str(document["code"])
    if isinstance(found, Mapping):
        return found
    return {} if knows(code) and say(code, {}) == document["text"] else None


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"not a whole number: {value!r}")


def _optional(value: object) -> int | None:
    return None if value is None else _whole(value)


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


RECORDED: tuple[type[Event], ...] = (
    LinkChanged,
    FreshnessChanged,
    AlarmsChanged,
    NoticesChanged,
    BmsEventsSeen,
    GxChanged,
    PartStateChanged,
    IdentityKnown,
    Noted,
)
"""What on the bus is worth an entry."""

_FRESHNESS = {
    (Freshness.FRESH, False): (Severity.INFO, EventCode.FRESH),
    (Freshness.HOLD, False): (Severity.WARNING, EventCode.HOLD),
    (Freshness.SILENT, False): (Severity.FAULT, EventCode.SILENT),
    (Freshness.HOLD, True): (Severity.WARNING, EventCode.HOLD_FROZEN),
    (Freshness.SILENT, True): (Severity.FAULT, EventCode.SILENT_FROZEN),
}

_GX = {
    GxState.PRESENT: (Severity.INFO, EventCode.GX_PRESENT),
    GxState.LOST: (Severity.WARNING, EventCode.GX_LOST),
    GxState.NEVER_SEEN: (Severity.WARNING, EventCode.GX_NEVER_SEEN),
}

_LEVELS = {
    AlarmLevel.OK: (Severity.INFO, "over"),
    AlarmLevel.WARNING: (Severity.WARNING, "warning"),
    AlarmLevel.ALARM: (Severity.FAULT, "alarm"),
}


_NO_CAUSES: Mapping[Any, AlarmCause] = {}


def news_of(event: Event) -> Iterator[Noted]:
    """Yield what an event on the bus is worth; nothing for most."""
    match event:
        case LinkChanged(up=True, pack=pack):
            yield Noted(Severity.INFO, message(EventCode.LINK_UP), pack=pack)
        case LinkChanged(reason=reason, message=known, pack=pack):
            yield Noted(Severity.WARNING, message(EventCode.LINK_DOWN, reason=known or reason), pack=pack)
        case FreshnessChanged(new=new, frozen=frozen, pack="") if (new, frozen) in _FRESHNESS:
            severity, code = _FRESHNESS[new, frozen]
            yield Noted(severity, message(code))
        case AlarmsChanged(old=old, new=new_alarms):
            yield from level_news("alarm", old.levels, new_alarms.levels, new_alarms.causes)
        case NoticesChanged(old=old_notices, new=new_notices):
            yield from level_news("notice", old_notices.levels, new_notices.levels)
        case GxChanged(state=state):
            severity, code = _GX[state]
            yield Noted(severity, message(code))
        case PartStateChanged(name=name, state=PartState.FAILED, error=text, message=known):
            yield Noted(Severity.WARNING, message(EventCode.PART_FAILED, part=name, error=known or text))
        case Noted():
            yield event
        case IdentityKnown(identity=identity, pack=pack) if identity.firmware_internal:
            told = message(
                EventCode.IDENTITY,
                hardware=identity.hardware_version,
                firmware=identity.firmware,
                serial=identity.serial_number,
            )
            yield Noted(Severity.INFO, told, pack=pack)


def level_news(
    prefix: str,
    old: Mapping[Name, AlarmLevel],
    new: Mapping[Name, AlarmLevel],
    causes: Mapping[Name, AlarmCause] = _NO_CAUSES,
) -> Iterator[Noted]:
    """Yield one piece of news for each name whose level differs, with its cause; a name that is missing is OK."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, AlarmLevel.OK), new.get(name, AlarmLevel.OK)
        if before is not after:
            severity, level = _LEVELS[after]
            cause = causes.get(name)
            told = message(f"{prefix}.{name}", level=level, cause=None if cause is None else cause.told)
            yield Noted(severity, told, pack="" if cause is None else cause.pack)
