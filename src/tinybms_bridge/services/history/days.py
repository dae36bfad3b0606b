"""The record of a day: what is kept of it for ever, how steps add up to it, and what people read of it.

A day is one of the calendar where the machine is, of 23 or 25 hours when the clocks change; its times add up to what
was recorded of it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import Any, TypeVar

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.history.columns import Numbers, StoredColumn, Table, Unite
from tinybms_bridge.services.ports import (
    SOC_BANDS_PERCENT,
    TEMPERATURE_BOUNDS_C,
    CellExtreme,
    DayRecord,
    MonthRecord,
    PeriodRecord,
)

__all__ = [
    "DAYS",
    "DAY_COLUMNS",
    "DIRECTIONS",
    "EXTREMES",
    "PACK_DAYS",
    "SOC_BANDS",
    "TEMPERATURE_BANDS",
    "day_record",
    "direction_of",
    "month_records",
    "soc_band_of",
    "temperature_band_of",
]

DIRECTIONS = ("charging_s", "discharging_s", "resting_s")
SOC_BANDS = tuple(f"soc_{least}_s" for least in SOC_BANDS_PERCENT)
TEMPERATURE_BANDS = (
    f"below_{TEMPERATURE_BOUNDS_C[0]}_c_s",
    *(f"from_{least}_c_s" for least in TEMPERATURE_BOUNDS_C),
)

_RESTING_A = 0.05
"""Half of the finest step of the current that a TinyBMS tells: less is none."""

EXTREMES = (
    "voltage_v_min", "voltage_v_max", "current_a_min", "current_a_max", "power_w_min", "power_w_max",
    "soc_percent_min", "soc_percent_max", "cell_delta_mv_max", "coldest_c_min", "hottest_c_max",
)  # fmt: skip
"""Named as in the steps, and kept in the same units."""

_TEXT = "TEXT"
_OF_MAIN = "TEXT DEFAULT 'main'"

DAY_COLUMNS = (
    StoredColumn("charged_mwh"),
    StoredColumn("discharged_mwh"),
    StoredColumn("fresh_s"),
    StoredColumn("hold_s"),
    StoredColumn("silent_s"),
    StoredColumn("charged_mah"),
    StoredColumn("discharged_mah"),
    StoredColumn("billionths_of_cycles"),
    *(StoredColumn(name) for name in (*DIRECTIONS, *SOC_BANDS, *TEMPERATURE_BANDS)),
    StoredColumn("alarms"),
    StoredColumn("warnings"),
    *(StoredColumn(name, Unite.LEAST if name.endswith("_min") else Unite.GREATEST) for name in EXTREMES),
    StoredColumn("lowest_cell_mv_min", Unite.LEAST),
    StoredColumn("highest_cell_mv_max", Unite.GREATEST),
    StoredColumn("lowest_cell", Unite.WITH_LEAST, "lowest_cell_mv_min"),
    StoredColumn("lowest_cell_pack", Unite.WITH_LEAST, "lowest_cell_mv_min", _TEXT),
    StoredColumn("highest_cell", Unite.WITH_GREATEST, "highest_cell_mv_max"),
    StoredColumn("highest_cell_pack", Unite.WITH_GREATEST, "highest_cell_mv_max", _TEXT),
)
"""What is kept of a day, of the battery as of a pack."""

DAYS = Table(
    "days", (StoredColumn("day", kind="TEXT"),), (*DAY_COLUMNS, StoredColumn("pack", Unite.SAME, kind=_OF_MAIN))
)
"""Of the battery; ``pack`` is the pack that made it up alone, empty where there were several."""

PACK_DAYS = Table("pack_days", (StoredColumn("day", kind="TEXT"), StoredColumn("pack", kind="TEXT")), DAY_COLUMNS)
"""Of each pack while there are several."""

_NAMES = tuple(column.name for column in DAY_COLUMNS)


def direction_of(snapshot: Snapshot) -> int:
    """Return the place in ``DIRECTIONS`` of what a battery does."""
    current_a = snapshot.pack.current_a
    return 2 if abs(current_a) < _RESTING_A else 0 if current_a > 0.0 else 1


def soc_band_of(snapshot: Snapshot) -> int:
    """Return the place in ``SOC_BANDS`` of its state of charge."""
    return max(0, bisect_right(SOC_BANDS_PERCENT, snapshot.pack.soc_percent) - 1)


def temperature_band_of(snapshot: Snapshot) -> int | None:
    """Return the place in ``TEMPERATURE_BANDS`` of its hottest sensor; None without one."""
    hottest_c = snapshot.temperatures.hottest_c
    return None if hottest_c is None else bisect_right(TEMPERATURE_BOUNDS_C, hottest_c)


R = TypeVar("R", bound=PeriodRecord)


def day_record(day: str, numbers: Numbers) -> DayRecord:
    """Return the record of a day, from the day and the numbers that the table has."""
    return _record(DayRecord, numbers, day=date.fromisoformat(day))


def month_records(days: Iterable[tuple[str, Numbers]]) -> list[MonthRecord]:
    """Return the record of each month of some days, which are in order."""
    found = []
    for month, rows in groupby(days, lambda each: each[0][:7]):
        numbers = [each for _, each in rows]
        found.append(_record(MonthRecord, PACK_DAYS.united(numbers), month=month, days=len(numbers)))
    return found


_FIGURES: dict[str, tuple[str, int, int]] = {
    "charged_kwh": ("charged_mwh", 1000, 1000),
    "discharged_kwh": ("discharged_mwh", 1000, 1000),
    "recorded_h": ("fresh_s", 36, 100),
    "hold_h": ("hold_s", 36, 100),
    "silent_h": ("silent_s", 36, 100),
    "charged_ah": ("charged_mah", 10, 100),
    "discharged_ah": ("discharged_mah", 10, 100),
    "cycles": ("billionths_of_cycles", 100_000, 10_000),
    "charging_h": ("charging_s", 36, 100),
    "discharging_h": ("discharging_s", 36, 100),
    "resting_h": ("resting_s", 36, 100),
    "voltage_min_v": ("voltage_v_min", 1, 1000),
    "voltage_max_v": ("voltage_v_max", 1, 1000),
    "soc_min_percent": ("soc_percent_min", 1, 100),
    "soc_max_percent": ("soc_percent_max", 1, 100),
    "temperature_min_c": ("coldest_c_min", 1, 10),
    "temperature_max_c": ("hottest_c_max", 1, 10),
    "cell_delta_max_mv": ("cell_delta_mv_max", 1, 10),
}
"""Each figure of a record: its column, how much of that is one in the last decimal, and how many of those are one.

