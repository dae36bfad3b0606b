"""Which temperatures count for charging: those that are measured, and the last reading of a sensor that is lost.

A cable that breaks in frost must not leave the warm board of the BMS to speak for the cells.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import Temperatures

__all__ = ["Reading", "SensorMemory", "charge_readings", "lost_sensors", "next_sensors"]

Reading = tuple[float, str]
"""Degrees Celsius, and the name of a sensor that is lost; empty for one that measures."""


@dataclass(frozen=True, slots=True)
class SensorMemory:
    """The last reading of each external sensor that was ever seen; it survives a restart."""

    external_1_c: float | None = None
    external_2_c: float | None = None


def next_sensors(memory: SensorMemory, temperatures: Temperatures, keep_lost: bool) -> SensorMemory:
    """Return the memory with these readings; without ``keep_lost`` a sensor that is gone is forgotten."""
    if not keep_lost:
        return SensorMemory(_finite(temperatures.external_1_c), _finite(temperatures.external_2_c))
    first_c, second_c = _finite(temperatures.external_1_c), _finite(temperatures.external_2_c)
    return SensorMemory(
        memory.external_1_c if first_c is None else first_c,
        memory.external_2_c if second_c is None else second_c,
    )


def charge_readings(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    """Return everything that limits charging."""
    return [(celsius, "") for celsius in temperatures.pack_c] + _lost(memory, temperatures)


def lost_sensors(memory: SensorMemory, temperatures: Temperatures) -> tuple[str, ...]:
    """Return the names of the sensors that are lost."""
    return tuple([name for _, name in _lost(memory, temperatures)])


def _lost(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    lost: list[Reading] = []
    if temperatures.external_1_c is None and memory.external_1_c is not None:
        lost.append((memory.external_1_c, "external sensor 1"))
    if temperatures.external_2_c is None and memory.external_2_c is not None:
        lost.append((memory.external_2_c, "external sensor 2"))
    return lost


def _finite(celsius: float | None) -> float | None:
    return celsius if celsius is not None and math.isfinite(celsius) else None
