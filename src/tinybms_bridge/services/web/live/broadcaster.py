"""The broadcaster: wakes when a client is due, encodes each message once, and hands the same text to all who are due.

It costs nothing while nobody listens: the ticker runs from the first client to the last.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.callers import SOMEBODY, HttpCaller, Shares
from tinybms_bridge.services.web.live.client import Client, ClientCommand, ThrottleSettings
from tinybms_bridge.services.web.live.messages import BATCHES, Made, Topic, encode, newest
from tinybms_bridge.services.web.live.overview import Overview
from tinybms_bridge.words import ENGLISH, Language

__all__ = ["Broadcaster", "BroadcasterSettings", "BroadcasterStatistics", "Client"]

log = logging.getLogger(__name__)

_TOLERANCE_S = 1e-3
_SERVED_AT_ONCE = 20
"""Clients that are handed their messages before the event loop turns to other work, the CAN burst among it."""

_Kind = tuple[Topic, int, bool, Language]
"""What makes one message differ from another at the same moment."""


@dataclass(frozen=True, slots=True)
class BroadcasterSettings:
    """Bounds of the live data, as in section ``web_server`` of the configuration."""

    max_clients: int = 4
    interval_s: float = 1.0
    """Between two messages, unless the client asks for another interval."""
    stuck_timeout_s: float = 10.0
    """A client that takes this long to take one message is closed."""
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)


@dataclass(slots=True)
class BroadcasterStatistics:
    """Counters since the start."""

    joined: int = 0
    refused: int = 0
    """Clients turned away, as newcomers or for one, because there were too many."""
    encoded: int = 0
    """Messages that were made."""
    sent: int = 0
    """Messages that clients took, of those who have left."""
    dropped: int = 0
    """Messages replaced or throttled, of clients who have left."""
    clients: int = 0
    """Clients that listen now; told by ``Broadcaster.totals``, as the bound that follows."""
    max_clients: int = 0


class Broadcaster:
    """Hands live data to clients.

    Args:
        core: The bridge.
        settings: Asked at every join and tick, so that a changed configuration counts at once.
        overview: What makes the messages of the topic of that name; None: there are none.

    """

    def __init__(
        self, core: Core, settings: Callable[[], BroadcasterSettings], overview: Overview | None = None
    ) -> None:
        self.statistics = BroadcasterStatistics()
        self._core = core
        self._settings = settings
        self._overview = overview
        self._clients: set[Client] = set()
        self._shares: Shares[Client] = Shares()
        self._ticker: asyncio.Task[None] | None = None

    @property
    def settings(self) -> BroadcasterSettings:
        """The bounds in force."""
        return self._settings()

    @property
    def clients(self) -> int:
        """Clients that listen now."""
        return len(self._clients)

    def totals(self) -> BroadcasterStatistics:
        """Return the counters with those of the clients that listen now, and how many there are."""
        done, present = self.statistics, self._clients
        return BroadcasterStatistics(
            joined=done.joined,
            refused=done.refused,
            encoded=done.encoded,
            sent=done.sent + sum(client.sent for client in present),
            dropped=done.dropped + sum(client.replaced + client.throttle.dropped for client in present),
            clients=len(present),
            max_clients=self._settings().max_clients,
        )

    def reset_statistics(self) -> None:
        """Begin counting anew, also for the clients that listen now."""
        self.statistics = BroadcasterStatistics()
        for client in self._clients:
            client.sent = client.replaced = client.throttle.dropped = 0

    def join(self, may_read: Callable[[], bool] = lambda: True, caller: HttpCaller = SOMEBODY) -> Client | None:
        """Return a new client, or None when there are too many; ``may_read`` tells whether its login still counts.

        When all places are taken, another one may have to leave for it; see ``Shares``.
        """
        settings = self._settings()
        if len(self._clients) >= settings.max_clients:
            self.statistics.refused += 1
            loser = self._shares.gives_way(caller)
            if loser is None:
                return None
            loser.displaced = True
            self.leave(loser)
        self.statistics.joined += 1
        client = Client(_interval_s(None, settings), settings.throttle, self._core.clock.monotonic(), may_read)
        self._clients.add(client)
        self._shares.add(client, caller)
        self._restart()
        return client

    def leave(self, client: Client) -> None:
        """Forget a client; safe to call twice."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        self._shares.remove(client)
        client.end()
        self.statistics.sent += client.sent
        self.statistics.dropped += client.replaced + client.throttle.dropped
        if not self._clients:
            self._stop()

    def obey(self, client: Client, command: ClientCommand) -> None:
        """Change what a client gets. The interval is kept within what the configuration allows.

        What a topic says comes at once where it is new to the client, and at its interval ever after.
        """
        if command.topics is not None:
            self._begin_topics(client, command.topics)
        if command.registers is not None:
            client.registers = command.registers
        if command.language is not None:
            client.language = command.language
            client.seen.pop(Topic.OVERVIEW, None)
        if command.interval_ms is not None:
            client.wanted_s = command.interval_ms / 1000.0
            client.interval_s = _interval_s(client.wanted_s, self._settings())
            client.schedule(self._core.clock.monotonic())
            self._restart()

    def _begin_topics(self, client: Client, topics: frozenset[Topic]) -> None:
        for topic in topics - client.topics:
            client.seen[topic] = newest(self._core, topic)
        client.topics = topics
        client.at_once |= topics - client.begun
        client.begun |= topics
        if client.at_once:
            self._restart()

    def _restart(self) -> None:
        """Let the ticker look anew at who is due when."""
        self._stop()
        self._start()

    def _start(self) -> None:
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="live data")
        self._ticker.add_done_callback(self._on_end)

    def _stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def _on_end(self, ticker: asyncio.Task[None]) -> None:
        """Close every client when the ticker has failed, so that they come again instead of waiting for ever."""
        if ticker.cancelled() or ticker.exception() is None:
            return
        log.error("live data failed", exc_info=ticker.exception())
        self._ticker = None
        for client in tuple(self._clients):
            self.leave(client)

    async def _tick(self) -> None:
        clock = self._core.clock
        while self._clients:
            now_s = clock.monotonic()
            due = [each for each in self._clients if each.at_once or each.due_s <= now_s + _TOLERANCE_S]
            await self._serve(due, now_s)
            if self._clients:
                next_s = min(client.due_s for client in self._clients)
                await clock.sleep(max(0.0, next_s - clock.monotonic()))

    async def _serve(self, due: list[Client], now_s: float) -> None:
        made: dict[_Kind, Made] = {}
        settings = self._settings()
        for index, client in enumerate(due, 1):
            if not client.still_may_read(now_s):
                self.leave(client)
            elif client.due_s <= now_s + _TOLERANCE_S:
                self._serve_one(client, client.topics, settings, made)
                client.schedule(now_s + _TOLERANCE_S)
            else:
                self._serve_one(client, client.topics & client.at_once, settings, made)
            client.at_once.clear()
            if index % _SERVED_AT_ONCE == 0:
                await asyncio.sleep(0)  # lets these send, and whatever else is due

    def _serve_one(
        self, client: Client, topics: frozenset[Topic], settings: BroadcasterSettings, made: dict[_Kind, Made]
    ) -> None:
        client.throttle.settings = settings.throttle
        client.interval_s = _interval_s(client.wanted_s, settings)
        for topic in topics:
            self._offer(client, topic, made)

    def _offer(self, client: Client, topic: Topic, made: dict[_Kind, Made]) -> None:
        """Offer the message of one topic; a batch waits until the client has taken the one before."""
        if topic in BATCHES and client.waits_with(topic):
            return
        message = self._made(topic, client, made, registers=client.registers)
        if client.registers and len(message.text) > client.throttle.settings.max_payload_bytes:
            message = self._made(topic, client, made, registers=False)
        if not message.text or (topic is Topic.STATUS and not client.throttle.allow(client.due_s, len(message.text))):
            return
        if topic is Topic.OVERVIEW and client.seen.get(topic) == message.last:
            return  # a client that is faster than it is made
        if topic in BATCHES or topic is Topic.OVERVIEW:
            client.seen[topic] = message.last
        client.offer(topic, message.text)

    def _made(self, topic: Topic, client: Client, made: dict[_Kind, Made], *, registers: bool) -> Made:
        """Return the message of one topic for a client, made once for all who want the same."""
        after = client.seen.get(topic, 0) if topic in BATCHES else 0
        language = client.language if topic is Topic.OVERVIEW else ENGLISH
        key = (topic, after, registers and topic is Topic.STATUS, language)
        if key not in made:
            made[key] = encode(self._core, topic, after, registers=key[2], overview=self._overview, language=language)
            self.statistics.encoded += 1
        return made[key]


def _interval_s(wanted_s: float | None, settings: BroadcasterSettings) -> float:
    """Return the interval of a client: as wanted, but so that neither shortest interval nor burst is exceeded."""
    throttle = settings.throttle
    wanted_s = settings.interval_s if wanted_s is None else wanted_s
    return max(wanted_s, throttle.min_interval_s, throttle.burst_window_s / throttle.burst_max)
