"""What every request passes: security headers, HEAD wherever there is GET, bounds on head and body."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tinybms_bridge.services.web.middleware import CONTENT_SECURITY_POLICY, BodyLimit
from tinybms_bridge.services.web.options import WebOptions

FRIEND = "http://friend.example"


@pytest.mark.parametrize("path", ["/api/thing", "/api/nothing", "/api/bug", "/"])
async def test_every_answer_carries_the_security_headers(nobody: httpx.AsyncClient, path: str) -> None:
    """Errors too: a page that is shown after a mistake must not be framed or sniffed either."""
    headers = (await nobody.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["referrer-policy"] == "same-origin"


def test_the_policy_allows_no_foreign_and_no_inline_script() -> None:
    """The page works without the Internet, and a text that slipped into it must not run."""
    assert "default-src 'self'" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


async def test_answers_of_the_api_are_not_stored(nobody: httpx.AsyncClient) -> None:
    """A browser shows live values, and keeps no secrets; pages may be cached."""
    assert (await nobody.get("/api/thing")).headers["cache-control"] == "no-store"
    assert "cache-control" not in (await nobody.get("/page")).headers


async def test_a_route_may_choose_its_own_header(
    make_app: Callable[..., FastAPI], connect: Callable[..., httpx.AsyncClient], routes: APIRouter
) -> None:
    """A header is never sent twice with two meanings."""

    async def download() -> Response:
        return Response(headers={"Cache-Control": "max-age=60"})

    routes.add_api_route("/api/download", download)

    answer = await connect(make_app(WebOptions())).get("/api/download")

    assert answer.headers.get_list("cache-control") == ["max-age=60"]


async def test_a_listed_site_may_read(nobody: httpx.AsyncClient) -> None:
    """The origin is repeated, never with leave to use cookies."""
    headers = (await nobody.get("/api/thing", headers={"Origin": FRIEND})).headers

    assert headers["access-control-allow-origin"] == FRIEND
    assert headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in headers


async def test_a_listed_site_may_ask_before_it_writes(nobody: httpx.AsyncClient) -> None:
    """Browsers ask with OPTIONS before they send a token."""
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}

    answer = await nobody.options("/api/thing", headers=asked)

    assert answer.status_code == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == FRIEND


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://friend.example.evil", ""])
async def test_other_sites_get_no_permission(nobody: httpx.AsyncClient, origin: str) -> None:
    """Only what is listed, letter by letter."""
    answer = await nobody.options("/api/thing", headers={"Origin": origin})

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


async def test_without_a_list_nobody_gets_permission(
    make_app: Callable[..., FastAPI], connect: Callable[..., httpx.AsyncClient]
) -> None:
    """CORS is off by default."""
    headers = (await connect(make_app(WebOptions())).get("/api/thing", headers={"Origin": FRIEND})).headers

    assert "access-control-allow-origin" not in headers
    assert "vary" not in headers


async def test_all_sites_may_read_when_that_is_written(
    make_app: Callable[..., FastAPI], connect: Callable[..., httpx.AsyncClient]
) -> None:
    """``*`` is the firmware's behaviour, for those who ask for it."""
    client = connect(make_app(WebOptions(origins=("*",))))

    headers = (await client.get("/api/thing", headers={"Origin": "http://any.example"})).headers

    assert headers["access-control-allow-origin"] == "http://any.example"


@pytest.mark.parametrize("path", ["/api/thing", "/api/session", "/api/nothing"])
async def test_head_is_get_without_the_body(nobody: httpx.AsyncClient, path: str) -> None:
    """The same status and headers, whatever the answer is."""
    got, head = await nobody.get(path), await nobody.head(path)

    assert head.status_code == got.status_code
    assert head.headers == got.headers
    assert int(head.headers["content-length"]) == len(got.content) > 0
    assert head.content == b""


async def test_head_needs_what_get_needs(nobody: httpx.AsyncClient) -> None:
    """It is no way around a login."""
    assert (await nobody.head("/api/users")).status_code == 401


async def test_what_cannot_be_read_has_no_head(nobody: httpx.AsyncClient) -> None:
    """A route that only changes something."""
    assert (await nobody.head("/api/login")).status_code == 405


JSON = {"content-type": "application/json"}


