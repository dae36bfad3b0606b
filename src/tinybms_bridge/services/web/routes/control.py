"""Control: stopping charge or discharge by hand, counters, reload, restart."""

import asyncio
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field

from tinybms_bridge.battery.inhibits import LONGEST_INHIBIT_S, Direction, Inhibit
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.link.events import inhibit_noted, release_noted
from tinybms_bridge.services.web.answers import Answer, Done, Request, Shown, examples
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.settings import Saved, saved
from tinybms_bridge.services.web.routes.shared import TheCore, TheWatch, config_problem
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.words import message

__all__ = ["InhibitRequest", "InhibitsAnswer", "RestartRequest", "router"]

router = APIRouter(tags=["control"])


class InhibitsAnswer(Answer):
    """What is stopped by hand now."""

    inhibits: list[Shown[Inhibit]]


class InhibitRequest(Request, json_schema_extra=examples({"duration_s": 3600, "reason": "work on the cables"})):
    """How long, and why."""

    duration_s: float | None = Field(default=None, ge=1.0, le=LONGEST_INHIBIT_S, examples=[3600])
    """Seconds; left out: until it is released by hand."""
    reason: str = Field(default="", max_length=200, examples=["work on the cables"])


class RestartRequest(Request, json_schema_extra=examples({"part": "mqtt"})):
    """What to restart."""

    part: str | None = Field(default=None, max_length=64, examples=["mqtt"])
    """Name of a part as in ``/api/diagnostics``; left out: the whole program."""


@router.get("/api/inhibits")
async def inhibits(core: TheCore, user: Viewer) -> InhibitsAnswer:
    """Return what is stopped by hand."""
    return InhibitsAnswer(inhibits=[replace(each, by=user.shown(each.by)) for each in core.inhibits()])


@router.put("/api/inhibits/{direction}")
async def inhibit(
    direction: Direction,
    core: TheCore,
    user: Admin,
    facts: Facts,
    wanted: Annotated[InhibitRequest | None, Body()] = None,
) -> Shown[Inhibit]:
    """Stop charging or discharging: the limit of that direction is 0 A until released or expired, also after a restart.

    A duration counts the time in which the bridge runs.
    """
    wanted = wanted or InhibitRequest()
    facts |= {"duration_s": wanted.duration_s, "reason": wanted.reason}
    core.note(inhibit_noted(direction, wanted.duration_s, wanted.reason, user.name))
    try:
        return await core.inhibit(direction, wanted.duration_s, wanted.reason, user.name)
    except OSError as error:
        told = message("inhibit.not_saved", direction=direction, reason=error_words(error))
        raise ProblemError(500, "stop_not_saved", told) from error


@router.delete("/api/inhibits/{direction}")
async def release(direction: Direction, core: TheCore, user: Admin) -> Done:
    """End a stop, and for discharging the pause of an empty battery as well; also fine when there is neither."""
    by_hand = any(each.direction is direction for each in core.inhibits())
    if by_hand:
        core.note(release_noted(direction, user.name))
    try:
        there_was = await core.release(direction)
    except OSError as error:
        told = message("inhibit.release_not_saved", direction=direction, reason=error_words(error))
        raise ProblemError(500, "release_not_saved", told) from error
    if there_was and not by_hand:
        core.note(release_noted(direction, user.name))
    return Done(message=f"{direction.value} released" if there_was else f"{direction.value} was not stopped")


@router.post("/api/stats/reset")
async def reset_statistics(core: TheCore, watch: TheWatch, _user: Admin) -> Done:
    """Set the counters of line, samples, CAN bus, internal bus and live data to zero; the energy counters stay."""
    await core.reset_statistics()
    watch.broadcaster.reset_statistics()
    return Done(message="Statistics reset")


@router.post("/api/config/reload")
async def reload(core: TheCore, _user: Admin, facts: Facts) -> Saved:
    """Read the configuration file again, as after a change made by hand."""
    store = core.store
    change = await asyncio.to_thread(store.reload_if_changed)
    if store.error is not None:
        raise config_problem(store.error, "reload_failed")
    if change is None:
        facts["changed"] = "nothing"
        return Saved(message="Configuration unchanged", changed=[])
    return saved(change, "Configuration reloaded", facts, core.store)


@router.post("/api/system/restart")
async def restart(
    core: TheCore, _user: Admin, facts: Facts, wanted: Annotated[RestartRequest | None, Body()] = None
) -> Done:
    """Restart a part, or the whole program: frames pause for seconds, and a GX that misses them for three stops."""
    part = wanted.part if wanted else None
    facts["part"] = part or "the whole program"
    try:
        await core.restart(part)
    except KeyError as error:
        raise ProblemError(404, "unknown_part", message("core.unknown_name", name=part)) from error
    return Done(message=f"Restarting {part}" if part else "Restarting")
