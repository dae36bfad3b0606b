"""Clients of the link."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.errors import ConfigError, ConfigProblem, LinkError
from tinybms_bridge.link.client import Backoff, Connection, LinkClient, open_link
from tinybms_bridge.link.commands import (
    ActOnDevice,
    ApplySettings,
    Configure,
    Reload,
    ResetStatistics,
    RestartPart,
    SetInhibit,
)
from tinybms_bridge.link.events import ChangeSource
from tinybms_bridge.link.mirror import Mirror
from tinybms_bridge.link.session import Caller
from tinybms_bridge.link.wire import (
    BranchChange,
    Bye,
    Call,
    CallAnswer,
    CallProgress,
    EventMessage,
    Hello,
    KeepAlive,
    LinkMessage,
    WholeState,
    encode,
)
from tinybms_bridge.tinybms.settings import ActionName, ActionResult, Outcome
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.link_place import EVENTS, Place, Rained, RawClient, Tank, Tree
from tinybms_lab.testing.words import said

Until = Callable[[Callable[[], object]], Awaitable[None]]
MakePlace = Callable[..., AbstractAsyncContextManager[Place]]

HELLO = Hello("1.0", "9.9", "core", "run", 0)


class FalseCore:
    """A core that says what it is told to say."""

    def __init__(self, path: Path, *sent: bytes) -> None:
        self.path = path
        self.sent = sent
        self.clients: list[RawClient] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say it."""
        client = RawClient(reader, writer)
        self.clients.append(client)
        client.send(*self.sent)
        with suppress(OSError):
            await writer.drain()
            await reader.read()
        client.abort()

    def hang_up(self) -> None:
        """Close every connection."""
        for client in self.clients:
            client.writer.close()


@asynccontextmanager
async def false_core(path: Path, *sent: bytes) -> AsyncIterator[FalseCore]:
    """Run one."""
    core = FalseCore(path, *sent)
    server = await asyncio.start_unix_server(core.serve, str(path))
    try:
        yield core
    finally:
        server.close()
        for client in core.clients:
            client.abort()
        await asyncio.sleep(0.01)


def new_mirror(clock: FakeClock) -> Mirror[Tree]:
    """Return a mirror that knows nothing yet."""
    return Mirror(Tree, EVENTS, clock.monotonic)


# one connection


async def test_command_line_has_the_state_at_once(here: Place) -> None:
    """Opened, the state is there; closed, it stays with its time."""
    here.server.publish("count", 5)
    mirror = here.mirror()

    async with open_link([here.path], mirror, here.clock, who="status") as link:
        assert link.mirror.state == Tree(count=5)
        assert link.mirror.connected
        assert link.core is not None
        assert link.core.program_version == "9.9"

    assert mirror.connected is False
    assert mirror.state == Tree(count=5)


async def test_changes_and_events_arrive(here: Place, until: Until) -> None:
    """As values of the program."""
    link = await here.connect()
    rains: list[object] = []
    changes: list[frozenset[str]] = []
    link.mirror.on_event(rains.append)
    link.mirror.on_change(changes.append)

    here.server.publish("tank", Tank(1.5))
    here.server.publish("tanks.a", Tank(2.5))
    here.server.publish_event("rained", Rained(3.0))
    await until(lambda: rains)

    assert link.mirror.state == Tree(Tank(1.5), {"a": Tank(2.5)})
    assert rains == [Rained(3.0)]
    assert changes == [{"tank", "tanks"}]


