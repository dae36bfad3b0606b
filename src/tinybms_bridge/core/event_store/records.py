"""One entry of the bridge's own event list, and the words for what happens on the bus."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.hal.documents import check_version, parse_json
from tinybms_bridge.link.events import (
    AlarmsChanged,
    BmsEventsSeen,
    Event,
    FreshnessChanged,
    GxChanged,
    IdentityKnown,
    LinkChanged,
    Noted,
    NoticesChanged,
    PartStateChanged,
)

__all__ = ["RECORDED", "EventRecord", "EventSource", "News", "level_news", "news_of"]

Name = TypeVar("Name", bound=str)


_NAME_WITHIN = re.compile(
    r"((?:Charging|Discharging) (?:stopped|released)|Settings of the BMS written|[^:]*: (?:done|acknowledged))"
    r" by ([a-z0-9][a-z0-9._-]{0,31})(|: .*| for \d+ s.*)"
)
_VERSION = 1
"""Version of a line that names none."""


class EventSource(StrEnum):
    """Who noticed it."""

    BMS = "bms"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class News:
    """Something worth an entry."""

    severity: Severity
    code: str
    """Name for programs, for example ``link`` or ``alarm.high_voltage``."""
    text: str
    """What happened, in plain words; everybody may read it."""
    by: str = ""
    """Which user did it."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One entry."""

    number: int
    """Counts entries from 1; never used again."""
    at: datetime | None
    """UTC; None for an event of the BMS whose time cannot be told."""
    source: EventSource
    severity: Severity
    code: str
    text: str
    lifetime_s: int | None = None
    """Lifetime counter of the BMS, for its events."""
    event_id: int | None = None
    """Number of the BMS's event."""
    serial_number: str = ""
    """Of the BMS that logged it; empty when it is not known."""
    after_gap: bool = False
    """Whether events of the BMS right before it were lost."""
    by: str = ""
    """Which user did it."""

    @property
    def dated_event(self) -> DatedEvent | None:
        """The BMS's event behind it, or None."""
        if self.lifetime_s is None or self.event_id is None:
            return None
        return DatedEvent(BmsEvent(self.lifetime_s, self.event_id), self.at, self.serial_number, self.after_gap)

    def to_line(self) -> str:
        """Return one line of JSON."""
        document = {
            "number": self.number,
            "at": None if self.at is None else self.at.isoformat(),
            "source": self.source,
            "severity": self.severity,
            "code": self.code,
            "text": self.text,
        }
        if self.event_id is not None:
            document |= {"lifetime_s": self.lifetime_s, "event_id": self.event_id}
        if self.serial_number:
            document["serial_number"] = self.serial_number
        if self.after_gap:
            document["after_gap"] = True
        if self.by:
            document["by"] = self.by
        return json.dumps(document, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> "EventRecord":
        """Return the entry of a line made by ``to_line``.

        Raises ValueError for any other text, and LaterVersionError for one that names a later version.
        """
        document = parse_json(line)
        if not isinstance(document, Mapping):
            raise ValueError(f"not an entry: {line[:60]!r}")  # noqa: TRY004 -- what the file holds is no type error
        check_version(document.get("version"), _VERSION)
        try:
            text, by = _apart(str(document["text"]), str(document.get("by", "")))
            return cls(
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
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an entry: {line[:60]!r}") from error


def _apart(text: str, by: str) -> tuple[str, str]:
    """Return the text without the name of a user, which earlier versions wrote into it, and the name."""
    found = None if by else _NAME_WITHIN.fullmatch(text)
    return (found[1] + found[3], found[2]) if found else (text, by)


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
    (Freshness.FRESH, False): News(Severity.INFO, "freshness", "Data of the BMS is fresh: sending"),
    (Freshness.HOLD, False): News(
        Severity.WARNING, "freshness", "No good data from the BMS: charging is stopped (HOLD)"
    ),
    (Freshness.SILENT, False): News(
        Severity.FAULT, "freshness", "No good data from the BMS: nothing is sent any more (SILENT)"
    ),
    (Freshness.HOLD, True): News(
        Severity.WARNING, "freshness", "The readings of the BMS stand still: charging is stopped (HOLD)"
    ),
    (Freshness.SILENT, True): News(
        Severity.FAULT, "freshness", "The readings of the BMS stand still: nothing is sent any more (SILENT)"
    ),
}

_GX = {
    "present": News(Severity.INFO, "gx", "GX device present on the CAN bus"),
    "lost": News(Severity.WARNING, "gx", "GX device no longer heard on the CAN bus"),
    "never_seen": News(Severity.WARNING, "gx", "No GX device heard on the CAN bus"),
}

_LEVELS = {
    AlarmLevel.OK: (Severity.INFO, "over"),
    AlarmLevel.WARNING: (Severity.WARNING, "warning"),
    AlarmLevel.ALARM: (Severity.FAULT, "alarm"),
}


_NO_CAUSES: Mapping[Any, AlarmCause] = {}


def news_of(event: Event) -> Iterator[News]:
    """Yield what an event on the bus is worth; nothing for most."""
    match event:
        case LinkChanged(up=True):
            yield News(Severity.INFO, "link", "The BMS answers")
        case LinkChanged(reason=reason):
            yield News(Severity.WARNING, "link", f"No contact with the BMS: {reason}")
        case FreshnessChanged(new=new, frozen=frozen) if (new, frozen) in _FRESHNESS:
            yield _FRESHNESS[new, frozen]
        case AlarmsChanged(old=old, new=new_alarms):
            yield from level_news("alarm", old.levels, new_alarms.levels, new_alarms.causes)
        case NoticesChanged(old=old_notices, new=new_notices):
            yield from level_news("notice", old_notices.levels, new_notices.levels)
        case GxChanged(state=state) if state in _GX:
            yield _GX[state]
        case PartStateChanged(name=name, state="failed", error=error):
            yield News(Severity.WARNING, f"part.{name}", f"A part of the bridge failed, {name}: {error}")
        case Noted(severity=severity, code=code, text=text, by=by):
            yield News(severity, code, text, by)
        case IdentityKnown(identity=identity) if identity.firmware_internal:
            yield News(Severity.INFO, "identity", str(identity))


def level_news(
    prefix: str,
    old: Mapping[Name, AlarmLevel],
    new: Mapping[Name, AlarmLevel],
    causes: Mapping[Name, AlarmCause] = _NO_CAUSES,
) -> Iterator[News]:
    """Yield one piece of news for each name whose level differs, with its cause; a name that is missing is OK."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, AlarmLevel.OK), new.get(name, AlarmLevel.OK)
        if before is not after:
            severity, word = _LEVELS[after]
            cause = f" ({causes[name]})" if name in causes else ""
            yield News(severity, f"{prefix}.{name}", f"{name.replace('_', ' ').capitalize()}: {word}{cause}")
