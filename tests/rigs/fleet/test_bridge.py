"""The simulated bridge against brokers that refuse, die and stay silent: it keeps what the service is to keep."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.fleet.bridge import Bridge, Site
from rigs.fleet.mqtt import Connection, Login, RefusedError, connect, next_packet, packet, publish_packet

PATIENCE_S = 60.0


@dataclass
class Broker:
    """A broker on loopback: takes connections and messages, and acknowledges while it is willing."""

    code: int = 0
    acknowledges: bool = True
    silent: bool = False
    """Ends a connection at its first word."""
    connects: list[bytes] = field(default_factory=list)
    published: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """First byte, topic and content."""
    address: tuple[str, int] = ("", 0)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        self.writers.append(writer)
        data = b""
        while got := await reader.read(65_536):
            data += got
            while (found := next_packet(data)) is not None:
                kind, body, used = found
                data = data[used:]
                writer.write(self.answer(kind, body))
                if self.silent:
                    writer.close()
        writer.close()

    def answer(self, kind: int, body: bytes) -> bytes:
        """Return what is said to a packet."""
        if kind == 0x10:
            self.connects.append(body)
            return bytes((0x20, 2, 0, self.code))
        if kind & 0xF0 == 0x30:
            end = 2 + int.from_bytes(body[:2], "big")
            self.published.append((kind, body[2:end].decode(), json.loads(body[end + 2 :])))
            return b"\x40\x02" + body[end : end + 2] if self.acknowledges else b""
        if kind == 0x82:
            return b"\x90\x03" + body[:2] + (b"\x80" if b"#" in body else b"\x00")
        return b"\xd0\x00" if kind == 0xC0 else b""

    def drop(self) -> None:
        """End every connection."""
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def broker(**options: Any) -> AsyncIterator[Broker]:
    """Run one."""
    made = Broker(**options)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = server.sockets[0].getsockname()[:2]
    try:
        yield made
    finally:
        made.drop()
        server.close()
        await server.wait_closed()


async def until(true: Callable[[], object]) -> None:
    """Wait for something that comes."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)


def bridge_at(*brokers: Broker) -> Bridge:
    """Return a bridge that knows these brokers."""
    site = Site("mill", "mill.1", "secret", [each.address for each in brokers], packs=1)
    return Bridge(site, 3, "fleet/mill/tinybms", 0.01, random.Random(1), period_s=0.05)


async def measured(bridge: Bridge, times: int) -> None:
    """Let a bridge publish what it measures so often."""
    left = times

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            measuring.cancel()

    measuring = asyncio.create_task(bridge.measure(float("inf"), count))
    await asyncio.wait([measuring], timeout=PATIENCE_S)
    assert measuring.cancelled()


async def test_a_bridge_says_who_it_is_and_numbers_its_messages() -> None:
    """Credential and will in CONNECT; one boot id, a number for each message over all topics, states retained."""
    async with broker() as one:
        bridge = bridge_at(one)
        living = asyncio.create_task(bridge.stay_connected())
        await until(lambda: bridge.connected)
        await measured(bridge, 3)
        await bridge.close(PATIENCE_S)
        living.cancel()

    assert b"mill.1" in one.connects[0]
    assert b"secret" in one.connects[0]
    assert b'"state":"offline"' in one.connects[0]
    kinds, topics, contents = zip(*one.published, strict=True)
    assert topics[0] == "fleet/mill/tinybms/status"
    assert {"fleet/mill/tinybms/battery/state", "fleet/mill/tinybms/packs/a/state"} <= set(topics)
    assert {content["boot"] for content in contents} == {bridge.boot}
    assert [content["seq"] for content in contents] == list(range(2, len(contents) + 2))
    assert set(kinds) == {0x33}
    assert bridge.unacknowledged == 0


