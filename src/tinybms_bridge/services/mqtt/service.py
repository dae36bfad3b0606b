"""MQTT: battery and packs at a broker, once a second, and what the broker asks for.

What is made goes to the broker while there is one; else, or when the broker does not confirm it, into the spool, which
is replayed under ``<root>/replay/`` beside the live messages, so that nobody takes an old state for the present one.
"""

import asyncio
import logging
import random
import ssl
from collections import deque
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import aiomqtt

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock, until_tick_s
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.services.mqtt.announced import Announced, load_announced, save_announced
from tinybms_bridge.services.mqtt.connection import (
    Broker,
    BrokerMessage,
    brokers_of,
    connected,
    received,
    tls_context,
    together,
    trouble_of,
)
from tinybms_bridge.services.mqtt.discovery import Announcement, PackDevice, devices
from tinybms_bridge.services.mqtt.options import MqttOptions
from tinybms_bridge.services.mqtt.orders import NAMES, Orders
from tinybms_bridge.services.mqtt.publications import EVENTS, Publication, Publications
from tinybms_bridge.services.mqtt.spool import KeptMessage, Spool
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["MqttService"]

log = logging.getLogger(__name__)

_LATEST_WAIT_S = 60.0
"""Longest pause between two rounds of attempts."""
_FLUSH_S = 10.0
"""How often what waits in memory is written to the disk: a power cut costs so much of it."""
_SAVE_S = 600.0
_TOGETHER = 100
"""Messages of the spool that are under way at once."""
_MOST_QUEUED = 2000
"""Live messages that wait for a broker that is slow; the oldest then go into the spool."""
_TEST_TIMEOUT_S = 15.0
_TWIN_S = 150.0
"""Another bridge under the same root says every minute that it is there; without a word for so long it is gone."""


