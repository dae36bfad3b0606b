"""One connection: which side ends it, and how."""

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.services.web.live import Hub, HubSettings
from tinybms_bridge.services.web.live.session import Close, close, serve


class Socket:
    """A WebSocket whose two directions a test decides."""

    def __init__(self, send_error: Exception | None = None) -> None:
        self.send_error = send_error
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.texts: list[str] = []
        self.closed: list[tuple[int, str]] = []

    async def send_text(self, text: str) -> None:
        """Take or refuse a message."""
        if self.send_error is not None:
            raise self.send_error
        self.texts.append(text)

    async def receive(self) -> dict[str, Any]:
        """Wait for what the client says."""
        return await self.incoming.get()

    async def close(self, code: int, reason: str) -> None:
        """Note the end."""
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed.append((code, reason))


async def follow(socket: Socket, face: Any, clock: FakeClock) -> Hub:
    """Serve one client until the connection ends."""
    hub = Hub(face, HubSettings)
    client = hub.join()
    assert client is not None
    async with asyncio.timeout(30.0):
        await serve(socket, hub, client, clock)  # type: ignore[arg-type]
    return hub


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), RuntimeError("the connection is closed")])
async def test_client_that_vanishes_while_sending(face: Any, clock: FakeClock, error: Exception) -> None:
    """A dead connection ends quietly: nobody is left to tell a reason."""
    socket = Socket(error)
    hub = await follow(socket, face, clock)
    assert socket.closed == []
    assert hub.clients == 0


async def test_client_that_says_goodbye(face: Any, clock: FakeClock) -> None:
    """A client that leaves is forgotten, and no task of it stays behind."""
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    before = asyncio.all_tasks()
    hub = await follow(socket, face, clock)
    await asyncio.sleep(0)
    assert hub.clients == 0
    assert asyncio.all_tasks() <= before
    assert socket.closed == []


async def test_reason_of_the_server(face: Any, clock: FakeClock) -> None:
    """When the server ends it, the client is told why, once."""
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.receive", "bytes": b"\0"})
    await follow(socket, face, clock)
    assert socket.closed == [(1003, "messages must be text")]


async def test_end_of_the_server(face: Any, clock: FakeClock) -> None:
    """A cancelled connection leaves the hub and ends its tasks."""
    hub = Hub(face, HubSettings)
    client = hub.join()
    assert client is not None
    serving = asyncio.ensure_future(serve(Socket(), hub, client, clock))  # type: ignore[arg-type]
    await clock.advance(0.0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert hub.clients == 0


async def test_closing_twice_is_no_failure() -> None:
    """A connection that is closed already stays closed."""
    socket = Socket()
    for _ in range(2):
        await close(socket, Close(1008, "policy"))  # type: ignore[arg-type]
    assert socket.closed == [(1008, "policy")]
