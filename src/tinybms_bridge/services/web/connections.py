"""Connections that cannot be abused: each has a deadline for its request head and for taking its data.

WebSocket messages are compressed (permessage-deflate, RFC 7692) at the cost of one compression for all clients. Each
message is compressed by itself (``server_no_context_takeover``), so the same bytes go to everybody, and neither side
keeps a window of 32 KB for each connection. Messages here repeat the same names: by itself one shrinks to a third.
"""

import asyncio
import json
import resource
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

from tinybms_bridge.services.web.callers import HttpCaller, Origin, Shares
from tinybms_bridge.services.web.options import WebOptions

__all__ = ["BoundedConfig", "GuardedHttp", "GuardedWebSocket", "Packer", "SharedDeflateFactory", "connection_cap"]

_FROM_BYTES = 256
"""A shorter message goes as it is."""
_LEVEL = 6
_WINDOW_BITS = 12
"""4 KB: hardly any message is longer. A client may ask for less."""
_MEMORY_LEVEL = 5
_KEPT = 32
"""Messages of one moment: one for each topic, and for clients that follow at another pace."""
_EMPTY_BLOCK = b"\x00\x00\xff\xff"


class Packer:
    """Compresses, and keeps what was compressed last; one for each server."""

    def __init__(self) -> None:
        self.packed = 0
        """Messages that were compressed."""
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def pack(self, data: bytes, window_bits: int) -> bytes:
        """Return the payload of a compressed message (RFC 7692, section 7.2.1)."""
        key = (data, window_bits)
        found = self._kept.get(key)
        if found is None:
            encoder = zlib.compressobj(_LEVEL, wbits=-window_bits, memLevel=_MEMORY_LEVEL)
            found = (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_EMPTY_BLOCK)
            self.packed += 1
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


class _SharedDeflate(PerMessageDeflate):
    def __init__(self, agreed: PerMessageDeflate, packer: Packer) -> None:
        super().__init__(
            remote_no_context_takeover=agreed.remote_no_context_takeover,
            local_no_context_takeover=agreed.local_no_context_takeover,
            remote_max_window_bits=agreed.remote_max_window_bits,
            local_max_window_bits=min(agreed.local_max_window_bits, _WINDOW_BITS),
        )
        self._packer = packer

    def encode(self, frame: Frame) -> Frame:
        """Return a frame for the wire; the server sends whole messages only."""
        if frame.opcode is not Opcode.TEXT or not frame.fin or len(frame.data) < _FROM_BYTES:
            return frame
        packed = self._packer.pack(bytes(frame.data), self.local_max_window_bits)
        return Frame(frame.opcode, packed, frame.fin, rsv1=True)


class SharedDeflateFactory(ServerPerMessageDeflateFactory):
    """Agrees with a client on compression without anything that has to be kept between messages."""

    def __init__(self, packer: Packer) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)
        self._packer = packer

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return what is answered, and the extension. Raises NegotiationError for an offer that cannot be met."""
        answer, agreed = super().process_request_params(params, accepted_extensions)
        return answer, _SharedDeflate(agreed, self._packer)


_KEPT_FILES = 128
"""File descriptors that connections leave to the rest of the bridge: UART, CAN, history."""


class BoundedConfig(Config):
    """uvicorn's configuration with our limits beside it."""

    options: WebOptions
    max_connections: int
    places: Shares[asyncio.BaseTransport]
    """Every connection of the server."""
    packer: Packer
    """Compresses its messages."""


def connection_cap(wanted: int) -> int:
    """Return how many connections are possible; raises the soft limit of open files if the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _KEPT_FILES
    if soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(1, min(wanted, soft - _KEPT_FILES))


class _Deadline:
    """A timer that cuts a connection off."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.BaseTransport) -> None:
        """Start, unless it runs already."""
        if self._timer is None:
            assert isinstance(transport, asyncio.WriteTransport)
            self._timer = asyncio.get_running_loop().call_later(self._delay_s, transport.abort)

    def end(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _CutsOffSlowReaders(asyncio.Protocol):
    """A connection that is ended when its client does not take its data for so long."""

    transport: asyncio.Transport
    _stuck: _Deadline

    def pause_writing(self) -> None:
        """The client takes its data too slowly."""
        super().pause_writing()
        self._stuck.begin(self.transport)

    def resume_writing(self) -> None:
        """The client goes on."""
        super().resume_writing()
        self._stuck.end()


class GuardedHttp(_CutsOffSlowReaders, H11Protocol):
    """HTTP/1.1 with a deadline for the head, for taking the answer, and a cap on connections.

    When there are too many, a machine that has most of them gives way to another one.
    """

    def __init__(self, config: BoundedConfig, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(config, *args, **kwargs)
        self._max_connections = config.max_connections
        self._places = config.places
        self._head = _Deadline(config.options.head_timeout_s)
        self._stuck = _Deadline(config.options.stuck_timeout_s)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin, or turn away when there are too many."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        caller = HttpCaller(Origin.of(host))
        if len(self._places) >= self._max_connections:
            loser = self._places.gives_way(caller)
            if loser is None:
                self._refuse(
                    503, "Service Unavailable", "too_many_connections", "too many connections; try again later"
                )
                return
            self._places.remove(loser)
            assert isinstance(loser, asyncio.WriteTransport)
            loser.abort()
        self._places.add(transport, caller)
        self._head.begin(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._places.remove(self.transport)
        self._head.end()
        self._stuck.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the head has to be complete before its deadline."""
        if self.transport.is_closing():
            return
        if not self._answering:
            self._head.begin(self.transport)
        super().data_received(data)
        if self._answering:
            self._head.end()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._head.end()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own
        """Answer what is no HTTP with a problem document."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(400, "Bad Request", "invalid_http", "this is not HTTP, or its head is too long")
        else:
            self.transport.close()

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn declares
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: int, title: str, code: str, message: str) -> None:
        body = {"type": "about:blank", "title": title, "status": status, "detail": message}
        text = json.dumps({**body, "success": False, "message": message, "error": code})
        head = f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(text)}\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n{text}".encode("ascii"))
        self.transport.close()
        self._stuck.begin(self.transport)


class GuardedWebSocket(_CutsOffSlowReaders, WebSocketsSansIOProtocol):
    """WebSocket, compressed where the client asks; it is cut off when its client does not take its data."""

    def __init__(self, config: BoundedConfig, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(config, *args, **kwargs)
        self.conn.available_extensions = [SharedDeflateFactory(config.packer)]
        self._places = config.places
        self._stuck = _Deadline(config.options.stuck_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._places.remove(self.transport)
        self._stuck.end()
        super().connection_lost(exc)
