"""Every operation of the API by everybody who may ask: who gets in, and what the others are told."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.security.gate import COOKIE, Gate

IN = "in"
DOOR = {"login_required", "invalid_token", "admin_required", "csrf_token", "other_site", "session_required"}
"""What the door says; every other answer comes from the route behind it."""

PAGES = {"GET /", "GET /api/openapi.json", "GET /docs", "GET /page.css"}
"""What is not part of the API, and answers people in HTML."""
OPEN = {
    "GET /api/openapi.json",
    "GET /docs",
    "GET /page.css",
    "GET /old.js",
    "GET /icon.svg",
    "GET /icon-180.png",
    "GET /icon-192.png",
    "GET /icon-512.png",
    "GET /manifest.webmanifest",
    "GET /assets/{name}",
    "GET /api/session",
    "GET /api/setup",
    "GET /healthz",
    "GET /readyz",
    "POST /api/login",
    "POST /api/logout",
    "POST /api/password/judge",
    "POST /api/setup",
}
LOGIN = {
    "GET /api/tokens",
    "POST /api/tokens",
    "DELETE /api/tokens/{token_id}",
    "POST /api/password",
    "GET /metrics",  # or from the machine itself: see test_metrics.py
}
ADMIN_READS = {"GET /api/users", "GET /api/support-bundle", "GET /api/setup/devices", "GET /api/packs/candidates"}
READING_POSTS = {"POST /api/can/decode"}
"""Which change nothing: what is asked does not fit into an address."""
NOT_WITH_A_TOKEN = {"POST /api/tokens", "POST /api/password", "POST /api/users", "PATCH /api/users/{name}"}
BODIES: dict[str, object] = {
    "POST /api/tokens": {"label": "x"},
    "POST /api/password": {"current": "wrong", "new": "another password"},
    "POST /api/users": {"username": "ann", "password": "short"},
    "PATCH /api/users/{name}": {"password": "short"},
}


@dataclass(frozen=True)
class Asker:
    """Somebody who asks."""

    user: str = ""
    token: bool = False
    csrf: bool = True
    origin: str = ""
    address: str = "192.168.1.7"
    header: str = ""


ASKERS = {
    "nobody": Asker(),
    "nobody far away": Asker(address="203.0.113.9"),
    "a wrong token": Asker(header="Bearer a.b.c"),
    "viewer": Asker("guest"),
    "viewer without the CSRF token": Asker("guest", csrf=False),
    "viewer's token": Asker("guest", token=True),
    "administrator": Asker("boss"),
    "administrator without the CSRF token": Asker("boss", csrf=False),
    "administrator on another site": Asker("boss", origin="http://evil.example"),
    "administrator's token": Asker("boss", token=True),
}


def expected(operation: str, asker: Asker) -> str:
    """Return what somebody is told at the door."""
    reads = operation.startswith("GET ")
    if operation in OPEN:
        if asker.header and operation == "GET /api/session":
            return "invalid_token"
        return "other_site" if asker.origin and not reads and operation != "GET /api/session" else IN
    if asker.header:
        return "invalid_token"
    if operation in READING_POSTS and not asker.origin:
        return "login_required" if not asker.user and asker.address.startswith("203.") else IN
    needs_login = not reads or operation in LOGIN | ADMIN_READS
    if not asker.user:
        return "login_required" if needs_login or asker.address.startswith("203.") else IN
    if asker.origin and not reads:
        return "other_site"
    if not asker.csrf and not reads:
        return "csrf_token"
    if needs_login and operation not in LOGIN and asker.user != "boss":
        return "admin_required"
    return "session_required" if asker.token and operation in NOT_WITH_A_TOKEN else IN


def request_of(app: FastAPI, asker: Asker) -> tuple[httpx.AsyncClient, dict[str, str]]:
    """Return a client and its headers; the users are there anew, whatever was done before."""
    gate: Gate = app.state.gate
    users = (Account("boss", Role.ADMIN, "h1"), Account("guest", Role.VIEWER, "h2"))
    record = new_record(asker.user, "x", Role.ADMIN, gate.clock.wall(), 1)
    gate.accounts.registry = AccountRegistry(users, (record,), gate.accounts.registry.secret)
    gate.accounts._store.update(lambda _: gate.accounts.registry)
    headers = {"Authorization": asker.header} if asker.header else {}
    if asker.origin:
        headers["Origin"] = asker.origin
    if asker.token:
        headers["Authorization"] = f"Bearer {write_token(record, gate.accounts.registry.secret)}"
    elif asker.user:
        key, session = gate.sessions.begin(gate.accounts.registry.expect_account(asker.user))
        headers["Cookie"] = f"{COOKIE}={key}"
        headers |= {"X-CSRF-Token": session.csrf} if asker.csrf else {}
    transport = httpx.ASGITransport(app, client=(asker.address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://bridge.test", trust_env=False), headers


def code_of(answer: httpx.Response) -> str:
    """Return the code of a problem document, or of a page that says what is wrong; else nothing."""
    if "problem+json" in answer.headers.get("content-type", ""):
        return str(answer.json()["error"])
    found = re.search(r'<meta name="error" content="(\w+)">', answer.text)
    return found[1] if found else ""


@pytest.mark.parametrize("who", ASKERS)
async def test_who_gets_in_where(app: FastAPI, who: str, make_operations: Callable[[], list[str]]) -> None:
    """A new operation is for administrators unless this list says otherwise."""
    asker, told = ASKERS[who], {}
    for operation in make_operations():
        client, headers = request_of(app, asker)
        method, path = operation.split(" ")
        async with client:
            body = BODIES.get(operation) if method != "GET" else None
            answer = await client.request(
                method, path.replace("{name}", "guest").replace("{token_id}", "x"), json=body, headers=headers
            )
        code = code_of(answer)
        told[operation] = code if code in DOOR else IN

    assert told == {operation: expected(operation, asker) for operation in told}


@pytest.fixture
def make_operations(app: FastAPI) -> Callable[[], list[str]]:
    """Return what gives the name of every operation."""

    def build() -> list[str]:
        paths = app.openapi()["paths"].items()
        described = [f"{method.upper()} {path}" for path, methods in paths for method in methods]
        routers = [getattr(included, "original_router", app.router) for included in app.routes]
        pages = [each for router in routers for each in router.routes if not getattr(each, "include_in_schema", True)]
        hidden = [
            f"{method} {each.path}" for each in pages if isinstance(each, APIRoute) for method in each.methods or ()
        ]
        return [*described, *hidden]

    return build


def test_every_operation_is_there(make_operations: Callable[[], list[str]]) -> None:
    """Also those of the lists here."""
    found = set(make_operations())

    assert found >= OPEN | LOGIN | ADMIN_READS | READING_POSTS | NOT_WITH_A_TOKEN | PAGES
    assert len(found - PAGES) >= 44


def test_the_document_says_who_may_do_what(app: FastAPI, make_operations: Callable[[], list[str]]) -> None:
    """What the page of the API shows beside each operation is what this matrix finds."""
    paths = app.openapi()["paths"]
    described = {
        f"{method.upper()} {path}": each for path, methods in paths.items() for method, each in methods.items()
    }
    who = {name: each["x-who"] for name, each in described.items()}

    def wanted(name: str) -> str:
        if name in OPEN:
            return "everybody"
        if name in LOGIN:
            return "login"
        reads = name.startswith("GET ") or name in READING_POSTS
        return "reader" if reads and name not in ADMIN_READS else "admin"

    assert who == {name: wanted(name) for name in described}
    assert {name for name, each in described.items() if each.get("x-session-only")} == NOT_WITH_A_TOKEN