async def test_no_bridge_is_said_at_once(tmp_path: Path, clock: FakeClock) -> None:
    """With every place that was tried, and what was there."""
    (tmp_path / "file").touch()
    paths = [tmp_path / "nothing", tmp_path / "file"]

    with pytest.raises(LinkError) as caught:
        async with open_link(paths, new_mirror(clock), clock, who="status"):
            pass

    assert caught.value.reason == "no bridge runs here"
    assert caught.value.hint == f"tried {tmp_path}/nothing: not there; {tmp_path}/file: nobody listens"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "no permission; run as a user in the group of the service"),
        (errno.EPERM, "no permission; run as a user in the group of the service"),
        (errno.ENAMETOOLONG, "File name too long"),
    ],
)
async def test_place_that_cannot_be_opened_is_explained(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    """What a user can do about it, or the words of the system."""

    async def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", refuse)
    with pytest.raises(LinkError) as caught:
        async with open_link([tmp_path / "s"], new_mirror(clock), clock, who="status"):
            pass

    assert caught.value.hint == f"tried {tmp_path}/s: {told}"


async def test_first_that_listens_is_taken(here: Place, tmp_path: Path) -> None:
    """The places are tried in order."""
    async with open_link([tmp_path / "x", here.path], here.mirror(), here.clock, who="status") as link:
        assert link.mirror.connected


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ((encode(Hello("2.0")),), "the bridge cannot be talked to: it speaks version 2.0 of the link, this one 1.0"),
        ((encode(Bye("no room")),), "no room"),
        ((b"\xff\xff\xff\xff",), "the bridge sent what is no message: "),
        ((encode(WholeState(1, {})),), "the bridge said something before hello"),
        ((encode(HELLO), encode(Bye())), "the bridge closed the connection"),
    ],
)
async def test_core_that_cannot_be_talked_to_is_an_error(
    tmp_path: Path, clock: FakeClock, until: Until, sent: tuple[bytes, ...], message: str
) -> None:
    """In its own words where it has some."""
    async with false_core(tmp_path / "s", *sent) as core:

        async def hang_up() -> None:
            await until(lambda: core.clients)
            core.hang_up()

        hanging_up = asyncio.create_task(hang_up())
        with pytest.raises(LinkError) as caught:
            async with open_link([tmp_path / "s"], new_mirror(clock), clock, who="status"):
                pass
        await hanging_up

    assert caught.value.reason.startswith(message)


@pytest.mark.virtual_time
async def test_core_that_says_nothing_is_not_waited_for() -> None:
    """Something else may listen there, or it hangs."""
    clock = FakeClock()
    connection = Connection(new_mirror(clock), clock, "status", "")

    with pytest.raises(LinkError) as caught:
        await connection.ready()

    assert str(caught.value) == "the bridge does not answer (it hangs, or something else listens there)"
    assert connection.closed.result() == "said nothing"


async def test_silent_core_is_given_up(tmp_path: Path, until: Until) -> None:
    """It says every few seconds that it is there, and so does the client; else the connection is dead."""
    clock = FakeClock()
    async with (
        false_core(tmp_path / "s", encode(HELLO), encode(WholeState(1, {}))) as core,
        open_link([tmp_path / "s"], new_mirror(clock), clock, who="status") as link,
    ):
        await clock.advance(29)
        core.clients[0].send(encode(KeepAlive()))
        await asyncio.sleep(0.05)
        await clock.advance(29)
        assert not link.closed.done()
        await clock.advance(10)
        assert link.closed.result() == "the bridge said nothing for 30 s"


# commands


async def test_answer_is_of_the_type_of_the_command(here: Place) -> None:
    """And what is told on the way arrives before it."""

    async def act(command: ActOnDevice, caller: Caller) -> ActionResult:
        caller.progress("sent")
        return ActionResult(command.action, Outcome.WRITTEN, said("done"))

    here.server.handle(ActOnDevice, act)
    link = await here.connect()
    progress: list[object] = []

    answer = await link.call(ActOnDevice(ActionName.RESTART, confirm=True), on_progress=progress.append)

    assert answer == ActionResult(ActionName.RESTART, Outcome.WRITTEN, said("done"))
    assert progress == ["sent"]


async def test_error_of_the_core_is_raised_here(here: Place) -> None:
    """With every problem, as if it had been raised in this process."""

    async def refuse(command: Configure, _caller: Caller) -> None:
        raise ConfigError([ConfigProblem("a.b", command.values["a"], said("is odd"))], source=command.source)

    here.server.handle(Configure, refuse)
    link = await here.connect()

    with pytest.raises(ConfigError, match=r"api: a\.b = 5: is odd"):
        await link.call(Configure({"a": 5}, source=ChangeSource.API))


async def test_command_that_is_too_long_is_not_sent(here: Place) -> None:
    """The core would close the connection for it."""
    link = await here.connect()

    with pytest.raises(LinkError, match="configure cannot be sent: a message of "):
        await link.call(Configure({"a": "x" * 300_000}))

    assert here.server.traffic.commands == 0


