"""``GET /api/overview``: all that the first view shows, as the topic ``overview`` of ``/ws`` sends it each second."""

from fastapi import APIRouter
from starlette.responses import Response

from tinybms_bridge.services.web.live.overview import OverviewAnswer
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheWatch
from tinybms_bridge.services.web.security import Viewer

__all__ = ["router"]

router = APIRouter(tags=["status"])


@router.get("/api/overview", response_model=OverviewAnswer)
async def overview(watch: TheWatch, _user: Viewer, lang: TextLanguage) -> Response:
    """Return all that the first view and the frame of every page show, up to a second old; it names no user."""
    text, _ = watch.overview.text(lang)
    return Response(text, media_type="application/json")
