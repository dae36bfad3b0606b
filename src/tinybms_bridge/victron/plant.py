"""What stands behind a simulated GX: sun and house, the poles of the battery, and the charger's voltage control."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["BatteryTerminals", "GxPlan", "VoltageRegulator", "demo_load_power_w", "demo_solar_power_w"]

_DEMO_DAY_S = 240.0

_REGULATOR_GAIN = 10.0  # amperes per volt and second: stable for packs of up to 0.1 ohm at steps of 1 s
_REGULATOR_HEADROOM_A = 5.0  # above the present current, so that CVL is not overrun when a cloud has passed
_REGULATOR_CUT_OFF_V = 0.3  # a charger whose target falls below the battery's voltage stops at once


class BatteryTerminals(Protocol):
    """The two poles of a battery, simulated elsewhere."""

    @property
    def voltage_v(self) -> float:
        """Voltage between the terminals now."""
        ...

    def set_current_a(self, current_a: float) -> None:
        """Let this current flow from now on; positive charges."""
        ...


def demo_solar_power_w(time_s: float) -> float:
    """Return the power of a sunny day that lasts four minutes: sunrise at its start, 4 kW at its best."""
    day = time_s % _DEMO_DAY_S / _DEMO_DAY_S
    return 4000.0 * max(math.sin(math.pi * day / 0.55), 0.0) if day < 0.55 else 0.0


def demo_load_power_w(time_s: float) -> float:
    """Return the power of a house on that day: 350 W always, a kitchen at noon, an evening with 2.4 kW."""
    day = time_s % _DEMO_DAY_S / _DEMO_DAY_S
    kitchen_w = 1200.0 if 0.3 <= day < 0.36 else 0.0
    evening_w = 2050.0 if 0.6 <= day < 0.9 else 0.0
    return 350.0 + kitchen_w + evening_w


@dataclass(frozen=True, slots=True)
class GxPlan:
    """What sun and house would like, over the time since the start."""

    solar_power_w: Callable[[float], float] = demo_solar_power_w
    load_power_w: Callable[[float], float] = demo_load_power_w


class VoltageRegulator:
    """Integral controller: the charge current at which the terminals stay at CVL."""

    def __init__(self) -> None:
        self.limiting = False
        """Whether the voltage, not CCL, bounds the current."""
        self._allowed_a = 0.0

    def reset(self) -> None:
        """Start again from no current."""
        self._allowed_a = 0.0
        self.limiting = False

    def step(self, room_v: float, ccl_a: float, flowing_a: float, elapsed_s: float) -> float:
        """Return the charge current to allow; ``room_v`` is how far the terminals are below CVL."""
        ramp_a = max(flowing_a, 0.0) + _REGULATOR_HEADROOM_A
        allowed_a = self._allowed_a + _REGULATOR_GAIN * room_v * elapsed_s
        if room_v < -_REGULATOR_CUT_OFF_V:
            allowed_a = 0.0
        self._allowed_a = max(0.0, min(allowed_a, ramp_a, ccl_a))
        self.limiting = room_v < 0.05 and self._allowed_a < ccl_a
        return self._allowed_a
