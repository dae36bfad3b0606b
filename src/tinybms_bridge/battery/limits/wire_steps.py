"""What limits become in the steps of frame 0x351: 0.1 V and 0.1 A, never more than was decided.

The frame would be rounded to the nearest step otherwise, which can lie above a ceiling or a user's maximum. Done
before, the limits that a GX obeys, an API shows and a log names are the same numbers.
"""

import math
from dataclasses import replace

from tinybms_bridge.battery.limits.model import Limits, Reason

__all__ = ["down_to_step", "in_wire_steps", "up_to_step"]

_STEPS_PER_UNIT = 10
_NOISE = 1e-6
"""Sums of decimal numbers are off by less than this share of a step."""


def down_to_step(limit: float) -> float:
    """Return the largest multiple of 0.1 that is not above ``limit``; what is not finite stays."""
    steps = limit * _STEPS_PER_UNIT + _NOISE
    return math.floor(steps) / _STEPS_PER_UNIT if math.isfinite(steps) else limit


def up_to_step(limit: float) -> float:
    """Return the smallest multiple of 0.1 that is not below ``limit``."""
    return math.ceil(limit * _STEPS_PER_UNIT - _NOISE) / _STEPS_PER_UNIT


def in_wire_steps(limits: Limits) -> Limits:
    """Return limits and reasons as a GX will read them; the floor of CVL is a step itself, so CVL stays above it."""
    return replace(
        limits,
        cvl_v=down_to_step(limits.cvl_v),
        ccl_a=down_to_step(limits.ccl_a),
        dcl_a=down_to_step(limits.dcl_a),
        reasons=tuple([_in_wire_steps(reason) for reason in limits.reasons]),
    )


def _in_wire_steps(reason: Reason) -> Reason:
    """Return a reason whose limit is one that is sent."""
    limit = down_to_step(reason.limit)
    if not limit < reason.limit:
        return reason
    return Reason(
        reason.quantity, reason.code, limit, reason.value, reason.threshold, reason.detail, reason.step, reason.wait_s
    )
