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
