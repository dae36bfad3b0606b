"""Every route of the REST API, and the WebSocket."""

from fastapi import APIRouter

from tinybms_bridge.services.web.live.endpoint import router as live
from tinybms_bridge.services.web.routes.alarms import router as alarms
from tinybms_bridge.services.web.routes.candidates import router as candidates
from tinybms_bridge.services.web.routes.control import router as control
from tinybms_bridge.services.web.routes.diagnostics import router as diagnostics
from tinybms_bridge.services.web.routes.doctor import router as doctor
from tinybms_bridge.services.web.routes.events import router as events
from tinybms_bridge.services.web.routes.health import router as health
from tinybms_bridge.services.web.routes.history import router as history
from tinybms_bridge.services.web.routes.limits import router as limits
from tinybms_bridge.services.web.routes.logs import router as logs
from tinybms_bridge.services.web.routes.metrics import router as metrics
from tinybms_bridge.services.web.routes.monitor import router as monitor
from tinybms_bridge.services.web.routes.overview import router as overview
from tinybms_bridge.services.web.routes.packs import router as packs
from tinybms_bridge.services.web.routes.pages import router as pages
from tinybms_bridge.services.web.routes.services import router as services
from tinybms_bridge.services.web.routes.settings import router as settings
from tinybms_bridge.services.web.routes.setup import router as setup
from tinybms_bridge.services.web.routes.status import router as status
from tinybms_bridge.services.web.routes.support import router as support
from tinybms_bridge.services.web.routes.tinybms import router as tinybms

__all__ = ["ROUTERS"]

ROUTERS: tuple[APIRouter, ...] = (
    status,
    overview,
    limits,
    candidates,  # before those of a pack by its name
    packs,
    history,
    settings,
    logs,
    events,
    alarms,
    diagnostics,
    doctor,
    monitor,
    support,
    tinybms,
    services,
    control,
    setup,
    health,
    metrics,
    live,
    pages,
)
"""In the order of the documentation."""
