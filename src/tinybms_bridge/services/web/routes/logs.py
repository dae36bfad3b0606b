"""``/api/logs``: the recent log, as plain text so that ``grep`` works, or as JSON."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from tinybms_bridge.services.ports import LogPage
from tinybms_bridge.services.web.answers import Done, Shown, shown
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import LARGEST_NUMBER, TheCore
from tinybms_bridge.services.web.security import AUDIT, Admin, Viewer
from tinybms_bridge.words import message

__all__ = ["router"]

router = APIRouter(tags=["logs"])

Level = Annotated[Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"], BeforeValidator(str.upper)]
Format = Literal["text", "json"]

_MOST_CHARACTERS = 500_000
"""Of all lines of one answer; a traceback has thousands."""


@router.get(
    "/api/logs",
    response_model=Shown[LogPage],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Lines, oldest first"}},
)
async def read_logs(
    request: Request,
    core: TheCore,
    user: Viewer,
    heavy: Heavy,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 2000,
    cursor: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER, description="From the page before.")] = None,
    level: Annotated[Level | None, Query(description="Least important lines to show.")] = None,
    since: Annotated[datetime | None, Query(description="Oldest lines to show; UTC unless it says otherwise.")] = None,
    form: Annotated[Format | None, Query(alias="format", description="Else as the Accept header asks.")] = None,
) -> Response:
    """Return the latest lines, or those after a cursor; plain text has the next cursor in ``X-Next-Cursor``.

    Who did what is only for who is logged in.
    """
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    hidden, chosen = "" if user.is_known else AUDIT, form or _wanted(request)
    return await heavy.answer(
        lambda: _text(_short(core.logs.read(limit, cursor, level, since, hidden), latest=cursor is None), chosen)
    )


@router.delete("/api/logs")
async def clear_logs(core: TheCore, _user: Admin) -> Done:
    """Forget every line and remove the log files; what is written from now on stays."""
    try:
        await asyncio.to_thread(core.logs.clear)
    except OSError as error:
        raise ProblemError(500, "logs_not_removed", message("request.log_not_removed", reason=error)) from error
    return Done(message="Logs cleared")


def _short(page: LogPage, *, latest: bool) -> LogPage:
    """Return as much of a page as an answer may hold: its latest lines, or those that follow the cursor."""
    lines = page.lines
    number, room = 0, _MOST_CHARACTERS
    for line in reversed(lines) if latest else lines:
        room -= len(line.text)
        if room < 0 and number:
            break
        number += 1
    if latest or number == len(lines):
        return replace(page, lines=lines[len(lines) - number :])
    return LogPage(lines[:number], lines[number - 1].number, more=True)


def _text(page: LogPage, form: Format) -> Text:
    if form == "json":
        return Text(shown(page))
    text = "".join(f"{line}\n" for line in page.lines)
    return Text(text, "text/plain", {"X-Next-Cursor": str(page.next_cursor)})


def _wanted(request: Request) -> Format:
    """Return ``json`` for a client that names JSON and not plain text, as a script of a page does."""
    accept = request.headers.get("accept", "")
    return "json" if "application/json" in accept and "text/plain" not in accept else "text"