async def test_answer_that_cannot_be_read_is_an_error(here: Place) -> None:
    """Of a core that understands something else by the same name."""

    async def answer(_command: object, _caller: Caller) -> dict[str, int]:
        return {"outcome": 5}

    here.server.handle(ActOnDevice, answer)
    link = await here.connect()

    with pytest.raises(LinkError, match=r"the answer of the bridge to device\.action cannot be read: action: is miss"):
        await link.call(ActOnDevice(ActionName.RESTART))


async def test_commands_beyond_the_room_wait_here(here: Place) -> None:
    """A page that asks for twenty things at once is served one after the other, not refused."""
    most = under_way = 0

    async def work(_command: object, _caller: Caller) -> None:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    here.server.handle(ResetStatistics, work)
    link = await here.connect()

    await asyncio.gather(*(link.call(ResetStatistics()) for _ in range(20)))

    assert most == 6
    assert here.server.traffic.busy == 0


async def test_what_is_urgent_waits_for_nothing_that_takes_long(here: Place, until: Until) -> None:
    """Charging can be stopped while the settings of sixteen BMS are read."""
    release = asyncio.Event()

    async def wait(_command: object, _caller: Caller) -> None:
        await release.wait()

    async def stop(command: SetInhibit, _caller: Caller) -> Inhibit:
        return Inhibit(command.direction, datetime(2026, 1, 1, tzinfo=UTC))

    here.server.handle(ResetStatistics, wait)
    here.server.handle(SetInhibit, stop)
    link = await here.connect()
    calling = [asyncio.create_task(link.call(ResetStatistics())) for _ in range(16)]
    await until(lambda: here.server.traffic.commands == 6)

    assert (await link.call(SetInhibit(Direction.CHARGE))).direction is Direction.CHARGE

    release.set()
    await asyncio.gather(*calling)
    assert here.server.traffic.busy == 0


async def test_time_for_an_answer_is_bounded(here: Place) -> None:
    """The connection goes on; a late answer is passed over."""
    release = asyncio.Event()

    async def wait(_command: object, _caller: Caller) -> None:
        await release.wait()

    here.server.handle(RestartPart, wait)
    here.server.handle(ResetStatistics, wait)
    link = await here.connect()

    with pytest.raises(LinkError) as caught:
        await link.call(RestartPart("x"), timeout_s=0.05)
    release.set()
    await link.call(ResetStatistics())

    assert caught.value.reason == "the bridge did not answer to part.restart within 0 s"
    assert caught.value.hint == "it may have been done all the same"


async def test_lost_connection_ends_what_is_waited_for(here: Place, until: Until) -> None:
    """At once, with the reason; and a later command is not sent at all."""

    async def wait(_command: object, _caller: Caller) -> None:
        await asyncio.Event().wait()

    here.server.handle(RestartPart, wait)
    link = await here.connect()
    calling = asyncio.create_task(link.call(RestartPart("x")))
    await until(lambda: here.server.traffic.commands)
    link.close("enough")

    with pytest.raises(LinkError, match=r"enough \(it may have been done all the same\)"):
        await calling
    with pytest.raises(LinkError, match="enough"):
        await link.call(ResetStatistics())


async def test_unexpected_words_of_the_core_are_passed_over(tmp_path: Path, clock: FakeClock, until: Until) -> None:
    """Answers to nothing, progress of nothing or of another form, events that nobody knows, types of a newer core."""
    sent: list[LinkMessage] = [
        HELLO,
        WholeState(1, {}),
        CallAnswer(99, 1),
        CallProgress(98, 1),
        EventMessage(2, "snowed", 1),
        BranchChange(3, "weather", 1),
        Call(1, "x"),
        BranchChange(4, "count", 7),
    ]
    async with (
        false_core(tmp_path / "s", *[encode(each) for each in sent]) as core,
        open_link([tmp_path / "s"], new_mirror(clock), clock, who="status") as link,
    ):
        await until(lambda: link.mirror.state.count == 7)
        calling = asyncio.create_task(link.call(ApplySettings({}), on_progress=lambda _value: None))
        await asyncio.sleep(0)
        core.clients[0].send(encode(CallProgress(1, {"odd": 1})), encode(CallAnswer(1, {"results": []})))
        assert (await calling).results == ()


# a client that stays


