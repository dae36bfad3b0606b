"""What every route needs."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.watch import Watch

__all__ = ["Face", "TheWatch"]


async def _face(connection: HTTPConnection) -> BridgeFace:
    face: BridgeFace = connection.app.state.face
    return face


Face = Annotated[BridgeFace, Depends(_face)]
"""The bridge."""


async def _watch(connection: HTTPConnection) -> Watch:
    watch: Watch = connection.app.state.watch
    return watch


TheWatch = Annotated[Watch, Depends(_watch)]
"""Alarms, recent changes and live data."""
