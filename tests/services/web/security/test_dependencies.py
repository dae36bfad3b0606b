import logging
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocket

from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.accounts import Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security import User, Via, websocket_user
from tinybms_bridge.services.web.security.dependencies import csrf_token_matches, is_own_page, is_own_page_or_listed
from tinybms_bridge.services.web.security.gate import COOKIE, Gate
from tinybms_lab.testing.fake_clock import FakeClock

HOST = {"host": "bridge.local"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://bridge.local"},
        {"origin": "https://bridge.local"},
        {"origin": "http://BRIDGE.local"},
        {"sec-fetch-site": "same-origin", "origin": "http://bridge.local"},
        {"sec-fetch-site": "none"},
    ],
)
def test_our_own_page_and_programs_pass(headers: dict[str, str]) -> None:
    """A program sends neither header; a proxy may speak HTTPS for us."""
    assert is_own_page(HOST | headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://bridge.local:8080"},
        {"origin": "http://bridge.local.evil.example"},
        {"origin": "http://bridge.local@evil.example"},
        {"origin": "http://[broken"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://bridge.local"},
    ],
)
def test_other_pages_do_not_pass(headers: dict[str, str]) -> None:
    """Another port of the same machine is another site too; Fetch Metadata cannot be set by a page."""
    assert not is_own_page(HOST | headers)


def test_a_listed_site_may_read() -> None:
    """By its exact origin, or by a list that says all."""
    headers = HOST | {"origin": "http://friend.example", "sec-fetch-site": "cross-site"}

    assert is_own_page_or_listed(headers, ["http://friend.example"])
    assert is_own_page_or_listed(headers, ["*"])
    assert not is_own_page_or_listed(headers, ["http://friend.example:81"])
    assert not is_own_page_or_listed(HOST | {"sec-fetch-site": "cross-site"}, [])


def test_a_request_without_a_host_has_no_page() -> None:
    """HTTP/1.0 need not name one."""
    assert not is_own_page({"origin": "http://bridge.local"})


@given(st.text(max_size=40))
def test_only_the_token_itself_matches(text: str) -> None:
    """Whatever the header holds, and also when it is missing."""
    assert csrf_token_matches({"x-csrf-token": text}, "the-token") == (text == "the-token")
    assert not csrf_token_matches({}, "the-token")


Connect = Callable[..., httpx.AsyncClient]
CLOSED = WebOptions(open_reading=False)
CLOSED_ANYWHERE = WebOptions(open_reading=False, reading_from_anywhere=True)


def bearer(gate: Gate, user: str = "boss", role: Role = Role.ADMIN, days: int = 1) -> str:
    """Return a bearer token of a user."""
    now = gate.clock.wall()
    record = new_record(user, "script", role, now, days)
    gate.accounts.registry = gate.accounts.registry.with_token(record, now)
    return write_token(record, gate.accounts.registry.secret)


async def test_anybody_reads_while_reading_is_open(nobody: httpx.AsyncClient) -> None:
    """The default on a home network."""
    answer = await nobody.get("/api/thing")

    assert answer.json() == {"user": "", "via": "open", "address": "192.168.1.7"}


async def test_nobody_reads_without_a_login_when_reading_is_closed(
    make_app: Callable[..., FastAPI], connect: Connect
) -> None:
    """``enable_auth`` closes it; a viewer may still read."""
    app = make_app(CLOSED)
    answer = await connect(app).get("/api/thing")

    assert (answer.status_code, answer.json()["error"]) == (401, "login_required")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await connect(app, "guest").get("/api/thing")).json()["user"] == "guest"


async def test_writing_needs_a_login_even_while_reading_is_open(nobody: httpx.AsyncClient) -> None:
    """Always."""
    answer = await nobody.post("/api/thing", json={"a": 1})

    assert (answer.status_code, answer.json()["error"]) == (401, "login_required")


