"""The self-test of loopback mode: whether what is sent comes back as it was sent."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.clock import Clock

__all__ = ["LoopbackResult", "LoopbackTest", "LoopbackVerdict"]

_BACK_S = 2.0
"""Time within which a frame has to come back: a burst is sent within one second, and a bus may be busy."""
_JUDGED = 20
"""Frames that the verdict rests on; about one burst."""


class LoopbackVerdict(StrEnum):
    """What the test says now."""

    WAITING = "waiting"
    """No frame was sent long enough ago."""
    PASSED = "passed"
    """Each of the last frames came back with the same bytes."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LoopbackResult:
    """The self-test since the adapter was opened."""

    verdict: LoopbackVerdict = LoopbackVerdict.WAITING
    sent: int = 0
    """Frames that came back, or should have by now."""
    returned: int = 0
    """Frames that came back as they were sent."""


class LoopbackTest:
    """Compares the frames that come in with those that went out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._out: deque[tuple[float, CanFrame]] = deque()
        self._last: deque[bool] = deque(maxlen=_JUDGED)
        self._sent = self._returned = 0

    def on_sent(self, frame: CanFrame) -> None:
        """Take a frame that the port took."""
        self._out.append((self._clock.monotonic(), frame))
        self._give_up()

    def on_frame(self, frame: CanFrame) -> None:
        """Take a frame that came in; one that was not sent from here says nothing."""
        self._give_up()
        entry = next((each for each in self._out if each[1] == frame), None)
        if entry is not None:
            self._out.remove(entry)
            self._note(returned=True)

    def result(self) -> LoopbackResult:
        """Return how the test stands."""
        self._give_up()
        if not self._last:
            return LoopbackResult()
        verdict = LoopbackVerdict.PASSED if all(self._last) else LoopbackVerdict.FAILED
        return LoopbackResult(verdict, self._sent, self._returned)

    def _give_up(self) -> None:
        oldest_s = self._clock.monotonic() - _BACK_S
        while self._out and self._out[0][0] < oldest_s:
            self._out.popleft()
            self._note(returned=False)

    def _note(self, *, returned: bool) -> None:
        self._sent += 1
        self._returned += returned
        self._last.append(returned)
