import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.services.web.accounts import AccountRegistry, Accounts, AccountStore, Role
from tinybms_bridge.services.web.accounts.credentials import new_record, write_token
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security.gate import Gate
from tinybms_lab.testing.fake_clock import FakeClock

Connect = Callable[..., httpx.AsyncClient]
BOSS = {"username": "boss", "password": "correct horse"}
GUEST = {"username": "guest", "password": "battery staple"}
ANN = {"username": "Ann", "password": "a fair password"}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem."""
    return answer.status_code, answer.json()["error"]


@pytest.fixture
def empty(make_app: Callable[..., FastAPI]) -> FastAPI:
    """An application without users."""
    return make_app(WebOptions(), MemoryStorage())


async def setup_token(app: FastAPI) -> str:
    """Return the setup token of an application without an administrator."""
    accounts: Accounts = app.state.gate.accounts
    await accounts.offer_setup()
    return accounts.registry.setup_token


async def test_the_setup_token_makes_the_first_administrator(empty: FastAPI, connect: Connect) -> None:
    """Who is logged in at once; the token is void then."""
    client, token = connect(empty), await setup_token(empty)
    assert (await client.get("/api/setup")).json()["required"] is True

    made = await client.post("/api/setup", json={**ANN, "token": token})
    client.headers["X-CSRF-Token"] = made.json()["csrf_token"]

    assert (made.status_code, made.json()["user"], made.json()["role"]) == (201, "ann", "admin")
    assert (await client.post("/api/thing", json={"a": 1})).status_code == 200
    assert (await client.get("/api/setup")).json()["required"] is False
    again = await connect(empty).post("/api/setup", json={**BOSS, "token": token})
    assert refusal(again) == (409, "setup_done")


async def test_a_wrong_setup_token_is_slowed(empty: FastAPI, connect: Connect) -> None:
    """Guessing it is braked like a password."""
    await setup_token(empty)
    answers = [await connect(empty).post("/api/setup", json={**ANN, "token": "0" * 24}) for _ in range(6)]

    assert [refusal(answer) for answer in answers] == [(403, "wrong_setup_token")] * 5 + [(429, "too_many_tries")]


async def test_a_weak_password_does_not_use_the_setup_token_up(empty: FastAPI, connect: Connect) -> None:
    """One may try again."""
    token = await setup_token(empty)
    weak = await connect(empty).post("/api/setup", json={"username": "ann", "password": "short", "token": token})
    good = await connect(empty).post("/api/setup", json={**ANN, "token": token})

    assert refusal(weak) == (422, "weak_password")
    assert good.status_code == 201


async def test_with_an_administrator_there_is_no_setup(nobody: httpx.AsyncClient, gate: Gate) -> None:
    """Not even with a token."""
    await gate.accounts.offer_setup()
    answer = await nobody.post("/api/setup", json={**ANN, "token": gate.accounts.registry.setup_token or "x"})

    assert refusal(answer) == (409, "setup_done")
    assert gate.accounts.registry.setup_token == ""


async def test_a_token_of_the_command_line_counts_at_once(empty: FastAPI, connect: Connect) -> None:
    """``users setup-token`` may have made it a moment ago, before the bridge looks at the file again."""
    store = empty.state.gate.accounts._store
    token = (await asyncio.to_thread(store.update, AccountRegistry.with_setup_token)).setup_token
    assert empty.state.gate.accounts.registry.setup_token == ""

    assert (await connect(empty).post("/api/setup", json={**ANN, "token": token})).status_code == 201


async def test_a_token_of_the_command_line_reads_at_once(
    app: FastAPI, nobody: httpx.AsyncClient, storage: MemoryStorage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line of a script; a revoked one is not looked for at each request, a forged one never."""
    record = new_record("boss", "script", Role.ADMIN, clock.wall(), 1)
    registry = await asyncio.to_thread(
        AccountStore(storage).update, lambda registry: registry.with_token(record, clock.wall())
    )
    reads: list[None] = []
    refresh = app.state.gate.accounts.refresh

    async def counted() -> None:
        reads.append(None)
        await refresh()

    monkeypatch.setattr(app.state.gate.accounts, "refresh", counted)
    nobody.headers["Authorization"] = f"Bearer {write_token(record, registry.secret)}"
    assert (await nobody.get("/api/thing")).json()["user"] == "boss"
    assert len(reads) == 1

    await app.state.gate.accounts.edit(lambda registry: registry.without_token(record.id))
    answers = [await nobody.get("/api/thing") for _ in range(5)]
    assert {refusal(answer) for answer in answers} == {(401, "invalid_token")}
    await clock.advance(1.0)
    assert refusal(await nobody.post("/api/thing", json={"a": 1})) == (401, "invalid_token")
    assert len(reads) == 2
    nobody.headers["Authorization"] = f"Bearer {write_token(record, b'x' * 32)}"
    await clock.advance(1.0)
    assert refusal(await nobody.get("/api/thing")) == (401, "invalid_token")
    assert len(reads) == 2


