"""What stands behind a simulated GX: sun and house, the installation, and the poles of the battery."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["BatteryTerminals", "GxPlan", "demo_load_power_w", "demo_solar_power_w", "sized"]

_DEMO_DAY_S = 240.0


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
    """What sun and house would like, over the time since the start, and the installation between them."""

    solar_power_w: Callable[[float], float] = demo_solar_power_w
    load_power_w: Callable[[float], float] = demo_load_power_w
    system: SystemPlan = field(default_factory=lambda: SystemPlan(island=False))


def sized(system: SystemPlan, packs: int) -> GxPlan:
    """Return sun, house and devices for so many packs: with one, those of a demonstration."""
    if packs == 1:
        return GxPlan(system=system)
    larger = replace(
        system,
        solar_max_a=system.solar_max_a * packs,
        inverter_max_w=system.inverter_max_w * packs,
        export_max_w=system.export_max_w * packs,
    )
    return GxPlan(
        lambda time_s: packs * demo_solar_power_w(time_s), lambda time_s: packs * demo_load_power_w(time_s), larger
    )
