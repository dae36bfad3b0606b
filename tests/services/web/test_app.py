import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tinybms_bridge.services.web.accounts import Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security import Gate

UNSAFE = {"post", "put", "patch", "delete"}
WITHOUT_LOGIN = {"/api/login", "/api/logout", "/api/setup"}
"""They make the login."""
CHANGES_NOTHING = {"/api/can/decode", "/api/password/judge"}
"""Asked with a body, for it is long or secret; nothing of it is kept."""


def test_the_application_carries_face_and_options(core: Any) -> None:
    """Routes find them there."""
    options = WebOptions()

    app = create_app(core, options, routers=())

    assert app.state.core is core
    assert app.state.options is options
    assert app.state.gate.options is options


def test_without_a_gate_nobody_is_known(core: Any) -> None:
    """An application made without users lets nobody change anything."""
    gate = create_app(core, WebOptions(), routers=()).state.gate

    assert gate.accounts.registry.accounts == ()
    assert not gate.accounts.registry.opens_setup("")


async def test_no_page_loads_scripts_from_elsewhere(nobody: httpx.AsyncClient) -> None:
    """The framework's own pages about the API do: they are not there; the document itself is served."""
    assert (await nobody.get("/docs")).status_code == 404
    assert (await nobody.get("/redoc")).status_code == 404
    assert (await nobody.get("/api/openapi.json")).json()["info"]["title"] == "tinybms-bridge"


async def test_a_trailing_slash_is_not_redirected(nobody: httpx.AsyncClient) -> None:
    """A redirect would repeat a POST with its body."""
    assert (await nobody.post("/api/login/")).status_code == 404


async def test_every_route_that_writes_needs_a_login(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    """Also those that are added later: the list is taken from the application."""
    paths = app.openapi()["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods if method in UNSAFE]
    assert len(asked) >= 8

    for method, path in asked:
        if path not in WITHOUT_LOGIN | CHANGES_NOTHING:
            answer = await nobody.request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code == 401, (method, path)


async def test_every_route_of_ours_that_writes_needs_a_login(
    core: Any, connect: Callable[..., httpx.AsyncClient]
) -> None:
    """The whole application, as the bridge builds it."""
    app = await asyncio.to_thread(create_app, core, WebOptions())  # as the service does: imports block
    client = connect(app)
    for path, methods in app.openapi()["paths"].items():
        for method in UNSAFE & set(methods) if path not in WITHOUT_LOGIN | CHANGES_NOTHING else ():
            answer = await client.request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/login"),
        ("POST", "/api/setup"),
        ("POST", "/api/users"),
        ("PATCH", "/api/users/{name}"),
        ("POST", "/api/tokens"),
        ("DELETE", "/api/tokens/{token_id}"),
    ],
)
@pytest.mark.parametrize("role", ["nobody", "admin"])
def test_hostile_input_gives_answers_that_the_document_names(app: FastAPI, role: str, method: str, path: str) -> None:
    """Whatever schemathesis invents: no 5xx but "busy", and a body as described."""
    operation = schemathesis.openapi.from_asgi("/api/openapi.json", app)[path][method]
    headers = {} if role == "nobody" else {"Authorization": f"Bearer {_token(app.state.gate)}"}
    excluded: list[Any] = [positive_data_acceptance]  # rules beyond the schema
    if headers:
        excluded.append(ignored_auth)  # an invented cookie beside the good token is no login that was let through

    @given(case=operation.as_strategy())
    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    def attack(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    attack()


def _token(gate: Gate) -> str:
    record = new_record("boss", "test", Role.ADMIN, gate.clock.wall(), 1)
    gate.accounts._store.update(lambda registry: registry.with_token(record, gate.clock.wall()))
    gate.accounts.registry = gate.accounts._store.read()
    return write_token(record, gate.accounts.registry.secret)


def test_the_document_of_the_api_is_json(app: FastAPI) -> None:
    """It can be stored and compared."""
    assert json.loads(json.dumps(app.openapi()))["paths"]
