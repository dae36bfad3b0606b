"""``/api/tinybms``: which BMS this is, what an expert would change in it, and its settings.

Settings are written through the layer that judges, orders and reads back.
"""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.events import EventCode
from tinybms_bridge.link.state import PackDetails
from tinybms_bridge.services.web.answers import Answer, Done, Shown
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.device_registers import (
    RegisterAnswer,
    cache_of,
    register_answers,
    written_to,
)
from tinybms_bridge.services.web.routes.device_requests import (
    ActionBody,
    RestoreRequest,
    WriteAnswer,
    WriteRequest,
    held_to,
    wanted,
    write_answer,
)
from tinybms_bridge.services.web.routes.shared import (
    AddressedPack,
    TextLanguage,
    TheCore,
    device_failures,
    note,
    note_writes,
    plan_facts,
)
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.settings import (
    Backup,
    SettingProblem,
    SettingsError,
    backup_of,
    backup_text,
    held_against,
    parse_backup,
)
from tinybms_bridge.words import Language, message

__all__ = [
    "AdviceAnswer",
    "AdviceList",
    "Info",
    "Registers",
    "act",
    "advice",
    "advice_answer",
    "backup",
    "info",
    "registers",
    "restore",
    "router",
    "statistics_answer",
    "write",
]

router = APIRouter(prefix="/api/tinybms", tags=["BMS"])


class Info(Answer):
    """Which BMS this is; null for what has not been read yet."""

    identity: Shown[Identity] | None
    ratings: Shown[Ratings] | None
    lifetime_s: int | None
    """Age of the BMS; null while data is old."""
    statistics: dict[str, float | int | str] | None
    """Extremes and counts since the BMS cleared them (registers 100 to 117); none is a limit."""


@router.get("/info")
async def info(core: TheCore, _user: Viewer, pack: AddressedPack) -> Info:
    """Return identity, ratings and lifetime statistics of the BMS, as last read."""
    moment, details = core.moment(), core.packs().get(pack, _UNKNOWN)
    several = len(moment.battery.packs) > 1
    view = moment.packs.get(pack, View()) if several else moment.view
    return Info(
        identity=moment.battery.pack(pack).identity if several else moment.battery.identity,
        ratings=view.ratings,
        lifetime_s=view.measured.pack.lifetime_s if view.measured else None,
        statistics=statistics_answer(details.statistics),
    )


_UNKNOWN = PackDetails()


def statistics_answer(found: DeviceStatistics | None) -> dict[str, float | int | str] | None:
    """Return what the BMS has counted, with names in place of codes."""
    if found is None:
        return None
    return {name: value.name if isinstance(value, Enum) else value for name, value in asdict(found).items()}


class AdviceAnswer(Answer):
    """One thing to change, or to know."""

    address: int = Field(examples=[308])
    weight: str = Field(examples=["advised"])
    """``note`` (nothing to change), ``choice`` (of the owner), ``advised`` or ``urgent``."""
    code: str = Field(examples=["advice.disbalance"])
    """Of the reason."""
    parameters: dict[str, Any]
    """What the reason is made from."""
    text: str
    """All of it in one line."""
    reason: str
    key: str | None = Field(examples=["allowed_disbalance_v"])
    """Name of the setting; null for a note."""
    unit: str
    value: float | str | None = Field(examples=[0.015])
    advised: float | str | None = Field(examples=[0.05])
    obstacle: str
    """Why this BMS does not take the advised value; empty as far as is known."""
    command: str | None = Field(examples=["tinybms-bridge settings set allowed_disbalance_v=0.05"])
    """Changes it in a terminal; null where nothing can be changed."""
    write: dict[str, Any] | None = Field(examples=[{"key": "allowed_disbalance_v", "value": 0.05}])
    """Body of ``POST /api/tinybms/write`` that changes it."""


class AdviceList(Answer):
    """Everything that is advised, in order of registers."""

    success: bool = True
    count: int
    advice: list[AdviceAnswer]


@router.get("/advice")
async def advice(request: Request, core: TheCore, _user: Viewer, lang: TextLanguage, pack: AddressedPack) -> AdviceList:
    """Return what an expert would change in the settings of the BMS; empty until they are known."""
    found = tuple(core.packs().get(pack, _UNKNOWN).advice)
    if found:
        readout = (await cache_of(request.app, pack).get(refresh=False)).readout
        if readout is not None:
            found = await asyncio.to_thread(held_against, found, readout)
    return AdviceList(count=len(found), advice=[advice_answer(each, lang) for each in found])


def advice_answer(advice: Advice, language: Language) -> AdviceAnswer:
    """Return a piece of advice in a language."""
    command = advice.command
    return AdviceAnswer(
        address=advice.register,
        weight=advice.weight.value,
        code=advice.reason.code,
        parameters=dict(advice.reason.parameters),
        text=advice.message.say(language),
        reason=advice.reason.say(language),
        key=advice.setting or None,
        unit=advice.unit,
        value=advice.present,
        advised=advice.advised,
        obstacle="" if advice.obstacle is None else advice.obstacle.say(language),
        command=command or None,
        write={"key": advice.setting, "value": advice.advised} if command else None,
    )


