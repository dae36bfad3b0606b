"""``GET /api/events``: the bridge's event list."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field

from tinybms_bridge.services.web.routes.answers import Answer
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.security import Viewer

__all__ = ["EventAnswer", "Events", "router"]

router = APIRouter(tags=["events"])

_LARGEST = 2**63 - 1


class EventAnswer(Answer):
    """One entry."""

    number: int
    at: datetime | None
    """Null for an event of the BMS whose time cannot be told."""
    source: str = Field(examples=["bridge"])
    severity: str = Field(examples=["warning"])
    code: str = Field(examples=["alarm.high_voltage"])
    text: str = Field(examples=["High voltage: warning"])
    by: Annotated[str | None, BeforeValidator(lambda name: name or None)] = None
    """Which user did it; null for what nobody did, and without a login."""


class Events(Answer):
    """Entries, newest first."""

    events: list[EventAnswer]
    next_before: int | None
    """For the next page of older entries; null after the last."""


@router.get("/api/events")
async def events(
    face: Face,
    user: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST, description="Only entries with a smaller number.")] = None,
    after: Annotated[int, Query(ge=0, le=_LARGEST, description="Only entries with a larger number.")] = 0,
    source: Literal["bms", "bridge"] | None = None,
    severity: Literal["info", "warning", "fault", "unknown"] | None = None,
) -> Events:
    """Return entries of the event list, newest first."""
    known = face.events()
    if known and after > known[-1].number:  # of a list that was lost
        after = 0
    found = [
        event
        for event in known
        if event.number > after
        and (before is None or event.number < before)
        and source in {None, event.source}
        and severity in {None, event.severity}
    ]
    page = found[::-1][:limit]
    more = len(found) > len(page)
    shown = [event if user.is_known else replace(event, by="") for event in page]
    return Events(
        events=[EventAnswer.model_validate(event) for event in shown], next_before=page[-1].number if more else None
    )
