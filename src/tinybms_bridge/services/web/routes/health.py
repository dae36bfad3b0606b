"""``/healthz`` and ``/readyz`` for monitors: open to everybody, they tell nothing about the battery."""

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.routes.shared import TheCore

__all__ = ["Health", "Readiness", "router"]

router = APIRouter(tags=["health"])


class Health(Answer):
    """Core and services run and answer."""

    status: str = Field(examples=["ok"])
    """``ok`` or ``core_unreachable``."""
    version: str
    uptime_s: float


class Readiness(Answer):
    """Whether data flows from the BMS to the GX."""

    ready: bool
    bms: bool
    """The BMS answers and its data is fresh."""
    can: bool
    """The CAN adapter is open."""
    core: bool
    """The process that speaks with BMS and GX is heard."""
    gx: bool
    """A GX device is heard; not needed to be ready."""


@router.get("/healthz", responses={503: {"model": Health, "description": "The core does not answer"}})
async def healthz(core: TheCore) -> Health:
    """Return 200 as long as the program answers, and 503 while its core does not answer."""
    heard = core.hearing().connected
    health = Health(status="ok" if heard else "core_unreachable", version=core.version, uptime_s=core.uptime_s)
    return health if heard else JSONResponse(health.model_dump(), 503)  # type: ignore[return-value]  # passed on


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})
async def readyz(core: TheCore) -> Readiness:
    """Return 200 while limits made from fresh data are sent, else 503 with what is missing."""
    can = core.can()
    bms = core.moment().view.freshness is Freshness.FRESH
    heard = core.hearing().connected
    readiness = Readiness(ready=bms and can.up and heard, bms=bms, can=can.up, core=heard, gx=can.keepalive_ok)
    if readiness.ready:
        return readiness
    return JSONResponse(readiness.model_dump(), 503)  # type: ignore[return-value]  # FastAPI passes responses on
