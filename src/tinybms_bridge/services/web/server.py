"""uvicorn inside our event loop: no signal handlers, our connections, a stop that takes two seconds at most."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

from fastapi import FastAPI
from uvicorn import Server

from tinybms_bridge.services.web.callers import Shares
from tinybms_bridge.services.web.connections import BoundedConfig, GuardedHttp, GuardedWebSocket, Packer, connection_cap
from tinybms_bridge.services.web.middleware import HEAD_BYTES
from tinybms_bridge.services.web.options import WebOptions

__all__ = ["EmbeddedServer", "build_server"]

_MESSAGE_BYTES = 16_384
"""Longest message that a browser may send over the WebSocket."""
_PING_S = 20.0
_DATE_S = 1.0
_GRACE_S = 1
_ACCEPTED_AT_ONCE = 32
"""Connections that asyncio accepts before it turns to other work, the CAN burst among it."""
_BACKLOG = 512
"""Connections that wait in the kernel."""
_LOCAL_PROXIES = ["127.0.0.1", "::1", "::ffff:127.0.0.1"]


class EmbeddedServer(Server):
    """One server on one socket that is bound already."""

    config: BoundedConfig

    def __init__(self, config: BoundedConfig) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Renew the date of the answers until ``stop``; uvicorn's own looks ten times a second whether it is to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._stopping.wait()

    def stop(self) -> None:
        """End ``serve``, in order; safe to call again."""
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the bridge."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; like uvicorn's own, with a bounded TLS handshake."""
        assert sockets is not None
        config = self.config

        def connect() -> asyncio.Protocol:
            return GuardedHttp(config, self.server_state, self.lifespan.state)

        context = config.ssl
        timeout_s = None if context is None else config.options.head_timeout_s
        create = asyncio.get_running_loop().create_server
        self.servers = [
            await create(connect, sock=each, ssl=context, backlog=_ACCEPTED_AT_ONCE, ssl_handshake_timeout=timeout_s)
            for each in sockets
        ]
        for each in sockets:
            each.listen(_BACKLOG)
        self.started = True

    def abort(self) -> None:
        """Cut every connection that is left."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def build_server(app: FastAPI, options: WebOptions, context: ssl.SSLContext | None) -> EmbeddedServer:
    """Return a server for an application. Blocks: it imports the protocols."""
    config = BoundedConfig(
        app,
        loop="none",
        http=GuardedHttp,
        ws=GuardedWebSocket,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # a stranger must not fill the log; our own layer logs what is a fault of ours
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=_LOCAL_PROXIES,
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # of its own for each connection; see connections.py
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        timeout_keep_alive=int(options.idle_timeout_s),
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    config.options = options
    config.max_connections = connection_cap(options.max_connections)
    config.places, config.packer = Shares(), Packer()
    config.load()
    return EmbeddedServer(config)
