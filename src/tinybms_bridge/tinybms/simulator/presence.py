"""Whether the BMS hears a frame: awake, asleep, restarting or busy (protocol reference, sections 1.5, 1.6 and 5.6)."""

from tinybms_bridge.hal.clock import Clock

__all__ = ["RESTART_S", "SLEEP_AFTER_S", "Presence"]

SLEEP_AFTER_S = 10.0
"""The BMS sleeps after this long without traffic and without activity (user manual Rev D, sleep)."""

RESTART_S = 1.5
"""Silence after a restart; the vendor does not document how long it lasts."""


class Presence:
    """Decides for each frame whether the device takes it in.

    Args:
        clock: source of time.
        asleep_allowed: False keeps the device awake for ever.
        wakes_by_uart: False for an adapter that is powered by the BMS itself: asleep, it sends nothing.

    """

    def __init__(self, clock: Clock, *, asleep_allowed: bool = True, wakes_by_uart: bool = True) -> None:
        self.asleep_allowed = asleep_allowed
        self.wakes_by_uart = wakes_by_uart
        self._clock = clock
        self._active_s = clock.monotonic()
        self._restart_over_s: float | None = None
        self._busy_until_s = float("-inf")

    @property
    def asleep(self) -> bool:
        """Whether the device sleeps now."""
        return self.asleep_at(self._clock.monotonic())

    @property
    def restarting(self) -> bool:
        """Whether the device is in the outage of a restart now."""
        return self._restart_over_s is not None and self._clock.monotonic() < self._restart_over_s

    @property
    def silent(self) -> bool:
        """Whether the device would send nothing now."""
        return self.asleep or self.restarting or self._clock.monotonic() < self._busy_until_s

    def asleep_at(self, time_s: float) -> bool:
        """Return whether the device sleeps at a time, as far as its activity is known."""
        return self.asleep_allowed and time_s - self._active_s >= SLEEP_AFTER_S

    def stir(self, now_s: float) -> None:
        """Note activity at ``now_s``: current, a charger, balancing."""
        self._active_s = max(self._active_s, now_s)

    def hear(self) -> bool:
        """Take in one frame; False when it is lost: on a sleeper that it may wake, in a restart, while busy."""
        if self.restarting:
            return False
        if self.asleep and not self.wakes_by_uart:
            return False
        heard = not self.silent
        self.stir(self._clock.monotonic())
        return heard

    def be_busy(self, duration_s: float) -> None:
        """Take in nothing for ``duration_s`` seconds, as after a write to non-volatile memory."""
        self._busy_until_s = self._clock.monotonic() + duration_s

    def restart(self) -> float:
        """Begin an outage of ``RESTART_S``; return the monotonic time at which it ends."""
        self._restart_over_s = self._clock.monotonic() + RESTART_S
        self.stir(self._restart_over_s)
        return self._restart_over_s
