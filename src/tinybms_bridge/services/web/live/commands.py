"""What a client may say on the WebSocket: which topics it wants, and how often."""

import json
from dataclasses import dataclass

from tinybms_bridge.services.web.live.messages import Topic
from tinybms_bridge.suggestions import did_you_mean

__all__ = ["MAX_MESSAGE_BYTES", "BadCommand", "Command", "RateLimit", "parse_command"]

MAX_MESSAGE_BYTES = 1024
"""Longest message that a client may send."""

_KEYS = ("subscribe", "interval_ms", "registers")
_MIN_INTERVAL_MS = 100
_MAX_INTERVAL_MS = 60_000


class BadCommand(ValueError):  # noqa: N818 -- the message is bad, not the program
    """A message that says nothing known; the text tells what is allowed."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a message asks for; None leaves something as it is."""

    topics: frozenset[Topic] | None = None
    interval_ms: int | None = None
    registers: bool | None = None
    """Whether the flat message has the field of that name."""


def parse_command(text: str) -> Command:
    """Return what ``{"subscribe": ["status", "can"], "interval_ms": 500}`` asks for. Raises BadCommand."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadCommand("is not JSON") from None
    if not isinstance(document, dict) or not document or not document.keys() <= set(_KEYS):
        odd = next((key for key in document if key not in _KEYS), "") if isinstance(document, dict) else ""
        raise BadCommand(f'must be an object with "subscribe", "interval_ms" or "registers"{did_you_mean(odd, _KEYS)}')
    return Command(
        _topics(document.get("subscribe")),
        _interval_ms(document.get("interval_ms")),
        _switch(document.get("registers")),
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
