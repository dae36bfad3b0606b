"""One follower of the live data: what it may ask for, how many messages it may get, and the slots of those not taken.

The bounds (shortest interval, burst, longest message) are those of the ESP32 firmware (firmware.md, 6).
"""

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from tinybms_bridge.services.web.live.messages import Topic
from tinybms_bridge.suggestions import did_you_mean
from tinybms_bridge.words import ENGLISH, LANGUAGES, Language

__all__ = [
    "MAX_MESSAGE_BYTES",
    "BadCommand",
    "Client",
    "ClientCommand",
    "RateLimit",
    "Throttle",
    "ThrottleSettings",
    "parse_command",
]


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """Bounds, as in section ``web_server`` of the configuration."""

    min_interval_s: float = 0.1
    burst_window_s: float = 1.0
    burst_max: int = 4
    """Messages allowed in one window."""
    max_payload_bytes: int = 4096


_TOLERANCE_S = 1e-6
"""Sums of intervals are not exact."""


class Throttle:
    """Allows or refuses messages; the first one is always allowed if it is short enough."""

    def __init__(self, settings: ThrottleSettings) -> None:
        self.settings = settings
        """May be replaced at any time."""
        self.dropped = 0
        """Refused messages."""
        self._last_s: float | None = None
        self._window_s = 0.0
        self._in_window = 0

    def allow(self, now_s: float, payload_bytes: int) -> bool:
        """Return whether a message of this length may go out at ``now_s``, and count it."""
        if self._refused(now_s, payload_bytes):
            self.dropped += 1
            return False
        if self._last_s is None or now_s - self._window_s >= self.settings.burst_window_s - _TOLERANCE_S:
            self._window_s, self._in_window = now_s, 0
        self._last_s = now_s
        self._in_window += 1
        return True

    def _refused(self, now_s: float, payload_bytes: int) -> bool:
        settings = self.settings
        if payload_bytes > settings.max_payload_bytes:
            return True
        if self._last_s is None:
            return False
        if now_s - self._last_s < settings.min_interval_s - _TOLERANCE_S:
            return True
        in_window = now_s - self._window_s < settings.burst_window_s - _TOLERANCE_S
        return in_window and self._in_window >= settings.burst_max


MAX_MESSAGE_BYTES = 1024
"""Longest message that a client may send."""

_KEYS = ("subscribe", "interval_ms", "registers", "lang")
_MIN_INTERVAL_MS = 100
_MAX_INTERVAL_MS = 60_000


class BadCommand(ValueError):  # noqa: N818 -- the message is bad, not the program
    """A message that says nothing known; the text tells what is allowed."""


@dataclass(frozen=True, slots=True)
class ClientCommand:
    """What a message asks for; None leaves something as it is."""

    topics: frozenset[Topic] | None = None
    interval_ms: int | None = None
    registers: bool | None = None
    """Whether the flat message has the field of that name."""
    language: Language | None = None
    """Of the sentences of the overview."""


def parse_command(text: str) -> ClientCommand:
    """Return what ``{"subscribe": ["status", "can"], "interval_ms": 500}`` asks for. Raises BadCommand."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadCommand("is not JSON") from None
    if not isinstance(document, dict) or not document or not document.keys() <= set(_KEYS):
        odd = next((key for key in document if key not in _KEYS), "") if isinstance(document, dict) else ""
        raise BadCommand(
            f'must be an object with "subscribe", "interval_ms", "registers" or "lang"{did_you_mean(odd, _KEYS)}'
        )
    return ClientCommand(
        _topics(document.get("subscribe")),
        _interval_ms(document.get("interval_ms")),
        _switch(document.get("registers")),
        _language(document.get("lang")),
    )


def _topics(value: object) -> frozenset[Topic] | None:
    if value is None:
        return None
    known = [topic.value for topic in Topic]
    if not isinstance(value, list) or not all(isinstance(name, str) and name in known for name in value):
        raise BadCommand(f"subscribe must be a list of {', '.join(known)}")
    return frozenset(Topic(name) for name in value)


def _interval_ms(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not _MIN_INTERVAL_MS <= value <= _MAX_INTERVAL_MS:
        raise BadCommand(f"interval_ms must be a whole number {_MIN_INTERVAL_MS} to {_MAX_INTERVAL_MS}")
    return value


def _switch(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise BadCommand("registers must be true or false")
    return value


def _language(value: object) -> Language | None:
    found = next((language for language in LANGUAGES if language == value), None)
    if value is not None and found is None:
        raise BadCommand(f"lang must be {' or '.join(LANGUAGES)}")
    return found


class RateLimit:
    """A bucket of messages: ``burst`` at once, then ``per_s`` each second."""

    def __init__(self, burst: int = 20, per_s: float = 5.0) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = float(burst)
        self._at_s: float | None = None

    def allow(self, now_s: float) -> bool:
        """Return whether one more message at ``now_s`` is within the limit."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


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
        """Whether it wants the field of that name in the flat message, as the ESP32 firmware sends it."""
        self.language: Language = ENGLISH
        """Of the sentences of the overview."""
        self.interval_s = interval_s
        """Between two of its messages."""
        self.wanted_s: float | None = None
        """The interval that it asked for; None: as configured."""
        self.due_s = now_s
        """When it gets its next message; the first one at once."""
        self.begun: set[Topic] = set(self.topics)
        """Topics whose first message it has had, or gets with the next turn; they have no other off its interval."""
        self.at_once: set[Topic] = set()
        """Topics that are new to it: their first message does not wait until it is due."""
        self.seen: dict[Topic, int] = {}
        """Number of the last frame, entry or overview that it was offered."""
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
