"""What the OpenAPI document says of logins: how one proves who one is, and which route asks for it."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tinybms_bridge.services.web.security.dependencies import Admin, Login, Viewer
from tinybms_bridge.services.web.security.gate import COOKIE

__all__ = ["WHO", "document_logins"]

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
            operations[method.lower()] |= {"security": _SECURITY[who], WHO: who}


def _calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