async def test_a_failed_setup_that_no_guess_caused_is_no_failed_try(empty: FastAPI, connect: Connect) -> None:
    """Ten weak passwords in a row do not lock the newcomer out."""
    token = await setup_token(empty)
    weak = [{"username": "ann", "password": "short", "token": token}] * 10

    answers = [await connect(empty).post("/api/setup", json=body) for body in weak]

    assert {refusal(answer) for answer in answers} == {(422, "weak_password")}


async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(nobody: httpx.AsyncClient) -> None:
    """HttpOnly and SameSite=Strict; the session tells its CSRF token."""
    answer = await nobody.post("/api/login", json=BOSS)
    cookie = answer.headers["set-cookie"].lower()

    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in cookie
    assert answer.json()["csrf_token"] == (await nobody.get("/api/session")).json()["csrf_token"] != ""
    assert "correct horse" not in answer.text


async def test_over_tls_the_cookie_is_for_tls_only(app: FastAPI, connect: Connect) -> None:
    """It must not leak over plain HTTP to the same name."""
    answer = await connect(app, scheme="https").post("/api/login", json=BOSS)

    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("body", [{**BOSS, "password": "wrong"}, {**BOSS, "username": "nobody"}])
async def test_a_wrong_login_does_not_tell_what_was_wrong(nobody: httpx.AsyncClient, body: dict[str, str]) -> None:
    """Neither which users exist."""
    answer = await nobody.post("/api/login", json=body)

    assert refusal(answer) == (401, "wrong_login")
    assert answer.json()["message"] == "the user name or the password is wrong"
    assert "set-cookie" not in answer.headers


async def test_guessing_is_slowed_and_says_for_how_long(nobody: httpx.AsyncClient, clock: FakeClock) -> None:
    """After five mistakes even the right password has to wait."""
    for _ in range(5):
        await nobody.post("/api/login", json={**BOSS, "password": "wrong"})

    slowed = await nobody.post("/api/login", json=BOSS)
    await clock.advance(float(slowed.headers["retry-after"]))

    assert refusal(slowed) == (429, "too_many_tries")
    assert (await nobody.post("/api/login", json=BOSS)).status_code == 200