async def test_what_was_not_acknowledged_goes_to_the_next_broker_as_it_was() -> None:
    """With its number and its time, below a topic of its own and not retained; the ledger has it once."""
    async with broker(acknowledges=False) as deaf, broker() as other:
        bridge = bridge_at(deaf, other)
        living = asyncio.create_task(bridge.stay_connected())
        await until(lambda: bridge.connected)
        await measured(bridge, 2)
        await until(lambda: len(deaf.published) >= 3)
        deaf.drop()
        await until(lambda: bridge.connections == 2 and not bridge.unacknowledged)
        await bridge.close(PATIENCE_S)
        living.cancel()

    first = {content["seq"]: content for _, _, content in deaf.published}
    again = {content["seq"]: (kind, topic, content) for kind, topic, content in other.published}
    assert first.keys() <= again.keys()
    for seq, content in first.items():
        kind, topic, repeated = again[seq]
        assert kind == 0x32
        assert topic.startswith("fleet/mill/tinybms/replay/")
        assert repeated == content
    assert {entry.seq for entry in bridge.ledger if entry.topic} == set(again)


async def test_an_acknowledgement_that_is_lost_makes_a_duplicate() -> None:
    """What the rig cuts on purpose: the broker has the message, and gets it again."""
    async with broker() as one:
        bridge = bridge_at(one)
        living = asyncio.create_task(bridge.stay_connected())
        await until(lambda: one.published)
        bridge.cut_next = True
        await measured(bridge, 2)
        await until(lambda: bridge.connections == 2 and not bridge.unacknowledged)
        await bridge.close(PATIENCE_S)
        living.cancel()

    numbers = [content["seq"] for _, _, content in one.published]
    assert len(numbers) > len(set(numbers))


async def test_a_broker_that_says_no_is_left_for_the_next() -> None:
    """It is counted, and nothing is taken for sent."""
    async with broker(code=5) as refusing, broker() as other:
        bridge = bridge_at(refusing, other)
        living = asyncio.create_task(bridge.stay_connected())
        await until(lambda: bridge.connected and not bridge.unacknowledged)
        await bridge.close(PATIENCE_S)
        living.cancel()

    assert bridge.refused == 1
    assert refusing.published == []


async def connected(one: Broker) -> Connection:
    """Return a connection to a broker."""
    return await connect(one.address, Login("a", "b", "c", "d", b""), lambda _: None, lambda: None)


async def test_a_refusal_has_its_code() -> None:
    """4 and 5 are credentials."""
    async with broker(code=5) as one:
        with pytest.raises(RefusedError, match="code 5"):
            await connected(one)


async def test_a_subscription_is_granted_or_not() -> None:
    """As the broker says."""
    async with broker() as one:
        made = await connected(one)

        assert await made.subscribe("own/topic")
        assert not await made.subscribe("all/#")
        made.disconnect()


@pytest.mark.parametrize("answer", [b"\x20\xff\xff\xff\xff\xff", b"\x20\xff\xff\xff\x7f", b"\x20\x00", b""])
async def test_what_is_no_mqtt_ends_the_connection(answer: bytes) -> None:
    """A web server on that port, for example."""
    async with broker() as one:
        one.answer = lambda kind, body: answer  # type: ignore[method-assign]
        one.silent = not answer
        with pytest.raises(OSError, match="closed the connection"):
            await connected(one)


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=5), st.integers(1, 7))
def test_packets_are_taken_apart_wherever_they_were_cut(messages: list[tuple[str, bytes]], step: int) -> None:
    """What is put together comes out again, piece by piece."""
    stream = b"".join(publish_packet(topic, body, 7, retain=True, duplicate=False) for topic, body in messages)
    data, found = b"", []
    for index in range(0, len(stream), step):
        data += stream[index : index + step]
        while (one := next_packet(data)) is not None:
            kind, body, used = one
            found.append(packet(kind, body))
            data = data[used:]

    assert b"".join(found) == stream
    assert data == b""
    assert len(found) == len(messages)
