"""``/ws``: the live data of the seed."""

from fastapi import APIRouter
from starlette.websockets import WebSocket

from tinybms_bridge.services.web.callers import Caller
from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.session import Close, close, serve
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.security import websocket_user
from tinybms_bridge.services.web.security.origin import origin_of

__all__ = ["router"]

router = APIRouter()


@router.websocket("/ws")
async def live(websocket: WebSocket) -> None:
    """Send live data once a second, or as the client asks; see ``docs/api.md``."""
    user = websocket_user(websocket)
    await websocket.accept()
    if user is None:
        await close(websocket, Close(1008, "login required"))
        return
    watch: Watch = websocket.app.state.watch
    hub = watch.hub
    client = hub.join(lambda: websocket_user(websocket) is not None, Caller(origin_of(websocket), user.is_known))
    if client is None:
        await close(websocket, Close(1013, "too many clients"))
        return
    face: BridgeFace = websocket.app.state.face
    await serve(websocket, hub, client, face.clock)
