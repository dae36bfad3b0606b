"""Pages for people: the browser interface at every path of its own, its files, and the API. Not part of the API."""

import json
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from tinybms_bridge.services.web import pages
from tinybms_bridge.services.web.heavy import Heavy, Text, takes_gzip
from tinybms_bridge.services.web.language import asked_language
from tinybms_bridge.services.web.pages.api_page import api_page
from tinybms_bridge.services.web.pages.built import built_pages
from tinybms_bridge.services.web.pages.elements import STYLE_PATH
from tinybms_bridge.services.web.pages.front_page import REFRESH_S, Visit, closed_page, front_page, own_address
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes.shared import TheCore, TheWatch
from tinybms_bridge.services.web.security.dependencies import TheGate, reader
from tinybms_bridge.services.web.security.routes import read_session
from tinybms_bridge.words import message

__all__ = ["PAGE_PATHS", "router"]

router = APIRouter(include_in_schema=False)

PAGE_PATHS = ("/", "/history", "/settings", "/bms", "/diagnostics", "/access", "/setup")
"""Where the browser interface is; what follows is for its script."""

_HTML = "text/html; charset=utf-8"
_OF_THIS_MOMENT = {"Cache-Control": "no-store"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
"""The name of a file changes with what is in it."""
_A_DAY = {"Cache-Control": "public, max-age=86400", "Vary": "Accept-Encoding"}


async def front(request: Request, core: TheCore, watch: TheWatch, gate: TheGate) -> Response:
    """Show the pages to who may read the battery, and to others how to get access; never a name without a login."""
    address = own_address(request.url.scheme, request.headers.get("host", ""))
    built, session, language = await built_pages(), "null", asked_language.get()
    try:
        session = (await read_session(request, gate)).model_dump_json()
        user = await reader(request, gate)
    except ProblemError as error:
        closed = closed_page(
            Visit(address, setup_required=gate.setup_required, language=language), error.message.say(language)
        )
        headers = {**_OF_THIS_MOMENT, **(error.headers or {})}
        page = built.page(_boot(core.version, session), *closed, error=error.code, language=language)
        return Response(page, error.status_code, headers, _HTML)
    overview, _ = watch.overview.text(language)
    shown = front_page(core, watch.overview.flow, Visit(address, user.name, gate.setup_required, language))
    page = built.page(_boot(core.version, session, overview), *shown, refresh_s=REFRESH_S, language=language)
    return Response(page, 200, _OF_THIS_MOMENT, _HTML)


def _boot(version: str, session: str, overview: str = "null") -> str:
    """Return what the script of the pages begins with: JSON of JSON."""
    return f'{{"session":{session},"overview":{overview},"version":{json.dumps(version)}}}'


for _path in PAGE_PATHS:
    router.add_api_route(_path, front)
    if _path != "/":
        router.add_api_route(f"{_path}/{{rest:path}}", front)


@router.get("/assets/{name}")
async def file_of_pages(request: Request) -> Response:
    """Return a file of the pages; a browser asks for it once."""
    return await _file(request, _FOR_EVER)


@router.get("/old.js")
@router.get("/icon.svg")
@router.get("/icon-180.png")
@router.get("/icon-192.png")
@router.get("/icon-512.png")
@router.get("/manifest.webmanifest")
async def file_beside_pages(request: Request) -> Response:
    """Return what has a fixed name: icons, the description of the app, and what tells of a browser that is too old."""
    return await _file(request, _A_DAY)


async def _file(request: Request, headers: dict[str, str]) -> Response:
    found = (await built_pages()).files.get(request.url.path)
    if found is None:
        raise ProblemError(404, "not_found", message("request.nothing_there", path=request.url.path))
    if found.packed and takes_gzip(request.headers.get("accept-encoding", "")):
        headers = {**headers, "Content-Encoding": "gzip"}
        return Response(found.packed, media_type=found.media_type, headers=headers)
    return Response(found.unpacked, media_type=found.media_type, headers=headers)


@router.get("/docs")
async def docs(request: Request, heavy: Heavy) -> Response:
    """Show the API; anybody may read what there is in every copy of the program."""
    return await heavy.kept("docs", lambda: Text(api_page(request.app.openapi()), _HTML))


@router.get(STYLE_PATH)
async def style(heavy: Heavy) -> Response:
    """Return the style sheet of the pages that run no script."""
    return await heavy.kept("style", lambda: Text(_style(), "text/css; charset=utf-8"))


def _style() -> bytes:
    return resources.files(pages).joinpath("page.css").read_bytes()
