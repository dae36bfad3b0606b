"""Every route of the OpenAPI document against hostile input: no server error, nothing undocumented."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

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

from tinybms_bridge.services.web.face import EventEntry, MonitoredFrame

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
def operations(app: FastAPI, as_admin: None, face: Any, make_frame: Callable[..., MonitoredFrame]) -> dict[str, Any]:
    """The operations of these routers, for a bridge that has something to tell everywhere."""
    face.seen_frames.extend([make_frame(1), make_frame(2, 0x7FF, "00")])
    face.event_list.append(EventEntry(1, None, "bms", "fault", "bms.x", "text"))
    face.logs.write("ERROR", "something")
    schema: Any = schemathesis.openapi.from_asgi("/api/openapi.json", app)
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
