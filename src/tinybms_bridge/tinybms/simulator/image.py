"""One sample of the simulated pack as registers 0 to 55 (protocol Rev D, live data)."""

from collections.abc import Collection
from dataclasses import dataclass

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.frames import from_float, from_u32

__all__ = ["LIVE_WORDS", "Sample", "live_words"]

LIVE_WORDS = 56
"""Registers 0 to 55."""

_PINS = 16
_OWN_DRAW_A = 0.00475
"""The idle estimate of real units is the charge left divided by the draw of the BMS itself (registers 34-35)."""
_ABSENT = -32768 & 0xFFFF
_MAX_CELL_RAW = 45000
_LEAST_CELL_RAW = 8000
"""The cell inputs reach from 0.8 V to 4.5 V; below, no cell is detected."""
_U32_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Sample:
    """What the BMS has measured and decided at one refresh."""

    cells_v: tuple[float, ...]
    """Readings of the inputs that are wired to a cell, cell 1 (lowest) first."""
    configured_cells: int
    """Register 307: how many pins, from the top, count."""
    current_a: float
    """As the BMS reads it: 0 within its activity threshold."""
    soc_percent: float
    soh_percent: float
    left_ah: float
    """Charge left by the BMS's own count."""
    lifetime_s: int
    internal_c: float
    external_c: tuple[float | None, float | None]
    status: BmsStatus
    balancing_wanted: Collection[int] = ()
    """Indexes (from 0) of cells."""
    balancing_now: Collection[int] = ()


def live_words(sample: Sample) -> list[int]:
    """Return registers 0 to 55."""
    pins = _pins(sample)
    configured = pins[_PINS - sample.configured_cells :]
    external_1, external_2 = (_temperature(celsius) for celsius in sample.external_c)
    return [
        *pins,
        *[0] * 16,
        *from_u32(sample.lifetime_s & _U32_MAX),
        *from_u32(_time_left_s(sample)),
        *from_float(sum(configured) / 10000.0),
        *from_float(round(sample.current_a, 3)),
        _millivolts(min(configured)),
        _millivolts(max(configured)),
        external_1,
        external_2,
        0,
        round(sample.soh_percent * 500.0),
        *from_u32(round(sample.soc_percent * 1_000_000.0)),
        _temperature(sample.internal_c),
        0,
        sample.status.value,
        _bits(sample.balancing_wanted, len(sample.cells_v)),
        _bits(sample.balancing_now, len(sample.cells_v)),
        sum(round(v * 10000.0) >= _LEAST_CELL_RAW for v in sample.cells_v),
        *from_float(0.0),
    ]


def _pins(sample: Sample) -> list[int]:
    """Return registers 0 to 15: the cells are wired to the upper pins, pins that are not configured read 0."""
    unwired = _PINS - len(sample.cells_v)
    raw = [0] * unwired + [min(max(round(v * 10000.0), 0), _MAX_CELL_RAW) for v in sample.cells_v]
    return [value if pin >= _PINS - sample.configured_cells else 0 for pin, value in enumerate(raw)]


def _millivolts(raw: int) -> int:
    return (raw + 5) // 10


def _temperature(celsius: float | None) -> int:
    return _ABSENT if celsius is None else min(max(round(celsius * 10.0), -32767), 32767) & 0xFFFF


def _bits(indexes: Collection[int], count: int) -> int:
    return sum(1 << _PINS - count + index for index in indexes)


def _time_left_s(sample: Sample) -> int:
    drain_a = -sample.current_a if sample.current_a < 0 else _OWN_DRAW_A
    return round(min(sample.left_ah / drain_a * 3600.0, _U32_MAX))
