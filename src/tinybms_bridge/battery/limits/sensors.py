"""Which temperatures count for charging: those that are measured, and the last reading of a sensor that is lost.

A cable that breaks in frost must not leave the warm board of the BMS to speak for the cells. With no sensor alive at
all nobody knows how cold they are: the last readings count for some seconds, then charging ends. Discharge goes on as
it was: off grid its end switches the lights off, and the BMS still protects its cells.
"""

import math
from dataclasses import dataclass

from tinybms_bridge.battery.limits.memo import by_last
from tinybms_bridge.battery.quick import maker, quick
from tinybms_bridge.battery.snapshot import Temperatures

__all__ = [
    "Reading",
    "SensorMemory",
    "charge_readings",
    "discharge_readings",
    "is_blind",
    "lost_sensors",
    "next_sensors",
]

Reading = tuple[float, str]
"""Degrees Celsius, and the name of a sensor that is lost; empty for one that measures."""

_BLIND_S = 10.0
"""So long the last reading stands for cells that weigh kilograms; a plug that shook comes back sooner."""

_BOARD = "board sensor"


@quick
@dataclass(frozen=True, slots=True)
class SensorMemory:
    """The last readings of what may be lost; it survives a restart."""

    external_1_c: float | None = None
    external_2_c: float | None = None
    internal_c: float | None = None
    """Of the board's own sensor."""
    blind_s: float = 0.0
    """Time without any sensor, up to that after which charging ends."""
    soc_percent: float | None = None
    """State of charge by the BMS that counted last, from which one that cannot be is counted on."""


_new_memory = maker(SensorMemory)


def next_sensors(
    memory: SensorMemory,
    temperatures: Temperatures,
    keep_lost: bool,
    elapsed_s: float = 0.0,
    soc_percent: float | None = None,
) -> SensorMemory:
    """Return the memory with these readings; without ``keep_lost`` an external sensor that is gone is forgotten."""
    first_c, second_c = _finite(temperatures.external_1_c), _finite(temperatures.external_2_c)
    board_c = _finite(temperatures.internal_c)
    if keep_lost:
        first_c = memory.external_1_c if first_c is None else first_c
        second_c = memory.external_2_c if second_c is None else second_c
    return _new_memory(
        first_c,
        second_c,
        memory.internal_c if board_c is None else board_c,
        0.0 if temperatures.pack_c else min(memory.blind_s + elapsed_s, _BLIND_S),
        memory.soc_percent if soc_percent is None else soc_percent,
    )


def is_blind(memory: SensorMemory, temperatures: Temperatures) -> bool:
    """Return whether nothing is known of the temperature any more."""
    return not temperatures.pack_c and (memory.blind_s >= _BLIND_S or not charge_readings(memory, temperatures))


@by_last
def charge_readings(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    """Return everything that limits charging."""
    readings = [(celsius, "") for celsius in temperatures.pack_c] + _lost(memory, temperatures)
    if not temperatures.pack_c and memory.internal_c is not None:
        readings.append((memory.internal_c, _BOARD))
    return readings


def discharge_readings(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    """Return everything that limits discharging: what is measured, and with no sensor alive what was."""
    if temperatures.pack_c or memory.internal_c is None:
        return [(celsius, "") for celsius in temperatures.pack_c]
    return [(memory.internal_c, _BOARD)]


def lost_sensors(memory: SensorMemory, temperatures: Temperatures) -> tuple[str, ...]:
    """Return the names of the sensors that are lost."""
    both = temperatures.external_2_c is not None or memory.external_2_c is None
    if both and temperatures.internal_c is not None and temperatures.external_1_c is not None:
        return ()  # as nearly always
    board = (_BOARD,) if temperatures.internal_c is None and _board_is_missed(memory, temperatures) else ()
    return tuple([name for _, name in _lost(memory, temperatures)]) + board


def _board_is_missed(memory: SensorMemory, temperatures: Temperatures) -> bool:
    return memory.internal_c is not None or not temperatures.pack_c


def _lost(memory: SensorMemory, temperatures: Temperatures) -> list[Reading]:
    lost: list[Reading] = []
    if temperatures.external_1_c is None and memory.external_1_c is not None:
        lost.append((memory.external_1_c, "external sensor 1"))
    if temperatures.external_2_c is None and memory.external_2_c is not None:
        lost.append((memory.external_2_c, "external sensor 2"))
    return lost


def _finite(celsius: float | None) -> float | None:
    return celsius if celsius is not None and math.isfinite(celsius) else None
