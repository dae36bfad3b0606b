"""``/api/settings``: the configuration, shown without secrets, changed in part or as a whole; and its JSON Schema."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from tinybms_bridge.config.changes import ConfigChange
from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.config.json_text import read_object
from tinybms_bridge.config.values import public_values
from tinybms_bridge.errors import ConfigError
from tinybms_bridge.services.web.answers import ConfigNoticeAnswer, Done
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.openapi import SETTINGS_PROBLEMS
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TheCore, config_problem
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.words import message

__all__ = ["Saved", "router", "saved"]

router = APIRouter(tags=["settings"])

_SOURCE = "request"

Document = Annotated[dict[str, Any], Body(description="See the schemas Settings and SettingsChange.")]


class Saved(Done):
    """The configuration was saved and is in force."""

    changed: list[str]
    """Dotted paths of the keys with another value."""
    notices: list[ConfigNoticeAnswer] = Field(default_factory=list)


@router.get("/api/settings")
async def read_settings(
    core: TheCore,
    _user: Viewer,
    download: Annotated[bool, Query(description="Let a browser save it as a file.")] = False,
) -> dict[str, Any]:
    """Return every setting as it is in force, what the command line says included.

    It may be sent back as it is: a secret that is set is ``********``, and what the command line says is not saved.
    """
    document = public_values(core.store.in_force)
    if download:
        headers = {"Content-Disposition": 'attachment; filename="tinybms-bridge.json"'}
        return JSONResponse(document, headers=headers)  # type: ignore[return-value]  # FastAPI passes responses on
    return document


@router.post("/api/settings", responses=SETTINGS_PROBLEMS)
async def change_settings(request: Request, core: TheCore, _user: Admin, facts: Facts, _document: Document) -> Saved:
    """Change the given keys, save, and apply at once; null takes a key back to its default (RFC 7396)."""
    return await _change(core.store.update, await request.body(), facts)


@router.put("/api/settings", responses=SETTINGS_PROBLEMS)
async def replace_settings(request: Request, core: TheCore, _user: Admin, facts: Facts, _document: Document) -> Saved:
    """Put a whole configuration in the place of the present one, for example a backup; otherwise as POST.

    What it does not name of `hardware` and `web_server` stays as it is.
    """
    return await _change(core.store.replace, await request.body(), facts)


def saved(change: ConfigChange, done: str, facts: Facts) -> Saved:
    """Return the answer for a change, and add its keys to the facts of the request."""
    facts["changed"] = " ".join(change.changed_paths) or "nothing"
    notices = [ConfigNoticeAnswer.about(notice.path, notice.message) for notice in change.notices]
    return Saved(message=done, changed=list(change.changed_paths), notices=notices)


async def _change(save: Callable[[Mapping[str, Any]], ConfigChange], body: bytes, facts: Facts) -> Saved:
    try:
        change = await asyncio.to_thread(save, _checked(body))
    except ConfigError as error:
        raise config_problem(error) from error
    except OSError as error:
        told = message("config.not_saved", reason=error.strerror or error)
        raise ProblemError(500, "config_save_failed", told) from error
    return saved(change, "Configuration updated", facts)


def _checked(body: bytes) -> dict[str, Any]:
    """Return the document of a body, which may be no deeper and no stranger than a file. Raises ConfigError."""
    document, problems = read_object(body, _SOURCE)
    if problems:
        raise ConfigError(problems, source=_SOURCE)
    return document


@router.get("/api/settings/schema", response_model=dict[str, Any])
async def schema(_user: Viewer, heavy: Heavy) -> Response:
    """Return the JSON Schema of the configuration with units, ranges, defaults and descriptions."""
    return await heavy.kept("schema", lambda: Text(json_schema()))
