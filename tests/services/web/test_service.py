import asyncio
import contextlib
import gc
import itertools
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect as open_socket

from tinybms_bridge.core.supervisor import Supervisor
from tinybms_bridge.errors import BridgeError, ConfigError, LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.events import Noted, PartState
from tinybms_bridge.services.web import app as app_module
from tinybms_bridge.services.web.accounts import AccountRegistry, Accounts, AccountStore
from tinybms_bridge.services.web.connections import GuardedHttp, GuardedWebSocket
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.services.web.server import EmbeddedServer
from tinybms_bridge.services.web.service import WebService, WebState, bind
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.running_bridge import free_port

WAIT_S = 60.0
LOOPBACK = WebOptions(port=0, listen_address="127.0.0.1")
IMPATIENT = replace(LOOPBACK, head_timeout_s=0.3, stuck_timeout_s=0.3)
Start = Callable[..., contextlib.AbstractAsyncContextManager[WebService]]


@pytest.fixture
def routes() -> APIRouter:
    """A WebSocket that stays open, an answer larger than every buffer, and one for who may read."""
    router = APIRouter()

    @router.websocket("/ws")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text("x" * 50_000)
            await asyncio.sleep(0.001)

    @router.get("/api/large")
    async def large() -> str:
        return "x" * 20_000_000

    @router.get("/api/thing")
    async def read(user: Viewer) -> str:
        return user.address

    return router


@pytest.fixture
def said() -> list[str]:
    """What the service announces."""
    return []


