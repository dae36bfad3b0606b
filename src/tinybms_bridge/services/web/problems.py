"""Errors of the API: RFC 9457 problem documents with the firmware's ``success``, ``message`` and ``error`` in them."""

import http
import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from tinybms_bridge.errors import BridgeError, ConfigError, DeviceRefused, LinkError, said_of
from tinybms_bridge.services.web.language import asked_language, language_of
from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.words import JsonValue, Message, message

__all__ = [
    "MEDIA_TYPE",
    "PROBLEM_RESPONSES",
    "CatchAll",
    "Problem",
    "ProblemError",
    "core_is_away",
    "install_problems",
    "mistake",
    "problem",
]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says of a body that is no UTF-8 or nested too deeply."""

_MOST_ERRORS = 20
"""Mistakes of one request that are listed."""

_CODES = {
    400: "invalid_request",
    401: "login_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}


class Problem(BaseModel):
    """Shape of every error (RFC 9457, section 3, and firmware.md, 6)."""

    type: str
    title: str
    status: int
    detail: str
    success: bool
    message: str
    error: str
    """What kind of error it is, for programs, for example ``missing_body``."""
    code: str
    """Code of ``message`` in the catalogue, for example ``serial.vanished``."""
    parameters: dict[str, JsonValue]
    """What ``message`` is made from."""


class ProblemError(HTTPException):
    """Ends a request with a problem document."""

    def __init__(
        self, status: int, code: str, told: Message, *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(status, told.text, headers)
        self.code = code
        self.message = told
        self.extra: dict[str, Any] = extra

    def __str__(self) -> str:
        return self.message.text


class _ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - the signature of the base class
        """Encode as ASCII, so that text of the request with lone surrogates can be answered too."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem document",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""For ``FastAPI(responses=...)``: every route may answer with a problem."""


def problem(
    status: int, error: str, told: Message, *, headers: Mapping[str, str] | None = None, **extra: object
) -> JSONResponse:
    """Return a problem document in the language of the request; ``extra`` are further members, of JSON types."""
    words = told.say(asked_language.get())
    document = {
        "type": "about:blank",
        "title": _phrase(status),
        "status": status,
        "detail": words,
        **extra,
        "success": False,
        "message": words,
        "error": error,
        "code": told.code,
        "parameters": dict(told.parameters),
    }
    return _ProblemResponse(document, status, headers=dict(headers or {}))


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def install_problems(app: FastAPI) -> None:
    """Answer every error of the framework and of the routes with a problem document, and describe it in OpenAPI."""
    app.add_exception_handler(HTTPException, _from_http_error)
    app.add_exception_handler(RequestValidationError, _from_validation)
    app.add_exception_handler(BridgeError, _from_bridge_error)
    build = app.openapi

    def openapi() -> dict[str, Any]:
        schema = build()
        schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


async def _from_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ProblemError):
        return problem(error.status_code, error.code, error.message, headers=error.headers, **error.extra)
    status, detail = error.status_code, str(error.detail)
    if detail == _UNREADABLE:
        return problem(status, "invalid_json", message("request.not_utf8"))
    if detail == _phrase(status):  # the framework's own, for an unknown route or a wrong method
        path = request.url.path
        if status == 404:
            return problem(status, _CODES[status], message("request.nothing_there", path=path), headers=error.headers)
        if status == 405:
            told = message("request.impossible", method=request.method, path=path)
            return problem(status, _CODES[status], told, headers=error.headers)
    return problem(status, _CODES.get(status, "error"), message("said", text=detail), headers=error.headers)


async def _from_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    first = found[0] if found else {}
    if first.get("type") == "json_invalid":
        return problem(400, "invalid_json", message("request.not_json"))
    if first.get("type") == "missing" and tuple(first.get("loc", ())) == ("body",):
        return problem(400, "missing_body", message("request.no_body"))
    if tuple(first.get("loc", ())) == ("body",) and "json" not in request.headers.get("content-type", ""):
        return problem(415, "unsupported_media_type", message("request.no_json"))
    mistakes = [_mistake(entry, request) for entry in found[:_MOST_ERRORS]]
    told = message("problems", problems=[said_of(path, each) for path, each in mistakes])
    errors = [mistake(path, each) for path, each in mistakes]
    return problem(422, "invalid_payload", told if mistakes else message("request.invalid"), errors=errors)


def core_is_away(error: LinkError) -> bool:
    """Return whether it is the core that did not answer, and not what it speaks with."""
    return error.what.code.startswith("core.")


async def _from_bridge_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the framework's signature
    assert isinstance(error, BridgeError)
    match error:
        case ConfigError():
            found = error.problems[:_MOST_ERRORS]
            told = message("problems", problems=[said_of(each.path or "configuration", each.message) for each in found])
            return problem(422, "invalid_payload", told, errors=[mistake(each.path, each.message) for each in found])
        case DeviceRefused():
            return problem(502, "device_refused", error.description)
        case LinkError():
            kind = "core_unreachable" if core_is_away(error) else "link_error"
            return problem(503, kind, error.description)
    return problem(503, "unavailable", error.description)


def mistake(path: str, told: Message) -> dict[str, JsonValue]:
    """Return an entry of ``errors``: where, and what is wrong."""
    words = told.say(asked_language.get())
    return {"path": path, "message": words, **told.document(), "text": words}


def _mistake(entry: Mapping[str, Any], request: Request) -> tuple[str, Message]:
    """Return where and what, with the nearest name that is known; never the value: it may be a password.

    The code is that of pydantic, which has words in English only.
    """
    path = ".".join(str(part)[:64] for part in entry["loc"])
    return path, Message(f"pydantic.{entry['type']}", {}, str(entry["msg"])[:200] + _hint(entry, request))


def _hint(entry: Mapping[str, Any], request: Request) -> str:
    """Return what was probably meant by an unknown key, or by a word that is not one of those allowed."""
    if entry["type"] == "extra_forbidden":
        body = getattr(request.scope.get("route"), "body_field", None)
        return did_you_mean(entry["loc"][-1], _keys_at(body, entry["loc"][1:-1]))
    if entry["type"] in ("enum", "literal_error"):
        return did_you_mean(entry.get("input"), re.findall(r"'([^']+)'", entry["ctx"]["expected"]))
    return ""


def _keys_at(body: Any, path: Sequence[int | str]) -> list[str]:  # noqa: ANN401 - the framework's field of a body
    """Return the keys of the object at a path within a body; none where there is no model."""
    model = body.field_info.annotation if body is not None else None
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field is not None else None
    return list(getattr(model, "model_fields", {}))


class CatchAll:
    """Outermost layer: a bug in a route becomes a problem document and one log line, never a stopped service."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the ASGI specification."""
        started = False

        async def watch(event: AsgiMessage) -> None:
            nonlocal started
            started = started or event["type"] in ("http.response.start", "websocket.close")
            await send(event)

        if scope["type"] == "http":
            asked_language.set(language_of(scope))
        try:
            await self._app(scope, receive, watch)
        except Exception:
            log.exception("a request to %r failed", str(scope.get("path", ""))[:200])
            if not started:
                await _apologise(scope, receive, watch)


async def _apologise(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await problem(500, "internal_error", message("request.failed"))(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1011, "reason": "internal error"})
