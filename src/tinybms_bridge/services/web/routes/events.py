"""``GET /api/events``: the bridge's event list."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from tinybms_bridge.battery.quick import replace
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.services.web.answers import Answer, Shown
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.routes.history import TIME_HINT, seconds_of
from tinybms_bridge.services.web.routes.shared import LARGEST_NUMBER, TextLanguage, TheCore, of_several
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.words import Language

__all__ = ["Events", "events_of_pack", "events_page", "router"]

router = APIRouter(tags=["events"])


class Events(Answer):
    """Entries, newest first."""

    events: list[Shown[EventRecord]]
    next_before: int | None
    """For the next page of older entries; null after the last."""


@router.get("/api/events", response_model=Events)
async def events(
    core: TheCore,
    user: Viewer,
    heavy: Heavy,
    lang: TextLanguage,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only entries with a smaller number.")
    ] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Only entries with a larger number.")] = 0,
    begin: Annotated[
        str | None, Query(alias="from", max_length=64, description=f"Only entries since then: {TIME_HINT}")
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", max_length=64, description=f"Only entries before then: {TIME_HINT}")
    ] = None,
    source: Literal["bms", "bridge"] | None = None,
    severity: Literal["info", "warning", "fault", "unknown"] | None = None,
    pack: Annotated[
        str | None, Query(max_length=64, description="Only entries about this pack, also one that is no more.")
    ] = None,
) -> Response:
    """Return entries of the event list, newest first; within a time, only those whose time is known.

    While there is one pack, every entry is about it, and none names it.
    """
    now = core.clock.wall()
    since = None if begin is None else datetime.fromtimestamp(seconds_of("from", begin, now), UTC)
    until = None if end is None else datetime.fromtimestamp(seconds_of("to", end, now), UTC)
    known = core.events()
    if pack is not None:
        known = events_of_pack(known, of_several(core, pack))
    if known and after > known[-1].number:  # of a list that was lost
        after = 0

    def wanted(event: EventRecord) -> bool:
        return (
            event.number > after
            and (before is None or event.number < before)
            and source in {None, event.source}
            and severity in {None, event.severity}
            and (since is None or (event.at is not None and event.at >= since))
            and (until is None or (event.at is not None and event.at < until))
        )

    return await heavy.answer(lambda: events_page(list(filter(wanted, known)), limit, lang, named=user.is_known))


def events_of_pack(found: Sequence[EventRecord], pack: str) -> Sequence[EventRecord]:
    """Return the entries about a pack; all where the name is empty, because there is one."""
    return [each for each in found if each.pack == pack] if pack else found


def events_page(found: Sequence[EventRecord], limit: int, language: Language, *, named: bool) -> Events:
    """Return the newest of some entries, with the names of users if those may be seen."""
    page = found[::-1][:limit]
    more = len(found) > len(page)
    told = [replace(event, by=(event.by or None) if named else None, text=event.say(language)) for event in page]
    return Events(events=told, next_before=page[-1].number if more else None)
