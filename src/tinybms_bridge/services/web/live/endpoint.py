"""``/ws``: the live data of the seed."""

from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.websockets import WebSocket

from tinybms_bridge.config.models import WebServer
from tinybms_bridge.services.web.face import BridgeFace
from tinybms_bridge.services.web.live.hub import Hub, HubSettings
from tinybms_bridge.services.web.live.session import Close, close, serve
from tinybms_bridge.services.web.live.throttle import ThrottleSettings
from tinybms_bridge.services.web.security import websocket_user

__all__ = ["hub_of", "hub_settings", "router"]

router = APIRouter()


def hub_of(app: Starlette) -> Hub:
    """Return the hub of an application; the first call makes it."""
    if not hasattr(app.state, "live_hub"):
        face: BridgeFace = app.state.face
        app.state.live_hub = Hub(face, lambda: hub_settings(face.store.configuration.web_server))
    hub: Hub = app.state.live_hub
    return hub


def hub_settings(web: WebServer) -> HubSettings:
    """Return the bounds of the live data that a configuration asks for."""
    return HubSettings(
        max_clients=web.max_ws_clients,
        interval_s=web.websocket_update_interval_ms / 1000.0,
        throttle=ThrottleSettings(
            min_interval_s=web.websocket_min_interval_ms / 1000.0,
            burst_window_s=web.websocket_burst_window_ms / 1000.0,
            burst_max=web.websocket_burst_max,
            max_payload_bytes=web.websocket_max_payload_bytes,
        ),
    )


@router.websocket("/ws")
async def live(websocket: WebSocket) -> None:
    """Send live data once a second, or as the client asks; see ``docs/api.md``."""
    user = await websocket_user(websocket)
    await websocket.accept()
    if user is None:
        await close(websocket, Close(1008, "login required"))
        return
    hub = hub_of(websocket.app)
    client = hub.join()
    if client is None:
        await close(websocket, Close(1013, "too many clients"))
        return
    face: BridgeFace = websocket.app.state.face
    await serve(websocket, hub, client, face.clock)
