"""Security headers on every answer, and the permission for pages of listed sites (CORS). Plain ASGI."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_SECURITY_POLICY", "Headers"]

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
