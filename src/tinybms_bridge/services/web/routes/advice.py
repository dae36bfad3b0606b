"""``GET /api/tinybms/advice``: what an expert would change in the settings of the BMS, and how."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from tinybms_bridge.battery.advice import Advice
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.routes.device_readout import cache_of
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.tinybms.settings import held_against

__all__ = ["AdviceAnswer", "AdviceList", "router"]

router = APIRouter(tags=["BMS"])


class AdviceAnswer(Answer):
    """One thing to change, or to know."""

    address: int = Field(examples=[308])
    weight: str = Field(examples=["advised"])
    """``note`` (nothing to change), ``choice`` (of the owner), ``advised`` or ``urgent``."""
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


@router.get("/api/tinybms/advice")
async def advice(request: Request, face: Face, _user: Viewer) -> AdviceList:
    """Return what an expert would change in the settings of the BMS; empty until they are known."""
    found = tuple(face.advice())
    if found:
        readout = (await cache_of(request.app).get(refresh=False)).readout
        if readout is not None:
            found = await asyncio.to_thread(held_against, found, readout)
    return AdviceList(count=len(found), advice=[_answer(each) for each in found])


def _answer(advice: Advice) -> AdviceAnswer:
    command = advice.command
    return AdviceAnswer(
        address=advice.register,
        weight=advice.weight.value,
        text=str(advice),
        reason=advice.reason,
        key=advice.setting or None,
        unit=advice.unit,
        value=advice.present,
        advised=advice.advised,
        obstacle=advice.obstacle,
        command=command or None,
        write={"key": advice.setting, "value": advice.advised} if command else None,
    )
