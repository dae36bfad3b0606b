"""``GET /api/openapi.json``: the API in words for programs, made once.

Beside the routes it tells the configuration as body and answer, and the message of ``/ws``.
"""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from tinybms_bridge.config.describe import json_schema
from tinybms_bridge.errors import ConfigProblem
from tinybms_bridge.services.web.answers import Mistake
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.live.status import LiveStatus
from tinybms_bridge.services.web.problems import MEDIA_TYPE, Problem, mistake
from tinybms_bridge.words import message

__all__ = ["SETTINGS_PROBLEMS", "document_contents", "router"]

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_WHOLE, _PART = "Settings", "SettingsChange"
_NULL = {"type": "null"}
_TELLING = ("title", "description", "default", "unit", "rule", "multiline", "no_effect")
"""Keywords of a key that say something to people; the others are about its values."""

_README = {"cvl": {"enabled": True, "float_soc_threshold": 96.0}, "victron": {"thresholds": {"overvoltage_v": 59.0}}}
_BACK = {"cvl": {"float_soc_threshold": None}, "victron": {"installed_capacity_bytes": 8}}
_BACKUP = {
    "hardware": {"uart": {"device": "/dev/ttyUSB0"}, "can": {"interface": "socketcan", "channel": "can0"}},
    "victron": {"max_charge_current_a": 50, "max_discharge_current_a": 80},
}


class Mistaken(Problem):
    """A problem document that names every mistake."""

    errors: list[Mistake]
    """Every one; ``value`` is null for secrets and for what is no single value."""


def _problem(description: str, name: str = "Problem", **example: object) -> Schema:
    content: Schema = {"schema": {"$ref": f"{_REFERENCE}{name}"}}
    if example:
        text = {"type": "about:blank", "detail": example["message"], "success": False}
        content["example"] = text | example
    return {"description": description, "content": {MEDIA_TYPE: content}}


_RANGE = message("must_be.number", low=0, high=100, unit="%")
_WRONG = ConfigProblem("cvl.float_soc_threshold", 400, _RANGE)

SETTINGS_PROBLEMS: dict[int | str, Schema] = {
    400: _problem("The body is missing (`missing_body`) or is not JSON (`invalid_json`)"),
    401: _problem("A login is needed (`login_required`)"),
    403: _problem("The login may not change anything, or its CSRF token is missing"),
    412: _problem("`If-Match` names other settings than those of now (`configuration_changed`); nothing was changed"),
    413: _problem("The body is too large (`body_too_large`)"),
    415: _problem("The body needs `Content-Type: application/json` (`unsupported_media_type`)"),
    422: _problem(
        "Nothing was changed: `invalid_settings` names every mistake, `invalid_payload` a body that is no object",
        "Mistaken",
        title="Unprocessable Entity",
        status=422,
        message=_WRONG.description.text,
        error="invalid_settings",
        code=_WRONG.description.code,
        parameters=_WRONG.description.parameters,
        errors=[{"value": _WRONG.value} | mistake(_WRONG.path, _RANGE)],
    ),
    500: _problem("The file could not be written (`config_save_failed`); the old configuration is in force"),
}
"""For the routes that change the configuration."""


def document_contents(app: FastAPI) -> None:
    """Add the schemas to the OpenAPI document of an application, and refer to them where FastAPI sees any object."""
    build = app.openapi

    def openapi() -> Schema:
        document = build()
        schemas = document["components"]["schemas"]
        if _PART not in schemas:
            schemas.update(_of_the_configuration() | _of(LiveStatus, "serialization") | _of(Mistaken, "validation"))
            _refer(document["paths"].get("/api/settings", {}))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _refer(operations: Schema) -> None:
    for method, name in (("post", _PART), ("put", _WHOLE)):
        if method in operations:
            operations[method]["requestBody"]["content"]["application/json"]["schema"] = _reference(name)
    if "get" in operations:
        operations["get"]["responses"]["200"]["content"]["application/json"]["schema"] = _reference(_WHOLE)


def _of(model: type[Problem | LiveStatus], mode: Any) -> dict[str, Schema]:  # noqa: ANN401 - a literal of pydantic
    """Return the schema of a model and of those that it is made of."""
    schema = model.model_json_schema(mode=mode, ref_template=_REFERENCE + "{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _of_the_configuration() -> dict[str, Schema]:
    """Return the schemas of a whole configuration and of a change, each with those of its sections.

    In a change every key may be null, which takes it back to its default, and an entry of a map, which then goes.
    Neither closes its objects: the names of the README and of the firmware are understood beside those of the schema.
    """
    source = json_schema()
    sections = {"": source, **source["$defs"]}
    schemas = {}
    for prefix, nullable in ((_WHOLE, False), (_PART, True)):
        for name, section in sections.items():
            keys = {key: _key(schema, prefix, nullable) for key, schema in section["properties"].items()}
            text = section.get("description", "")
            schemas[f"{prefix}{name}"] = {"type": "object", "title": prefix + name, "description": text}
            schemas[f"{prefix}{name}"]["properties"] = keys
    schemas[_WHOLE]["examples"] = [_BACKUP]
    schemas[_PART]["examples"] = [_README, _BACK]
    return schemas


def _key(schema: Schema, prefix: str, nullable: bool) -> Schema:
    """Return the schema of a key for one of the two kinds."""
    told = {name: schema[name] for name in _TELLING if name in schema}
    values = {name: value for name, value in schema.items() if name not in (*_TELLING, "writeOnly")}
    if "$ref" in values:
        told.pop("default", None)  # the whole section again
        values = _reference(prefix + values["$ref"].rpartition("/")[2])
    if "$ref" in (entry := values.get("additionalProperties") or {}):
        each = _reference(prefix + entry["$ref"].rpartition("/")[2])
        values["additionalProperties"] = {"anyOf": [each, _NULL]} if nullable else each
    if nullable and _NULL not in values.get("anyOf", ()):
        values = {"anyOf": [values, _NULL]}
    return told | values


def _reference(name: str) -> Schema:
    return {"$ref": f"{_REFERENCE}{name}"}


router = APIRouter(include_in_schema=False)


@router.get("/api/openapi.json")
async def openapi(request: Request, heavy: Heavy) -> Response:
    """Return the OpenAPI document; anybody may read what there is in every copy of the program."""
    return await heavy.kept("openapi", lambda: Text(request.app.openapi()))
