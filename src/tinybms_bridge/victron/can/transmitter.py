"""One burst of frames a second, spread over the period, each made when it is sent; a lowered limit at once."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from tinybms_bridge.battery.gx import LONGEST_BURST_MS, SHORTEST_BURST_MS
from tinybms_bridge.hal.can import CanFrame, CanPort
from tinybms_bridge.hal.clock import Clock, Timer

__all__ = ["FrameSource", "Transmitter", "TransmitterSettings", "TransmitterStatistics"]

_GROUP = 2
"""Frames that go out in one turn: each turn wakes a machine that sleeps in between, and the receive buffers of a
controller as simple as an MCP2515 hold two frames."""
_FRAME_S = 0.021
"""What a frame takes of the time: 50 frames at most in any second, though it may begin and end with a group; some
300 frames/s broke the detection of the battery (victron-can.md, 1)."""
_SMALLEST_KICK_GAP_S = 0.1
_SMALL_FALL_GAP_S = 1.0
"""A fall that matters little may wait as long as a burst does; it must not fill the bus."""


@dataclass(frozen=True, slots=True)
class TransmitterSettings:
    """When frames go out. Raises ValueError outside the ranges."""

    period_s: float = 1.0
    """0.1 to 2.0; a GX stops everything when 0x351 is missing for 3 s."""
    spread: float = 0.8
    """Part of the period over which a burst is spread, 0 to 0.95: of n frames the first goes out at once, and the group
    of number i and i + 1 (i even) after i / n of that time."""

    def __post_init__(self) -> None:
        if not SHORTEST_BURST_MS <= self.period_s * 1000.0 <= LONGEST_BURST_MS:
            bounds = f"{SHORTEST_BURST_MS / 1000.0} to {LONGEST_BURST_MS / 1000.0}"
            raise ValueError(f"period_s is {self.period_s}, allowed are {bounds}")
        if not 0.0 <= self.spread <= 0.95:
            raise ValueError(f"spread is {self.spread}, allowed are 0 to 0.95")


@dataclass(slots=True)
class TransmitterStatistics:
    """Counters since the start."""

    bursts: int = 0
    """Bursts begun, with those of ``kick``."""
    kicks: int = 0
    alone: int = 0
    """Times that the first frame went out alone, for a lowered limit."""
    skipped: int = 0
    """Times that the source had nothing to send."""
    missed_periods: int = 0
    """Periods that passed while the event loop was held up or the machine was suspended."""
    frames: int = 0
    dropped: int = 0
    """Frames that the port did not take."""
    jitter_last_s: float = 0.0
    """How late the last periodic burst began."""
    jitter_max_s: float = 0.0


class FrameSource(Protocol):
    """Makes the frames."""

    def may_send(self) -> bool:
        """Return whether anything may be sent now, what was made a moment ago included."""
        ...

    def burst_ids(self) -> tuple[int, ...]:
        """Return which frames a burst has that begins now, the most urgent first; empty: nothing may be sent."""
        ...

    def make_frames(self, identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...] | None:
        """Return a frame of this moment, and those of the ``waiting`` ones that have to agree with it.

        Without the frame itself when it has nothing to tell any more; None when nothing may be sent.
        """
        ...


class Transmitter:
    """Sends what the source gives, on a grid that does not drift; nothing else repeats frames.

    A burst begins with its first frame; the others follow, those first that were sent longest ago. So neither a short
    period nor many kicks keep any frame from being sent. Each is made when it is sent. Two go out back to back, never
    more. A lowered limit goes out with the first frame alone, beside the burst under way. Never more than 50 frames in
    a second, whatever happened before.
    """

    def __init__(
        self, port: CanPort, clock: Clock, source: FrameSource, settings: TransmitterSettings | None = None
    ) -> None:
        self.settings = settings or TransmitterSettings()
        self.statistics = TransmitterStatistics()
        self.on_sent: Callable[[CanFrame, bool], None] | None = None
        """Called with each frame and whether the port took it, for a log of the traffic."""
        self._port = port
        self._clock = clock
        self._source = source
        self._timer: Timer | None = None
        self._failed: asyncio.Future[None] | None = None
        self._kicked = False
        self._alone_due_s = float("inf")
        self._alone_at_s = float("-inf")
        self._between: list[Callable[[], None]] = []
        self._waiting: deque[int] = deque()
        self._made: dict[int, CanFrame] = {}  # of the waiting ones, those that agree with one that was sent
        self._silent = False
        self._sent_at_s: dict[int, float] = {}
        self._due_s = 0.0
        self._begun_at_s = float("-inf")
        self._first_id = -1
        self._first_sent_s = float("-inf")
        self._gap_s = 0.0
        self._next_group_s = 0.0
        self._last_frame_s = float("-inf")
        self._paid_s = float("-inf")  # when the frames that were sent have had their time

    def kick(self) -> None:
        """Begin a burst now, because sending begins or ends; at most ten in a second, the periodic grid stays.

        Also ends the burst under way when the source has become silent.
        """
        self._kicked = True
        self._wake()

    def send_first(self, *, small: bool = False) -> None:
        """Send the first frame alone, for a limit that was lowered; the burst under way goes on.

        At once, but at least 100 ms after the last such frame; for a ``small`` fall 1 s after the last one of its kind.
        """
        now_s = self._clock.monotonic()
        due_s = self._first_sent_s + _SMALL_FALL_GAP_S if small else self._alone_at_s + _SMALLEST_KICK_GAP_S
        self._alone_due_s = min(self._alone_due_s, max(now_s, due_s))
        self._wake()

    def between_bursts(self, action: Callable[[], None]) -> None:
        """Call ``action`` once, right after the last frame of a burst, or while nothing is sent.

        So it has what is left of the period, some 200 ms, before it holds anything up. One action for each burst.
        """
        self._between.append(action)
        self._wake()

    async def run(self) -> None:
        """Send until cancelled. An exception of the source ends it: without valid frames the GX must stop."""
        self._due_s = self._clock.monotonic()
        self._failed = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            await self._failed
        finally:
            self._failed = None
            self._set_timer(None)

    def _turn(self) -> None:
        """Do what is due, right from the timer: a task would get its turn after all others, several times over."""
        failed = self._failed
        if failed is None or failed.done():
            return
        try:
            self._do_what_is_due(self._clock.monotonic())
            self._set_timer(self._clock.call_later(max(0.0, self._wake_s() - self._clock.monotonic()), self._turn))
        except Exception as error:  # noqa: BLE001 -- raised by ``run``
            failed.set_exception(error)

    def _do_what_is_due(self, now_s: float) -> None:
        if now_s >= self._due_s:
            self._begin_periodic(now_s)
        elif self._kicked and now_s >= self._begun_at_s + _SMALLEST_KICK_GAP_S:
            self.statistics.kicks += 1
            self._begin(now_s)
        elif now_s >= self._first_due_s:
            self._begin_alone(now_s)
        ended = self._silent
        if self._waiting and now_s >= self._group_due_s:
            self._send_group(now_s)
            ended = not self._waiting
        if self._between and ended:
            self._between.pop(0)()

    @property
    def _group_due_s(self) -> float:
        starts = self._waiting[0] == self._first_id
        return max(self._next_group_s, self._first_allowed_s if starts else self._paid_s)

    @property
    def _first_due_s(self) -> float:
        return max(self._alone_due_s, self._first_allowed_s)

    @property
    def _first_allowed_s(self) -> float:
        """When the first frame of a burst may go out: the time of one frame sooner than others, which then wait."""
        return max(self._last_frame_s, self._paid_s - 2 * _FRAME_S) + _FRAME_S

    def _begin_periodic(self, now_s: float) -> None:
        late_s, period_s, statistics = now_s - self._due_s, self.settings.period_s, self.statistics
        statistics.jitter_last_s = late_s
        statistics.jitter_max_s = max(statistics.jitter_max_s, late_s)
        missed = int(late_s / period_s)
        statistics.missed_periods += missed
        self._due_s += (missed + 1) * period_s
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        self._kicked = False
        self._begun_at_s = now_s
        identifiers = self._source.burst_ids()
        if not identifiers:
            self._begin_nothing()
            return
        self._alone_due_s, self._silent = float("inf"), False
        self._clear()
        self.statistics.bursts += 1
        first, *others = identifiers
        others.sort(key=lambda identifier: self._sent_at_s.get(identifier, float("-inf")))
        self._waiting.extend((first, *others))
        self._first_id = first
        self._gap_s = self.settings.period_s * self.settings.spread / len(identifiers)
        self._next_group_s = now_s

    def _begin_alone(self, now_s: float) -> None:
        identifiers = self._source.burst_ids()
        if not identifiers:
            self._begin_nothing()
            return
        self._alone_due_s, self._alone_at_s, self._silent = float("inf"), now_s, False
        self.statistics.alone += 1
        first = identifiers[0]
        if self._waiting and self._waiting[0] == first:
            self._waiting.popleft()  # has not gone out yet, and need not follow
        self._make(first, now_s)

    def _begin_nothing(self) -> None:
        self._alone_due_s, self._silent = float("inf"), True
        self._clear()
        self.statistics.skipped += 1

    def _clear(self) -> None:
        self._waiting.clear()
        self._made.clear()

    def _send_group(self, now_s: float) -> None:
        count = min(_GROUP, len(self._waiting))
        self._next_group_s += count * self._gap_s
        for _ in range(count):
            if self._waiting:  # nothing may be sent any more otherwise
                self._send_next(now_s)

    def _send_next(self, now_s: float) -> None:
        identifier = self._waiting.popleft()
        frame = self._made.pop(identifier, None)
        if frame is None:
            self._make(identifier, now_s)
        elif self._source.may_send():
            self._put(frame, now_s)
        else:
            self._begin_nothing()

    def _make(self, identifier: int, now_s: float) -> None:
        """Make a frame and send it; those that have to agree with it wait for their turn."""
        frames = self._source.make_frames(identifier, self._waiting)
        if frames is None:
            self._begin_nothing()
            return
        self._made.update((frame.arbitration_id, frame) for frame in frames)
        frame = self._made.pop(identifier, None)
        if frame is not None:
            self._put(frame, now_s)

    def _put(self, frame: CanFrame, now_s: float) -> None:
        self._sent_at_s[frame.arbitration_id] = self._last_frame_s = now_s
        self._paid_s = max(now_s, self._paid_s) + _FRAME_S
        if frame.arbitration_id == self._first_id:
            self._first_sent_s = now_s
        taken = self._port.send(frame)
        if taken:
            self.statistics.frames += 1
        else:
            self.statistics.dropped += 1
        if self.on_sent is not None:
            self.on_sent(frame, taken)

    def _wake_s(self) -> float:
        wake_s = self._due_s
        if self._waiting:
            wake_s = min(wake_s, self._group_due_s)
        if self._kicked:
            wake_s = min(wake_s, self._begun_at_s + _SMALLEST_KICK_GAP_S)
        return min(wake_s, self._first_due_s)

    def _wake(self) -> None:
        """Have a turn at once, for a call from outside."""
        if self._failed is not None:
            self._set_timer(self._clock.call_later(0.0, self._turn))

    def _set_timer(self, timer: Timer | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
