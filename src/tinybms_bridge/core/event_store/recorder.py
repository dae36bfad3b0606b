"""Writes what happens on the bus into the list."""

import asyncio
import logging

from tinybms_bridge.core.event_store.records import RECORDED, news_of
from tinybms_bridge.core.event_store.store import EventStore
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.link.bus import Bus, Envelope
from tinybms_bridge.link.events import BmsEventsSeen, Event, PartState, PartStateChanged

__all__ = ["EventRecorder"]

log = logging.getLogger(__name__)

_SPELL_S = 120.0
"""A part that fails again this soon for the same reason is no news: it is tried twice a minute, for ever."""


class EventRecorder:
    """Writes what happens on the bus into a store, and saves it every ``interval_s`` when it has changed."""

    def __init__(
        self,
        bus: Bus,
        store: EventStore,
        clock: Clock,
        interval_s: float = 10.0,
        run_blocking: RunBlocking = in_thread,
    ) -> None:
        self.interval_s = interval_s
        """May be replaced at any time."""
        self._bus = bus
        self._store = store
        self._clock = clock
        self._run_blocking = run_blocking
        self._failed = False
        self._part_failures: dict[str, tuple[str, float]] = {}

    async def run(self) -> None:
        """Record until cancelled, then save once more."""
        with self._bus.subscribe(*RECORDED, name="event store") as events:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._save_now_and_then())
                    async for envelope in events:
                        self._record(envelope)
            finally:
                while (waiting := events.take()) is not None:
                    self._record(waiting)
                await self._run_blocking(self._store.save_quietly)

    def _record(self, envelope: Envelope[Event]) -> None:
        if isinstance(envelope.event, BmsEventsSeen):
            self._store.add_bms(envelope.event.events, envelope.event.pack)
        if isinstance(envelope.event, PartStateChanged) and self._is_known(envelope.event, envelope.timestamp_s):
            return
        for news in news_of(envelope.event):
            self._store.add(news, envelope.wall)

    def _is_known(self, event: PartStateChanged, now_s: float) -> bool:
        """Tell whether a part only goes on failing, and remember its failure."""
        if event.state is not PartState.FAILED:
            return False
        error, at_s = self._part_failures.get(event.name, ("", 0.0))
        self._part_failures[event.name] = (event.error, now_s)
        return event.error == error and now_s - at_s < _SPELL_S

    async def _save_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(self.interval_s)
            try:
                await self._store.save(self._run_blocking)
            except OSError as error:
                if not self._failed:
                    log.warning("the event list cannot be saved in %s: %s", self._store.name, error)
                self._failed = True
            else:
                self._failed = False
