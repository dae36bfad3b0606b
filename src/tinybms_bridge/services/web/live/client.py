"""One follower of the live data: what it wants, and the slot that holds what it has not taken yet."""

import asyncio
import math
from collections.abc import Callable

from tinybms_bridge.services.web.live.messages import Topic
from tinybms_bridge.services.web.live.throttle import Throttle, ThrottleSettings

__all__ = ["Client"]

_TOLERANCE_S = 1e-6
_CHECK_INTERVAL_S = 2.0
"""How long a login may have ended, by logout, removal, revocation or time, until its live data ends."""


class Client:
    """A slot for each topic, with room for one message; nothing that a client does costs another one anything."""

    def __init__(
        self, interval_s: float, throttle: ThrottleSettings, now_s: float, may_read: Callable[[], bool] = lambda: True
    ) -> None:
        self.topics: frozenset[Topic] = frozenset({Topic.STATUS})
        """What it wants."""
        self.registers = True
        """Whether it wants the field of that name in the flat message, as the seed sends it."""
        self.interval_s = interval_s
        """Between two of its messages."""
        self.wanted_s: float | None = None
        """The interval that it asked for; None: as configured."""
        self.due_s = now_s
        """When it gets its next message; the first one at once."""
        self.seen: dict[Topic, int] = {}
        """Number of the last frame or entry that it was offered."""
        self.sent = 0
        self.replaced = 0
        """Messages that gave way to a newer one, because the client was slow."""
        self.throttle = Throttle(throttle)
        self.ended = False
        """Whether nothing more will come."""
        self.turned_away = False
        """Whether that is because its login has ended."""
        self.displaced = False
        """Whether that is because somebody else needed the place."""
        self._may_read = may_read
        self._checked_s = now_s
        self._slots: dict[str, str] = {}
        self._ready = asyncio.Event()

    def schedule(self, now_s: float) -> None:
        """Set the next due time: a multiple of the interval, so that clients of one rate share one encoding."""
        steps = math.floor(now_s / self.interval_s + _TOLERANCE_S) + 1
        self.due_s = steps * self.interval_s

    def still_may_read(self, now_s: float) -> bool:
        """Return whether its login still counts; asked anew every two seconds at most."""
        if now_s - self._checked_s >= _CHECK_INTERVAL_S:
            self._checked_s = now_s
            self.turned_away = not self._may_read()
            if self.turned_away:
                self._slots.clear()
        return not self.turned_away

    def waits_with(self, topic: Topic) -> bool:
        """Return whether a message of this topic has not been taken yet."""
        return topic in self._slots

    def offer(self, slot: str, text: str) -> None:
        """Put a message into the slot of its topic; it replaces one that was not taken."""
        self.replaced += slot in self._slots
        self._slots[slot] = text
        self._ready.set()

    async def next(self) -> str | None:
        """Wait for a message and take it; None when nothing more will come."""
        while not self._slots:
            if self.ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        self.sent += 1
        return self._slots.pop(next(iter(self._slots)))

    def end(self) -> None:
        """Let ``next`` return None once the slots are empty."""
        self.ended = True
        self._ready.set()