def test_delays_grow_up_to_a_bound() -> None:
    """And differ, so that clients do not come back in step."""
    longest, shortest = Backoff(0.2, 5.0, lambda: 1.0), Backoff(0.2, 5.0, lambda: 0.0)

    assert [longest.delay_s() for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [shortest.delay_s() for _ in range(3)] == [0.1, 0.2, 0.4]
    longest.reset()
    assert longest.delay_s() == 0.2


async def test_client_comes_back_with_what_it_has(
    make_place: MakePlace, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """The same core sends only what was missed; the state stays meanwhile, and the log says it once."""
    caplog.set_level(logging.INFO, "tinybms_bridge.link.client")
    clock = FakeClock()
    async with make_place(clock) as here:
        here.server.publish("tank", Tank(1.0))
        mirror = here.mirror()
        client = LinkClient([here.path], mirror, clock, who="services", backoff=Backoff(0.2, 5.0, lambda: 1.0))
        task = asyncio.create_task(client.run())
        await until(lambda: mirror.connected)
        first = mirror.state.tank

        await here.server.close()
        await until(lambda: not mirror.connected)
        assert mirror.state == Tree(Tank(1.0))
        here.server.publish("count", 2)
        with pytest.raises(LinkError, match=r"the bridge is not connected \(the bridge ends\)"):
            await client.call(ResetStatistics())
        for _ in range(30):
            await clock.advance(1)
            await asyncio.sleep(0.005)
        await here.server.start()
        for _ in range(10):
            await clock.advance(1)
            await asyncio.sleep(0.01)
        await until(lambda: mirror.connected)

        assert mirror.state == Tree(Tank(1.0), count=2)
        assert mirror.state.tank is first
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not mirror.connected
    absent = f"no bridge runs here (tried {here.path}: not there)"
    assert [record.getMessage() for record in caplog.records] == [
        "the bridge cannot be reached: the bridge ends; trying again until it answers",
        f"the bridge cannot be reached: {absent}; trying again until it answers",
        "the bridge answers again",
    ]


async def test_who_is_told_of_the_connection_may_call_at_once(make_place: MakePlace, until: Until) -> None:
    """What was missed is asked for as soon as the core is heard, and nobody has to try twice."""
    clock = FakeClock()
    async with make_place(clock) as here:

        async def reload(_command: object, _caller: Caller) -> dict[str, list[str]]:
            return {"changed": ["a.b"]}

        here.server.handle(Reload, reload)
        mirror = here.mirror()
        client = LinkClient([here.path], mirror, clock, who="services")
        answers: list[asyncio.Task[object]] = []

        async def ask() -> object:
            return (await client.call(Reload())).changed

        mirror.on_connection(lambda connected: answers.append(asyncio.create_task(ask())) if connected else None)
        task = asyncio.create_task(client.run())
        await until(lambda: answers)

        assert await answers[0] == ("a.b",)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(LinkError, match="the bridge is not connected"):
            await client.call(Reload())


async def test_new_core_is_believed_from_the_start(make_place: MakePlace, until: Until) -> None:
    """Nothing of the old one stays."""
    clock = FakeClock()
    async with make_place(clock) as here:
        here.server.publish("tank", Tank(1.0))
        mirror = here.mirror()
        client = LinkClient([here.path], mirror, clock, who="services")
        task = asyncio.create_task(client.run())
        await until(lambda: mirror.connected)
        await here.server.close()
        await until(lambda: not mirror.connected)
        second = here.new_server()
        await second.start()
        second.publish("count", 9)

        async def reload(_command: object, _caller: Caller) -> dict[str, list[str]]:
            return {"changed": ["a.b"]}

        second.handle(Reload, reload)
        await clock.advance(1)
        await until(lambda: mirror.connected)

        assert mirror.state == Tree(count=9)
        assert (await client.call(Reload())).changed == ("a.b",)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await second.close()


async def test_core_that_refuses_is_asked_again_more_and_more_slowly(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """A version that cannot be talked to stays one for a while; the log says it once."""
    clock = FakeClock()
    async with false_core(tmp_path / "s", encode(Hello("2.0"))) as core:
        backoff = Backoff(1.0, 4.0, lambda: 1.0)
        client = LinkClient([tmp_path / "s"], new_mirror(clock), clock, who="services", backoff=backoff)
        task = asyncio.create_task(client.run())
        await until(lambda: core.clients)
        for _ in range(16):
            await asyncio.sleep(0.03)
            await clock.advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert 1 < len(core.clients) <= 6
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1
