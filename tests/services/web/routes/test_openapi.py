"""Every route of the OpenAPI document against hostile input: no server error, nothing undocumented."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.live.messages import status_message

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

OURS = (
    "/api/status", "/api/limits", "/api/settings", "/api/logs", "/api/events", "/api/alarms", "/api/diagnostics",
    "/api/can", "/api/history", "/api/tinybms", "/api/inhibits", "/api/stats", "/api/config", "/api/system",
    "/healthz", "/readyz",
)  # fmt: skip

MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture
def blockbuster() -> None:
    """Let it block: schemathesis calls the application on an event loop of its own, and looks at files meanwhile."""


@pytest.fixture
def operations(app: FastAPI, as_admin: None, core: Any, make_frame: Callable[..., MonitoredFrame]) -> dict[str, Any]:
    """The operations of these routers, for a bridge that has something to tell everywhere."""
    core.seen_frames.extend([make_frame(1), make_frame(2, 0x7FF, "00")])
    core.event_list.append(EventRecord(1, None, EventSource.BMS, Severity.FAULT, "bms.x", "text"))
    core.logs.write("ERROR", "something")
    schema: Any = schemathesis.openapi.from_asgi(
        "/api/openapi.json", app, timeout=250.0
    )  # also on a machine that is busy
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{each.method.upper()} {each.path}": each for each in found if each.path.startswith(OURS)}


@pytest.mark.parametrize("mode", MODES, ids=["valid", "invalid"])
def test_no_route_fails_or_surprises(operations: dict[str, Any], mode: schemathesis.GenerationMode) -> None:
    """Generated requests, right and wrong ones, get documented answers."""
    tried = 0
    for operation in operations.values():
        if mode is MODES[1] and not (operation.query or operation.body or operation.path_parameters):
            continue
        with suppress(Unsatisfiable):  # nothing can be wrong about a text in a path
            _probe(operation, mode)
            tried += 1
    assert tried >= (20 if mode is MODES[0] else 10)


def _probe(operation: Any, mode: schemathesis.GenerationMode) -> None:
    @settings(max_examples=10, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def probe(case: Any) -> None:
        case.validate_response(case.call(), checks=CHECKS)

    probe()


def test_every_route_of_the_seed_is_documented(operations: dict[str, Any]) -> None:
    """The routes that the README names are in the document."""
    assert operations.keys() >= {
        "GET /api/status",
        "GET /api/settings",
        "POST /api/settings",
        "GET /api/logs",
        "DELETE /api/logs",
        "GET /api/diagnostics",
        "GET /api/tinybms/registers",
        "POST /api/tinybms/write",
    }


def test_every_operation_is_described(operations: dict[str, Any]) -> None:
    """Each operation says in a sentence what it does."""
    undescribed = [name for name, each in operations.items() if not each.definition.raw.get("description")]
    assert undescribed == []


def test_the_document_is_valid(app: FastAPI) -> None:
    """By the schema of OpenAPI 3.1, its schemas by that of JSON Schema, and no reference leads nowhere."""
    document = json.loads(json.dumps(app.openapi()))
    OPENAPI_31_VALIDATOR.validate(document)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)
    named = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)))
    assert {reference.removeprefix("#/components/schemas/") for reference in named} <= schemas.keys()


def test_the_body_of_settings_is_described(app: FastAPI) -> None:
    """Sections, keys, units and ranges of a change, in which null takes any key back; errors and answers as well."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    change, replacement = (document["paths"]["/api/settings"][method] for method in ("post", "put"))
    for operation, name in ((change, "SettingsChange"), (replacement, "Settings")):
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{name}"}
        assert {"200", "400", "401", "403", "413", "415", "422", "500"} <= operation["responses"].keys()
        assert schemas[name]["properties"].keys() == {*keys_of(Configuration), "cvl_algorithm"}
    key = schemas["SettingsChangeCvl"]["properties"]["float_soc_threshold"]
    assert (key["unit"], key["anyOf"][0]["maximum"]) == ("%", 100)
    flag = schemas["SettingsChangeCvl"]["properties"]["enabled"]
    assert flag["anyOf"] == [{"type": "boolean"}, {"type": "null"}]
    length = schemas["SettingsVictron"]["properties"]["installed_capacity_bytes"]
    assert (length["type"], length["enum"], length["default"]) == ("integer", [2, 8], 2)
    shown = document["paths"]["/api/settings"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/Settings"}


def _validator(app: FastAPI, name: str) -> Any:
    """Return what checks a value against one schema of the document."""
    components = {"components": app.openapi()["components"]}
    return jsonschema_rs.validator_for({**components, "$ref": f"#/components/schemas/{name}"})


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        (
            {"cvl": {"enabled": True, "float_soc_threshold": 96.0}, "victron": {"thresholds": {"overvoltage_v": 59.0}}},
            True,
        ),
        ({"cvl": {"float_soc_threshold": None, "enabled": None}, "hardware": None}, True),
        ({"cvl_algorithm": {"float_offset": 100}}, True),
        ({"packs": {"a": {"uart": {"device": "/dev/ttyUSB5", "timeout_ms": None}}, "gone": None}}, True),
        ({"packs": {"a b": {}}}, False),
        ({"packs": {"a": {"enabled": 1}}}, False),
        ({"packs": {"a": []}}, False),
        ({"cvl": {"float_soc_threshold": 400}}, False),
        ({"cvl": {"enabled": 1}}, False),
        ({"cvl": []}, False),
        ({"victron": {"installed_capacity_bytes": 4}}, False),
        ([], False),
    ],
)
async def test_the_schema_of_a_change_agrees_with_the_route(
    app: FastAPI, client: httpx.AsyncClient, change: object, fits: bool
) -> None:
    """What the document allows is taken, what it forbids is refused."""
    assert _validator(app, "SettingsChange").is_valid(change) is fits
    answer = await client.post("/api/settings", json=change)
    assert answer.status_code == (200 if fits else 422)
    if not fits:
        assert _validator(app, "Mistaken").is_valid(answer.json())


