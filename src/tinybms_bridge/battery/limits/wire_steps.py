"""What limits become in the steps of frame 0x351: 0.1 V and 0.1 A, never more than was decided.

The frame would be rounded to the nearest step otherwise, which can lie above a ceiling or a user's maximum. Done
before, the limits that a GX obeys, an API shows and a log names are the same numbers.
"""

import math
from dataclasses import replace

from tinybms_bridge.battery.limits.model import Limits

__all__ = ["down_to_step", "in_wire_steps", "up_to_step"]

_STEPS_PER_UNIT = 10
_NOISE = 1e-6
"""Sums of decimal numbers are off by less than this share of a step."""


def down_to_step(limit: float) -> float:
    """Return the largest multiple of 0.1 that is not above ``limit``."""
    return math.floor(limit * _STEPS_PER_UNIT + _NOISE) / _STEPS_PER_UNIT


def up_to_step(limit: float) -> float:
    """Return the smallest multiple of 0.1 that is not below ``limit``."""
    return math.ceil(limit * _STEPS_PER_UNIT - _NOISE) / _STEPS_PER_UNIT


def in_wire_steps(limits: Limits) -> Limits:
    """Return the limits as a GX will read them. The floor of CVL is a step itself, so that CVL stays above it."""
    return replace(
        limits,
        cvl_v=down_to_step(limits.cvl_v),
        ccl_a=down_to_step(limits.ccl_a),
        dcl_a=down_to_step(limits.dcl_a),
    )