class MqttService:
    """Publishes to the brokers of one configuration.

    Args:
        core: The bridge.
        options: What is wanted.
        standing: Where it tells how it stands.
        memory: What has been announced.
        run_blocking: Runs what blocks.

    """

    def __init__(
        self,
        core: Core,
        options: MqttOptions,
        standing: ServiceStanding,
        memory: Storage,
        run_blocking: RunBlocking,
    ) -> None:
        self._core = core
        self._options = options
        self._config = options.mqtt
        self._standing = standing
        self._counters = standing.counters
        self._memory = memory
        self._run_blocking = run_blocking
        self._clock: Clock = core.clock
        self._root = self._config.root_topic
        most_bytes = self._config.spool_mb * 1_000_000 if self._config.enabled else 0
        self._spool = Spool(options.folder, most_bytes, run_blocking)
        self._publications = Publications(core, self._config)
        self._orders = Orders(core, run_blocking, self._counters)
        self._saved = Announced()
        self._queue: deque[Publication] = deque()
        self._unconfirmed: dict[int, Publication] = {}
        self._number = 0
        self._wanted = asyncio.Event()
        self._to_replay = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self._packs: tuple[PackDevice, ...] = ()
        self._told_online = False
        self._twin_until_s = float("-inf")

    async def run(self) -> None:
        """Publish until cancelled; where MQTT is off, only take back what was announced."""
        self._publications.announced = self._saved = await self._run_blocking(load_announced, self._memory)
        await self._spool.open()
        if not self._config.enabled:
            await self._connect_until_done()
            self._standing.off()
            await asyncio.Event().wait()
        if self._spool.waiting:
            self._to_replay.set()
        try:
            await together(self._publish(), self._keep(), self._connect())
        finally:
            with suppress(OSError):
                await self._spool.flush()
                await self._save()

    async def test(self) -> Message:
        """Send a message to the first broker that can be reached and wait until it comes back."""
        context = await self._context()
        failures: list[Message] = []
        for broker in brokers_of(self._config):
            try:
                async with asyncio.timeout(_TEST_TIMEOUT_S):
                    await self._try(broker, context)
                return message("mqtt.tried", broker=str(broker))
            except (aiomqtt.MqttError, OSError, TimeoutError, LinkError) as error:
                failures.append(message("mqtt.broker_failed", broker=str(broker), reason=trouble_of(error)))
        raise LinkError(message("mqtt.none_reached", reasons=failures))

    async def _try(self, broker: Broker, context: ssl.SSLContext | None) -> None:
        """Publish under our root and hear it: that shows connection, login and rights."""
        topic, text = f"{self._root}/test", self._publications.sealer.boot.encode()
        own = replace(self._config, client_id=f"{self._config.client_id[:58]}-test", clean_session=True)
        async with connected(own, broker, (topic, b""), context) as client:
            await client.subscribe(topic, qos=1)
            await client.publish(topic, text, qos=1)
            async for each in received(client):
                if each.payload == text:
                    return

    # connecting

    async def _context(self) -> ssl.SSLContext | None:
        if any(each.encrypted for each in brokers_of(self._config)):
            return await self._run_blocking(tls_context, self._config)
        return None

    async def _connect(self) -> None:
        """Be connected to one of the brokers, again and again."""
        brokers = brokers_of(self._config)
        least_s = self._config.reconnect_interval_ms / 1000.0
        wait_s, index, failed = least_s, 0, 0
        while True:
            broker = brokers[index % len(brokers)]
            started_s = self._clock.monotonic()
            why, was_connected = await self._session(broker)
            self._standing.trouble(message("mqtt.broker_failed", broker=str(broker), reason=why))
            if was_connected and self._clock.monotonic() - started_s >= _LATEST_WAIT_S:
                wait_s, failed = least_s, 0
            index += 1
            failed += 1
            if failed < len(brokers):  # the others first, at once: one node of a cluster is gone
                continue
            jitter = random.uniform(0.8, 1.2)  # noqa: S311 -- no secret
            await self._clock.sleep(wait_s * jitter)
            wait_s, failed = min(max(_LATEST_WAIT_S, least_s), wait_s * 1.5), 0

    async def _session(self, broker: Broker) -> tuple[Message, bool]:
        """Be connected as long as it lasts; return why it ended, and whether there was a connection at all."""
        self._standing.starting(str(broker))
        was_connected = False
        try:
            context = await self._context()
            offline = self._publications.status("offline")
            will = offline.topic, offline.payload
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(connected(self._config, broker, will, context))
                was_connected = True
                try:
                    await self._serve(client, str(broker))
                finally:
                    self._client = None
                    await self._say_goodbye(client)
        except (aiomqtt.MqttError, OSError, TimeoutError, LinkError) as error:
            told = trouble_of(error)
        else:
            told = message("mqtt.lost")
        self._return_unsent()
        return self._twin() or told, was_connected

    async def _serve(self, client: aiomqtt.Client, where: str) -> None:
        """Publish over one connection until it ends, for which it raises."""
        await together(self._receive(client), self._deliver(client, where))

    async def _deliver(self, client: aiomqtt.Client, where: str) -> None:
        await self._begin(client)
        self._client = client
        self._publications.begin_anew()
        self._standing.working(where)
        self._offer_states()
        await together(self._send(client), self._replay(client))

    async def _begin(self, client: aiomqtt.Client) -> None:
        """Say that the bridge is there, and what Home Assistant may show."""
        await client.subscribe(f"{self._root}/status", qos=0)
        if self._config.commands:
            await client.subscribe([(f"{self._root}/command/{name}", 0) for name in NAMES])
        online = self._publications.status("online")
        await client.publish(online.topic, online.payload, qos=1, retain=True)
        await self._announce(client)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        with suppress(aiomqtt.MqttError, OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                offline = self._publications.status("offline")
                await client.publish(offline.topic, offline.payload, qos=1, retain=True)

    # Home Assistant

    def _devices(self) -> list[Announcement]:
        wanted = self._config.home_assistant
        if not (wanted.enabled and self._config.enabled):
            return []
        return [
            *devices(
                wanted.discovery_prefix,
                self._root,
                self._options.battery_name,
                self._packs,
                wanted.language,
                commands=self._config.commands,
                interval_s=self._config.publish_interval_ms / 1000.0,
                address=self._options.address,
            )
        ]

    async def _announce(self, client: aiomqtt.Client) -> None:
        """Tell Home Assistant of each device, and take back those that are no more."""
        self._packs = self._known_packs()
        wanted = self._devices()
        topics = tuple(each.topic for each in wanted)
        gone = [topic for topic in self._publications.announced.topics if topic not in topics]
        if wanted or gone:  # remembered first: what is announced in the moment of a power cut can be taken back as well
            self._publications.announced = replace(self._publications.announced, topics=(*topics, *gone))
            await self._save()
        for topic in gone:
            await client.publish(topic, b"", qos=1, retain=True)
        for each in wanted:
            await client.publish(each.topic, each.payload, qos=1, retain=True)
        if gone:
            self._publications.announced = replace(self._publications.announced, topics=topics)
            await self._save()

    def _known_packs(self) -> tuple[PackDevice, ...]:
        moment = self._core.moment()
        before = {each.name: each for each in self._packs}
        found = []
        for name in self._core.packs() or moment.battery.packs:
            pack = moment.battery.packs.get(name)
            latest = None if pack is None else pack.latest
            known = before.get(name)
            cells = latest.cells.count if latest is not None else known.cells if known is not None else 0
            found.append(PackDevice(name, cells, None if pack is None else pack.identity))
        return tuple(found)

    async def _connect_until_done(self) -> None:
        """Take back what was announced while MQTT, or Home Assistant, was on."""
        wait_s = self._config.reconnect_interval_ms / 1000.0
        while self._publications.announced.topics:
            for broker in brokers_of(self._config):
                will = f"{self._root}/status", b""
                try:
                    context = await self._context()
                    async with connected(self._config, broker, will, context) as client:
                        await self._announce(client)
                        return
                except (aiomqtt.MqttError, OSError, TimeoutError, LinkError) as error:
                    log.info("what was announced at %s cannot be taken back yet: %s", broker, trouble_of(error).text)
            await self._clock.sleep(wait_s)
            wait_s = min(3600.0, wait_s * 2.0)

    # what is published

    async def _publish(self) -> None:
        """Make the states at each interval, whether a broker is there or not."""
        period_s = self._config.publish_interval_ms / 1000.0
        while True:
            self._offer_states()
            await self._clock.sleep(until_tick_s(self._clock, period_s))

    def _offer_states(self) -> None:
        for outgoing in self._publications.states():
            self._hand_over(outgoing)
        if self._client is None:
            return
        if self._twin() is None:
            self._standing.working()
        self._follow_packs()
        for outgoing in self._publications.details():
            self._hand_over(outgoing)

    def _follow_packs(self) -> None:
        """Have packs announced anew when one has come or gone, or tells more of itself."""
        if self._config.home_assistant.enabled and self._known_packs() != self._packs and self._client is not None:
            self._wanted.set()

    def _hand_over(self, outgoing: Publication) -> None:
        """Give a message to the broker, or keep it for later."""
        if self._client is not None:
            self._queue.append(outgoing)
            if len(self._queue) > _MOST_QUEUED and (oldest := self._queue.popleft()).kept:
                self._keep_for_later(oldest)
            self._wanted.set()
        elif outgoing.kept:
            self._keep_for_later(outgoing)

    def _keep_for_later(self, outgoing: Publication) -> None:
        """Keep a message: a state for a topic of its own, an event, which has its own time, for the same one."""
        below = outgoing.topic.removeprefix(f"{self._root}/")
        topic = outgoing.topic if below == EVENTS else f"{self._root}/replay/{below}"
        self._spool.add(KeptMessage(topic, outgoing.payload))
        self._to_replay.set()

    def _return_unsent(self) -> None:
        """Keep what no broker has confirmed."""
        for outgoing in (*self._unconfirmed.values(), *self._queue):
            if outgoing.kept:
                self._keep_for_later(outgoing)
        self._unconfirmed.clear()
        self._queue.clear()

    # over the connection

    async def _send(self, client: aiomqtt.Client) -> None:
        """Send what is handed over, in order, each message confirmed before the next of its kind is worth anything."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._config.home_assistant.enabled and self._known_packs() != self._packs:
                await self._announce(client)
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_TOGETHER, len(self._queue)))]
                await self._confirm(client, batch)

    async def _confirm(self, client: aiomqtt.Client, batch: list[Publication]) -> None:
        qos = self._config.default_qos
        numbers = []
        for outgoing in batch:
            self._number += 1
            self._unconfirmed[self._number] = outgoing
            numbers.append(self._number)

        async def publish(number: int) -> None:
            outgoing = self._unconfirmed[number]
            await client.publish(outgoing.topic, outgoing.payload, qos=qos, retain=outgoing.retain)
            self._unconfirmed.pop(number, None)
            self._counters["published"] += 1

        if qos == 0:
            for number in numbers:
                await publish(number)
        else:
            await together(*map(publish, numbers))

    async def _replay(self, client: aiomqtt.Client) -> None:
        """Send what was kept, at once and beside the live messages."""
        while True:
            await self._to_replay.wait()
            self._to_replay.clear()
            while (batch := await self._spool.take()) is not None:
                sent = 0
                try:
                    while sent < len(batch.messages):
                        part = batch.messages[sent : sent + _TOGETHER]
                        await together(*(client.publish(each.topic, each.payload, qos=1) for each in part))
                        sent += len(part)
                        self._counters["replayed"] += len(part)
                except BaseException:
                    self._spool.give_back(batch, sent)
                    self._to_replay.set()
                    raise
                await self._spool.done(batch)

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for each in received(client):
            name = each.topic.removeprefix(f"{self._root}/command/")
            if name in NAMES:
                answer = await self._orders.take(name, each.payload, retained=each.retained)
                if answer is not None:
                    payload = self._publications.sealer.seal(answer, self._clock.wall())
                    await client.publish(f"{self._root}/result/{name}", payload, qos=1)
                    self._offer_states()
            elif each.topic == f"{self._root}/status":
                self._hear_status(each)

    def _hear_status(self, each: BrokerMessage) -> None:
        """Notice another bridge under the same root, which says its own boot there: both overwrite each other.

        What was there before our first word is of an earlier start.
        """
        if f'"boot":"{self._publications.sealer.boot}"'.encode() in each.payload:
            self._told_online = True
            return
        if self._told_online and each.payload:
            self._twin_until_s = self._clock.monotonic() + _TWIN_S
            self._standing.trouble(message("mqtt.twin", root=self._root, client_id=self._config.client_id))

    def _twin(self) -> Message | None:
        """Return that there is another bridge with our names; None while none was heard lately."""
        if self._clock.monotonic() >= self._twin_until_s:
            return None
        return message("mqtt.twin", root=self._root, client_id=self._config.client_id)

    # what is kept

    async def _keep(self) -> None:
        saved_s = self._clock.monotonic()
        while True:
            await self._clock.sleep(until_tick_s(self._clock, _FLUSH_S))
            await self._spool.flush()
            self._counters["dropped"] = self._spool.dropped
            self._counters["kept_bytes"] = self._spool.kept_bytes
            if self._clock.monotonic() - saved_s >= _SAVE_S:
                saved_s = self._clock.monotonic()
                with suppress(OSError):
                    await self._save()

    async def _save(self) -> None:
        """Remember what was announced; a disk that is full is told by whoever needs it more."""
        if self._publications.announced != self._saved:
            saving = self._publications.announced
            try:
                await self._run_blocking(save_announced, self._memory, saving)
            except OSError as error:
                log.warning("what MQTT has announced cannot be remembered: %s", error)
                return
            self._saved = saving
