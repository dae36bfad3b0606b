"""The active alarms and notices: since when each has its level, what it rested on, and who has seen it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from tinybms_bridge.battery.alarm_words import AlarmKind, alarm_message, unheard_cause
from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import AlarmsChanged, NoticesChanged
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.words import Message

__all__ = ["ActiveAlarm", "AlarmTracker"]

_SAME_OUTAGE = timedelta(seconds=1)
"""The beginning of one outage is computed from its length, to a fraction of this."""
_NO_CAUSES: Mapping[AlarmName, AlarmCause] = {}


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """One alarm or notice that is not OK."""

    name: str
    kind: AlarmKind
    """``alarm``: also sent to the GX; ``notice``: the bridge's own."""
    level: AlarmLevel
    since: datetime
    """When it reached this level."""
    acknowledged_by: str | None = None
    """Who has seen it at this level; None: nobody."""
    cause: AlarmCause | None = None
    """What it rested on when it reached this level."""

    @property
    def level_name(self) -> Literal["warning", "alarm"]:
        """The level in a word."""
        return "alarm" if self.level is AlarmLevel.ALARM else "warning"

    @property
    def message(self) -> Message:
        """What is told of it; explanation and advice belong to its code."""
        cause = None if self.cause is None else self.cause.told
        return alarm_message(self.name, level=self.level_name, cause=cause)


class AlarmTracker:
    """Follows alarms by the bus, without a task. An acknowledgement ends when the level rises or the alarm clears."""

    def __init__(self, bus: Bus) -> None:
        self._subscription = bus.subscribe(AlarmsChanged, NoticesChanged, depth=256, name="web alarms")
        self._active: dict[str, ActiveAlarm] = {}
        self._unreachable: ActiveAlarm | None = None
        for known in (bus.latest(AlarmsChanged), bus.latest(NoticesChanged)):
            if known is not None:
                self._take(known.event, known.wall)

    def active(self, moment: Moment, now: datetime) -> tuple[ActiveAlarm, ...]:
        """Return the active alarms, the worst first; ``moment`` counts where the bus was not heard.

        While the core is not heard there is only one, which says so; ``last`` has what was active before.
        """
        self.drain()
        self._set("alarm", _levels(moment.battery.alarms.active()), now, moment.battery.alarms.causes)
        self._set("notice", _levels(moment.battery.notices.active()), now)
        if not moment.hearing.connected:
            return (self._not_heard(moment.hearing, now),)
        self._unreachable = None
        return self._worst_first()

    def last(self, moment: Moment) -> tuple[ActiveAlarm, ...]:
        """Return what was active when the core was last heard, after ``active``; nothing while it is heard."""
        return () if moment.hearing.connected else self._worst_first()

    def acknowledge(self, name: str, by: str) -> bool:
        """Note that somebody has seen an alarm; False when it is not active."""
        if self._unreachable is not None:
            if name != self._unreachable.name:
                return False
            self._unreachable = replace(self._unreachable, acknowledged_by=by)
            return True
        found = self._active.get(name)
        if found is None:
            return False
        self._active[name] = replace(found, acknowledged_by=by)
        return True

    def drain(self) -> None:
        """Take what the bus has told since the last look."""
        while (envelope := self._subscription.take()) is not None:
            if isinstance(envelope.event, AlarmsChanged | NoticesChanged):
                self._take(envelope.event, envelope.wall)

    def close(self) -> None:
        """Follow the bus no more; safe to call twice."""
        self._subscription.close()

    def _worst_first(self) -> tuple[ActiveAlarm, ...]:
        return tuple(sorted(self._active.values(), key=lambda each: (-each.level, each.since, each.name)))

    def _not_heard(self, hearing: Hearing, now: datetime) -> ActiveAlarm:
        """Return the alarm that the core is not heard; seen once, it is seen until the core is heard again."""
        since, before = now - timedelta(seconds=hearing.since_s), self._unreachable
        if before is None or abs(since - before.since) > _SAME_OUTAGE:
            before = ActiveAlarm(NoticeName.CORE_UNREACHABLE, "notice", AlarmLevel.ALARM, since)
        self._unreachable = replace(before, cause=unheard_cause(hearing.since_s))
        return self._unreachable

    def _take(self, event: AlarmsChanged | NoticesChanged, at: datetime) -> None:
        if isinstance(event, AlarmsChanged):
            self._set("alarm", _levels(event.new.active()), at, event.new.causes)
        else:
            self._set("notice", _levels(event.new.active()), at)

    def _set(
        self,
        kind: AlarmKind,
        levels: dict[str, AlarmLevel],
        at: datetime,
        causes: Mapping[AlarmName, AlarmCause] = _NO_CAUSES,
    ) -> None:
        for name in [name for name, each in self._active.items() if each.kind == kind and name not in levels]:
            del self._active[name]
        for name, level in levels.items():
            before = self._active.get(name)
            if before is None or before.level is not level:
                risen = before is None or level > before.level
                by = None if risen or before is None else before.acknowledged_by
                cause = causes.get(AlarmName(name)) if kind == "alarm" else None
                self._active[name] = ActiveAlarm(name, kind, level, at, by, cause)


def _levels(active: dict[AlarmName, AlarmLevel] | dict[NoticeName, AlarmLevel]) -> dict[str, AlarmLevel]:
    return {name.value: level for name, level in active.items()}
