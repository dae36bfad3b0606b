"""``/api/services``: how each service stands, for readers, and its trial, for administrators."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.state import ServiceCondition, ServiceState
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role
from tinybms_bridge.services.web.security.gate import COOKIE, Gate
from tinybms_bridge.words import Message, message

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NO_ANSWER = message("mqtt.no_answer", timeout_s=10.0)
WHY = message("mqtt.broker_failed", broker="mqtt://boat:1883", reason=NO_ANSWER)
WORKED = message("mqtt.tried", broker="mqtt://boat:1883")


@dataclass
class Service:
    """A service as the test has it; counts how often it was tried."""

    now: ServiceState
    answer: Message | Exception = WORKED
    tried: int = 0

    def state(self) -> ServiceState:
        """See ``WatchedService``."""
        return self.now

    async def test(self) -> Message:
        """See ``WatchedService``."""
        self.tried += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Services:
    """MQTT in trouble, and one that nobody has words for, off."""

    mqtt: Service = field(
        default_factory=lambda: Service(
            ServiceState(
                "mqtt",
                ServiceCondition.TROUBLE,
                since=AT,
                where="mqtt://boat:1883",
                message=WHY,
                last_error=WHY,
                last_error_at=AT,
                counters={"published": 12, "dropped": 0},
                testable=True,
            )
        )
    )
    other: Service = field(default_factory=lambda: Service(ServiceState("unheard_of")))


@pytest.fixture
def services(core: Any) -> Services:
    """The services of the bridge."""
    made = Services()
    core.watched = {"mqtt": made.mqtt, "unheard_of": made.other}
    return made


@pytest.fixture
async def log_in(app: FastAPI) -> AsyncIterator[Callable[[Role], httpx.AsyncClient]]:
    """Return a function that gives a client with a session of that role; ``as_admin`` would go past the door."""
    gate: Gate = app.state.gate
    users = (Account("boss", Role.ADMIN, "h1"), Account("guest", Role.VIEWER, "h2"))
    gate.accounts.registry = AccountRegistry(users, (), gate.accounts.registry.secret)
    async with AsyncExitStack() as clients:

        def build(role: Role) -> httpx.AsyncClient:
            key, session = gate.sessions.begin(next(each for each in users if each.role is role))
            return httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://bridge.test",
                headers={"Cookie": f"{COOKIE}={key}", "X-CSRF-Token": session.csrf},
            )

        made = {role: await clients.enter_async_context(build(role)) for role in Role}
        yield made.__getitem__


@pytest.fixture
def audited(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what gives the lines of the audit."""
    caplog.set_level(logging.INFO, "tinybms_bridge.audit")
    return lambda: [each.getMessage() for each in caplog.records if each.name == "tinybms_bridge.audit"]


async def test_how_each_stands(visitor: httpx.AsyncClient, services: Services) -> None:
    """For everybody who may read: condition, why not, last error, counters, name; those that are off, too."""
    mqtt, other = (await visitor.get("/api/services")).json()["services"]

    assert (mqtt["name"], mqtt["title"], mqtt["condition"]) == ("mqtt", "MQTT", "trouble")
    assert (mqtt["where"], mqtt["since"]) == ("mqtt://boat:1883", "2026-01-02T03:04:05Z")
    assert mqtt["message"]["text"] == "mqtt://boat:1883: the broker does not answer within 10 s"
    assert (mqtt["last_error"]["code"], mqtt["last_error_at"]) == ("mqtt.broker_failed", "2026-01-02T03:04:05Z")
    assert mqtt["counters"] == {"published": 12, "dropped": 0}
    assert mqtt["testable"] is True
    assert (other["title"], other["condition"], other["message"]) == ("unheard_of", "off", None)
    assert services.mqtt.tried == 0


async def test_in_french(visitor: httpx.AsyncClient, services: Services) -> None:
    """Every sentence that people read, however deep; codes stay."""
    mqtt = (await visitor.get("/api/services?lang=fr")).json()["services"][0]

    for told in (mqtt["message"], mqtt["last_error"]):
        assert NO_ANSWER.say("fr") in told["text"]
        assert told["text"] == WHY.say("fr") != WHY.text
        assert told["code"] == "mqtt.broker_failed"


async def test_without_any(visitor: httpx.AsyncClient) -> None:
    """Nothing is listed, which is no error."""
    assert (await visitor.get("/api/services")).json() == {"services": []}


async def test_a_trial_that_succeeds(
    log_in: Callable[[Role], httpx.AsyncClient], services: Services, audited: Callable[[], list[str]]
) -> None:
    """What happened, in the language of who asks; and who asked is written down."""
    answer = await log_in(Role.ADMIN).post("/api/services/mqtt/test?lang=fr")

    assert answer.status_code == 200
    told = answer.json()
    assert told["success"] is True
    assert told["message"]["code"] == "mqtt.tried"
    assert told["message"]["text"] == WORKED.say("fr") != WORKED.text
    (line,) = audited()
    assert line.startswith("POST /api/services/mqtt/test by boss")
    assert line.endswith("service=mqtt, success=True")


async def test_a_trial_that_fails_says_why(
    log_in: Callable[[Role], httpx.AsyncClient], services: Services, audited: Callable[[], list[str]]
) -> None:
    """It is an answer, not an error of the request: the reason is what somebody asked for."""
    services.mqtt.answer = LinkError(WHY)
    answer = await log_in(Role.ADMIN).post("/api/services/mqtt/test")

    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert answer.json()["message"]["text"] == WHY.text
    assert audited()[0].endswith("service=mqtt, success=False")
    french = (await log_in(Role.ADMIN).post("/api/services/mqtt/test?lang=fr")).json()
    assert french["message"]["text"] == WHY.say("fr")


async def test_a_trial_that_breaks_is_an_error_of_the_bridge(client: httpx.AsyncClient, services: Services) -> None:
    """A mistake of the program is no answer of the broker, and what it says stays in the log."""
    services.mqtt.answer = ValueError("hush of the program")
    answer = await client.post("/api/services/mqtt/test")

    assert (answer.status_code, answer.json()["success"]) == (500, False)
    assert "hush" not in answer.text


async def test_only_an_administrator_tries(log_in: Callable[[Role], httpx.AsyncClient], services: Services) -> None:
    """Who reads sees how each stands, but may not have messages sent to others."""
    guest = log_in(Role.VIEWER)
    seen = await guest.get("/api/services")
    answer = await guest.post("/api/services/mqtt/test")

    assert len(seen.json()["services"]) == 2
    assert (answer.status_code, answer.json()["error"]) == (403, "admin_required")
    assert services.mqtt.tried == 0


async def test_a_name_that_there_is_not(client: httpx.AsyncClient, services: Services) -> None:
    """A problem document that names it; nothing is tried."""
    answer = await client.post("/api/services/telepathy/test")

    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_service")
    assert "telepathy" in answer.json()["message"]
    assert services.mqtt.tried == services.other.tried == 0