async def test_what_is_shown_and_sent_live_is_as_described(app: FastAPI, client: httpx.AsyncClient, core: Any) -> None:
    """The schemas that no route leads to are those of the real thing."""
    assert _validator(app, "Settings").is_valid((await client.get("/api/settings")).json())
    message = json.loads(status_message(core))
    assert _validator(app, "LiveStatus").is_valid(message)
    properties = app.openapi()["components"]["schemas"]["LiveStatus"]["properties"]
    assert message.keys() == properties.keys()
    assert {name for name, each in properties.items() if each.get("deprecated")} == {"cells", "balancing"}


def test_names_of_schemas_tell_nothing_of_our_modules(app: FastAPI) -> None:
    """They are part of the API: a file that moves must not change them."""
    assert [name for name in app.openapi()["components"]["schemas"] if not name.isalnum()] == []


def test_every_body_has_an_example_that_fits(app: FastAPI) -> None:
    """Whoever writes a client sees at once what to send."""
    document = app.openapi()
    bodies = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                bodies += 1
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                reference = schema.get("$ref") or schema.get("anyOf", [{}])[0].get("$ref", "")
                name = reference.rpartition("/")[2]
                found = document["components"]["schemas"][name] if name else schema
                assert found.get("examples"), f"{method} {path}"
                for example in found["examples"]:
                    if name:
                        assert set(found.get("required", ())) <= example.keys() <= found["properties"].keys()
    assert bodies >= 13


@pytest.mark.parametrize(
    ("method", "path", "security"),
    [
        ("get", "/api/status", [{}, {"session": []}, {"bearer": []}]),
        ("post", "/api/tinybms/write", [{"session": []}, {"bearer": []}]),
        ("get", "/api/users", [{"session": []}, {"bearer": []}]),
        ("post", "/api/tokens", [{"session": []}, {"bearer": []}]),
        ("post", "/api/login", []),
        ("get", "/healthz", []),
    ],
)
def test_login_of_each_route_is_documented(app: FastAPI, method: str, path: str, security: object) -> None:
    """Tools that read the document know where to send cookie or token."""
    document = app.openapi()
    assert document["paths"][path][method]["security"] == security
    assert set(document["components"]["securitySchemes"]) == {"session", "bearer"}
    assert all("security" in each for methods in document["paths"].values() for each in methods.values())
