"""Clients that put a load on the web server: plain sockets, so that they cost little beside it."""

import asyncio
import base64
import os
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["HttpLoad", "LiveClient", "http_load", "live_clients", "stuck_client"]

_OPENED_AT_ONCE = 20


@dataclass(slots=True)
class HttpLoad:
    """What one load of requests has shown."""

    took_ms: list[float] = field(default_factory=list)
    """Time of each request."""
    not_200: int = 0


class _HttpClient(asyncio.Protocol):
    """One connection that is kept: a request, its whole answer, the next request at its time."""

    def __init__(self, request: bytes, load: HttpLoad, end_s: float, period_s: float) -> None:
        self._request = request
        self._load = load
        self._end_s = end_s
        self._period_s = period_s
        self._buffer = bytearray()
        self._sent_s = 0.0
        self._next_s = time.perf_counter()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent_s = time.perf_counter()
        self._next_s += self._period_s
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        self._load.not_200 += not head.startswith(b"http/1.1 200")
        self._buffer.clear()
        now_s = time.perf_counter()
        self._load.took_ms.append((now_s - self._sent_s) * 1000)
        if now_s >= self._end_s:
            self._transport.close()
        elif self._next_s > now_s:
            asyncio.get_running_loop().call_later(self._next_s - now_s, self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(exc)


async def http_load(port: int, path: str, connections: int, seconds: float, per_s: float = 0.0) -> HttpLoad:
    """Send GET requests over kept connections; ``per_s`` in all, or 0 for as many as are answered."""
    load = HttpLoad()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    end_s = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    clients = []
    period_s = connections / per_s if per_s else 0.0
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _HttpClient(request, load, end_s, period_s), "127.0.0.1", port)
        clients.append(client)
        await asyncio.sleep(period_s / connections)
    errors = [error for error in await asyncio.gather(*(client.ended for client in clients)) if error]
    if errors:
        raise errors[0]
    return load


class LiveClient(asyncio.Protocol):
    """One follower of ``/ws``: calls back with each text and its time of arrival."""

    def __init__(
        self, port: int, commands: str, on_text: Callable[[bytes, float], None], *, deflate: bool = False
    ) -> None:
        asked = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if deflate else ""
        key = base64.b64encode(os.urandom(16)).decode()
        self._hello = (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{asked}\r\n"
        ).encode()
        self._commands = commands
        self._on_text = on_text
        self._buffer = bytearray()
        self._open = False
        self.lost = False
        self.received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Take what the server says."""
        now_s = time.monotonic()
        self.received_bytes += len(data)
        self._buffer += data
        if not self._open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                raise ConnectionError(head.decode())
            self._open, self._buffer = True, bytearray(rest)
            if self._commands:
                self.transport.write(_client_frame(0x1, self._commands.encode()))
        self._take_frames(now_s)

    def _take_frames(self, now_s: float) -> None:
        """Read frames of a server (RFC 6455, section 5.2): not masked, 16-bit length at most."""
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 0x7F, 2
            if length == 126:
                length, start = int.from_bytes(self._buffer[2:4]), 4
            if len(self._buffer) < start + length:
                return
            payload = bytes(self._buffer[start : start + length])
            opcode, packed = self._buffer[0] & 0x0F, self._buffer[0] & 0x40
            if packed:  # RFC 7692, section 7.2.2; each message by itself
                payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
            del self._buffer[: start + length]
            if opcode == 0x1:
                self._on_text(payload, now_s)
            elif opcode == 0x9:
                self.transport.write(_client_frame(0xA, payload))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the server, or this process, has ended it."""
        del exc
        self.lost = True


def _client_frame(opcode: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


async def live_clients(
    port: int, count: int, on_text: Callable[[bytes, float], None], commands: str = "", *, deflate: bool = False
) -> list[LiveClient]:
    """Connect so many followers, a few at a time."""
    loop = asyncio.get_running_loop()

    async def connect() -> LiveClient:
        _, client = await loop.create_connection(
            lambda: LiveClient(port, commands, on_text, deflate=deflate), "127.0.0.1", port
        )
        return client

    clients: list[LiveClient] = []
    while len(clients) < count:
        batch = min(_OPENED_AT_ONCE, count - len(clients))
        clients += await asyncio.gather(*(connect() for _ in range(batch)))
    return clients


def stuck_client(port: int) -> socket.socket:
    """Return a follower of ``/ws`` that asks for ten messages a second and never reads one."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(("127.0.0.1", port))
    client = LiveClient(port, "", lambda _text, _now_s: None)
    connection.sendall(client._hello)
    connection.sendall(_client_frame(0x1, b'{"interval_ms": 100, "subscribe": ["status", "registers", "can"]}'))
    return connection