Whole numbers that are divided once have few decimals by themselves; ``round`` takes ten times as long.
"""

_DIRECTED: dict[str, tuple[str, float]] = {
    "charge_current_max_a": ("current_a_max", 1e2),
    "discharge_current_max_a": ("current_a_min", -1e2),
    "charge_power_max_w": ("power_w_max", 1e1),
    "discharge_power_max_w": ("power_w_min", -1e1),
}
"""What went furthest in one direction: 0 where it never went there."""

_KNOWN = ("charged_kwh", "discharged_kwh", "recorded_h")
"""What was always kept."""


_PLACES = {name: place for place, name in enumerate(_NAMES)}
_EXACT_AT = [(name, _PLACES[column], ones) for name, (column, step, ones) in _FIGURES.items() if step == 1]
_ROUNDED_AT = [
    (name, _PLACES[column], step // 2, step, ones) for name, (column, step, ones) in _FIGURES.items() if step > 1
]
_DIRECTED_AT = [(name, _PLACES[column], ones) for name, (column, ones) in _DIRECTED.items()]
_COUNTS_AT = [(name, _PLACES[name]) for name in ("alarms", "warnings")]
_SOC_AT, _TEMPERATURE_AT = (
    slice(_PLACES[names[0]], _PLACES[names[-1]] + 1) for names in (SOC_BANDS, TEMPERATURE_BANDS)
)
_LOWEST_AT, _HIGHEST_AT = (
    (_PLACES[extreme], _PLACES[cell], _PLACES[f"{cell}_pack"])
    for extreme, cell in (("lowest_cell_mv_min", "lowest_cell"), ("highest_cell_mv_max", "highest_cell"))
)


def _record(kind: Callable[..., R], numbers: Sequence[Any], **key: object) -> R:
    """Return a record in the units of people; a number that is not known stays so."""
    found: dict[str, Any] = {
        name: None if (value := numbers[place]) is None else value / ones for name, place, ones in _EXACT_AT
    }
    for name, place, half, step, ones in _ROUNDED_AT:
        found[name] = None if (value := numbers[place]) is None else (value + half) // step / ones
    for name, place, scale in _DIRECTED_AT:
        found[name] = None if (value := numbers[place]) is None else max(0.0, value / scale)
    for name, place in _COUNTS_AT:
        found[name] = numbers[place]
    for name in _KNOWN:
        found[name] = found[name] or 0.0
    return kind(
        **key,
        **found,
        soc_bands_h=_hours(numbers[_SOC_AT]),
        temperature_bands_h=_hours(numbers[_TEMPERATURE_AT]),
        cell_min=_cell(*[numbers[place] for place in _LOWEST_AT]),
        cell_max=_cell(*[numbers[place] for place in _HIGHEST_AT]),
    )


def _hours(seconds: Sequence[int | None]) -> tuple[float, ...] | None:
    return None if seconds[0] is None else tuple([(each + 18) // 36 / 100 if each else 0.0 for each in seconds])


def _cell(stored: int | None, number: int | None, pack: str | None) -> CellExtreme | None:
    return None if stored is None or number is None or pack is None else CellExtreme(stored / 10.0, number, pack)
