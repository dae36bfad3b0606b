"""``/ws``: the live data, as of the ESP32 firmware. A sender and a reader side by side; the first to end ends both."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.callers import HttpCaller
from tinybms_bridge.services.web.live.broadcaster import Broadcaster, Client
from tinybms_bridge.services.web.live.client import MAX_MESSAGE_BYTES, BadCommand, RateLimit, parse_command
from tinybms_bridge.services.web.live.messages import error_message
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.security import websocket_user
from tinybms_bridge.services.web.security.origin import origin_of

__all__ = ["Close", "close", "router", "serve"]

_CLOSE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Close:
    """Why the server ends a connection (RFC 6455, section 7.4.1; 1013 is registered with IANA)."""

    code: int
    reason: str


async def serve(websocket: WebSocket, broadcaster: Broadcaster, client: Client, clock: Clock) -> None:
    """Send live data and obey the client until one side ends the connection."""
    tasks = [
        asyncio.ensure_future(_send(websocket, broadcaster, client)),
        asyncio.ensure_future(_receive(websocket, broadcaster, client, clock)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        broadcaster.leave(client)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        reason = task.result()
        if reason is not None:
            await close(websocket, reason)


async def close(websocket: WebSocket, why: Close) -> None:
    """Close a connection; give up when the client does not even take that."""
    with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await websocket.close(why.code, why.reason)


async def _send(websocket: WebSocket, broadcaster: Broadcaster, client: Client) -> Close | None:
    while (text := await client.next()) is not None:
        try:
            async with asyncio.timeout(broadcaster.settings.stuck_timeout_s):
                await websocket.send_text(text)
        except TimeoutError:
            return Close(1008, "the client does not take its messages")
        except (WebSocketDisconnect, RuntimeError):
            return None
    if client.displaced:
        return Close(1013, "too many clients: somebody else needs the place")
    return Close(1008, "the login has ended") if client.turned_away else Close(1011, "the live data ended")


async def _receive(websocket: WebSocket, broadcaster: Broadcaster, client: Client, clock: Clock) -> Close | None:
    limit = RateLimit()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            return Close(1003, "messages must be text")
        if len(text) > MAX_MESSAGE_BYTES:
            return Close(1009, f"messages must not be longer than {MAX_MESSAGE_BYTES} characters")
        if not limit.allow(clock.monotonic()):
            return Close(1008, "too many messages")
        _obey(broadcaster, client, text)


def _obey(broadcaster: Broadcaster, client: Client, text: str) -> None:
    try:
        command = parse_command(text)
    except BadCommand as error:
        client.offer("error", error_message(str(error)))
        return
    broadcaster.obey(client, command)


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
    broadcaster = watch.broadcaster
    client = broadcaster.join(
        lambda: websocket_user(websocket) is not None, HttpCaller(origin_of(websocket), user.is_known)
    )
    if client is None:
        await close(websocket, Close(1013, "too many clients"))
        return
    core: Core = websocket.app.state.core
    await serve(websocket, broadcaster, client, core.clock)