async def test_before_the_first_administrator_the_answer_says_what_to_do(
    make_app: Callable[..., FastAPI], connect: Connect
) -> None:
    """There is no default password to try."""
    answer = await connect(make_app(WebOptions(), MemoryStorage())).post("/api/thing", json={"a": 1})

    assert (answer.status_code, answer.json()["error"]) == (401, "setup_required")
    assert "setup token" in answer.json()["message"]


async def test_a_viewer_may_not_write(viewer: httpx.AsyncClient) -> None:
    """The role decides, not the login."""
    answer = await viewer.post("/api/thing", json={"a": 1})

    assert (answer.status_code, answer.json()["error"]) == (403, "admin_required")


async def test_an_administrator_writes_and_leaves_an_audit_line(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Every change has a line, whatever the route does."""
    caplog.set_level(logging.INFO, "tinybms_bridge.audit")

    assert (await admin.post("/api/thing", json={"a": 1})).json() == {"a": 1}
    assert "POST /api/thing by boss (session) from 192.168.1.7" in caplog.messages


async def test_the_audit_line_comes_after_the_deed_with_its_facts(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever clears the log does not clear this line with it."""
    await admin.put("/api/filling", json={"a": 1, "b": 2})

    assert caplog.messages == ["filled", "PUT /api/filling by boss (session) from 192.168.1.7, count=2"]


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ({"code": 409}, "refused with 409 not_so, count=1"),
        ({"code": 502}, "failed with 502 not_so, count=1"),
        ({"bug": 1}, "failed with ZeroDivisionError, count=1"),
        ({"a": "text"}, "refused with 422 invalid_payload"),
    ],
)
async def test_what_an_administrator_could_not_do_is_told_apart(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, body: dict[str, object], ending: str
) -> None:
    """A refused change must not look like one that was made."""
    await admin.put("/api/filling", json=body)

    (line,) = [record for record in caplog.records if record.name == "tinybms_bridge.audit"]
    assert line.getMessage() == f"PUT /api/filling by boss (session) from 192.168.1.7: {ending}"
    assert line.levelno == logging.WARNING


async def test_what_a_viewer_tried_is_told(viewer: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody with a login who is not allowed to."""
    await viewer.put("/api/filling", json={})

    (line,) = caplog.messages
    assert line == "PUT /api/filling by guest (session) from 192.168.1.7: refused with 403 admin_required"


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
async def test_a_cookie_alone_does_not_write(admin: httpx.AsyncClient, token: str) -> None:
    """The header cannot be sent by another site's page."""
    answer = await admin.post("/api/thing", json={"a": 1}, headers={b"X-CSRF-Token": token.encode()})

    assert (answer.status_code, answer.json()["error"]) == (403, "csrf_token")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}])
