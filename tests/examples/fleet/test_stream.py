"""Taking messages from the durable consumer, whatever nodes answer; and what stream and consumer are to be."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from examples.fleet.stream import Pull, consumer_settings, prepare, replicas, stream_settings

from examples.fleet import stream


class NatsError(Exception):
    """What stands for the errors of nats-py, which is not there."""


@pytest.fixture(autouse=True)
def fixture_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module know them."""
    monkeypatch.setattr(stream, "_errors", lambda: NatsError)


def delivered(number: int, waiting: int = 0) -> SimpleNamespace:
    """Return a message as nats-py hands it over."""
    sequence = SimpleNamespace(stream=number)
    about = SimpleNamespace(sequence=sequence, timestamp=datetime(2027, 1, 15, 8, tzinfo=UTC), num_pending=waiting)
    subject = "$MQTT.msgs.fleet.mill.tinybms.battery.state"
    return SimpleNamespace(subject=subject, data=b"{}", reply=f"$JS.ACK.{number}", metadata=about, headers=None)


def status(code: str, words: str = "") -> SimpleNamespace:
    """Return what a node says in place of a message."""
    return SimpleNamespace(reply="", headers={"Status": code} | ({"Description": words} if words else {}))


@dataclass
class Nodes:
    """Nodes that answer each request with what is in a list."""

    answers: list[list[Any]] = field(default_factory=list)
    api: dict[str, Any] = field(default_factory=dict)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    _callback: Callable[[Any], Awaitable[None]] | None = None

    def new_inbox(self) -> str:
        """Return a subject."""
        return "_INBOX.1"

    async def subscribe(self, _subject: str, *, cb: Callable[[Any], Awaitable[None]]) -> None:
        """Keep who wants the answers."""
        if self.broken:
            raise NatsError("connection closed")
        self._callback = cb

    async def publish(self, subject: str, payload: bytes = b"", reply: str = "") -> None:
        """Take a request or an acknowledgement."""
        if self.broken:
            raise NatsError("connection closed")
        self.published.append((subject, payload))
        if reply and self.answers and self._callback:
            for each in self.answers.pop(0):
                await self._callback(each)

    async def request(self, subject: str, payload: bytes = b"", timeout: float = 0.5) -> SimpleNamespace:  # noqa: ASYNC109
        """Answer as the API of JetStream does."""
        name = subject.removeprefix("$JS.API.")
        self.asked.append(name)
        answer = self.api.get(name, {"error": {"description": "stream not found", "err_code": 10059}})
        if name.startswith(("STREAM.CREATE", "STREAM.UPDATE")):
            self.api[f"STREAM.INFO.{name.split('.', 2)[2]}"] = {"config": json.loads(payload)}
            answer = {}
        return SimpleNamespace(data=json.dumps({} if name.startswith("CONSUMER") else answer).encode())

    def jetstream(self) -> None:
        """Nothing of that is used."""

    async def close(self) -> None:
        """End it."""


async def test_a_batch_ends_when_it_is_full_or_nothing_more_comes() -> None:
    """Entries have the subject of the bridge; what a node says is none of them."""
    nodes = Nodes([[delivered(1, 1), delivered(2)], [delivered(3), status("408", "Request Timeout")]])
    pull = Pull(nodes, batch=2)

    first, second = await pull.fetch(), await pull.fetch()

    assert [entry.number for entry in first] == [1, 2]
    assert [entry.number for entry in second] == [3]
    assert first[0].subject == "fleet.mill.tinybms.battery.state"
    assert first[0].arrived_ms == 1_800_000_000_000
    assert first[0].waiting == 1
    assert json.loads(nodes.published[0][1]) == {"batch": 2, "expires": 10**9}


