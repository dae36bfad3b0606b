"""What a cell would show without current: its measured voltage less an estimate of what the current adds to it.

No register tells the resistance of a cell, and one that is new, warm and small differs much from one that is not. The
estimate is that of usual cells with their connections; what hangs on it has to bear that it is twice as much.
"""

import math

from tinybms_bridge.battery.snapshot import Ratings, Snapshot

__all__ = ["cell_resistance_ohm", "current_adds_v", "rested_v"]

_VOLTS_PER_C = 0.2
"""At 25 °C a current of 0.01C moves a usual cell by 2 mV after some minutes (reference charging-physics)."""

_COLD_FACTOR = 3.0
"""At 0 °C the resistance is this many times that at 25 °C; colder, it is taken as no higher."""

_COLD_C = 0.0
_WARM_C = 25.0


def cell_resistance_ohm(capacity_ah: float, celsius: float | None = None) -> float:
    """Return the resistance of one cell in ohms; that at 25 °C where no temperature is known, 0 without a capacity."""
    if not 0.0 < capacity_ah < math.inf:
        return 0.0
    warmth = 1.0
    if celsius is not None and math.isfinite(celsius):
        warmth = max(0.0, min(1.0, (celsius - _COLD_C) / (_WARM_C - _COLD_C)))
    return _VOLTS_PER_C / capacity_ah * (_COLD_FACTOR + (1.0 - _COLD_FACTOR) * warmth)


def rested_v(voltage_v: float, current_a: float, capacity_ah: float, celsius: float | None = None) -> float:
    """Return the voltage V - R x I that a cell would show without its current (positive = charge)."""
    return voltage_v - cell_resistance_ohm(capacity_ah, celsius) * current_a


def current_adds_v(snapshot: Snapshot, ratings: Ratings) -> float:
    """Return what the present current adds to every cell: negative while discharging. The coldest reading counts."""
    pack = snapshot.pack
    if pack.current_a == 0.0:
        return 0.0
    return pack.current_a * cell_resistance_ohm(ratings.capacity_ah, snapshot.temperatures.coldest_c)
