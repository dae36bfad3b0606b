"""The adaptive poll interval: faster while the link is quick and sound, slower while it is not.

The rules are those of the ESP32 firmware (firmware.md, 2), with one mended: there, an interval
that had grown never shrank again while the latency stayed above target + slack. Here it shrinks at any latency that
leaves room within the interval, only more slowly and not below latency + slack.
"""

from dataclasses import dataclass

__all__ = ["AdaptiveInterval", "AdaptiveSettings"]


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    """Times in milliseconds, as in the ESP32 firmware's configuration."""

    base_ms: float = 100.0
    """First interval."""
    min_ms: float = 100.0
    """The BMS itself refreshes its data every 100 ms."""
    max_ms: float = 1000.0
    backoff_step_ms: float = 25.0
    recovery_step_ms: float = 10.0
    latency_target_ms: float = 40.0
    latency_slack_ms: float = 15.0
    failure_threshold: int = 3
    success_threshold: int = 6

    @property
    def latency_limit_ms(self) -> float:
        """Latency above which a link counts as slow."""
        return self.latency_target_ms + self.latency_slack_ms


class AdaptiveInterval:
    """Turns the outcome of each poll into the time between polls."""

    def __init__(self, settings: AdaptiveSettings) -> None:
        self.settings = settings
        """May be replaced at any time; the interval follows at the next outcome."""
        self.interval_ms = self._within(settings.base_ms)
        """Present time from the start of one poll to the start of the next."""
        self._successes = 0
        self._failures = 0

    def success(self, latency_ms: float) -> None:
        """Note a good reply."""
        self._failures = 0
        self._successes += 1
        settings = self.settings
        self.interval_ms = self._within(self.interval_ms)
        if self._successes < settings.success_threshold:
            return
        floor_ms = settings.min_ms
        step_ms = settings.recovery_step_ms * (2.0 if latency_ms < settings.latency_target_ms else 1.0)
        if latency_ms > settings.latency_limit_ms:
            floor_ms = max(floor_ms, latency_ms + settings.latency_slack_ms)
        if self.interval_ms > floor_ms:
            self.interval_ms = max(floor_ms, self.interval_ms - step_ms)
            self._successes = 0

    def failure(self, latency_ms: float) -> None:
        """Note a failed poll that took ``latency_ms``: slow ones back off at once, quick ones after several."""
        self._successes = 0
        self._failures += 1
        settings = self.settings
        self.interval_ms = self._within(self.interval_ms)
        overshoot_ms = latency_ms - settings.latency_limit_ms
        if overshoot_ms < 0.0 and self._failures < settings.failure_threshold:
            return
        grown_ms = self.interval_ms + settings.backoff_step_ms + max(0.0, overshoot_ms)
        self.interval_ms = self._within(grown_ms)
        self._failures = 0

    def timeout(self) -> None:
        """Note a poll without an answer: backs off by one step at once."""
        self.failure(self.settings.latency_limit_ms)

    def _within(self, interval_ms: float) -> float:
        return min(self.settings.max_ms, max(self.settings.min_ms, interval_ms))
