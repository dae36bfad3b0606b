"""Which cells are bled (user manual Rev D, balancing)."""

from collections.abc import Sequence

from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

__all__ = ["balancing_now", "balancing_wanted"]

_BLEED_STRIDE = 3


def balancing_wanted(voltages_v: Sequence[float], limits: Thresholds, *, over_voltage: bool = False) -> list[int]:
    """Return the indexes (from 0) of the cells that should bleed, highest voltage first.

    Those above register 303 that stand more than register 308 over the lowest; in an over-voltage fault all above
    register 303, until the fault is over.
    """
    lowest_v = min(voltages_v)
    least_v = limits.balance_above_v if over_voltage else max(limits.balance_above_v, lowest_v + limits.disbalance_v)
    high = [index for index, voltage_v in enumerate(voltages_v) if voltage_v > least_v]
    return sorted(high, key=lambda index: -voltages_v[index])


def balancing_now(wanted: Sequence[int]) -> list[int]:
    """Return those that may bleed at once: at most every third cell."""
    chosen: list[int] = []
    for index in wanted:
        if all(abs(index - other) >= _BLEED_STRIDE for other in chosen):
            chosen.append(index)
    return chosen
