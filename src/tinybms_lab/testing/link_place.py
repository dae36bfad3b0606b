"""A small state tree, a server of it, and clients of the link, well behaved and hostile."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.client import Connection, open_link
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.server import LinkServer
from tinybms_bridge.link.session import SessionBounds
from tinybms_bridge.link.wire import FROM_CORE, MOST_FROM_CORE, Hello, LinkMessage, MessageReader, encode

__all__ = ["EVENTS", "PATIENCE_S", "Place", "Rained", "RawClient", "Tank", "Tree", "place"]

M = TypeVar("M", bound=LinkMessage)

PATIENCE_S = 60.0
"""For what happens at once on a machine that has time."""


@dataclass(frozen=True, slots=True)
class Tank:
    """A branch."""

    level_m: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """A state tree."""

    tank: Tank = Tank()
    tanks: Mapping[str, Tank] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True, slots=True)
class Rained:
    """An event."""

    amount_mm: float = 0.0
    text: str = ""


EVENTS: Mapping[str, type[object]] = {"rained": Rained}


class RawClient:
    """A client that does what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._messages = MessageReader(FROM_CORE, MOST_FROM_CORE)

    def send(self, *messages: LinkMessage | bytes) -> None:
        """Send messages, or any bytes."""
        self.writer.write(b"".join(each if isinstance(each, bytes) else encode(each) for each in messages))

    def abort(self) -> None:
        """Be gone."""
        self.writer.transport.abort()

    def send_json(self, document: object) -> None:
        """Send any JSON."""
        body = json.dumps(document).encode()
        self.send(len(body).to_bytes(4, "big") + body)

    async def next(self) -> LinkMessage:
        """Return the next message; EOFError when the core closed the connection."""
        async with asyncio.timeout(PATIENCE_S):
            while (message := self._messages.take()) is None:
                assert not self._messages.broken
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    raise EOFError
                self._messages.feed(data)
            return message

    async def until(self, kind: type[M]) -> M:
        """Return the next message of a type."""
        while True:
            message = await self.next()
            if isinstance(message, kind):
                return message

    async def rest(self) -> list[LinkMessage]:
        """Return all messages up to the end of the connection."""
        found: list[LinkMessage] = []
        try:
            while True:
                found.append(await self.next())
        except EOFError:
            return found


class Place:
    """A socket with a server, and what connects to it."""

    def __init__(self, path: Path, clock: Clock, bounds: SessionBounds | None) -> None:
        self.path = path
        self.clock = clock
        self.server = self.new_server(bounds)
        self.stack = AsyncExitStack()

    def new_server(self, bounds: SessionBounds | None = None) -> LinkServer:
        """Return another server for the same socket."""
        return LinkServer(self.path, self.clock, ("tank", "tanks", "count"), program_version="9.9", bounds=bounds)

    def mirror(self) -> Mirror[Tree]:
        """Return a mirror that knows nothing yet."""
        return Mirror(Tree, EVENTS, self.clock.monotonic)

    async def connect(self, mirror: Mirror[Tree] | None = None) -> Connection[Tree]:
        """Return a connection that is ready; it is closed at the end."""
        opened = open_link([self.path], mirror or self.mirror(), self.clock, who="test", program_version="9.9")
        return await self.stack.enter_async_context(opened)

    async def raw(self, *first: LinkMessage | bytes, limit: int = 65536) -> RawClient:
        """Return a client that has sent this and read nothing."""
        client = RawClient(*await asyncio.open_unix_connection(str(self.path), limit=limit))
        self.stack.callback(client.abort)
        client.send(*first)
        return client

    async def greeted(self, version: str = "1.0", *, run: str = "", sequence: int = 0) -> RawClient:
        """Return a client that has said hello."""
        return await self.raw(Hello(version, who="raw", run=run, sequence=sequence))


@asynccontextmanager
async def place(path: Path, clock: Clock, bounds: SessionBounds | None = None) -> AsyncIterator[Place]:
    """Give a place whose server listens."""
    found = Place(path, clock, bounds)
    async with found.stack:
        await found.server.start()
        found.stack.push_async_callback(found.server.close)
        yield found
