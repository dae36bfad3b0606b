"""The three limits as frame 0x351 carries them (reference victron-can, section 2): steps of 0.1, rounded, saturated."""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.victron.dvcc import Told

__all__ = ["RESOLUTION", "Sent", "quantised"]

RESOLUTION = 0.1
"""Volts or amperes of one step."""
_LARGEST_CURRENT_A = 3276.7
_LARGEST_VOLTAGE_V = 6553.5


@dataclass(frozen=True, slots=True)
class Sent(Told):
    """What a GX gets to know; the charge state behind it, and when it was decided."""

    state: ChargeState
    decided_s: float = 0.0


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
