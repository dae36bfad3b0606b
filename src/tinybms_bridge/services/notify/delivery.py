"""Sends what waits for one way: in its own time, again after a while where it fails, and in nobody's way."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.services.notify.failures import DeliveryError, delivery_error
from tinybms_bridge.services.notify.messages import Notification, Wording
from tinybms_bridge.services.notify.record import MOST_WAITING
from tinybms_bridge.services.notify.sockets import Deadline
from tinybms_bridge.services.notify.ways import Letter, NotifyWay
from tinybms_bridge.words import Message

__all__ = ["Delivery"]

FIRST_PAUSE_S = 5.0
MOST_PAUSE_S = 900.0
"""A network that is back carries the message within a quarter of an hour, and at once with the next one."""
MOST_WAIT_S = 3600.0
"""However long a server asks to wait."""
_GRACE_S = 5.0
"""Beyond its deadline a thread waits for the DNS at most; nobody waits for it."""


class Delivery:
    """One way with what waits for it.

    Args:
        way: How to send.
        waiting: What waits, oldest first; kept by whoever made it.
        wording: Puts messages into words.
        clock: Source of time.
        run: Runs what may hang.
        counters: Where ``sent``, ``failed``, ``refused`` and ``dropped`` are counted.
        on_change: Called when something was sent or given up, or its trouble changed.

    """

    def __init__(
        self,
        way: NotifyWay,
        waiting: deque[Notification],
        wording: Wording,
        clock: Clock,
        run: RunBlocking,
        counters: Counter[str],
        on_change: Callable[[], None],
    ) -> None:
        self.way = way
        self.failure: Message | None = None
        """Why the last message was not sent; None while all is well."""
        self._waiting = waiting
        self._wording = wording
        self._clock = clock
        self._run = run
        self._counters = counters
        self._on_change = on_change
        self._news = asyncio.Event()

    def put(self, told: Notification) -> None:
        """Send a message as soon as that is possible; never waits. The oldest ones give way to it."""
        self._waiting.append(told)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._counters["dropped"] += 1
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            told = self._waiting[0]
            try:
                await self.send(told)
            except DeliveryError as error:
                if error.refused:
                    self._done(told)
                await self._pause(max(pause_s, min(error.wait_s, MOST_WAIT_S)))
                pause_s = FIRST_PAUSE_S if error.refused else min(2 * pause_s, MOST_PAUSE_S)
            else:
                self._done(told)
                pause_s = FIRST_PAUSE_S

    async def send(self, told: Notification) -> Message | None:
        """Send a message once; return what did not go well although it is sent. Raises DeliveryError."""
        try:
            remark = await self._sent(told)
        except DeliveryError as error:
            self._counters["refused" if error.refused else "failed"] += 1
            self._set(error.why)
            raise
        self._counters["sent"] += 1
        self._set(remark)
        return remark

    async def _sent(self, told: Notification) -> Message | None:
        at, limit_s = self._clock.wall(), self.way.limit_s
        try:
            dated = told.dated(self._clock)
            letter = Letter(dated, self._wording(dated, at), at)
            async with asyncio.timeout(limit_s + _GRACE_S):
                return await self._run(self.way.send, letter, Deadline(limit_s, self._clock.awake))
        except Exception as error:  # noqa: BLE001 -- one message must not stop the others, whatever is wrong with it
            raise delivery_error(error, limit_s) from None

    def _set(self, trouble: Message | None) -> None:
        self.failure = trouble
        self._on_change()

    def _done(self, told: Notification) -> None:
        """Let a message go, unless newer ones have taken its place meanwhile."""
        if self._waiting and self._waiting[0] is told:
            self._waiting.popleft()
        self._on_change()

    async def _pause(self, pause_s: float) -> None:
        """Wait; a new message ends it, but the server has a moment of rest all the same."""
        self._news.clear()
        await self._clock.sleep(min(pause_s, FIRST_PAUSE_S))
        if pause_s <= FIRST_PAUSE_S or self._news.is_set():
            return
        waits = (
            asyncio.ensure_future(self._clock.sleep(pause_s - FIRST_PAUSE_S)),
            asyncio.ensure_future(self._news.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