async def chunks(count: int, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield a body whose length is not announced."""
    for _ in range(count):
        yield b" " * size


async def test_a_body_that_announces_too_much_is_refused(admin: httpx.AsyncClient) -> None:
    """The limit is 64 KiB."""
    answer = await admin.post("/api/thing", content=b" " * 65_537, headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["error"] == "body_too_large"
    assert answer.headers["connection"] == "close"


async def test_a_body_of_the_largest_size_is_taken(admin: httpx.AsyncClient) -> None:
    """The limit itself is allowed."""
    body = b'{"a":1}'.ljust(65_536)

    assert (await admin.post("/api/thing", content=body, headers=JSON)).json() == {"a": 1}


async def test_a_body_in_chunks_is_counted(admin: httpx.AsyncClient) -> None:
    """Without Content-Length the bytes that arrive count."""
    assert (await admin.post("/api/thing", content=chunks(66), headers=JSON)).status_code == 413


async def test_a_body_that_announces_too_little_is_counted() -> None:
    """Content-Length may lie."""
    sent = await run([b"x" * 60, b"x" * 60], headers=[(b"content-length", b"5")])

    assert sent[0]["status"] == 413


async def test_a_body_that_does_not_come_is_given_up() -> None:
    """A client that stalls must not hold its place for ever."""
    sent = await run([b"x"], ends=False)

    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"] == "body_timeout"


async def test_a_client_that_leaves_reaches_no_route() -> None:
    """Half a body is no request."""
    assert await run([b"x", None]) == []


async def test_a_request_without_a_body_waits_for_none() -> None:
    """A GET must not wait for bytes that were never announced."""
    sent = await run([], headers=[], ends=False)

    assert sent[0]["status"] == 200


async def test_bad_content_length_counts_as_nothing_announced() -> None:
    """The server refuses it before; the count does not rely on that."""
    sent = await run([b"ok"], headers=[(b"content-length", b"-5")])

    assert sent[1]["body"] == b"ok"


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_any_cut_of_a_body_arrives_whole_or_is_refused(parts: list[bytes]) -> None:
    """The application sees exactly the bytes that were sent, however they were cut, up to the limit."""
    sent = asyncio.run(run(list(parts)))

    whole = b"".join(parts)
    if len(whole) > 100:
        assert sent[0]["status"] == 413
    else:
        assert sent[1]["body"] == whole


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body."""
    message = await receive() if scope["headers"] else {"body": b""}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def run(
    parts: list[bytes | None] | list[bytes],
    headers: list[tuple[bytes, bytes]] | None = None,
    ends: bool = True,
) -> list[Message]:
    """Send a body in parts (None: the client leaves) through a limit of 100 bytes and return the answer."""
    pending: list[Message] = [
        {"type": "http.disconnect"} if part is None else {"type": "http.request", "body": part, "more_body": True}
        for part in parts
    ]
    if ends and pending:
        pending[-1]["more_body"] = False
    sent: list[Message] = []

    async def receive() -> Message:
        if not pending:
            await asyncio.Event().wait()
        return pending.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    wanted = [(b"transfer-encoding", b"chunked")] if headers is None else headers
    scope = {"type": "http", "headers": wanted, "path": "/", "method": "POST"}
    await BodyLimit(echo, 100, 0.05)(scope, receive, send)
    return sent


@pytest.mark.parametrize("path", ["/api/login", "/api/thing", "/nothing"])
async def test_the_limit_holds_for_every_route(
    app: FastAPI, connect: Callable[..., httpx.AsyncClient], path: str
) -> None:
    """Also where nobody is logged in and where there is nothing."""
    assert (await connect(app).post(path, content=b" " * 70_000)).status_code == 413


async def test_a_head_that_is_too_large_is_refused(nobody: httpx.AsyncClient) -> None:
    """Also one that arrives in one piece, which the protocol below does not count."""
    answer = await nobody.get("/api/thing", headers={"x-long": "a" * 16_384})

    assert (answer.status_code, answer.json()["error"]) == (431, "head_too_large")
    assert (await nobody.get("/api/thing", headers={"x-long": "a" * 15_000})).status_code == 200
    assert (await nobody.get("/api/thing", params={"x": "a" * 16_384})).status_code == 431


@pytest.mark.parametrize("coding", [b"chunked", b"identity", b""])
async def test_a_body_with_two_lengths_reaches_no_route(coding: bytes) -> None:
    """A proxy that believes the other one takes what follows for a request of somebody else (request smuggling)."""
    sent = await run([b"x"], headers=[(b"content-length", b"1"), (b"transfer-encoding", coding)])

    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["error"] == "invalid_http"
    assert (b"connection", b"close") in {(name.lower(), value) for name, value in sent[0]["headers"]}
