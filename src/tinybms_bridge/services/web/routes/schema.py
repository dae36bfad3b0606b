"""The JSON Schema of the configuration, for forms and editors."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.security import Viewer

__all__ = ["router"]

router = APIRouter(tags=["settings"])


@router.get("/api/settings/schema", response_model=dict[str, Any])
async def schema(_user: Viewer, heavy: Heavy) -> Response:
    """Return the JSON Schema of the configuration with units, ranges, defaults and descriptions."""
    return await heavy.kept("schema", lambda: Text(json_schema()))
