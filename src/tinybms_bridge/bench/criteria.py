"""The bar: what has to hold in every scenario."""

import math
from dataclasses import dataclass

from tinybms_bridge.bench.metrics import Metrics
from tinybms_bridge.bench.scenario import Scenario

__all__ = ["CRITERIA", "Violation", "violations"]

CRITERIA = (
    "no over-voltage protection of the BMS trips",
    "the highest cell stays 10 mV below its cut-off",
    "CVL changes direction at most twice an hour in steady state",
    "a CCL or DCL that the readings demand is sent within one second",
    "CCL rises no faster than its ramp",
    "FLOAT is reached where the sun is enough",
    "CVL is never below the floor",
)
"""In the order in which they are judged."""

_HEADROOM_MV = 10.0
_REVERSALS_PER_H = 2.0
_DELAY_S = 1.0
_RAMP_TOLERANCE = 1.3
"""Two decisions may fall into the five seconds over which a rise is measured, one more than the ramp knows."""
_RESOLUTION_V = 0.05
_OVER_VOLTAGE = "over-voltage"


@dataclass(frozen=True, slots=True)
class Violation:
    """One criterion that a run does not hold."""

    name: str
    """One or two words."""
    text: str
    """What was found, with its number."""


def violations(metrics: Metrics, scenario: Scenario) -> tuple[Violation, ...]:
    """Return what a run does not hold, in the order of ``CRITERIA``; empty when it holds everything."""
    most_rise = metrics.ccl_ramp_a_per_s * _RAMP_TOLERANCE + 0.1
    findings = (
        (
            _OVER_VOLTAGE in metrics.trips,
            "over-voltage",
            f"over-voltage protection tripped {metrics.trips.get(_OVER_VOLTAGE, 0)} times",
        ),
        (
            metrics.headroom_mv < _HEADROOM_MV,
            "headroom",
            f"highest cell {metrics.highest_cell_v:.3f} V, {metrics.headroom_mv:.0f} mV below its cut-off",
        ),
        (
            metrics.reversals_per_h > _REVERSALS_PER_H,
            "turns",
            f"CVL turned {metrics.reversals_per_h:.0f} times within an hour of steady state",
        ),
        (
            metrics.reduction_delay_s > _DELAY_S + 1e-6,
            "delay",
            f"a demanded reduction came after {metrics.reduction_delay_s:.0f} s",
        ),
        (
            not math.isinf(metrics.ccl_ramp_a_per_s) and metrics.ccl_rise_a_per_s > most_rise,
            "ramp",
            f"CCL rose by {metrics.ccl_rise_a_per_s:.1f} A/s, its ramp is {metrics.ccl_ramp_a_per_s:.1f} A/s",
        ),
        (scenario.expects_float and metrics.time_to_float_s is None, "no float", "FLOAT was not reached"),
        (
            metrics.cvl_lowest_v < metrics.floor_v - _RESOLUTION_V,
            "floor",
            f"CVL {metrics.cvl_lowest_v:.1f} V, the floor is {metrics.floor_v:.1f} V",
        ),
    )
    return tuple(Violation(name, text) for broken, name, text in findings if broken)
