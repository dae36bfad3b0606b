"""Typed publish and subscribe: the last event of each type, and a bounded queue for each subscriber.

A publisher never waits: a subscriber that is too slow loses its own oldest event, and the loss is counted.
Everything runs on the event loop's thread.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar, cast

from tinybms_bridge.link.events import Event

__all__ = ["DEFAULT_DEPTH", "Bus", "BusStatistics", "Envelope", "Subscription"]

DEFAULT_DEPTH = 32
"""Slots of a subscriber's queue, the figure of the ESP32 firmware."""

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Envelope(Generic[E]):
    """An event with its metadata."""

    event: E
    sequence: int
    """Counts every published event from 1."""
    timestamp_s: float
    """Monotonic time of publication."""
    wall: datetime
    source: str
    """Name of the part that published it."""


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """Counters since the start."""

    total_published: int
    total_delivered: int
    queue_overruns: int
    subscribers: int
    deepest_queue: int
    """Most events now waiting in one queue."""


class Subscription:
    """The queue of one subscriber; iterate over it, or take what is there."""

    def __init__(self, bus: "Bus", types: tuple[type[Event], ...], depth: int, name: str) -> None:
        self.name = name
        """Who subscribed."""
        self.overruns = 0
        """Events lost because the queue was full."""
        self._bus = bus
        self._types = types
        self._queue: deque[Envelope[Event]] = deque(maxlen=depth)
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def offer(self, envelope: Envelope[Event]) -> bool:
        """Take an event if its type was asked for; True when it was."""
        if self._types and not isinstance(envelope.event, self._types):
            return False
        if len(self._queue) == self._queue.maxlen:
            self.overruns += 1
        self._queue.append(envelope)
        self._ready.set()
        return True

    def want(self, *types: type[Event]) -> None:
        """Take events of these types from now on, in place of those asked for before; what waits stays."""
        self._types = types

    def take(self) -> Envelope[Event] | None:
        """Return the oldest waiting event, or None."""
        return self._queue.popleft() if self._queue else None

    async def next(self) -> Envelope[Event]:
        """Wait for an event and return it."""
        while (envelope := self.take()) is None:
            self._ready.clear()
            await self._ready.wait()
        return envelope

    def __aiter__(self) -> AsyncIterator[Envelope[Event]]:
        return self._forever()

    async def _forever(self) -> AsyncIterator[Envelope[Event]]:
        while True:
            yield await self.next()

    def close(self) -> None:
        """End the subscription; safe to call twice."""
        self._bus.unsubscribe(self)

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bus:
    """One typed bus."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], datetime]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._latest: dict[type[Event], Envelope[Event]] = {}
        self._subscriptions: list[Subscription] = []
        self._published = 0
        self._delivered = 0
        self._overruns_of_closed = 0
        self._counted_from = 0

    def publish(self, event: Event, source: str) -> Envelope[Event]:
        """Hand an event to every subscriber of its type and keep it as the latest; never waits, never raises."""
        self._published += 1
        envelope = Envelope(event, self._published, self._monotonic(), self._wall(), source)
        self._latest[type(event)] = envelope
        for subscription in self._subscriptions:
            self._delivered += subscription.offer(envelope)
        return envelope

    def latest(self, event_type: type[E]) -> Envelope[E] | None:
        """Return the last event of exactly this type, or None."""
        return cast("Envelope[E] | None", self._latest.get(event_type))

    def subscribe(self, *types: type[Event], depth: int = DEFAULT_DEPTH, name: str = "") -> Subscription:
        """Return a new subscription to these types (none: to all) with a queue of ``depth`` slots."""
        subscription = Subscription(self, types, depth, name)
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop delivering to a subscription; its count of losses stays in the statistics."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._overruns_of_closed += subscription.overruns

    def reset_statistics(self) -> None:
        """Begin counting anew; sequence numbers go on."""
        self._counted_from = self._published
        self._delivered = self._overruns_of_closed = 0
        for subscription in self._subscriptions:
            subscription.overruns = 0

    def statistics(self) -> BusStatistics:
        """Return the present counters."""
        return BusStatistics(
            total_published=self._published - self._counted_from,
            total_delivered=self._delivered,
            queue_overruns=self._overruns_of_closed + sum(s.overruns for s in self._subscriptions),
            subscribers=len(self._subscriptions),
            deepest_queue=max((len(s) for s in self._subscriptions), default=0),
        )
