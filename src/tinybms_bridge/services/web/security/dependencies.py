"""What routes ask for: ``Viewer`` to read, ``Admin`` to change; and the same for the WebSocket.

With it goes the protection against pages of other sites that use a browser's login (CSRF, cross-site WebSockets), and
what the OpenAPI document says of logins: how one proves who one is, and which route asks for it.
"""

import hmac
import itertools
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from tinybms_bridge.services.web.accounts import AccountError
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.security.gate import COOKIE, Gate, Seen, audit
from tinybms_bridge.services.web.security.sessions import User, Via
from tinybms_bridge.words import Message, message

__all__ = [
    "CSRF_HEADER",
    "LOGIN_HEADERS",
    "SAFE_METHODS",
    "SESSION_ONLY",
    "WHO",
    "Admin",
    "Facts",
    "Login",
    "OwnPage",
    "TheGate",
    "Viewer",
    "csrf_token_matches",
    "document_logins",
    "is_own_page",
    "is_own_page_or_listed",
    "reader",
    "refuse_tokens",
    "websocket_user",
]


CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes from our own page, or from no page at all.

    Browsers name the page in ``Origin`` (RFC 6454) and the relation in ``Sec-Fetch-Site`` (Fetch Metadata).
    """
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or _host_of(origin) == headers.get("host", "").lower()


def is_own_page_or_listed(headers: Mapping[str, str], origins: Collection[str]) -> bool:
    """Tell whether a request comes from our own page, from no page, or from a site that may read."""
    return is_own_page(headers) or "*" in origins or headers.get("origin", "") in origins


def csrf_token_matches(headers: Mapping[str, str], token: str) -> bool:
    """Tell whether the request carries the token of its session."""
    given = headers.get(CSRF_HEADER, "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(given, token.encode())


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


LOGIN_HEADERS = {"WWW-Authenticate": "Bearer"}
"""Of a refusal that a login would mend."""


async def _gate(connection: HTTPConnection) -> Gate:
    gate = connection.app.state.gate
    assert isinstance(gate, Gate)
    return gate


TheGate = Annotated[Gate, Depends(_gate)]
"""The one gate of the application."""


async def reader(request: Request, gate: Gate) -> User:
    """Return who reads. Raises ProblemError 401 when reading needs a login."""
    seen = await gate.see(request)
    user = gate.anonymous(request) if seen is None else seen.user
    if user is None:
        raise _login_required(gate)
    return user


async def _viewer(request: Request, gate: TheGate) -> User:
    return await reader(request, gate)


async def _login(request: Request, gate: TheGate) -> User:
    """Return somebody who is logged in, whatever the role. Raises ProblemError 401, or 403 for another site's page."""
    seen = await gate.see(request)
    if seen is None:
        raise _login_required(gate)
    _refuse_other_sites(request, seen)
    return seen.user


async def _facts() -> dict[str, object]:
    return {}


Facts = Annotated[dict[str, object], Depends(_facts)]
"""What a route adds to the audit line of its request: what was changed, never a secret."""


async def _admin(request: Request, user: Annotated[User, Depends(_login)], facts: Facts) -> AsyncIterator[User]:
    """Yield an administrator, and write an audit line when a request that may change something has ended."""
    action = f"{request.method} {request.url.path}"
    if not user.is_admin:
        if request.method not in SAFE_METHODS:
            audit(user, action, failure="refused with 403 admin_required")
        raise ProblemError(403, "admin_required", message("account.admin_required"))
    if request.method in SAFE_METHODS:
        yield user
        return
    failure = "interrupted"
    try:
        yield user
        failure = ""
    except Exception as error:
        failure = _failure(error)
        raise
    finally:
        audit(user, action, failure=failure, **facts)


SESSION_ONLY: dict[str, Any] = {"x-session-only": True}
"""``openapi_extra`` of an operation that calls ``refuse_tokens``."""