@pytest.fixture
def start(
    core: Any, storage: MemoryStorage, routes: APIRouter, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Start:
    """Return a context manager that serves on a free port of the loopback."""
    monkeypatch.setattr(app_module, "_all_routers", lambda: (routes,))

    @contextlib.asynccontextmanager
    async def begin(options: WebOptions = LOOPBACK, users: MemoryStorage = storage) -> AsyncIterator[WebService]:
        service = WebService(core, options, users, SystemClock(), announce=said.append)
        task = asyncio.create_task(service.run())
        while service.port is None and not task.done():
            await asyncio.sleep(0.01)
        try:
            yield service
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return begin


async def raw(service: WebService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a bare connection to the service."""
    assert service.port is not None
    return await asyncio.open_connection("127.0.0.1", service.port, limit=1000)


async def get(service: WebService, path: str) -> httpx.Response:
    """Return an answer of the service."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{service.port}{path}")


async def test_it_serves_and_stops(start: Start) -> None:
    """And tells no one what it is made of."""
    async with start() as service:
        answer = await get(service, "/api/session")
        assert answer.json()["authenticated"] is False
        assert "server" not in answer.headers

    assert service.port is None


async def test_switched_off_it_listens_nowhere_and_loads_nothing(
    core: Any, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board without a network has no use for it, and 20 MB of memory for something else."""
    monkeypatch.setattr("tinybms_bridge.services.web.service.bind", lambda *_: pytest.fail("it listens"))
    service = WebService(core, replace(LOOPBACK, enabled=False), storage, SystemClock())
    running = asyncio.create_task(service.run())
    await asyncio.sleep(0.02)
    assert not running.done()
    assert service.port is None
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    service.close()


async def test_what_was_loaded_is_not_looked_at_again(start: Start) -> None:
    """A full collection over the whole web stack would stop the sender for a tenth of a second on a small board."""
    gc.unfreeze()
    async with start():
        assert gc.get_freeze_count() > 10_000
    gc.unfreeze()


async def test_it_leaves_the_signals_alone(start: Start) -> None:
    """SIGINT and SIGTERM belong to the bridge."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with start():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_the_first_start_shows_a_setup_token_once(start: Start, said: list[str]) -> None:
    """Not in the log, which may be read without a login."""
    async with start(users=MemoryStorage()):
        (text,) = said
        assert "setup token" in text
        assert "users add" in text


async def test_the_command_that_is_advised_works_on_the_same_users(
    core: Any, routes: APIRouter, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo has a state directory of its own; who sits at the terminal sees address, token and command too."""
    monkeypatch.setattr(app_module, "_all_routers", lambda: (routes,))
    command = "tinybms-bridge users --state-directory /state"
    service = WebService(
        core, LOOPBACK, MemoryStorage(), SystemClock(), announce=said.append, users_command=lambda: command
    )
    assert service.state == WebState("", "", command)
    task = asyncio.create_task(service.run())
    while service.port is None:
        await asyncio.sleep(0.001)
    state = service.state
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert f"\nMake one: {command} add NAME --role admin\n" in said[0]
    assert state.address.startswith("http://127.0.0.1:")
    assert state.address in said[0]
    assert f"web server: {state.setup_token}\n" in said[0]
    assert service.state.address == ""


async def shown(service: WebService, wanted: bool) -> str:
    """Return the setup token once there is one, or none."""
    while bool(service.state.setup_token) is not wanted:
        await asyncio.sleep(0.01)
    return service.state.setup_token


async def test_the_setup_token_is_gone_once_the_command_line_made_an_administrator(
    start: Start, said: list[str], people: AccountRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is there anew, and shown, when somebody removed the file of users."""
    monkeypatch.setattr("tinybms_bridge.services.web.service._REFRESH_S", 0.01)
    users = MemoryStorage()
    async with start(users=users) as service:
        first = await shown(service, True)
        await asyncio.to_thread(AccountStore(users).update, lambda _: people)
        assert await shown(service, False) == ""
        users.data = None
        while len(said) < 2:
            await asyncio.sleep(0.01)

    assert first
    assert first not in said[1]


async def test_a_state_directory_that_cannot_be_written_is_told_once(
    start: Start, said: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that could not make anybody an administrator is not shown; reading works."""
    monkeypatch.setattr("tinybms_bridge.services.web.service._REFRESH_S", 0.01)

    class Full(MemoryStorage):
        def write(self, data: bytes) -> None:
            self.writes += 1
            raise OSError(28, "No space left on device")

    users = Full()
    async with start(users=users) as service:
        while users.writes < 3:
            await asyncio.sleep(0.01)
        assert (await get(service, "/api/session")).json()["setup_required"] is True

    assert said == []
    assert caplog.text.count("there is no administrator, and none can be made") == 1
    assert "No space left on device" in caplog.text


async def test_the_token_is_not_logged(start: Start, said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """At no level."""
    caplog.set_level("DEBUG")
    async with start(users=MemoryStorage()):
        token = said[0].split("web server: ")[1].split("\n")[0]

    assert len(token) == 27
    assert token not in caplog.text
    assert "web server listens on http://127.0.0.1:" in caplog.text


async def test_with_an_administrator_no_token_is_shown(start: Start, said: list[str]) -> None:
    """There is nothing to set up."""
    async with start():
        assert said == []


async def test_sessions_and_the_setup_token_outlive_a_restart_of_the_service(
    core: Any, routes: APIRouter, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another port is no reason to log in again; the token is not printed at each try."""
    monkeypatch.setattr(app_module, "_all_routers", lambda: (routes,))
    service = WebService(core, LOOPBACK, MemoryStorage(), SystemClock(), announce=said.append)
    for _ in range(2):
        task = asyncio.create_task(service.run())
        while service.port is None or not said:
            assert not task.done()
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        service.options = replace(service.options, max_body_bytes=1000)

    assert len(said) == 1


async def test_a_port_in_use_is_told(core: Any, start: Start, storage: MemoryStorage) -> None:
    """With the key to change; the service ends and is tried again, the path goes on."""
    async with start() as service:
        other = WebService(core, replace(LOOPBACK, port=service.port or 0), storage, SystemClock())

        with pytest.raises(
            LinkError, match=r"port \d+ is in use by another program \(choose another one as web_server.port\)"
        ):
            await other.run()


async def test_a_port_of_another_bridge_is_told_once_and_had_when_it_is_free(
    core: Any, start: Start, storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """The part says why it does not run, is tried again with growing pauses, and nothing else notices."""
    clock = FakeClock()
    tries: list[float] = []
    supervisor = Supervisor(clock)
    port = free_port()
    with bind("127.0.0.1", port):
        service = WebService(core, replace(LOOPBACK, port=port), storage, SystemClock())

        async def serve() -> None:
            tries.append(clock.monotonic())
            await service.run()

        supervisor.add("web", serve)
        running = asyncio.create_task(supervisor.run())
        await clock.advance(300.0)
        part = supervisor.parts["web"]
        assert (part.state, part.error) == (
            PartState.FAILED,
            f"port {port} is in use by another program (choose another one as web_server.port)",
        )
    pauses_s = [after - before for before, after in itertools.pairwise(tries)]
    assert pauses_s[:3] == [pytest.approx(each, rel=0.25) for each in (0.5, 1.0, 2.0)]
    assert pauses_s[-1] == pytest.approx(30.0, rel=0.25)
    assert [record.message for record in caplog.records if "web failed" in record.message] == [
        f"web failed: {part.error}; it is started again"
    ]
    await clock.advance(40.0)
    async with asyncio.timeout(WAIT_S):
        while service.port is None:
            await asyncio.sleep(0.01)
    assert (service.port, part.state) == (port, PartState.RUNNING)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_starts_and_failures_leave_nothing_behind(core: Any, start: Start, storage: MemoryStorage) -> None:
    """A port that is refused for weeks must not make the bus, and so the path, slower with each try."""
    service = WebService(core, LOOPBACK, storage, SystemClock())
    before = core.bus.statistics().subscribers
    with bind("127.0.0.1", 0) as taken:
        service.options = replace(LOOPBACK, port=taken.getsockname()[1])
        for _ in range(5):
            with pytest.raises(LinkError):
                await service.run()
    for _ in range(2):
        service.options = LOOPBACK
        task = asyncio.create_task(service.run())
        while service.port is None:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert core.bus.statistics().subscribers == before
    service.close()
    assert core.bus.statistics().subscribers == 0


async def test_a_refused_port_costs_no_application(core: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The try is repeated for ever: it stops before the web stack is imported and built."""
    monkeypatch.setattr(WebService, "_prepare", lambda *_: pytest.fail("an application was built"))
    with bind("127.0.0.1", 0) as taken:
        options = replace(LOOPBACK, port=taken.getsockname()[1])
        with pytest.raises(LinkError):
            await WebService(core, options, MemoryStorage(), SystemClock()).run()


async def test_what_is_followed_outlives_a_restart(
    core: Any, start: Start, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledgements, beginnings and history belong to the service, not to one start of the server."""
    service = WebService(core, LOOPBACK, storage, SystemClock())
    seen: list[object] = []
    build = app_module.create_app

    def remember(*arguments: Any, **options: Any) -> Any:
        app = build(*arguments, **options)
        seen.append(app.state.watch)
        return app

    monkeypatch.setattr(app_module, "create_app", remember)
    for _ in range(2):
        task = asyncio.create_task(service.run())
        while service.port is None:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert seen == [service.watch, service.watch]


@pytest.mark.parametrize("bad", ["port", "certificate"])
async def test_settings_that_cannot_be_used_leave_those_that_worked(
    core: Any, start: Start, storage: MemoryStorage, bad: str
) -> None:
    """An edit of the file with a mistake must not lock the user out; log and event list say what is wrong."""
    async with start() as service:
        pass
    with bind("127.0.0.1", 0) as taken:
        wrong = {"port": taken.getsockname()[1]} if bad == "port" else {"certificate": "/nowhere", "key": "/nowhere"}
        service.options = replace(LOOPBACK, **wrong)
        task = asyncio.create_task(service.run())
        while service.port is None:
            assert not task.done() or task.result()
            await asyncio.sleep(0.001)
        assert (await get(service, "/api/session")).status_code == 200
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    noted = core.bus.latest(Noted)
    assert noted.event.code == "web.settings"
    assert ("is in use" if bad == "port" else "tls_certificate") in noted.event.text


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"port": True}, "web_server.port"),
        ({"listen_address": "192.0.2.1"}, "web_server.listen_address"),
        ({"certificate": "/nowhere", "key": "/nowhere"}, "web_server.tls_certificate"),
    ],
)
async def test_a_change_that_cannot_work_is_known_before(start: Start, wrong: dict[str, Any], path: str) -> None:
    """The port that is taken, the address of another machine, the certificate that is not there."""
    async with start() as service:
        with bind("127.0.0.1", 0) as taken:
            options = {"port": taken.getsockname()[1]} if "port" in wrong else wrong
            with pytest.raises(ConfigError) as caught:
                await asyncio.to_thread(service.check, replace(LOOPBACK, **options))

    assert caught.value.problems[0].path == path


async def test_a_change_that_works_is_accepted(start: Start) -> None:
    """Also the port that the server has itself, on another address."""
    async with start() as service:
        assert service.port is not None
        service.options = replace(LOOPBACK, port=service.port)
        for options in (service.options, replace(service.options, listen_address=""), replace(LOOPBACK, port=0)):
            await asyncio.to_thread(service.check, options)
        assert (await get(service, "/api/session")).status_code == 200


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (13, r"port 80 is not permitted \(choose one above 1023 as web_server.port"),
        (1, "is not permitted"),
        (99, "this machine does not have the address 10.9.9.9"),
        (97, "port 80 cannot be opened"),
    ],
)
def test_each_reason_not_to_listen_has_its_advice(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    """Port 80 without the right is the usual one."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "reason")

    monkeypatch.setattr("socket.create_server", fail)

    with pytest.raises(LinkError, match=words):
        bind("10.9.9.9", 80)


@pytest.mark.parametrize("address", ["", "127.0.0.1"])
def test_an_empty_address_means_every_interface(address: str) -> None:
    """IPv4 reaches it in both cases."""
    with bind(address, 0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])) as client:
        assert client.getpeername()[1] == listener.getsockname()[1]


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    """Nagle's algorithm would add 40 ms to each answer of a connection that is used again."""
    with (
        bind("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as one,
    ):
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_it_stops_while_browsers_are_connected(start: Start) -> None:
    """With an open WebSocket, an idle socket and one that never reads: it waits two seconds for them, not for ever."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        async with start() as service:
            await stack.enter_async_context(
                open_socket(f"ws://127.0.0.1:{service.port}/ws", proxy=None, close_timeout=0.1)
            )
            for head in (b"", b"GET /api/large HTTP/1.1\r\nHost: h\r\n\r\n"):
                _, writer = await raw(service)
                stack.callback(writer.close)
                writer.write(head)
            await asyncio.sleep(0.1)
            begun_s = loop.time()

        assert loop.time() - begun_s < WAIT_S


async def test_a_connection_without_a_request_is_cut(start: Start) -> None:
    """A thousand idle sockets leave on their own."""
    async with start(IMPATIENT) as service:
        reader, writer = await raw(service)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()


async def test_many_idle_sockets_do_not_keep_others_out(start: Start) -> None:
    """They cost a place each until their deadline, nothing else."""
    async with start() as service:
        idle = [await raw(service) for _ in range(200)]
        async with asyncio.timeout(WAIT_S):
            assert (await get(service, "/api/session")).status_code == 200
        for _, writer in idle:
            writer.close()


async def test_a_head_that_drips_is_cut(start: Start) -> None:
    """Each byte must not give it more time."""
    async with start(IMPATIENT) as service:
        reader, writer = await raw(service)
        with contextlib.suppress(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nX-A: " + b"a" * 100:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
        assert reader.at_eof() or reader.exception() is not None
        writer.close()


async def test_a_second_request_that_drips_is_cut(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was good once is not trusted for ever."""
    protocols: list[GuardedHttp] = []
    begin = GuardedHttp.connection_made

    def made(protocol: GuardedHttp, transport: asyncio.Transport) -> None:
        protocols.append(protocol)
        begin(protocol, transport)

    monkeypatch.setattr(GuardedHttp, "connection_made", made)
    async with start() as service:
        reader, writer = await raw(service)
        writer.write(b"GET /api/session HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), WAIT_S)
        protocols[0]._head._delay_s = IMPATIENT.head_timeout_s  # not before: the first request may be late
        writer.write(b"GET / HT")
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()

        assert (await get(service, "/api/session")).status_code == 200


@pytest.mark.parametrize(
    "head", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000]
)
async def test_what_is_no_http_gets_a_problem_document(start: Start, head: bytes) -> None:
    """Also a head that is too long."""
    async with start() as service:
        reader, writer = await raw(service)
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert answer.endswith(b'"error": "invalid_http"}')


async def test_too_many_connections_are_turned_away(start: Start) -> None:
    """The newest one learns it; the others go on."""
    async with start(replace(LOOPBACK, max_connections=3)) as service:
        kept = [await raw(service) for _ in range(3)]
        reader, writer = await raw(service)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        kept[0][1].write(b"GET /api/session HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(kept[0][0].readline(), WAIT_S)
        for _, each in [*kept, (reader, writer)]:
            each.close()

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"too_many_connections" in answer


async def test_another_machine_finds_a_connection(start: Start) -> None:
    """One that holds all connections loses one to another; it can come again, and is turned away."""
    async with start(replace(LOOPBACK, max_connections=3)) as service:
        kept = [await raw(service) for _ in range(3)]
        assert service.port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, local_addr=("127.0.0.66", 0))
        writer.write(b"GET /api/session HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), WAIT_S)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(kept[2][0].read(), WAIT_S) == b""
        kept[0][1].write(b"GET /api/session HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(kept[0][0].readline(), WAIT_S)
        again, again_writer = await raw(service)
        assert b"503" in await asyncio.wait_for(again.readline(), WAIT_S)
        for each in (*(pair[1] for pair in kept), writer, again_writer):
            each.close()


@pytest.mark.parametrize("path", ["/api/large", "/ws"])
async def test_a_client_that_never_reads_is_cut(start: Start, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not hold memory for ever, neither over HTTP nor over a WebSocket."""
    cut = asyncio.Event()

    def noted(lost: Callable[..., None]) -> Callable[..., None]:
        def note(protocol: object, error: Exception | None) -> None:
            lost(protocol, error)
            cut.set()

        return note

    for kind in (GuardedHttp, GuardedWebSocket):
        monkeypatch.setattr(kind, "connection_lost", noted(kind.connection_lost))
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    received = 0
    async with start(replace(IMPATIENT, head_timeout_s=WAIT_S)) as service:
        reader, writer = await raw(service)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n{upgrade if path == '/ws' else ''}\r\n".encode())
        await asyncio.wait_for(cut.wait(), WAIT_S)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(WAIT_S):
                while data := await reader.read(1_000_000):
                    received += len(data)
        writer.close()

    assert 0 < received < 19_000_000


async def test_a_user_added_by_the_command_line_can_log_in(
    start: Start, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running bridge looks at the file again."""
    monkeypatch.setattr("tinybms_bridge.services.web.service._REFRESH_S", 0.05)
    users = MemoryStorage()
    async with start(users=users) as service:
        assert (await get(service, "/api/setup")).json()["required"] is True
        users.data = storage.data
        async with asyncio.timeout(WAIT_S):
            while (await get(service, "/api/setup")).json()["required"]:
                await asyncio.sleep(0.05)


async def test_a_file_that_breaks_meanwhile_is_told_once(
    start: Start, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The users known so far stay."""
    monkeypatch.setattr("tinybms_bridge.services.web.service._REFRESH_S", 0.02)
    async with start() as service:
        storage.data = b"{"
        async with asyncio.timeout(WAIT_S):
            while "cannot be read" not in caplog.text:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert (await get(service, "/api/setup")).json()["required"] is False

    assert sum("cannot be read" in message for message in caplog.messages) == 1


async def test_a_wrong_certificate_stops_the_service_with_its_key(core: Any, storage: MemoryStorage) -> None:
    """And not the bridge."""
    service = WebService(core, replace(LOOPBACK, certificate="/nowhere"), storage, SystemClock())

    with pytest.raises(ConfigError, match=r"web_server\.tls_key"):
        await service.run()


async def test_a_damaged_file_of_users_stops_the_service_at_its_start(core: Any) -> None:
    """Nobody can set up a new administrator over users who are still in the file."""
    service = WebService(core, LOOPBACK, MemoryStorage(b"{"), SystemClock())

    with pytest.raises(BridgeError, match="users in memory cannot be read"):
        await service.run()


@pytest.mark.parametrize("part", ["main_loop", "refresh"])
async def test_a_part_that_breaks_ends_the_service(
    core: Any, storage: MemoryStorage, routes: APIRouter, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """The supervisor shows it and starts it again; the port is free then."""
    monkeypatch.setattr(app_module, "_all_routers", lambda: (routes,))
    monkeypatch.setattr("tinybms_bridge.services.web.service._REFRESH_S", 0.01)
    service = WebService(core, LOOPBACK, storage, SystemClock())
    calls = 0

    async def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if part == "main_loop" or calls > 1:
            raise ZeroDivisionError

    target = EmbeddedServer if part == "main_loop" else Accounts
    monkeypatch.setattr(target, part, fail)

    with pytest.raises(ZeroDivisionError):
        await service.run()
    assert service.port is None


async def test_a_server_that_ends_on_its_own_is_a_failure(
    core: Any, storage: MemoryStorage, routes: APIRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not be taken for a service that has done its work."""

    async def end(_: object) -> None:
        return

    monkeypatch.setattr(app_module, "_all_routers", lambda: (routes,))
    monkeypatch.setattr(EmbeddedServer, "main_loop", end)

    with pytest.raises(LinkError, match="ended on its own"):
        await WebService(core, LOOPBACK, storage, SystemClock()).run()


async def test_an_end_does_not_wait_for_the_next_look(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks seldom, and is woken when it has to stop."""
    monkeypatch.setattr("tinybms_bridge.services.web.server._DATE_S", 3600.0)
    monkeypatch.setattr("tinybms_bridge.services.web.service._STOP_TIMEOUT_S", 3600.0)
    async with asyncio.timeout(WAIT_S):
        async with start() as service:
            assert service.port is not None
    assert service.port is None


async def test_answers_have_the_date_of_their_second(start: Start) -> None:
    """It is made once for all of them, again and again."""
    async with start() as service, asyncio.timeout(WAIT_S):
        first = (await get(service, "/api/session")).headers["date"]
        while (await get(service, "/api/session")).headers["date"] == first:
            await asyncio.sleep(0.1)


async def test_it_speaks_tls_with_its_own_certificate(start: Start, tmp_path: Path) -> None:
    """On request."""
    options = replace(LOOPBACK, self_signed=True, certificate_directory=tmp_path)
    async with start(options) as service:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=str(tmp_path / "web-certificate.pem"))
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            answer = await client.get(f"https://127.0.0.1:{service.port}/api/session")

    assert answer.status_code == 200


def test_importing_the_service_loads_no_web_framework() -> None:
    """The first CAN frame goes out before it."""
    code = (
        "import sys, tinybms_bridge.services.web.service, tinybms_bridge.services.web.accounts\n"
        "print(sorted({'fastapi', 'starlette', 'uvicorn', 'jwt', 'websockets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_users_survive_the_service(core: Any, storage: MemoryStorage) -> None:
    """Building a service writes nothing."""
    before = storage.writes
    WebService(core, LOOPBACK, storage, SystemClock())

    assert storage.writes == before
    assert AccountStore(storage).read().has_admin


@pytest.mark.parametrize(
    "order", [b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4"]
)
async def test_a_request_with_two_lengths_ends_the_connection(start: Start, order: bytes) -> None:
    """What comes behind it is never taken for a second request."""
    async with start() as service:
        reader, writer = await raw(service)
        smuggled = b"GET /api/session HTTP/1.1\r\nHost: h\r\n\r\n"
        writer.write(b"POST /api/login HTTP/1.1\r\nHost: h\r\n" + order + b"\r\n\r\n0\r\n\r\n" + smuggled)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [(None, 200), ("192.168.1.5", 200), ("203.0.113.9", 401), ("192.168.1.5, 203.0.113.9", 401), ("nonsense", 401)],
)
async def test_a_proxy_on_this_machine_opens_reading_to_nobody_far(
    start: Start, forwarded: str | None, status: int
) -> None:
    """Over a real socket, where the address of the proxy gives way to the one that it names."""
    async with start() as service, httpx.AsyncClient(trust_env=False) as client:
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        answer = await client.get(f"http://127.0.0.1:{service.port}/api/thing", headers=headers)

    assert answer.status_code == status


async def test_interfaces_are_known_once_it_serves(start: Start, core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour with an address of the Internet reads from the beginning."""
    monkeypatch.setattr(
        "tinybms_bridge.services.web.security.origin.Neighbourhood._is_near",
        lambda near, _: near._on_link != frozenset(),
    )
    async with start() as service:
        assert (await get(service, "/api/thing")).status_code == 200
