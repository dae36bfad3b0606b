"""Whether the BMS hears a frame: awake, asleep or restarting (protocol reference, sections 1.5 and 5.6)."""

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

    """

    def __init__(self, clock: Clock, *, asleep_allowed: bool = True) -> None:
        self.asleep_allowed = asleep_allowed
        self._clock = clock
        self._busy_s = clock.monotonic()
        self._restart_over_s: float | None = None

    @property
    def asleep(self) -> bool:
        """Whether the device sleeps now."""
        return self.asleep_allowed and self._clock.monotonic() - self._busy_s >= SLEEP_AFTER_S

    @property
    def restarting(self) -> bool:
        """Whether the device is in the outage of a restart now."""
        return self._restart_over_s is not None and self._clock.monotonic() < self._restart_over_s

    def stir(self, now_s: float) -> None:
        """Note activity at ``now_s``: current, a charger, balancing."""
        self._busy_s = max(self._busy_s, now_s)

    def hear(self) -> bool:
        """Take in one frame; False when it is lost because it only wakes the device or meets a restart."""
        if self.restarting:
            return False
        heard = not self.asleep
        self.stir(self._clock.monotonic())
        return heard

    def restart(self) -> float:
        """Begin an outage of ``RESTART_S``; return the monotonic time at which it ends."""
        self._restart_over_s = self._clock.monotonic() + RESTART_S
        self.stir(self._restart_over_s)
        return self._restart_over_s