def refuse_tokens(user: User, told: Message) -> None:
    """Raises ProblemError 403 for a bearer token: whoever got hold of one must not make it outlive its revocation."""
    if user.via is Via.TOKEN:
        raise ProblemError(403, "session_required", told)


async def _own_page(request: Request) -> None:
    """Raises ProblemError 403 when the page of another site sends the request."""
    if not is_own_page(request.headers):
        raise ProblemError(403, "other_site", message("account.other_site"))


Viewer = Annotated[User, Depends(_viewer)]
"""Anybody while reading is open, else whoever is logged in."""
Login = Annotated[User, Depends(_login)]
"""Whoever is logged in."""
Admin = Annotated[User, Depends(_admin, scope="function")]
"""An administrator; with a cookie also the CSRF token. Writes the audit line, with the ``Facts``."""
OwnPage = Depends(_own_page)
"""For routes without a login that set a cookie."""


def websocket_user(websocket: WebSocket) -> User | None:
    """Return who has or opens a WebSocket (cookie, bearer header or ``?token=``); None: it has to be closed."""
    gate: Gate = websocket.app.state.gate
    query_token = websocket.query_params.get("token", "")
    try:
        seen = gate.identify(websocket, query_token)
    except (AccountError, ProblemError):
        return None
    if seen is not None and seen.session is None:
        return seen.user
    listed = gate.options.origins if seen is None else ()
    if not is_own_page_or_listed(websocket.headers, listed):
        return None
    if seen is not None:
        return seen.user
    return gate.anonymous(websocket)


def _refuse_other_sites(request: Request, seen: Seen) -> None:
    if seen.session is None or request.method in SAFE_METHODS:
        return
    if not is_own_page(request.headers):
        raise ProblemError(403, "other_site", message("account.other_site"))
    if not csrf_token_matches(request.headers, seen.session.csrf):
        raise ProblemError(403, "csrf_token", message("account.csrf_token"))


def _failure(error: Exception) -> str:
    """Return how a request ended that raised an error."""
    match error:
        case ProblemError(status_code=status, code=code):
            return f"{'refused' if status < 500 else 'failed'} with {status} {code}"
        case AccountError(code=code):
            return f"refused with {code}"
        case RequestValidationError():
            return "refused with 422 invalid_payload"
    return f"failed with {type(error).__name__}"


def _login_required(gate: Gate) -> ProblemError:
    if gate.setup_required:
        return ProblemError(401, "setup_required", message("account.setup_required"), headers=LOGIN_HEADERS)
    return ProblemError(401, "login_required", message("account.login_required"), headers=LOGIN_HEADERS)


_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Set by /api/login; whatever changes something also needs the header X-CSRF-Token.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Made by /api/tokens."},
}
_NEEDED: list[dict[str, list[str]]] = [{"session": []}, {"bearer": []}]

_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "everybody": [],
    "reader": [{}, *_NEEDED],  # no login either while ``web_server.enable_auth`` is off
    "login": _NEEDED,
    "admin": _NEEDED,
}

WHO = "x-who"
"""Member of an operation: ``everybody``, ``reader``, ``login`` or ``admin``; ``security`` cannot say which role."""

_ADMIN, _LOGIN, _VIEWER = (get_args(each)[1].dependency for each in (Admin, Login, Viewer))


def document_logins(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Add the logins to the OpenAPI document of an application made of these routers."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        schema = build()
        schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
        for route in itertools.chain.from_iterable(router.routes for router in routers):
            if isinstance(route, APIRoute) and route.include_in_schema:
                _describe(route, schema["paths"].get(route.path_format, {}))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _describe(route: APIRoute, operations: dict[str, Any]) -> None:
    asked = set(_calls(route.dependant))
    who = "admin" if _ADMIN in asked else "login" if _LOGIN in asked else "reader" if _VIEWER in asked else "everybody"
    for method in route.methods or ():
        if method.lower() in operations:
            operation = operations[method.lower()]
            told = operation.get(WHO, who)  # a route with a rule of its own says itself
            operation |= {"security": _SECURITY[told], WHO: told}


def _calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
