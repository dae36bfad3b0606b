"""An application over a core that nobody looks at, with one administrator and one viewer, and clients for it."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from tinybms_bridge.hal.storage import MemoryStorage
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Accounts, AccountStore, Role
from tinybms_bridge.services.web.accounts.credentials import hash_password
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.problems import ProblemError
from tinybms_bridge.services.web.routes import ROUTERS
from tinybms_bridge.services.web.security import Admin, Facts, Viewer
from tinybms_bridge.services.web.security.gate import COOKIE, Gate
from tinybms_bridge.services.web.security.routes import SECURITY_ROUTERS
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.words import said

ADDRESS = ("192.168.1.7", 50000)


@pytest.fixture(scope="session", autouse=True)
def docstrings() -> None:
    """Read the texts of the document from the sources, once: a test that asks for it in an event loop must not."""
    app = FastAPI()
    for router in (*SECURITY_ROUTERS, *ROUTERS):
        app.include_router(router)
    app.openapi()


@pytest.fixture(scope="session")
def people() -> AccountRegistry:
    """An administrator ``boss`` ("correct horse") and a viewer ``guest`` ("battery staple")."""
    boss = Account("boss", Role.ADMIN, hash_password("correct horse"))
    return AccountRegistry((boss, Account("guest", Role.VIEWER, hash_password("battery staple"))))


@pytest.fixture
def storage(people: AccountRegistry) -> MemoryStorage:
    """The file of users."""
    storage = MemoryStorage()
    AccountStore(storage).update(lambda _: people)
    return storage


@pytest.fixture
def options() -> WebOptions:
    """The options of the application; a test may ask for others through ``make_app``."""
    return WebOptions(origins=("http://friend.example",))


@pytest.fixture
def routes() -> APIRouter:
    """One route for each right, and one with a bug."""
    router = APIRouter()

    @router.get("/api/thing")
    async def read(user: Viewer) -> dict[str, str]:
        return {"user": user.name, "via": user.via, "address": user.address}

    @router.post("/api/thing")
    async def write(user: Admin, value: dict[str, int]) -> dict[str, int]:
        return value

    @router.put("/api/filling")
    async def fill(user: Admin, facts: Facts, value: dict[str, int]) -> None:
        facts["count"] = len(value)
        if "code" in value:
            raise ProblemError(value["code"], "not_so", said("not like this"))
        if "bug" in value:
            raise ZeroDivisionError
        logging.getLogger("tinybms_bridge.audit").info("filled")

    @router.get("/api/bug")
    async def bug() -> None:
        raise ZeroDivisionError("a secret detail")

    return router


@pytest.fixture
def make_gate(clock: FakeClock) -> Iterator[Callable[[MemoryStorage, WebOptions], Gate]]:
    """Return a builder of a gate."""
    built: list[Gate] = []

    def build(storage: MemoryStorage, options: WebOptions) -> Gate:
        gate = Gate(Accounts(storage), clock, options)
        gate.accounts.registry = AccountStore(storage).read()
        built.append(gate)
        return gate

    yield build
    for gate in built:
        gate.accounts.close()


@pytest.fixture
def core(clock: FakeClock) -> Any:
    """As much of the bridge as an application without its routes needs."""
    bus = Bus(clock.monotonic, clock.wall)
    return SimpleNamespace(bus=bus, clock=clock, note=lambda event: bus.publish(event, "web"))


@pytest.fixture
def make_app(
    core: Any, make_gate: Callable[[MemoryStorage, WebOptions], Gate], storage: MemoryStorage, routes: APIRouter
) -> Callable[..., FastAPI]:
    """Return a builder of an application with other options or another file of users."""

    def build(options: WebOptions, users: MemoryStorage = storage) -> FastAPI:
        return create_app(core, options, gate=make_gate(users, options), routers=[routes])

    return build


@pytest.fixture
def app(make_app: Callable[..., FastAPI], options: WebOptions) -> FastAPI:
    """The application."""
    return make_app(options)


@pytest.fixture
def gate(app: FastAPI) -> Gate:
    """The gate of the application."""
    gate = app.state.gate
    assert isinstance(gate, Gate)
    return gate


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Return a builder of a client for an application, logged in as ``user`` by cookie, or as nobody."""
    async with AsyncExitStack() as stack:

        def build(app: FastAPI, user: str = "", scheme: str = "http") -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, client=ADDRESS)
            client = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://bridge.local", trust_env=False)
            if user:
                gate: Gate = app.state.gate
                key, session = gate.sessions.begin(gate.accounts.registry.expect_account(user))
                client.cookies.set(COOKIE, key, domain="bridge.local")
                client.headers["X-CSRF-Token"] = session.csrf
            stack.push_async_callback(client.aclose)
            return client

        yield build


@pytest.fixture
def nobody(app: FastAPI, connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client without a login."""
    return connect(app)


@pytest.fixture
def viewer(app: FastAPI, connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client logged in as the viewer."""
    return connect(app, "guest")


@pytest.fixture
def admin(app: FastAPI, connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client logged in as the administrator."""
    return connect(app, "boss")
