"""The same bridge and clients as for the routes, and browsers that talk to the WebSocket inside this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

_SPEC = spec_from_file_location("web_route_fixtures", Path(__file__).parents[1] / "routes" / "conftest.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_FIXTURES = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_FIXTURES)

app = _FIXTURES.app
as_admin = _FIXTURES.as_admin
client = _FIXTURES.client
core = _FIXTURES.core
make_frame = _FIXTURES.make_frame
moment = _FIXTURES.moment
visitor = _FIXTURES.visitor


class Browser:
    """One WebSocket at the level of ASGI. While ``stuck`` it takes nothing, as a client with a full buffer does."""

    def __init__(self, application: FastAPI, query: str = "", headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.got: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.accepted = False
        self._reads = asyncio.Event()
        self._reads.set()
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_server.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/ws",
            "raw_path": b"/ws",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"bridge.test"), *headers],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "state": {},
        }
        self.task = asyncio.ensure_future(application(scope, self._to_server.get, self._take))

    async def _take(self, message: Any) -> None:
        self.accepted = self.accepted or message["type"] == "websocket.accept"
        if message["type"] == "websocket.accept":
            return
        await self._reads.wait()
        if message["type"] == "websocket.send":
            self.got.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.close_code, self.close_reason = message["code"], message.get("reason", "")

    def stick(self) -> None:
        """Take nothing any more."""
        self._reads.clear()

    def unstick(self) -> None:
        """Take again."""
        self._reads.set()

    def say(self, document: object) -> None:
        """Send JSON."""
        self.say_text(json.dumps(document))

    def say_text(self, text: str) -> None:
        """Send text."""
        self._to_server.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._to_server.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        """Close the tab."""
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Wait until a condition holds; fails after a while."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture
async def browse(app: FastAPI) -> AsyncIterator[Callable[..., Browser]]:
    """Open browsers; all are closed at the end."""
    opened: list[Browser] = []

    def open_browser(query: str = "", headers: Sequence[tuple[bytes, bytes]] = ()) -> Browser:
        opened.append(Browser(app, query, headers))
        return opened[-1]

    yield open_browser
    for browser in opened:
        browser.unstick()
        browser.leave()
    await asyncio.gather(*(browser.task for browser in opened))