class Registers(Answer):
    """The settings of the BMS."""

    success: bool = True
    count: int
    read_at: datetime | None
    """When the values were read; null while they have not been."""
    error: str
    """Why there is nothing newer, or empty."""
    registers: list[RegisterAnswer]


@router.get("/registers", response_model=Registers)
async def registers(
    request: Request,
    _user: Viewer,
    heavy: Heavy,
    lang: TextLanguage,
    pack: AddressedPack,
    refresh: Annotated[bool, Query(description="Read the BMS now instead of showing the last reading.")] = False,
    group: Annotated[str | None, Query(max_length=100, examples=["settings.cell"])] = None,
) -> Response:
    """Return every setting with range, unit and present value; without values while the BMS does not answer."""
    reading = await cache_of(request.app, pack).get(refresh=refresh)

    def made() -> Registers:
        found = register_answers(reading.readout, group, lang)
        error = "" if reading.error is None else reading.error.say(lang)
        return Registers(count=len(found), read_at=reading.at, error=error, registers=found)

    return await heavy.answer(made)


@router.post("/write")
async def write(
    request: Request,
    core: TheCore,
    user: Admin,
    facts: Facts,
    body: WriteRequest,
    lang: TextLanguage,
    pack: AddressedPack,
) -> WriteAnswer:
    """Write settings to the BMS, all judged before the first is written, each read back."""
    values = await asyncio.to_thread(wanted, body)
    with device_failures():
        plan = await core.device(pack).plan(values)
        plan_facts(facts, plan, dry_run=body.dry_run)
        if body.dry_run:
            return write_answer(plan, None, lang)
        with written_to(request.app, pack):
            held_to(plan, body.expected)
            report = await core.device(pack).apply(values, plan, confirm=body.confirm, by=user.name)
    note_writes(core, report, user, pack)
    return write_answer(plan, report, lang)


@router.post("/action")
async def act(
    request: Request, core: TheCore, user: Admin, facts: Facts, body: ActionBody, pack: AddressedPack
) -> Done:
    """Let the BMS do something once: restart, set its state of charge, clear its counters."""
    facts |= {"action": body.action, "value": body.value}
    with device_failures(), written_to(request.app, pack):
        result = await core.device(pack).perform(body.action, body.value, confirm=body.confirm, by=user.name)
    if not result.outcome.good:
        failed = message("action.failed", action=body.action, result=result.description)
        raise ProblemError(502, "action_failed", failed, result=result.as_dict())
    told = message(EventCode.ACTION_DONE, action=body.action, value=body.value)
    note(core, told, user, Severity.WARNING, pack)
    return Done(message=f"{body.action.info.title}: done")


@router.get("/backup", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def backup(
    request: Request, core: TheCore, user: Viewer, pack: AddressedPack, *, force: bool = False
) -> Response:
    """Return every setting as a file for ``/api/tinybms/restore``; read now, or within the last seconds."""
    reading = await cache_of(request.app, pack).get(refresh=True)
    if reading.error is not None or reading.readout is None:
        raise ProblemError(503, "bms_unreachable", reading.error or message("request.bms_not_read"))
    with device_failures():
        kept = backup_of(reading.readout, reading.at or core.clock.wall(), force=force)
    if user.is_known:  # anybody else could fill the event list
        note(core, message(EventCode.SETTINGS_BACKED_UP, serial=kept.identity.serial_number), user, pack=pack)
    name = f"tinybms-{kept.identity.serial_number or 'settings'}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(backup_text(kept), media_type="application/json", headers=headers)


@router.post("/restore")
async def restore(
    request: Request,
    core: TheCore,
    user: Admin,
    facts: Facts,
    body: RestoreRequest,
    lang: TextLanguage,
    pack: AddressedPack,
) -> WriteAnswer:
    """Write a backup to the BMS; what it holds already is not written again."""
    with device_failures():
        kept = await asyncio.to_thread(_parsed, body.backup)
        plan = await core.device(pack).plan_backup(kept, force=body.force)
        plan_facts(facts, plan, dry_run=body.dry_run)
        if body.dry_run:
            return write_answer(plan, None, lang)
        with written_to(request.app, pack):
            held_to(plan, body.expected)
            report = await core.device(pack).apply_backup(
                kept, plan, force=body.force, confirm=body.confirm, by=user.name
            )
    note_writes(core, report, user, pack)
    return write_answer(plan, report, lang)


def _parsed(document: dict[str, Any]) -> Backup:
    try:
        return parse_backup(json.dumps(document).encode())
    except RecursionError:
        raise SettingsError([SettingProblem("", message("file.too_deep", most=None))]) from None
