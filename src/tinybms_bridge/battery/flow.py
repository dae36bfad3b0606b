"""The current of the last minute: how long until the battery is full or empty, and whether more flows than may."""

import math
from collections import deque

from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.words import Message, message

__all__ = ["Flow"]

_STEADY_SHARE = 0.15
"""The mean of either half of the window may be this far from the mean of the whole, and readings scatter by it."""
_STEADY_A = 0.3
"""The same for small currents, where the noise of a sensor is a large share."""
_EXCESS_SHARE, _EXCESS_A = 0.1, 2.0
"""More than this above a limit is not a rounding of chargers or inverter."""
_OBEYS_WITHIN_S = 10.0
"""Three turns of the loop by which a GX takes up new limits."""


class Flow:
    """The current of the last ``window_s`` seconds: the time left that follows from it, and whether it may flow.

    The time is told only while the current was steady: after a cloud or a kettle nobody knows it.
    """

    def __init__(self, window_s: float = 60.0) -> None:
        self.excess: Message | None = None
        """What flows although it may not, once that has lasted longer than a GX needs."""
        self._window_s = window_s
        self._samples: deque[Snapshot] = deque()
        self._excess_since_s: float | None = None

    def add(self, snapshot: Snapshot | None, limits: Limits | None, now_s: float) -> None:
        """Take the present measurements and limits; without measurements, what was before is forgotten."""
        samples = self._samples
        if snapshot is None:
            samples.clear()
            self._judge(None, now_s)
            return
        if not samples or snapshot.sequence != samples[-1].sequence:
            samples.append(snapshot)
        while samples[0].taken_at_s < snapshot.taken_at_s - self._window_s:
            samples.popleft()
        self._judge(None if limits is None else _excess(snapshot.pack.current_a, limits), now_s)

    def hours(self, capacity_ah: float | None) -> float | None:
        """Return the hours until full while charging, or until empty; None where that is not known."""
        samples = self._samples
        if not samples or not capacity_ah or not samples[-1].pack.soc_known:
            return None
        if samples[-1].taken_at_s - samples[0].taken_at_s < 0.8 * self._window_s:
            return None
        currents_a = [each.pack.current_a for each in samples]
        mean_a, half = _mean(currents_a), len(currents_a) // 2
        room_a = max(_STEADY_A, _STEADY_SHARE * abs(mean_a))
        scatter_a = math.sqrt(_mean([(each - mean_a) ** 2 for each in currents_a]))
        halves_a = _mean(currents_a[:half]), _mean(currents_a[half:])
        if abs(mean_a) <= room_a or scatter_a > room_a or any(abs(each - mean_a) > room_a for each in halves_a):
            return None
        soc_percent = samples[-1].pack.soc_percent
        way_percent = 100.0 - soc_percent if mean_a > 0.0 else soc_percent
        return way_percent / 100.0 * capacity_ah / abs(mean_a) if way_percent > 0.0 else None

    def hours_left(self, view: View) -> float | None:
        """Return the hours until the battery of a view is full while it is charged, or else empty.

        None where nobody can know it: without live data and limits, when it is full, and where a limit of 0 stops what
        flows now.
        """
        snapshot, limits = view.measured, view.limits
        if snapshot is None or limits is None or limits.full:
            return None
        if (limits.ccl_a if snapshot.pack.current_a > 0.0 else limits.dcl_a) <= 0.0:
            return None
        set_ah = None if snapshot.ratings is None else snapshot.ratings.capacity_ah
        return self.hours(limits.evidence.capacity_ah or set_ah)

    def _judge(self, excess: Message | None, now_s: float) -> None:
        if excess is None:
            self._excess_since_s = None
        elif self._excess_since_s is None:
            self._excess_since_s = now_s
        since_s = self._excess_since_s
        self.excess = excess if since_s is not None and now_s - since_s >= _OBEYS_WITHIN_S else None


def _excess(current_a: float, limits: Limits) -> Message | None:
    if current_a > _most(limits.ccl_a):
        return message("flow.excess_in", current_a=current_a, limit_a=limits.ccl_a)
    if -current_a > _most(limits.dcl_a):
        return message("flow.excess_out", current_a=-current_a, limit_a=limits.dcl_a)
    return None


def _most(limit_a: float) -> float:
    return limit_a + max(_EXCESS_A, _EXCESS_SHARE * limit_a)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
