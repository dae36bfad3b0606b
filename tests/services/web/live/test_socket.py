"""The live data over a real connection to the real server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.service import WebService
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture
async def address(core: Any) -> AsyncIterator[str]:
    """Serve the bridge on the loopback; the address of its WebSocket."""
    options = WebOptions(port=0, listen_address="127.0.0.1")
    service = WebService(core, options, MemoryStorage(), SystemClock(), announce=lambda _text: None)
    running = asyncio.ensure_future(service.run())
    async with asyncio.timeout(60.0):
        while service.port is None:
            assert not running.done(), running.result()
            await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{service.port}/ws"
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def read(connection: ClientConnection) -> Any:
    """Return the next message."""
    async with asyncio.timeout(30.0):
        return json.loads(await connection.recv())


async def read_on(connection: ClientConnection) -> None:
    """Read until the server closes."""
    while True:
        await read(connection)


async def test_live_data_over_a_socket(address: str, clock: FakeClock, core: Any) -> None:
    """A real client gets the first message at once, the next after a second, and errors for nonsense."""
    async with connect(address) as connection:
        assert (await read(connection))["voltage"] == 54.32
        await clock.advance(1.0)
        assert (await read(connection))["cells"][0] == 3415
        await connection.send("nonsense")
        assert (await read(connection))["topic"] == "error"
    assert core.bus.statistics().total_published == 0


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_compressed_where_the_client_asks(address: str, compression: str | None, clock: FakeClock) -> None:
    """A browser asks for it, a small script does not; both read the same."""
    async with connect(address, compression=compression) as connection:
        agreed = connection.response.headers.get("Sec-WebSocket-Extensions", "")  # type: ignore[union-attr]
        assert ("permessage-deflate" in agreed) == (compression is not None)
        assert (await read(connection))["voltage"] == 54.32
        await connection.send('{"subscribe": ["limits"]}')
        assert (await read(connection))["topic"] == "limits"
        await clock.advance(1.0)
        assert (await read(connection))["topic"] == "limits"


async def test_a_compressed_bomb_over_a_socket(address: str) -> None:
    """A message that is short on the wire and long in memory ends the connection."""
    async with connect(address) as connection:
        await read(connection)
        await connection.send("x" * 5_000_000)
        with pytest.raises(ConnectionClosed) as closed:
            await read_on(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_too_long_message_over_a_socket(address: str) -> None:
    """A client that sends too much is closed with "too big"."""
    async with connect(address) as connection:
        await read(connection)
        await connection.send("x" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            await read_on(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
