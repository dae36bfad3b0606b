"""The JSON Schema of the configuration, for forms and editors."""

import asyncio
from functools import cache
from typing import Any

from fastapi import APIRouter

from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.services.web.security import Viewer

__all__ = ["router"]

router = APIRouter(tags=["settings"])


@router.get("/api/settings/schema")
async def schema(_user: Viewer) -> dict[str, Any]:
    """Return the JSON Schema of the configuration with units, ranges, defaults and descriptions."""
    return await asyncio.to_thread(_schema)


@cache
def _schema() -> dict[str, Any]:
    return json_schema()