@pytest.mark.virtual_time
async def test_nothing_to_take_is_no_failure() -> None:
    """A second without messages, as a quiet fleet has it."""
    assert await Pull(Nodes([[status("404", "No Messages")]])).fetch() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([status("503")], "503 nobody leads it at present"),
        ([status("409", "Leadership Change\nmore")], "409 Leadership Change"),
        ([], "no node answers for the consumer"),
    ],
)
async def test_nodes_without_a_leader_are_a_failure_that_takes_time(answer: list[Any], said: str) -> None:
    """A refusal comes at once, and asking again at once would only keep them busy."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    with pytest.raises(ConnectionError, match=said.replace("?", ".")):
        await Pull(Nodes([answer])).fetch()

    assert loop.time() - begun_s >= 0.25


@pytest.mark.virtual_time
async def test_messages_that_came_before_a_node_died_are_used() -> None:
    """They were delivered, and would come again only after a while."""
    pull = Pull(Nodes([[delivered(1)], [delivered(2), status("409", "Leadership Change")]]))

    assert [entry.number for entry in await pull.fetch()] == [1]
    assert [entry.number for entry in await pull.fetch()] == [2]


@pytest.mark.virtual_time
async def test_a_connection_that_is_closed_is_a_failure_as_any_other() -> None:
    """No exception of a library gets out, from taking or from acknowledging."""
    nodes = Nodes([[delivered(1), status("408")]])
    pull = Pull(nodes)
    entries = await pull.fetch()
    nodes.broken = True

    await pull.acknowledge(entries)
    with pytest.raises(ConnectionError, match="connection closed"):
        await pull.fetch()

    nodes.broken = False
    nodes.published.clear()
    await pull.acknowledge(entries)
    await pull.give_back(entries)
    assert nodes.published == [("$JS.ACK.1", b"+ACK"), ("$JS.ACK.1", b"-NAK")]


async def test_the_stream_is_made_once_and_then_changed() -> None:
    """Repeating the command changes nothing; other days change that alone."""
    nodes = Nodes(api={"STREAM.NAMES": {"streams": []}})
    settings = stream_settings(7.0, 50.0, compress=True)

    assert await prepare(nodes, settings) == "made"
    assert await prepare(nodes, settings) == "as it should be"
    assert await prepare(nodes, settings | {"max_age": 1}) == "changed: max_age"
    assert nodes.asked.count("CONSUMER.DURABLE.CREATE.$MQTT_msgs.fleet") == 3
    assert not [name for name in nodes.asked if "DELETE" in name]


async def test_everything_is_delivered_again_on_wish() -> None:
    """The durable consumer is begun anew, and the stream left alone."""
    nodes = Nodes(api={"STREAM.NAMES": {"streams": []}})
    await prepare(nodes, stream_settings(7.0, 50.0, compress=True))

    done = await prepare(nodes, stream_settings(7.0, 50.0, compress=True), again=True)

    assert done == "as it should be; everything in it is delivered again"
    assert nodes.asked[-2:] == ["CONSUMER.DELETE.$MQTT_msgs.fleet", "CONSUMER.DURABLE.CREATE.$MQTT_msgs.fleet"]


async def test_streams_of_mqtt_with_too_few_replicas_get_more() -> None:
    """Sessions and retained messages on two nodes of three are lost to all with one of them."""
    config = {"name": "$MQTT_sess", "num_replicas": 2}
    nodes = Nodes(
        api={
            "STREAM.NAMES": {"streams": ["$MQTT_sess", "$MQTT_msgs", "OTHER"]},
            "STREAM.INFO.$MQTT_sess": {"config": config},
        }
    )

    done = await prepare(nodes, stream_settings(7.0, 50.0, compress=True))

    assert done == "made; $MQTT_sess has 3 replicas now"
    assert nodes.api["STREAM.INFO.$MQTT_sess"]["config"]["num_replicas"] == 3


@pytest.mark.parametrize(
    ("cluster", "count"),
    [
        ({"leader": "a", "replicas": [{"current": True}, {"current": True}]}, 3),
        ({"leader": "a", "replicas": [{"current": True, "offline": True}, {"current": False}]}, 1),
        ({"leader": "", "replicas": None}, 0),
    ],
)
async def test_nodes_that_have_everything_are_counted(cluster: dict[str, Any], count: int) -> None:
    """One that is behind or away is none; when nobody answers nothing is said."""
    name = f"STREAM.INFO.{stream.STREAM}"

    assert await replicas(Nodes(api={name: {"cluster": cluster}})) == count
    assert await replicas(Nodes()) is None


def test_the_stream_keeps_what_was_acknowledged_to_a_bridge() -> None:
    """Three replicas on disk, for all its days: only then may a database be filled again from it."""
    settings = stream_settings(7.0, 50.0, compress=False)

    assert settings["name"] == "$MQTT_msgs"
    assert (settings["retention"], settings["storage"], settings["num_replicas"]) == ("limits", "file", 3)
    assert settings["max_age"] == 7 * 86_400 * 10**9
    assert settings["compression"] == "none"
    assert consumer_settings()["ack_policy"] == "explicit"
    assert consumer_settings()["max_deliver"] == -1
