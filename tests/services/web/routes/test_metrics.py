"""``GET /metrics``: who may read, and how it is answered."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Accounts, Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security.gate import COOKIE, Gate
from tinybms_lab.testing.fake_clock import FakeClock

TOKEN = "a-token-of-32-characters-in-all-1"
NEAR, FAR = "192.168.1.7", "203.0.113.9"

Ask = Callable[..., Any]


@pytest.fixture
def gate(app: FastAPI, clock: FakeClock) -> Iterator[Gate]:
    """The gate, which knows an administrator and a viewer."""
    users = (Account("boss", Role.ADMIN, "h1"), Account("guest", Role.VIEWER, "h2"))
    gate = app.state.gate = Gate(Accounts(MemoryStorage()), clock, WebOptions())
    gate.accounts.registry = AccountRegistry(users, (), gate.accounts.registry.secret)
    yield gate
    gate.accounts.close()


@pytest.fixture
async def ask(app: FastAPI, gate: Gate) -> AsyncIterator[Ask]:
    """Return what asks for the metrics from an address, with headers."""
    async with AsyncExitStack() as stack:
        clients: dict[str, httpx.AsyncClient] = {}

        async def scrape(address: str = FAR, token: str = "", method: str = "GET", **headers: str) -> httpx.Response:
            if address not in clients:
                transport = httpx.ASGITransport(app, client=(address, 50_000))
                client = httpx.AsyncClient(transport=transport, base_url="http://bridge.test", trust_env=False)
                clients[address] = await stack.enter_async_context(client)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if token:
                sent["Authorization"] = f"Bearer {token}"
            return await clients[address].request(method, "/metrics", headers=sent)

        yield scrape


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_a_program_on_this_machine_needs_nothing(ask: Ask, core: Any, address: str) -> None:
    """A Prometheus server beside the bridge; also while a token is set for others."""
    core.metrics.token = TOKEN
    answer = await ask(address)
    assert answer.status_code == 200
    assert answer.content == core.metrics.text
    assert core.metrics.refusals == 0


@pytest.mark.parametrize("address", [NEAR, FAR, "10.0.0.1", "fe80::1%eth0", "2001:db8::7", "testclient", ""])
async def test_nobody_else_reads_without_proof(ask: Ask, core: Any, address: str) -> None:
    """Also not who is near, to whom reading is open: a problem document says what would help."""
    answer = await ask(address)
    assert (answer.status_code, answer.json()["error"]) == (401, "login_required")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "metrics.token" in answer.json()["detail"]
    assert (core.metrics.scrapes, core.metrics.refusals) == ([], 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X_Forwarded_For", "127.0.0.1"),
        ("X_Forwarded_For", "::1, 127.0.0.1"),
        ("X_Real_IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;proto=http"),
        ("Forwarded", 'for="[::1]:4711"'),
        ("X_Forwarded_For", ""),
    ],
)
async def test_no_header_makes_somebody_local(ask: Ask, name: str, value: str) -> None:
    """From far away it proves nothing; from this machine it tells of a proxy, behind which anybody may be."""
    for address in (FAR, "127.0.0.1"):
        answer = await ask(address, **{name: value})
        assert answer.status_code == 401, address


async def test_a_proxy_on_this_machine_hides_nobody(ask: Ask, core: Any) -> None:
    """Whoever comes through it needs the token as any other."""
    core.metrics.token = TOKEN
    assert (await ask("127.0.0.1", X_Forwarded_For=FAR)).status_code == 401
    assert (await ask("127.0.0.1", TOKEN, X_Forwarded_For=FAR)).status_code == 200


async def test_the_token_opens_from_anywhere(ask: Ask, core: Any) -> None:
    """And a wrong one does not, whatever it looks like; it is never in an answer."""
    core.metrics.token = TOKEN
    assert (await ask(FAR, TOKEN)).status_code == 200
    assert (await ask(FAR, Authorization=f"bearer   {TOKEN}")).status_code == 200
    answer = await ask(FAR, TOKEN[:-1])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert TOKEN[:-1] not in answer.text
    assert (await ask(FAR, Authorization=f"Basic {TOKEN}")).status_code == 401
    assert core.metrics.refusals == 2


async def test_a_wrong_token_is_refused_also_on_this_machine(ask: Ask, core: Any) -> None:
    """Who sends one means to be somebody: a mistake in the file of Prometheus is told at once."""
    core.metrics.token = TOKEN
    assert (await ask("127.0.0.1", "wrong")).status_code == 401


@pytest.mark.parametrize("user", ["boss", "guest"])
async def test_a_login_of_the_bridge_opens(ask: Ask, gate: Gate, core: Any, user: str) -> None:
    """Cookie and bearer token of any role, with and without a token in the configuration."""
    registry = gate.accounts.registry
    key, _ = gate.sessions.begin(registry.expect_account(user))
    record = new_record(user, "prometheus", Role.VIEWER, gate.clock.wall(), 1)
    gate.accounts.registry = registry.with_token(record, gate.clock.wall())
    token = write_token(record, registry.secret)
    for configured in ("", TOKEN):
        core.metrics.token = configured
        assert (await ask(FAR, Cookie=f"{COOKIE}={key}")).status_code == 200
        assert (await ask(FAR, token)).status_code == 200
    assert core.metrics.refusals == 0


async def test_guessing_is_slowed(ask: Ask, core: Any, clock: FakeClock) -> None:
    """As that of passwords: after some failures even the right one has to wait, and nobody else does."""
    core.metrics.token = TOKEN
    told = [(await ask(FAR, f"wrong-{number}")).status_code for number in range(6)]
    assert told == [401, 401, 401, 401, 401, 429]
    answer = await ask(FAR, TOKEN)
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_tries")
    assert int(answer.headers["retry-after"]) > 0
    assert (await ask(NEAR, TOKEN)).status_code == 200
    assert (await ask("127.0.0.1")).status_code == 200
    assert core.metrics.refusals == 7
    await clock.advance(2.0)
    assert (await ask(FAR, TOKEN)).status_code == 200


async def test_a_server_that_is_right_is_never_slowed(ask: Ask, core: Any) -> None:
    """Every few seconds, for years."""
    core.metrics.token = TOKEN
    assert {(await ask(FAR, TOKEN)).status_code for _ in range(100)} == {200}


async def test_without_a_token_there_is_none_to_guess(ask: Ask) -> None:
    """Tokens of the bridge are too long for that: nobody is kept from his login by a server with an old one."""
    assert {(await ask(FAR, "a.b.c")).status_code for _ in range(30)} == {401}


async def test_switched_off_there_is_nothing(ask: Ask, core: Any) -> None:
    """To nobody, and nobody learns more than of any other address that there is not."""
    core.metrics = None
    for address, token in (("127.0.0.1", ""), (FAR, ""), (FAR, TOKEN)):
        answer = await ask(address, token)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_the_answer_is_packed_where_it_can_be(ask: Ask, core: Any) -> None:
    """Prometheus takes gzip; a proxy must not keep what is of one moment."""
    plain = await ask("127.0.0.1", Accept_Encoding="identity", Accept="text/plain")
    packed = await ask("127.0.0.1", Accept_Encoding="gzip", Accept="text/plain")
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert plain.content == packed.content == core.metrics.text
    assert int(packed.headers["content-length"]) < len(core.metrics.text) / 2
    for answer in (plain, packed):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert core.metrics.scrapes == ["text/plain", "text/plain"]


async def test_the_type_is_the_one_that_was_made(ask: Ask) -> None:
    """To the letter: Prometheus goes by it."""
    answer = await ask("127.0.0.1", Accept="application/openmetrics-text")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; asked=28"


async def test_a_monitor_may_ask_for_the_head(ask: Ask) -> None:
    """As ``curl -I`` does."""
    answer = await ask("127.0.0.1", method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await ask("127.0.0.1", method="POST")).status_code == 405
