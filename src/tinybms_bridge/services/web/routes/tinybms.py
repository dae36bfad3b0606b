"""``/api/tinybms``: the settings of the BMS, written through the layer that judges, orders and reads back."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.services.web.answers import Answer, Done
from tinybms_bridge.services.web.heavy import Heavy
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.routes.device_readout import cache_of
from tinybms_bridge.services.web.routes.device_registers import RegisterAnswer, register_answers
from tinybms_bridge.services.web.routes.device_requests import (
    ActionRequest,
    RestoreRequest,
    WriteAnswer,
    WriteRequest,
    wanted,
    write_answer,
)
from tinybms_bridge.services.web.routes.failures import device_failures
from tinybms_bridge.services.web.routes.notes import note, note_writes, plan_facts
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.tinybms.settings import (
    Backup,
    Problem,
    SettingsError,
    backup_of,
    backup_text,
    parse_backup,
    restore_plan,
)

__all__ = ["Registers", "router"]

router = APIRouter(prefix="/api/tinybms", tags=["BMS"])


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
    refresh: Annotated[bool, Query(description="Read the BMS now instead of showing the last reading.")] = False,
    group: Annotated[str | None, Query(max_length=100, examples=["settings.cell"])] = None,
) -> Response:
    """Return every setting with range, unit and present value; without values while the BMS does not answer."""
    reading = await cache_of(request.app).get(refresh=refresh)

    def made() -> Registers:
        found = register_answers(reading.readout, group)
        return Registers(count=len(found), read_at=reading.at, error=reading.error, registers=found)

    return await heavy.answer(made)


@router.post("/write")
async def write(request: Request, face: Face, user: Admin, facts: Facts, body: WriteRequest) -> WriteAnswer:
    """Write settings to the BMS, all judged before the first is written, each read back."""
    values = await asyncio.to_thread(wanted, body)
    with device_failures():
        plan = await face.device_settings.plan(values)
        plan_facts(facts, plan, dry_run=body.dry_run)
        if body.dry_run:
            return write_answer(plan, None)
        cache_of(request.app).forget()
        report = await face.device_settings.apply(plan, confirm=body.confirm)
    note_writes(face, report, user)
    return write_answer(plan, report)


@router.post("/action")
async def act(request: Request, face: Face, user: Admin, facts: Facts, body: ActionRequest) -> Done:
    """Let the BMS do something once: restart, set its state of charge, clear its counters."""
    facts |= {"action": body.action, "value": body.value}
    with device_failures():
        cache_of(request.app).forget()
        result = await face.device_settings.perform(body.action, body.value, confirm=body.confirm)
    if not result.outcome.good:
        text = f"{body.action.value}: {result.outcome.value} {result.detail}".rstrip()
        raise ProblemError(502, "action_failed", text, result=result.as_dict())
    value = "" if body.value is None else f" {body.value}"
    note(face, f"action.{body.action}", f"{body.action.info.title}{value}: done", user, Severity.WARNING)
    return Done(message=f"{body.action.info.title}: done")


@router.get("/backup", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def backup(request: Request, face: Face, _user: Viewer, *, force: bool = False) -> Response:
    """Return every setting as a file for ``/api/tinybms/restore``; read now, or within the last seconds."""
    reading = await cache_of(request.app).get(refresh=True)
    if reading.readout is None or reading.error:
        raise ProblemError(503, "bms_unreachable", reading.error)
    with device_failures():
        kept = backup_of(reading.readout, reading.at or face.clock.wall(), force=force)
    name = f"tinybms-{kept.identity.serial_number or 'settings'}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(backup_text(kept), media_type="application/json", headers=headers)


@router.post("/restore")
async def restore(request: Request, face: Face, user: Admin, facts: Facts, body: RestoreRequest) -> WriteAnswer:
    """Write a backup to the BMS; what it holds already is not written again."""
    with device_failures():
        kept = await asyncio.to_thread(_parsed, body.backup)
        plan = restore_plan(kept, await face.device_settings.read(), force=body.force)
        plan_facts(facts, plan, dry_run=body.dry_run)
        if body.dry_run:
            return write_answer(plan, None)
        cache_of(request.app).forget()
        report = await face.device_settings.apply(plan, confirm=body.confirm)
    note_writes(face, report, user)
    return write_answer(plan, report)


def _parsed(document: dict[str, Any]) -> Backup:
    try:
        return parse_backup(json.dumps(document).encode())
    except RecursionError:
        raise SettingsError([Problem("", "is nested too deep")]) from None
