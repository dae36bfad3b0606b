"""Active alarms with the time of their beginning, and who has seen them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.bus import Bus
from tinybms_bridge.events import AlarmsChanged, NoticesChanged
from tinybms_bridge.services.web.face import Picture

__all__ = ["ActiveAlarm", "AlarmDesk"]

Kind = Literal["alarm", "notice"]

_NO_CAUSES: Mapping[AlarmName, AlarmCause] = {}


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """One alarm or notice that is not OK."""

    name: str
    kind: Kind
    """``alarm``: also sent to the GX; ``notice``: the bridge's own."""
    level: AlarmLevel
    since: datetime
    """When it reached this level."""
    acknowledged_by: str | None = None
    """Who has seen it at this level; None: nobody."""
    cause: AlarmCause | None = None
    """What it rested on when it reached this level."""


class AlarmDesk:
    """Follows alarms by the bus, without a task. An acknowledgement ends when the level rises or the alarm clears."""

    def __init__(self, bus: Bus) -> None:
        self._subscription = bus.subscribe(AlarmsChanged, NoticesChanged, depth=256, name="web alarms")
        self._active: dict[str, ActiveAlarm] = {}
        for known in (bus.latest(AlarmsChanged), bus.latest(NoticesChanged)):
            if known is not None:
                self._take(known.event, known.wall)

    def active(self, picture: Picture, now: datetime) -> tuple[ActiveAlarm, ...]:
        """Return the active alarms, the worst first; ``picture`` counts where the bus was not heard."""
        self.drain()
        self._set("alarm", _levels(picture.alarms.active()), now, picture.alarms.causes)
        self._set("notice", _levels(picture.notices.active()), now)
        return tuple(sorted(self._active.values(), key=lambda each: (-each.level, each.since, each.name)))

    def acknowledge(self, name: str, by: str) -> bool:
        """Note that somebody has seen an alarm; False when it is not active."""
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

    def _take(self, event: AlarmsChanged | NoticesChanged, at: datetime) -> None:
        if isinstance(event, AlarmsChanged):
            self._set("alarm", _levels(event.new.active()), at, event.new.causes)
        else:
            self._set("notice", _levels(event.new.active()), at)

    def _set(
        self,
        kind: Kind,
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
