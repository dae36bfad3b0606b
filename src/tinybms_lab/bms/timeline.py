"""The life of a simulated BMS along the clock: pack time, what is due, sleep, restarts, and whether it hears."""

import heapq
import itertools
from collections.abc import Callable

from tinybms_bridge.hal.clock import Clock
from tinybms_lab.bms.model import BatteryModel
from tinybms_lab.bms.records import EventId, SimulatedResetCause, SimulatedWakeCause

__all__ = ["RESTART_S", "SLEEP_AFTER_S", "Presence", "Timeline"]


SLEEP_AFTER_S = 10.0
"""The BMS sleeps after this long without traffic and without activity (tinybms-protocol.md, 5.6)."""

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


class Timeline:
    """Moves a battery model on to the present.

    Args:
        model: what is moved.
        presence: whether the BMS is awake.
        start_s: monotonic time at which pack time is 0.
        speed: seconds of pack time in one second.
        log: takes the events, each with its monotonic time.

    """

    def __init__(
        self,
        model: BatteryModel,
        presence: Presence,
        *,
        start_s: float,
        speed: float,
        log: Callable[[float, EventId], None],
    ) -> None:
        self.time_s = start_s
        """Monotonic time reached."""
        self._start_s = start_s
        self._speed = speed
        self._model = model
        self._presence = presence
        self._log = log
        self._restart_over_s: float | None = None
        self._mode_changed = False
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._acting = False
        self._collect_events()

    def pack_time_at(self, time_s: float) -> float:
        """Return the pack time at a monotonic time."""
        return (time_s - self._start_s) * self._speed

    def at(self, pack_time_s: float, action: Callable[[], None]) -> None:
        """Carry out ``action`` when the pack is this old; at once if it is already."""
        if pack_time_s <= self._model.time_s:
            action()
        else:
            heapq.heappush(self._agenda, (pack_time_s, next(self._order), action))

    def advance(self, now_s: float) -> None:
        """Move on to a monotonic time, with what is due on the way; does nothing within such an action."""
        if self._acting:
            return
        while self._agenda and self._real_s(self._agenda[0][0]) <= now_s:
            pack_time_s, _, action = heapq.heappop(self._agenda)
            self._run_to(self._real_s(pack_time_s))
            self._acting = True
            try:
                action()
            finally:
                self._acting = False
        self._run_to(now_s)

    def restart(self, cause: SimulatedResetCause, *, mode_changed: bool = False) -> None:
        """Begin a restart now."""
        self._mode_changed = self._mode_changed or mode_changed
        self._model.statistics.reset_cause = cause
        self._restart_over_s = self._presence.restart()

    def _run_to(self, now_s: float) -> None:
        over_s = self._restart_over_s
        if over_s is not None and now_s >= over_s:
            self._move(over_s)
            self._restart_over_s = None
            self._begin(over_s)
        self._move(now_s)

    def _move(self, now_s: float) -> None:
        if now_s <= self.time_s:
            return
        asleep = self._presence.asleep_at(self.time_s)
        span_s = (now_s - self.time_s) * self._speed
        self._model.run(span_s, restarting=self._restart_over_s is not None, asleep=asleep)
        self.time_s = now_s
        self._collect_events()
        self._presence.stir(now_s - self._model.quiet_s / self._speed)
        if asleep and not self._presence.asleep_at(now_s):
            self._model.statistics.wake_cause = self._wake_cause()

    def _begin(self, now_s: float) -> None:
        """Begin to work after a restart."""
        self._log(now_s, EventId.BMS_STARTED)
        if self._mode_changed:
            self._log(now_s, EventId.SINGLE_PORT if self._model.limits.single_port else EventId.DUAL_PORT)
        self._mode_changed = False
        self._model.restart()
        self._collect_events()

    def _collect_events(self) -> None:
        for pack_time_s, event in self._model.take_events():
            self._log(self._real_s(pack_time_s), event)

    def _wake_cause(self) -> SimulatedWakeCause:
        if self._model.logic.charge.charger:
            return SimulatedWakeCause.CHARGER_CONNECTED
        return SimulatedWakeCause.IGNITION if self._model.limits.ignition else SimulatedWakeCause.DISCHARGING_DETECTED

    def _real_s(self, pack_time_s: float) -> float:
        return self._start_s + pack_time_s / self._speed
