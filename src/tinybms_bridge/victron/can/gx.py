"""Whether a GX is at the other end of the bus, from its frames 0x305 and 0x307 (victron-can.md, 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.hal.clock import Clock

__all__ = ["IDENTIFICATION", "IDENTIFICATION_ID", "KEEP_ALIVE_ID", "GxChange", "GxPresence", "GxState"]

KEEP_ALIVE_ID = 0x305
IDENTIFICATION_ID = 0x307
IDENTIFICATION = bytes.fromhex("12345678") + b"VIC\0"
"""Payload of 0x307."""


class GxState(StrEnum):
    """What is known of the GX. Informative only: no limit depends on it."""

    NEVER_SEEN = "NEVER_SEEN"
    PRESENT = "PRESENT"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class GxChange:
    """News of the GX: a new state, or that none was seen within the timeout after the start."""

    state: GxState
    previous: GxState
    at_s: float
    """Monotonic time at which it was noticed."""
    silent_for_s: float
    """Time since the last frame of the GX, or since the start when there was none."""


class GxPresence:
    """Follows the frames of a GX. Needs ``check`` now and then, because a GX that is gone sends nothing."""

    def __init__(
        self, clock: Clock, timeout_s: float = 10.0, on_change: Callable[[GxChange], None] | None = None
    ) -> None:
        self.state = GxState.NEVER_SEEN
        self.since_s = clock.monotonic()
        """Monotonic time since which ``state`` holds."""
        self.last_seen_s: float | None = None
        """Monotonic time of the last frame of a GX, or None."""
        self.identified = False
        """Whether a valid 0x307 was seen: the other end is a GX of Victron for certain."""
        self.frames = 0
        """Frames of a GX since the start."""
        self.timeout_s = timeout_s
        self._clock = clock
        self._on_change = on_change
        self._started_s = self.since_s
        self._absence_reported = False

    def on_frame(self, frame: CanFrame) -> GxChange | None:
        """Take a received frame; return the change that it makes, if any. The payload of 0x305 says nothing."""
        if not self._is_from_gx(frame):
            return None
        silent_for_s = self.silent_for_s
        self.last_seen_s = self._clock.monotonic()
        self.frames += 1
        if self.state is GxState.PRESENT:
            return None
        return self._change(GxState.PRESENT, silent_for_s)

    def check(self) -> GxChange | None:
        """Return the change that time alone has made: LOST, or once NEVER_SEEN."""
        if self.silent_for_s < self.timeout_s:
            return None
        if self.state is GxState.PRESENT:
            return self._change(GxState.LOST, self.silent_for_s)
        if self.state is GxState.NEVER_SEEN and not self._absence_reported:
            self._absence_reported = True
            return self._change(GxState.NEVER_SEEN, self.silent_for_s)
        return None

    @property
    def silent_for_s(self) -> float:
        """Time since the last frame of the GX, or since the start when there was none."""
        last_s = self._started_s if self.last_seen_s is None else self.last_seen_s
        return self._clock.monotonic() - last_s

    def _is_from_gx(self, frame: CanFrame) -> bool:
        if frame.arbitration_id == IDENTIFICATION_ID and frame.data == IDENTIFICATION:
            self.identified = True
            return True
        return frame.arbitration_id == KEEP_ALIVE_ID

    def _change(self, state: GxState, silent_for_s: float) -> GxChange:
        now_s = self._clock.monotonic()
        change = GxChange(state=state, previous=self.state, at_s=now_s, silent_for_s=silent_for_s)
        if state is not self.state:
            self.state, self.since_s = state, now_s
        if self._on_change:
            self._on_change(change)
        return change
