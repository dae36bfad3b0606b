"""``/api/alarms``: what is wrong now, and who has seen it."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.services.web.answers import Answer, Done
from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.watch import AlarmDesk
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import Face, TheWatch, note
from tinybms_bridge.services.web.security import Admin, User, Viewer

__all__ = ["AlarmAnswer", "Alarms", "router"]

router = APIRouter(tags=["events"])


class AlarmAnswer(Answer):
    """One alarm or notice that is active."""

    name: str = Field(examples=["high_voltage"])
    kind: Literal["alarm", "notice"]
    """``alarm``: also sent to the GX; ``notice``: the bridge's own."""
    level: Literal["warning", "alarm"]
    since: datetime
    """When it reached this level."""
    acknowledged_by: str | None
    """Who has seen it at this level; null: nobody; without a login `somebody`."""
    cause: str | None = Field(examples=["cell 3 at 3.762 V, threshold 3.750 V"])
    """What it rested on when it reached this level, in words; null where there is nothing more to say."""
    value: float | None = Field(examples=[3.762])
    """What was measured then; null where no single value is the cause."""
    threshold: float | None = Field(examples=[3.75])
    unit: str = Field(examples=["V"])
    """Of `value` and `threshold`; empty without them."""


class Alarms(Answer):
    """The active alarms, the worst first."""

    alarms: list[AlarmAnswer]
    unacknowledged: int


@router.get("/api/alarms")
async def alarms(watch: TheWatch, face: Face, user: Viewer) -> Alarms:
    """Return the active alarms and notices."""
    return _alarms(watch.alarms, face, user)


@router.post("/api/alarms/acknowledge")
async def acknowledge_all(watch: TheWatch, face: Face, user: Admin) -> Alarms:
    """Acknowledge every active alarm; one that rises or comes again is new."""
    desk = watch.alarms
    for alarm in desk.active(face.picture(), face.clock.wall()):
        if alarm.acknowledged_by is None:
            desk.acknowledge(alarm.name, user.name)
            _note(alarm.name, user, face)
    return _alarms(desk, face, user)


@router.post("/api/alarms/{name}/acknowledge")
async def acknowledge(name: str, watch: TheWatch, face: Face, user: Admin) -> Done:
    """Acknowledge one active alarm."""
    desk = watch.alarms
    desk.active(face.picture(), face.clock.wall())
    if not desk.acknowledge(name, user.name):
        raise ProblemError(404, "unknown_alarm", "no active alarm has this name")
    _note(name, user, face)
    return Done(message=f"{name} acknowledged")


def _note(name: str, user: User, face: BridgeFace) -> None:
    note(face, f"acknowledged.{name}", f"{name.replace('_', ' ').capitalize()}: acknowledged", user)


def _alarms(desk: AlarmDesk, face: BridgeFace, user: User) -> Alarms:
    active = [
        AlarmAnswer(
            name=each.name,
            kind=each.kind,
            level="alarm" if each.level > 1 else "warning",
            since=each.since,
            acknowledged_by=None if each.acknowledged_by is None else user.shown(each.acknowledged_by),
            cause=None if each.cause is None else each.cause.text,
            value=None if each.cause is None else each.cause.value,
            threshold=None if each.cause is None else each.cause.threshold,
            unit="" if each.cause is None else each.cause.unit,
        )
        for each in desk.active(face.picture(), face.clock.wall())
    ]
    return Alarms(alarms=active, unacknowledged=sum(each.acknowledged_by is None for each in active))
