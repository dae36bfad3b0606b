"""Who else is on the bus: a second BMS, which must not be there, and whether anybody is heard at all."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.words import Message, message

__all__ = ["BMS_IDS", "BusSilence", "SecondBms"]

BMS_IDS = (0x351, 0x355, 0x356, 0x35A)
"""Frames that only a BMS sends: limits, state of charge, measurements, alarms (victron-can.md, 2)."""

_ECHO_S = 2.0
"""An adapter that hears its own frames hears them within this time."""

_CONFIRMING = 3
"""Frames of one identifier that make a second BMS: one alone may be somebody's test."""

_APART_S = 5.0
"""Frames further apart than this are no sequence; a GX gives a BMS up after 3 s."""

_GONE_S = 10.0
_COLLECT_S = 2.0
"""Time in which a BMS has sent each of its frames, before it is told which."""

_PAUSES_S = (60.0, 300.0, 900.0)
"""A bus without any frame for so long may be an adapter that hangs; a GX that is off or updating is normal."""


@dataclass(slots=True)
class _Sequence:
    """The last frames of one identifier that somebody else sent."""

    times_s: deque[float] = field(default_factory=lambda: deque(maxlen=6))

    def add(self, now_s: float) -> None:
        if self.times_s and now_s - self.times_s[-1] > _APART_S:
            self.times_s.clear()
        self.times_s.append(now_s)

    def is_heard(self, now_s: float) -> bool:
        return len(self.times_s) >= _CONFIRMING and now_s - self.times_s[-1] <= _GONE_S

    @property
    def period_s(self) -> float:
        return (self.times_s[-1] - self.times_s[0]) / (len(self.times_s) - 1)


class SecondBms:
    """Notices frames that only a BMS sends and that were not sent from here.

    An adapter may hear what it sends itself: a frame that equals one of our own of a moment ago is taken for its echo,
    once for each.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._own: dict[tuple[int, bytes], deque[float]] = {}
        self._heard: dict[int, _Sequence] = {}
        self._since_s: float | None = None
        self._told = False

    @property
    def present(self) -> bool:
        """Whether a second BMS is heard now."""
        return any(each.is_heard(self._clock.monotonic()) for each in self._heard.values())

    def on_sent(self, frame: CanFrame) -> None:
        """Take a frame that the port took."""
        if frame.arbitration_id in BMS_IDS:
            times_s = self._own.setdefault((frame.arbitration_id, frame.data), deque())
            times_s.append(self._clock.monotonic())
            if len(self._own) > 4 * len(BMS_IDS) or len(times_s) > 4 * len(BMS_IDS):
                self._forget()

    def on_frame(self, frame: CanFrame) -> None:
        """Take a frame that was received."""
        if frame.arbitration_id in BMS_IDS and not self._is_echo(frame):
            self._heard.setdefault(frame.arbitration_id, _Sequence()).add(self._clock.monotonic())

    def check(self) -> Message | None:
        """Return what is new to tell: that a second BMS sends, or that it has gone; else None."""
        now_s = self._clock.monotonic()
        if not self.present:
            told, self._told, self._since_s = self._told, False, None
            return message("second_bms.gone") if told else None
        if self._since_s is None:
            self._since_s = now_s
        if self._told or now_s - self._since_s < _COLLECT_S:
            return None
        self._told = True
        frames = [
            message("second_bms.frame", id=f"0x{identifier:03X}", period_s=each.period_s)
            for identifier, each in sorted(self._heard.items())
            if each.is_heard(now_s)
        ]
        return message("second_bms", frames=frames)

    def _is_echo(self, frame: CanFrame) -> bool:
        times_s = self._own.get((frame.arbitration_id, frame.data))
        while times_s:
            if self._clock.monotonic() - times_s.popleft() <= _ECHO_S:
                return True
        return False

    def _forget(self) -> None:
        oldest_s = self._clock.monotonic() - _ECHO_S
        for key, times_s in list(self._own.items()):
            while times_s and times_s[0] < oldest_s:
                times_s.popleft()
            if not times_s:
                del self._own[key]


class BusSilence:
    """Says when an adapter shall be opened anew because nothing at all is heard any more, although it was before."""

    def __init__(self, clock: Clock, received: Callable[[], int]) -> None:
        self._clock = clock
        self._received = received
        self._count = received()
        self._heard = self._count > 0
        self._since_s = clock.monotonic()
        self._openings = 0

    def check(self) -> float | None:
        """Return how long nothing was heard when it is time to open the adapter anew, else None."""
        now_s, count = self._clock.monotonic(), self._received()
        if count != self._count:
            self._count, self._heard, self._since_s, self._openings = count, True, now_s, 0
            return None
        pauses_s = _PAUSES_S[: self._openings + 1]
        pauses_s += (_PAUSES_S[-1],) * (self._openings + 1 - len(pauses_s))
        if not self._heard or now_s - self._since_s < sum(pauses_s):
            return None
        self._openings += 1
        return now_s - self._since_s