async def test_another_page_does_not_write(admin: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Not even with the right CSRF token, and not if it is a listed site either."""
    answer = await admin.post("/api/thing", json={"a": 1}, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (403, "other_site")


async def test_a_listed_site_does_not_write_with_the_cookie(admin: httpx.AsyncClient) -> None:
    """CORS lets a page read; a browser's login is never part of it."""
    answer = await admin.post("/api/thing", json={"a": 1}, headers={"Origin": "http://friend.example"})

    assert answer.json()["error"] == "other_site"


async def test_a_stale_cookie_reads_as_anybody(nobody: httpx.AsyncClient) -> None:
    """After a restart of the bridge a page goes on showing values."""
    answer = await nobody.get("/api/thing", headers={"Cookie": f"{COOKIE}=old"})

    assert answer.json()["via"] == "open"


async def test_a_script_writes_with_a_token(nobody: httpx.AsyncClient, gate: Gate) -> None:
    """Without a cookie there is nothing to forge: no CSRF token is asked for, from any origin."""
    headers = {"Authorization": f"Bearer {bearer(gate)}", "Origin": "http://friend.example"}

    assert (await nobody.post("/api/thing", json={"a": 1}, headers=headers)).status_code == 200


async def test_a_token_can_do_no_more_than_its_user_now(nobody: httpx.AsyncClient, gate: Gate) -> None:
    """A token made as administrator by somebody who is a viewer by now reads only."""
    headers = {"Authorization": f"Bearer {bearer(gate, 'guest', Role.ADMIN)}"}

    assert (await nobody.post("/api/thing", json={"a": 1}, headers=headers)).json()["error"] == "admin_required"
    assert (await nobody.get("/api/thing", headers=headers)).json()["via"] == "token"


async def test_a_token_of_an_administrator_may_be_for_reading(nobody: httpx.AsyncClient, gate: Gate) -> None:
    """The role of the token is the most it can do."""
    headers = {"Authorization": f"Bearer {bearer(gate, role=Role.VIEWER)}"}

    assert (await nobody.post("/api/thing", json={"a": 1}, headers=headers)).status_code == 403


async def test_an_expired_token_is_told_even_where_reading_is_open(
    nobody: httpx.AsyncClient, gate: Gate, clock: FakeClock
) -> None:
    """A script learns that its token is over instead of getting less without a word."""
    headers = {"Authorization": f"Bearer {bearer(gate)}"}
    await clock.advance(86_400.0)

    answer = await nobody.get("/api/thing", headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (401, "expired_token")
    assert "invalid_token" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("value", ["Bearer x", "bearer  a.b.c", "BEARER " + "x" * 3000])
async def test_a_wrong_token_is_refused(nobody: httpx.AsyncClient, value: str) -> None:
    """In any spelling of the scheme."""
    answer = await nobody.get("/api/thing", headers={"Authorization": value})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("value", ["Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", ""])
async def test_other_schemes_are_nobody(nobody: httpx.AsyncClient, value: str) -> None:
    """The firmware's admin/admin opens nothing."""
    answer = await nobody.post("/api/thing", json={"a": 1}, headers={"Authorization": value})

    assert answer.json()["error"] == "login_required"


def opening(app: FastAPI, query: str = "", **headers: str) -> WebSocket:
    """Return a WebSocket that asks to be opened."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "h", **headers}.items()]
    scope = {
        "type": "websocket",
        "app": app,
        "headers": raw,
        "query_string": query.encode(),
        "path": "/ws",
        "client": ("10.0.0.1", 5),
    }

    async def never() -> dict[str, object]:
        raise AssertionError("nothing is read or sent before the user is known")

    return WebSocket(scope, receive=never, send=lambda _: never())  # type: ignore[arg-type,return-value]  # never called


async def test_a_socket_is_open_like_reading(app: FastAPI, make_app: Callable[..., FastAPI]) -> None:
    """A page of ours, or a program without any page."""
    user = User("", Role.VIEWER, Via.OPEN, "10.0.0.1")

    assert websocket_user(opening(app)) == user
    assert websocket_user(opening(app, origin="http://h")) == user
    assert websocket_user(opening(app, origin="http://friend.example")) == user
    assert websocket_user(opening(make_app(CLOSED))) is None


async def test_another_page_opens_no_socket(app: FastAPI) -> None:
    """The same-origin policy of browsers does not hold for WebSockets."""
    assert websocket_user(opening(app, origin="http://evil.example")) is None


async def test_a_cookie_opens_a_socket_from_our_page_only(app: FastAPI, gate: Gate) -> None:
    """A listed site reads, but never as the user of the browser."""
    key, _ = gate.sessions.begin(gate.accounts.registry.expect_account("boss"))
    cookie = f"{COOKIE}={key}"
    user = websocket_user(opening(app, cookie=cookie, origin="http://h"))

    assert user == User("boss", Role.ADMIN, Via.SESSION, "10.0.0.1")
    assert websocket_user(opening(app, cookie=cookie, origin="http://friend.example")) is None


async def test_a_token_opens_a_socket(make_app: Callable[..., FastAPI]) -> None:
    """In the header, or in the query for browsers, which cannot set headers there."""
    app = make_app(CLOSED)
    token = bearer(app.state.gate, "guest", Role.VIEWER)
    wanted = User("guest", Role.VIEWER, Via.TOKEN, "10.0.0.1")

    assert websocket_user(opening(app, f"token={token}", origin="http://any.example")) == wanted
    assert websocket_user(opening(app, authorization=f"Bearer {token}")) == wanted
    assert websocket_user(opening(app, "token=wrong")) is None


def reader(app: FastAPI, address: str) -> httpx.AsyncClient:
    """Return a client without a login at an address, as the server sees it."""
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://bridge.local", trust_env=False)


FAR = ["203.0.113.9", "8.8.8.8", "100.64.0.1", "172.32.0.1", "2001:db8::1", "2a00:1450::1", "::ffff:8.8.8.8", "", "x"]


@pytest.mark.parametrize("address", FAR)
async def test_reading_is_not_open_to_far_addresses(app: FastAPI, address: str) -> None:
    """A port that a router forwards shows nothing to the Internet; a login opens it."""
    async with reader(app, address) as client:
        answer = await client.get("/api/thing")
        headers = {"Authorization": f"Bearer {bearer(app.state.gate)}"}

        assert (answer.status_code, answer.json()["error"]) == (401, "login_required")
        assert (await client.get("/api/thing", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.5",
        "169.254.1.1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
    ],
)
async def test_reading_is_open_to_near_addresses(app: FastAPI, address: str) -> None:
    """This machine, private networks, and what configures itself on a cable."""
    async with reader(app, address) as client:
        assert (await client.get("/api/thing")).status_code == 200


async def test_reading_from_anywhere_is_a_choice(make_app: Callable[..., FastAPI]) -> None:
    """Which a login for reading overrules."""
    for options, status in ((WebOptions(reading_from_anywhere=True), 200), (CLOSED_ANYWHERE, 401)):
        async with reader(make_app(options), "203.0.113.9") as client:
            assert (await client.get("/api/thing")).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "192.168.1.5, 203.0.113.9"},
        {"X-Forwarded-For": "203.0.113.9, 192.168.1.5"},
        {"X-Forwarded-For": "203.0.113.9:5000"},
        {"X-Forwarded-For": "[2001:db8::1]:5000"},
        {"X-Forwarded-For": "unknown"},
        {"X-Forwarded-For": ""},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9;proto=https"},
        {"Forwarded": 'for=192.168.1.5, FOR="[2001:db8::1]:4711"'},
        {"Forwarded": "for=_hidden"},
        {"Forwarded": "by=10.0.0.1"},
    ],
)
@pytest.mark.parametrize("proxy", ["127.0.0.1", "192.168.1.2"])
async def test_behind_a_proxy_the_forwarded_address_counts(app: FastAPI, proxy: str, headers: dict[str, str]) -> None:
    """The proxy is near, who asks is not; a header that says something near beside it changes nothing."""
    async with reader(app, proxy) as client:
        assert (await client.get("/api/thing", headers=headers)).status_code == 401
    raw = {name.lower().replace("-", "_"): value for name, value in headers.items()}
    assert websocket_user(opening(app, **raw)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.168.1.5"},
        {"X-Forwarded-For": "192.168.1.5:5000, ::1"},
        {"X-Forwarded-For": "[fd00::5]:80", "X-Real-IP": "fd00::5"},
        {"Forwarded": 'for="[fe80::1]:4711";by=10.0.0.1;host="for.example"'},
    ],
)
async def test_who_is_near_reads_through_a_proxy_too(app: FastAPI, headers: dict[str, str]) -> None:
    """With or without a port, in each spelling."""
    async with reader(app, "127.0.0.1") as client:
        assert (await client.get("/api/thing", headers=headers)).status_code == 200


async def test_a_far_address_cannot_say_that_it_is_near(app: FastAPI) -> None:
    """Whatever it writes into the headers of a proxy."""
    async with reader(app, "203.0.113.9") as client:
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP"):
            assert (await client.get("/api/thing", headers={header: "127.0.0.1"})).status_code == 401
