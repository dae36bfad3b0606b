"""Bounds on what a client may send: the size of head and body, and the time that it may take to arrive. Plain ASGI."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinybms_bridge.services.web.problems import problem

__all__ = ["HEAD_BYTES", "BodyLimit"]

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
            text = f"the head of the request is larger than {HEAD_BYTES} bytes"
            await problem(431, "head_too_large", text, headers={"Connection": "close"})(scope, receive, send)
            return
        if scope["type"] == "http" and _is_ambiguous(scope):
            text = "Transfer-Encoding and Content-Length in one request: where its body ends cannot be told"
            await problem(400, "invalid_http", text, headers={"Connection": "close"})(scope, receive, send)
            return
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._collect(scope, receive)
        except _TooLarge:
            text = f"the body is larger than {self._max_bytes} bytes"
            answer = problem(413, "body_too_large", text, headers={"Connection": "close"})
        except TimeoutError:
            text = f"the body did not arrive within {self._timeout_s:g} s"
            answer = problem(408, "body_timeout", text, headers={"Connection": "close"})
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
