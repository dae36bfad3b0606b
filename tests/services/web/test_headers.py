from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from tinybms_bridge.services.web.headers import CONTENT_SECURITY_POLICY
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
