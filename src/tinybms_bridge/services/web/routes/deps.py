"""What every route needs."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from tinybms_bridge.services.web.face import BridgeFace

__all__ = ["Face"]


async def _face(connection: HTTPConnection) -> BridgeFace:
    face: BridgeFace = connection.app.state.face
    return face


Face = Annotated[BridgeFace, Depends(_face)]
"""The bridge."""