async def test_a_thousand_logins_at_once_check_five_passwords(
    nobody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is refused without any work; the loop goes on."""
    checked: list[str] = []

    def refuse(password: str, _: str) -> bool:
        checked.append(password)
        return False

    monkeypatch.setattr("tinybms_bridge.services.web.accounts.accounts.matches", refuse)

    answers = await asyncio.gather(*(nobody.post("/api/login", json={**BOSS, "password": "wrong"}) for _ in range(200)))

    assert len(checked) == 5
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_a_neighbour_who_guesses_does_not_keep_the_owner_out(app: FastAPI, connect: Connect) -> None:
    """An attacker behind the same proxy fails until it has to wait; the owner on another machine logs in."""
    attacker, owner = connect(app), connect(app)
    attacker.headers["X-Forwarded-For"], owner.headers["X-Forwarded-For"] = "10.1.1.66", "10.1.1.7"
    answers = [await attacker.post("/api/login", json={**BOSS, "password": f"guess {n}"}) for n in range(20)]

    assert refusal(answers[-1]) == (429, "too_many_tries")
    assert (await owner.post("/api/login", json=BOSS)).status_code == 200


async def test_a_browser_that_logged_in_before_gets_in(app: FastAPI, connect: Connect) -> None:
    """Even when the attacker has the address of the owner, and after a logout; a new browser has to wait there."""
    owner, attacker = connect(app), connect(app)
    assert (await owner.post("/api/login", json=BOSS)).status_code == 200
    await owner.post("/api/logout")
    for number in range(20):
        await attacker.post("/api/login", json={**BOSS, "password": f"guess {number}"})

    assert refusal(await connect(app).post("/api/login", json=BOSS)) == (429, "too_many_tries")
    assert (await owner.post("/api/login", json=BOSS)).status_code == 200


async def test_the_cookie_of_a_device_is_no_login(nobody: httpx.AsyncClient) -> None:
    """It opens nothing, goes to the login alone, and no script can read it."""
    cookies = (await nobody.post("/api/login", json=BOSS)).headers.get_list("set-cookie")
    (device,) = [each for each in cookies if each.startswith("tinybms_device=")]
    assert {"HttpOnly", "SameSite=strict", "Path=/api/login"} <= set(device.split("; "))

    await nobody.post("/api/logout")

    assert (await nobody.get("/api/session")).json()["authenticated"] is False


async def test_strangers_do_not_keep_who_is_logged_in_from_changing_the_password(
    admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    """While somebody guesses from the same address the owner may change the password, which is what helps."""
    for number in range(20):
        await nobody.post("/api/login", json={**BOSS, "password": f"guess {number}"})
    body = {"current": "correct horse", "new": "another long sentence"}

    assert (await admin.post("/api/password", json=body)).status_code == 200


async def test_a_stolen_session_cannot_guess_the_password(admin: httpx.AsyncClient) -> None:
    """Whoever is logged in has as few tries as anybody."""
    bodies = [{"current": f"guess {number}", "new": "another long sentence"} for number in range(7)]
    answers = [await admin.post("/api/password", json=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2


@pytest.mark.parametrize("cookie", ["", "x.y", "\xff.\xfe", "a" * 5000])
async def test_a_forged_device_is_a_stranger(nobody: httpx.AsyncClient, cookie: str) -> None:
    """It gets no tries of its own, and nothing fails."""
    headers = {b"Cookie": f"tinybms_device={cookie}".encode("latin-1")}
    answers = [await nobody.post("/api/login", json={**BOSS, "password": "wrong"}, headers=headers) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@pytest.mark.parametrize("path", ["/api/login", "/api/setup", "/api/logout"])
async def test_another_page_cannot_log_a_browser_in_or_out(nobody: httpx.AsyncClient, path: str) -> None:
    """Logging somebody in as somebody else is an attack too."""
    answer = await nobody.post(path, json={**BOSS, "token": "x"}, headers={"Origin": "http://evil.example"})

    assert refusal(answer) == (403, "other_site")


async def test_after_logout_the_session_is_gone_on_the_server(nobody: httpx.AsyncClient) -> None:
    """A copy of the cookie is worth nothing."""
    await nobody.post("/api/login", json=BOSS)
    copy = dict(nobody.cookies)

    await nobody.post("/api/logout")
    nobody.cookies.update(copy)

    assert (await nobody.get("/api/session")).json()["authenticated"] is False


async def test_the_session_tells_what_a_page_needs(viewer: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
    """Whether to show the login, the setup, and buttons that change something."""
    known, unknown = (await viewer.get("/api/session")).json(), (await nobody.get("/api/session")).json()

    assert (known["authenticated"], known["user"], known["role"]) == (True, "guest", "viewer")
    assert (unknown["authenticated"], unknown["user"], unknown["csrf_token"]) == (False, "", "")
    assert (unknown["open_reading"], unknown["setup_required"]) == (True, False)


async def test_users_change_their_own_password(viewer: httpx.AsyncClient, app: FastAPI, connect: Connect) -> None:
    """With the current one; other browsers of the user are out, this one stays."""
    other = connect(app, "guest")

    wrong = await viewer.post("/api/password", json={"current": "wrong", "new": "another password"})
    right = await viewer.post("/api/password", json={"current": GUEST["password"], "new": "another password"})

    assert refusal(wrong) == (401, "wrong_login")
    assert right.json()["authenticated"] is True
    assert (await viewer.get("/api/session")).json()["user"] == "guest"
    assert (await other.get("/api/session")).json()["authenticated"] is False


async def test_an_administrator_manages_users(
    admin: httpx.AsyncClient, nobody: httpx.AsyncClient, storage: MemoryStorage
) -> None:
    """Add, change, list, remove; the file has it at once."""
    added = await admin.post("/api/users", json=ANN)
    changed = await admin.patch("/api/users/ann", json={"role": "admin", "password": "another password"})

    assert (added.status_code, added.json()) == (201, {"name": "ann", "role": "viewer"})
    assert changed.json() == {"name": "ann", "role": "admin"}
    assert [user["name"] for user in (await admin.get("/api/users")).json()["users"]] == ["boss", "guest", "ann"]
    assert (await nobody.post("/api/login", json={**ANN, "password": "another password"})).status_code == 200
    assert (await admin.delete("/api/users/Ann")).json()["success"] is True
    assert AccountStore(storage).read().account("ann") is None


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/api/users", BOSS, (409, "user_exists")),
        ("POST", "/api/users", {**ANN, "username": "a/b"}, (422, "bad_name")),
        ("POST", "/api/users", {**ANN, "password": "short"}, (422, "weak_password")),
        ("POST", "/api/users", {**ANN, "role": "root"}, (422, "invalid_payload")),
        ("POST", "/api/users", {**ANN, "rank": "admin"}, (422, "invalid_payload")),
        ("PATCH", "/api/users/nobody", {"role": "admin"}, (404, "unknown_user")),
        ("PATCH", "/api/users/boss", {"role": "viewer"}, (409, "last_admin")),
        ("DELETE", "/api/users/boss", None, (409, "last_admin")),
        ("DELETE", "/api/users/nobody", None, (404, "unknown_user")),
        ("DELETE", "/api/tokens/nothing", None, (404, "unknown_token")),
        ("POST", "/api/tokens", {"label": "x", "days": 0}, (422, "invalid_payload")),
        ("POST", "/api/tokens", {"label": "x", "days": True}, (422, "invalid_payload")),
        ("POST", "/api/tokens", {"label": "two\nlines"}, (422, "bad_label")),
    ],
)
async def test_what_cannot_be_done_is_told(
    admin: httpx.AsyncClient, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    """Each with a code of its own."""
    assert refusal(await admin.request(method, path, json=body)) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/users"), ("POST", "/api/users"), ("PATCH", "/api/users/x"), ("DELETE", "/api/users/x")],
)
async def test_only_administrators_see_and_change_users(
    nobody: httpx.AsyncClient, viewer: httpx.AsyncClient, method: str, path: str
) -> None:
    """Also while reading is open."""
    body = {**ANN} if method == "POST" else {"role": "admin"}

    assert refusal(await nobody.request(method, path, json=body)) == (401, "login_required")
    assert refusal(await viewer.request(method, path, json=body)) == (403, "admin_required")


async def test_a_token_works_until_it_is_revoked(viewer: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
    """And is shown once."""
    made = (await viewer.post("/api/tokens", json={"label": "grafana", "days": 30})).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await nobody.get("/api/thing", headers=headers)).json()["user"] == "guest"
    listed = await viewer.get("/api/tokens")
    assert made["token"] not in listed.text
    assert [token["label"] for token in listed.json()["tokens"]] == ["grafana"]

    await viewer.delete(f"/api/tokens/{made['id']}")

    assert refusal(await nobody.get("/api/thing", headers=headers)) == (401, "invalid_token")


async def test_a_token_cannot_make_another_one(admin: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
    """Whoever got hold of one could go on for ever."""
    token = (await admin.post("/api/tokens", json={"label": "x", "role": "admin"})).json()["token"]

    answer = await nobody.post("/api/tokens", json={"label": "y"}, headers={"Authorization": f"Bearer {token}"})

    assert refusal(answer) == (403, "session_required")


async def test_a_viewer_cannot_make_a_token_for_more(viewer: httpx.AsyncClient) -> None:
    """Asking for an administrator's token gives a viewer's."""
    assert (await viewer.post("/api/tokens", json={"label": "x", "role": "admin"})).json()["role"] == "viewer"


async def test_a_viewer_neither_sees_nor_revokes_other_tokens(
    viewer: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """An administrator does both."""
    of_admin = (await admin.post("/api/tokens", json={"label": "boss"})).json()["id"]
    of_viewer = (await viewer.post("/api/tokens", json={"label": "guest"})).json()["id"]

    assert [token["id"] for token in (await viewer.get("/api/tokens")).json()["tokens"]] == [of_viewer]
    assert refusal(await viewer.delete(f"/api/tokens/{of_admin}")) == (404, "unknown_token")
    assert len((await admin.get("/api/tokens")).json()["tokens"]) == 2
    assert (await admin.delete(f"/api/tokens/{of_viewer}")).status_code == 200


async def test_a_disk_that_fails_is_told(admin: httpx.AsyncClient, storage: MemoryStorage) -> None:
    """The user is not there then, neither in memory."""

    def fail(data: bytes) -> None:
        raise OSError("disk full")

    storage.write = fail  # type: ignore[method-assign]  # a disk that breaks while the bridge runs
    answer = await admin.post("/api/users", json=ANN)

    assert refusal(answer) == (503, "unavailable")
    assert len((await admin.get("/api/users")).json()["users"]) == 2


async def test_no_secret_reaches_the_log(
    admin: httpx.AsyncClient, nobody: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither passwords nor tokens, at the most talkative level."""
    caplog.set_level("DEBUG")
    await nobody.post("/api/login", json={**BOSS, "password": "opensesame1"})
    await nobody.post("/api/login", json=BOSS)
    await admin.post("/api/users", json=ANN)
    await admin.patch("/api/users/ann", json={"password": "opensesame2"})
    made = (await admin.post("/api/tokens", json={"label": "x"})).json()["token"]

    for secret in ("opensesame", "correct horse", ANN["password"], made, made.split(".")[2]):
        assert secret not in caplog.text
    assert "login of boss from 192.168.1.7 accepted" in caplog.text


@pytest.mark.parametrize("by", ["user", "administrator"])
async def test_another_password_ends_the_tokens_of_the_user(
    viewer: httpx.AsyncClient, admin: httpx.AsyncClient, nobody: httpx.AsyncClient, by: str
) -> None:
    """Made by whoever knew the old one; those of others go on."""
    headers = [
        {"Authorization": f"Bearer {(await client.post('/api/tokens', json={'label': 'x'})).json()['token']}"}
        for client in (viewer, admin)
    ]
    if by == "user":
        answer = await viewer.post("/api/password", json={"current": GUEST["password"], "new": "another password"})
    else:
        answer = await admin.patch("/api/users/guest", json={"password": "another password"})

    assert answer.status_code == 200
    assert refusal(await nobody.get("/api/thing", headers=headers[0])) == (401, "invalid_token")
    assert (await nobody.get("/api/thing", headers=headers[1])).json()["user"] == "boss"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/tokens", {"label": "y"}),
        ("POST", "/api/users", {**ANN, "role": "admin"}),
        ("POST", "/api/users", ANN),
        ("PATCH", "/api/users/guest", {"role": "admin"}),
        ("PATCH", "/api/users/guest", {"password": "another password"}),
        ("PATCH", "/api/users/boss", {"password": "another password"}),
        ("POST", "/api/password", {"current": BOSS["password"], "new": "another password"}),
    ],
)
async def test_a_token_makes_nothing_that_outlives_it(
    admin: httpx.AsyncClient, nobody: httpx.AsyncClient, storage: MemoryStorage, method: str, path: str, body: object
) -> None:
    """A stolen token of an administrator, once revoked, has left neither a user nor a password nor a token."""
    token = (await admin.post("/api/tokens", json={"label": "x", "role": "admin"})).json()["token"]
    before = AccountStore(storage).read()

    answer = await nobody.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})

    assert refusal(answer) == (403, "session_required")
    assert AccountStore(storage).read() == before


