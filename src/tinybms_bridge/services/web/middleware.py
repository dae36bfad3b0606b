"""What every request passes, as plain ASGI: HEAD, security headers, and bounds on what a client may send.

HEAD is there wherever there is GET (RFC 9110, section 9.3.2): monitors and ``curl -I`` ask that way. Every answer has
the security headers, and where it is due the permission for pages of listed sites (CORS). The size of head and body is
bounded, and so is the time that they may take to arrive.
"""

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinybms_bridge.services.web.problems import problem
from tinybms_bridge.words import message

__all__ = ["CONTENT_SECURITY_POLICY", "HEAD_BYTES", "BodyLimit", "HeadAsGet", "Headers"]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
]
_NO_STORE = (b"cache-control", b"no-store")
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


class Headers:
    """Adds headers to what the application answers. A listed site never gets the browser's login with it."""

    def __init__(self, app: ASGIApp, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cors = self._cors(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._added(scope, message["headers"]), *cors]
            await send(message)

        if len(cors) > 1 and scope["method"] == "OPTIONS":
            await with_headers({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, with_headers)

    @staticmethod
    def _added(scope: Scope, present: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return what is missing: a route may be stricter or looser on purpose."""
        names = {name.lower() for name, _ in present}
        wanted = [*_ALWAYS, _NO_STORE] if scope["path"].startswith("/api/") else _ALWAYS
        return [entry for entry in wanted if entry[0] not in names]

    def _cors(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        if not self._origins:
            return []
        vary = (b"vary", b"origin")
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
        if origin and (origin in self._origins or b"*" in self._origins):
            return [vary, (b"access-control-allow-origin", origin)]
        return [vary]


class HeadAsGet:
    """Answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the ASGI specification."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


HEAD_BYTES = 16_384


class _TooLarge(Exception):  # noqa: N818 - a signal inside this module
    pass


class BodyLimit:
    """Receives each body whole before the application runs; counts bytes, whatever Content-Length says."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the ASGI specification."""
        if scope["type"] == "http" and _head_bytes(scope) > HEAD_BYTES:
            told = message("request.large_head", most=HEAD_BYTES)
            await problem(431, "head_too_large", told, headers={"Connection": "close"})(scope, receive, send)
            return
        if scope["type"] == "http" and _is_ambiguous(scope):
            told = message("request.two_lengths")
            await problem(400, "invalid_http", told, headers={"Connection": "close"})(scope, receive, send)
            return
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._collect(scope, receive)
        except _TooLarge:
            told = message("request.large_body", most=self._max_bytes)
            answer = problem(413, "body_too_large", told, headers={"Connection": "close"})
        except TimeoutError:
            told = message("request.slow_body", seconds=self._timeout_s)
            answer = problem(408, "body_timeout", told, headers={"Connection": "close"})
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)
            return
        await answer(scope, receive, send)

    async def _collect(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, or None when the client has gone."""
        if _declared_bytes(scope) > self._max_bytes:
            raise _TooLarge
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise _TooLarge
            if not message.get("more_body", False):
                return bytes(body)


def _head_bytes(scope: Scope) -> int:
    """Return the length of the head; one that arrives in pieces is bounded before, one that arrives at once is not."""
    fields = sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
    return fields + len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))


def _is_ambiguous(scope: Scope) -> bool:
    """Tell whether a proxy in between may see another end of the body than we do (RFC 9112, section 6.1)."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _declared_bytes(scope: Scope) -> int:
    text: bytes = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(text) if text.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
