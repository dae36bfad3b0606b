"""``GET /api/events``: the bridge's event list."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.routes.shared import LARGEST_NUMBER, TextLanguage, TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.words import ENGLISH, JsonValue, Language

__all__ = ["EventAnswer", "Events", "router"]

router = APIRouter(tags=["events"])


class EventAnswer(Answer):
    """One entry."""

    number: int
    at: datetime | None
    """Null for an event of the BMS whose time cannot be told."""
    source: str = Field(examples=["bridge"])
    severity: str = Field(examples=["warning"])
    code: str = Field(examples=["alarm.high_voltage"])
    text: str = Field(examples=["High voltage: warning"])
    parameters: dict[str, JsonValue] | None
    """What the text is made from; null for an entry of a version that did not keep it."""
    by: Annotated[str | None, BeforeValidator(lambda name: name or None)] = None
    """Which user did it; null for what nobody did, and without a login."""


class Events(Answer):
    """Entries, newest first."""

    events: list[EventAnswer]
    next_before: int | None
    """For the next page of older entries; null after the last."""


@router.get("/api/events", response_model=Events)
async def events(
    core: TheCore,
    user: Viewer,
    heavy: Heavy,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only entries with a smaller number.")
    ] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Only entries with a larger number.")] = 0,
    source: Literal["bms", "bridge"] | None = None,
    severity: Literal["info", "warning", "fault", "unknown"] | None = None,
    lang: TextLanguage = ENGLISH,
) -> Response:
    """Return entries of the event list, newest first."""
    known = core.events()
    if known and after > known[-1].number:  # of a list that was lost
        after = 0

    def wanted(event: EventRecord) -> bool:
        return (
            event.number > after
            and (before is None or event.number < before)
            and source in {None, event.source}
            and severity in {None, event.severity}
        )

    return await heavy.answer(lambda: _page(list(filter(wanted, known)), limit, lang, named=user.is_known))


def _page(found: Sequence[EventRecord], limit: int, language: Language, *, named: bool) -> Events:
    """Return the newest of some entries, with the names of users if those may be seen."""
    page = found[::-1][:limit]
    more = len(found) > len(page)
    shown = [replace(event, by=event.by if named else "", text=event.say(language)) for event in page]
    return Events(
        events=[EventAnswer.model_validate(event) for event in shown], next_before=page[-1].number if more else None
    )
