"""Services that may be wanted: made when they are, made anew for other options, off otherwise."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tinybms_bridge.app.extras import Extra
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.core.supervisor import Supervisor
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.link.state import ServiceCondition
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message
from tinybms_lab.testing.fake_clock import FakeClock


def configured(**keys: Any) -> Configuration:
    """Return a configuration of MQTT."""
    return interpret({"mqtt": keys}, "test").configuration


class Service:
    """A service that does nothing, or fails."""

    made: list["Service"]
    fails = False

    def __init__(self, root: str, standing: ServiceStanding) -> None:
        self.root, self.ended = root, False
        standing.starting(root)
        type(self).made.append(self)

    async def run(self) -> None:
        """Run until cancelled."""
        if type(self).fails:
            raise LinkError(message("mqtt.lost"))
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True

    async def test(self) -> Message:
        """Say how it is called."""
        return message("said", text=self.root)


@pytest.fixture
def supervisor(clock: FakeClock) -> Supervisor:
    """Runs the parts of the test."""
    Service.made, Service.fails = [], False
    return Supervisor(clock)


@pytest.fixture
def extra(clock: FakeClock, supervisor: Supervisor) -> Extra[str]:
    """A service that is wanted with MQTT, under its root topic."""
    return Extra(
        "mqtt",
        supervisor,
        clock,
        in_place,
        lambda config: config.mqtt.root_topic if config.mqtt.enabled else None,
        Service,
    )


async def settle(clock: FakeClock) -> None:
    """Let everything happen that is due."""
    for _ in range(10):
        await asyncio.sleep(0)
    await clock.advance(0.0)


async def test_service_follows_what_is_wanted(extra: Extra[str], supervisor: Supervisor, clock: FakeClock) -> None:
    """Off costs nothing; on it is made; other options make another one; keys of others change nothing."""
    extra.begin(configured())
    task = asyncio.create_task(supervisor.run())
    try:
        await settle(clock)
        assert Service.made == []
        assert extra.state().condition is ServiceCondition.OFF
        with pytest.raises(LinkError, match="MQTT: off"):
            await extra.test()
        extra.take_up(configured(enabled=True, root_topic="a"))
        await settle(clock)
        assert [each.root for each in Service.made] == ["a"]
        assert (await extra.test()).text == "a"
        extra.take_up(configured(enabled=True, root_topic="a", keepalive_seconds=60))
        await settle(clock)
        assert len(Service.made) == 1
        extra.take_up(configured(enabled=True, root_topic="b"))
        await settle(clock)
        assert [(each.root, each.ended) for each in Service.made] == [("a", True), ("b", False)]
        extra.take_up(configured())
        await settle(clock)
        assert Service.made[-1].ended
        assert extra.state().condition is ServiceCondition.OFF
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_service_that_fails_is_shown_and_started_again(
    extra: Extra[str], supervisor: Supervisor, clock: FakeClock
) -> None:
    """Its trouble is that of the service, and the supervisor goes on with it alone."""
    Service.fails = True
    extra.begin(configured(enabled=True))
    task = asyncio.create_task(supervisor.run())
    try:
        await settle(clock)
        assert extra.state().condition is ServiceCondition.TROUBLE
        Service.fails = False
        await clock.advance(5.0)
        await settle(clock)
        assert len(Service.made) >= 2
        assert not Service.made[-1].ended
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
