"""The three limits as frame 0x351 carries them, and when they go out.

Steps of 0.1, rounded, saturated (reference victron-can, section 2). A burst goes out once a second with what was
decided before; a limit that fell does not wait for it.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.victron.dvcc import Told

__all__ = ["RESOLUTION", "Bursts", "Sent", "quantised"]

RESOLUTION = 0.1
"""Volts or amperes of one step."""
_LARGEST_CURRENT_A = 3276.7
_LARGEST_VOLTAGE_V = 6553.5
_BURST_S = 1.0
"""A decision waits this long for the next burst of frames, at worst."""


@dataclass(frozen=True, slots=True)
class Sent(Told):
    """What a GX gets to know; the charge state behind it, and when it was decided."""

    state: ChargeState
    decided_s: float = 0.0
    in_doubt: bool = False
    """Whether the reading that it was decided with is to be followed by the next one at once."""
    soc_percent: float = math.nan
    """State of charge in the frames."""
    balancing: bool = False
    """Whether the battery is held at a high voltage for the sake of unequal cells."""


class Bursts:
    """What is on the bus of what was decided."""

    def __init__(self) -> None:
        self.sent: Sent | None = None
        self._waiting: Sent | None = None
        self._burst_s = -math.inf

    def decide(self, decided: Sent | None, now_s: float, dt_s: float) -> None:
        """Take what is decided at ``now_s``, for a step of ``dt_s`` seconds.

        In steps of up to a second what was decided at the step before goes out, at the time of a burst or because a
        limit fell; a longer step holds many bursts.
        """
        before, self._waiting = self._waiting, decided
        if decided is None or dt_s > _BURST_S:
            self.sent, self._burst_s = decided, now_s
        elif now_s - self._burst_s >= _BURST_S - 1e-6 or _fell(self.sent, before):
            self.sent, self._burst_s = before, now_s


def _fell(old: Told | None, new: Told | None) -> bool:
    if old is None or new is None:
        return False
    return new.cvl_v < old.cvl_v or new.ccl_a < old.ccl_a or new.dcl_a < old.dcl_a


def quantised(cvl_v: float, ccl_a: float, dcl_a: float, state: ChargeState, decided_s: float = 0.0) -> Sent:
    """Return the limits as they arrive: rounded to the nearest step, half away from zero."""
    return Sent(
        _step(cvl_v, _LARGEST_VOLTAGE_V),
        _step(ccl_a, _LARGEST_CURRENT_A),
        _step(dcl_a, _LARGEST_CURRENT_A),
        state,
        decided_s,
    )


def _step(value: float, largest: float) -> float:
    return math.floor(min(max(value, 0.0), largest) * 10.0 + 0.5 + 1e-9) / 10.0