@pytest.mark.parametrize(
    ("name", "logged"), [("Boss", "Boss"), ("correct horse", "an unknown user"), ("b" * 32, "an unknown user")]
)
async def test_what_was_typed_for_a_name_is_not_logged(
    nobody: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, name: str, logged: str
) -> None:
    """People type the password where the name belongs; a script may write whatever it likes into the log there."""
    answer = await nobody.post("/api/login", json={"username": name, "password": "wrong password"})

    assert refusal(answer) == (401, "wrong_login")
    assert caplog.messages == [f"login of {logged} from 192.168.1.7 refused"]


async def test_a_page_far_away_is_told_that_reading_is_not_open(app: FastAPI, connect: Connect) -> None:
    """It shows the login then."""
    answer = await connect(app).get("/api/session", headers={"X-Forwarded-For": "203.0.113.9"})

    assert answer.json()["open_reading"] is False


async def test_a_password_is_judged_while_it_is_typed(empty: FastAPI, connect: Connect) -> None:
    """By the rules of the server, in the language of the page, without a login, and nothing is kept of it."""
    client = connect(empty)
    idea = {"username": "ann", "password": "short"}
    judged = await client.post("/api/password/judge", params={"lang": "fr"}, json=idea)
    good = await client.post("/api/password/judge", json=ANN)

    assert judged.json() == {
        "good": False,
        "code": "password.short",
        "text": "Il manque 5 caractères : 10 au moins",
    }
    assert good.json()["good"] is True
