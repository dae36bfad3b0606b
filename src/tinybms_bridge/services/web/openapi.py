"""``GET /api/openapi.json``: the API in words for programs, made once."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tinybms_bridge.services.web.heavy import Heavy, Text

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/api/openapi.json")
async def openapi(request: Request, heavy: Heavy) -> Response:
    """Return the OpenAPI document; anybody may read what there is in every copy of the program."""
    return await heavy.kept("openapi", lambda: Text(request.app.openapi()))
