"""Pages for people: the first one, the API, and their style sheet. Without a script, and not part of the API."""

from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from tinybms_bridge.services.web import pages
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.pages.api_page import api_page
from tinybms_bridge.services.web.pages.elements import STYLE_PATH
from tinybms_bridge.services.web.pages.front_page import Visit, closed_page, front_page, own_address
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TheCore, TheWatch
from tinybms_bridge.services.web.security.dependencies import TheGate, reader

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_HTML = "text/html; charset=utf-8"
_OF_THIS_MOMENT = {"Cache-Control": "no-store"}


@router.get("/")
async def front(request: Request, core: TheCore, watch: TheWatch, gate: TheGate) -> Response:
    """Show the battery to who may read it, and to others how to get access; never a name without a login."""
    address = own_address(request.url.scheme, request.headers.get("host", ""))
    try:
        user = await reader(request, gate)
    except ProblemError as error:
        visit = Visit(address, setup_required=gate.setup_required)
        page = closed_page(core.version, visit, error.message.text, error.code)
        return Response(page, error.status_code, {**_OF_THIS_MOMENT, **(error.headers or {})}, _HTML)
    page = front_page(core, watch.overview.flow, Visit(address, user.name, gate.setup_required))
    return Response(page, 200, _OF_THIS_MOMENT, _HTML)


@router.get("/docs")
async def docs(request: Request, heavy: Heavy) -> Response:
    """Show the API; anybody may read what there is in every copy of the program."""
    return await heavy.kept("docs", lambda: Text(api_page(request.app.openapi()), _HTML))


@router.get(STYLE_PATH)
async def style(heavy: Heavy) -> Response:
    """Return the style sheet."""
    return await heavy.kept("style", lambda: Text(_style(), "text/css; charset=utf-8"))


def _style() -> bytes:
    return resources.files(pages).joinpath("page.css").read_bytes()
