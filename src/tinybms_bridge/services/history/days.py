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
from tinybms_bridge.services.history.columns import Numbers, StoredColumn, Table, Unite, united
from tinybms_bridge.services.history.fields import MEASURED
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

_SCALES = {column: quantity.scale for group in MEASURED for quantity in group.quantities for column in quantity.columns}

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
        found.append(_record(MonthRecord, united(PACK_DAYS, numbers), month=month, days=len(numbers)))
    return found


def _record(kind: Callable[..., R], numbers: Numbers, **key: object) -> R:
    """Return a record in the units of people; a number that is not known stays so."""
    values: dict[str, Any] = dict(zip(_NAMES, numbers, strict=True))

    def scaled(name: str, scale: float, digits: int) -> float | None:
        value = values[name]
        return None if value is None else round(value / scale, digits)

    def hours(name: str) -> float | None:
        return scaled(name, 3600.0, 2)

    def bands(names: Sequence[str]) -> tuple[float, ...] | None:
        return None if values[names[0]] is None else tuple(round(values[name] / 3600.0, 2) for name in names)

    def extreme(name: str) -> float | None:
        value = values[name]
        return None if value is None else value / _SCALES[name]

    def greatest(name: str, sign: int) -> float | None:
        """Return the greatest value in one direction: 0 where it never went there."""
        value = values[name]
        return None if value is None else max(0.0, sign * value / _SCALES[name])

    def cell(which: str, end: str) -> CellExtreme | None:
        number, voltage_mv = values[which], extreme(f"{which}_mv_{end}")
        if number is None or voltage_mv is None:
            return None
        return CellExtreme(voltage_mv, number, values[f"{which}_pack"])

    return kind(
        **key,
        charged_kwh=scaled("charged_mwh", 1e6, 3) or 0.0,
        discharged_kwh=scaled("discharged_mwh", 1e6, 3) or 0.0,
        recorded_h=hours("fresh_s") or 0.0,
        hold_h=hours("hold_s"),
        silent_h=hours("silent_s"),
        charged_ah=scaled("charged_mah", 1e3, 2),
        discharged_ah=scaled("discharged_mah", 1e3, 2),
        cycles=scaled("billionths_of_cycles", 1e9, 4),
        charging_h=hours("charging_s"),
        discharging_h=hours("discharging_s"),
        resting_h=hours("resting_s"),
        soc_bands_h=bands(SOC_BANDS),
        temperature_bands_h=bands(TEMPERATURE_BANDS),
        alarms=values["alarms"],
        warnings=values["warnings"],
        voltage_min_v=extreme("voltage_v_min"),
        voltage_max_v=extreme("voltage_v_max"),
        charge_current_max_a=greatest("current_a_max", 1),
        discharge_current_max_a=greatest("current_a_min", -1),
        charge_power_max_w=greatest("power_w_max", 1),
        discharge_power_max_w=greatest("power_w_min", -1),
        soc_min_percent=extreme("soc_percent_min"),
        soc_max_percent=extreme("soc_percent_max"),
        temperature_min_c=extreme("coldest_c_min"),
        temperature_max_c=extreme("hottest_c_max"),
        cell_min=cell("lowest_cell", "min"),
        cell_max=cell("highest_cell", "max"),
        cell_delta_max_mv=extreme("cell_delta_mv_max"),
    )
