"""How many live messages one client may get: shortest interval, burst, longest message (firmware reference, 7.7)."""

from dataclasses import dataclass

__all__ = ["Throttle", "ThrottleSettings"]


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
