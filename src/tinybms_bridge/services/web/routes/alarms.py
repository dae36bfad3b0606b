"""``/api/alarms``: what is wrong now, and who has seen it."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.battery.alarm_words import alarm_message
from tinybms_bridge.link.events import EventCode
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.answers import Answer, Done, MessageAnswer
from tinybms_bridge.services.web.live.alarms import ActiveAlarm, AlarmTracker
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, TheWatch, note
from tinybms_bridge.services.web.security import Admin, User, Viewer
from tinybms_bridge.words import Language, message

__all__ = ["AlarmAnswer", "AlarmsAnswer", "alarms_answer", "router"]

router = APIRouter(tags=["events"])


class AlarmAnswer(MessageAnswer):
    """One alarm or notice that is active."""

    name: str = Field(examples=["high_voltage"])
    kind: Literal["alarm", "notice"]
    """``alarm``: also sent to the GX; ``notice``: the bridge's own."""
    level: Literal["warning", "alarm"]
    since: datetime
    """When it reached this level."""
    code: str = Field(examples=["alarm.high_voltage"])
    text: str = Field(examples=["High voltage: alarm (cell 3 at 3.762 V, threshold 3.750 V)"])
    explanation: str
    """What it means; empty where there is nothing to say."""
    advice: str
    """What can be done; empty where there is nothing to do."""
    parameters: dict[str, Any]
    """What the text is made from: `level`, and `cause` with its own code, parameters and text."""
    acknowledged_by: str | None
    """Who has seen it at this level; null: nobody; without a login `somebody`."""
    cause: str | None = Field(examples=["cell 3 at 3.762 V, threshold 3.750 V"])
    """What it rested on when it reached this level, in words; null where there is nothing more to say."""
    value: float | None = Field(examples=[3.762])
    """What was measured then; null where no single value is the cause."""
    threshold: float | None = Field(examples=[3.75])
    unit: str = Field(examples=["V"])
    """Of `value` and `threshold`; empty without them."""


class AlarmsAnswer(Answer):
    """The active alarms, the worst first."""

    alarms: list[AlarmAnswer]
    unacknowledged: int
    last: list[AlarmAnswer]
    """What was active when the core last answered, while it does not: nobody knows whether it still is."""


@router.get("/api/alarms")
async def alarms(watch: TheWatch, core: TheCore, user: Viewer, lang: TextLanguage) -> AlarmsAnswer:
    """Return the active alarms and notices."""
    return alarms_answer(watch.alarms, core, user, lang)


@router.post("/api/alarms/acknowledge")
async def acknowledge_all(watch: TheWatch, core: TheCore, user: Admin, lang: TextLanguage) -> AlarmsAnswer:
    """Acknowledge every active alarm; one that rises or comes again is new."""
    tracker = watch.alarms
    for alarm in tracker.active(core.moment(), core.clock.wall()):
        if alarm.acknowledged_by is None:
            tracker.acknowledge(alarm.name, user.name)
            _note(alarm.name, user, core)
    return alarms_answer(tracker, core, user, lang)


@router.post("/api/alarms/{name}/acknowledge")
async def acknowledge(name: str, watch: TheWatch, core: TheCore, user: Admin) -> Done:
    """Acknowledge one active alarm."""
    tracker = watch.alarms
    tracker.active(core.moment(), core.clock.wall())
    if not tracker.acknowledge(name, user.name):
        raise ProblemError(404, "unknown_alarm", message("request.no_alarm"))
    _note(name, user, core)
    return Done(message=f"{name} acknowledged")


def _note(name: str, user: User, core: Core) -> None:
    note(core, message(EventCode.ACKNOWLEDGED, alarm=alarm_message(name)), user)


def alarms_answer(tracker: AlarmTracker, core: Core, user: User, language: Language) -> AlarmsAnswer:
    """Return the active alarms and notices in a language."""
    moment = core.moment()
    active = [_answer(each, user, language) for each in tracker.active(moment, core.clock.wall())]
    last = [_answer(each, user, language) for each in tracker.last(moment)]
    return AlarmsAnswer(alarms=active, unacknowledged=sum(each.acknowledged_by is None for each in active), last=last)


def _answer(alarm: ActiveAlarm, user: User, language: Language) -> AlarmAnswer:
    cause = alarm.cause
    told = alarm.message
    return AlarmAnswer(
        name=alarm.name,
        kind=alarm.kind,
        level=alarm.level_name,
        since=alarm.since,
        code=told.code,
        text=told.say(language),
        explanation=told.explanation(language),
        advice=told.advice(language),
        parameters=dict(told.parameters),
        acknowledged_by=None if alarm.acknowledged_by is None else user.shown(alarm.acknowledged_by),
        cause=None if cause is None else cause.told.say(language),
        value=None if cause is None else cause.value,
        threshold=None if cause is None else cause.threshold,
        unit="" if cause is None else cause.unit,
    )
