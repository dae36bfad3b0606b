"""The battery under its flat names, those of the ESP32 firmware and ours: once for API, WebSocket and MQTT.

What is not live or not sent is None; the last values are in an object of their own. Fractions are as they come:
whatever goes out gives them their decimals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Cells, Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.services.ports import Moment

__all__ = [
    "RegisterNow",
    "active_levels",
    "age_numbers",
    "balancing_bits",
    "battery_numbers",
    "cells_mv",
    "extremes_now",
    "last_numbers",
    "limit_numbers",
    "live_registers",
    "pack_measured",
    "pack_numbers",
    "registers_now",
    "temperatures",
]


def battery_numbers(moment: Moment) -> dict[str, object]:
    """Return what every view of the battery begins with; the numbers are None while they are not live."""
    view = moment.view
    return {
        **pack_numbers(view.measured),
        **age_numbers(view),
        "remark": view.remark,
        "last": last_numbers(moment),
    }


def pack_numbers(snapshot: Snapshot | None) -> dict[str, float | int | None]:
    """Return the flat measurements under the names of the README; None without any.

    A state of charge that is only the last good one counted on is no measurement: neither it nor the BMS's own is told.
    The notice ``soc_unknown`` is active then.
    """
    return _UNKNOWN if snapshot is None else _measured(snapshot)


def last_numbers(moment: Moment) -> dict[str, object] | None:
    """Return the last measurements and limits with their time, while there are no live ones; else None."""
    last = moment.view.last
    if last is None:
        return None
    return {
        "at": last.at(moment.at),
        **pack_numbers(last.snapshot),
        "cells_mv": cells_mv(last.snapshot),
        "cvl": limit_numbers(last.limits),
        "alarms": {} if moment.hearing.connected else _numbers(moment.last_active()),
    }


def cells_mv(snapshot: Snapshot | None) -> list[int]:
    """Return each cell in whole millivolts, cell 1 first."""
    return [] if snapshot is None else [round(voltage * 1000.0) for voltage in snapshot.cells.voltages_v]


def temperatures(snapshot: Snapshot | None) -> list[float | None]:
    """Return the board's own sensor and the two external ones; empty without a sample."""
    if snapshot is None:
        return []
    sensors = snapshot.temperatures
    return [sensors.internal_c, sensors.external_1_c, sensors.external_2_c]


def balancing_bits(snapshot: Snapshot | None) -> int | None:
    """Return a mask of the cells that are being bled; bit 0 is cell 1. None without a sample, and for many packs."""
    if snapshot is None or snapshot.cells.count > _CELLS:
        return None
    return sum(1 << index for index, bled in enumerate(snapshot.cells.balancing) if bled)


def limit_numbers(limits: Limits | None) -> dict[str, float | str | None]:
    """Return state and limits under the names of the README's ``stats.cvl``; None without limits that are sent."""
    return {
        "state": None if limits is None else limits.state.value,
        "cvl_voltage_v": limits.cvl_v if limits else None,
        "ccl_limit_a": limits.ccl_a if limits else None,
        "dcl_limit_a": limits.dcl_a if limits else None,
    }


def active_levels(moment: Moment) -> dict[str, int]:
    """Return the alarms and notices in force: 1 warning, 2 alarm."""
    return _numbers(moment.active())


def _numbers(levels: Mapping[AlarmName | NoticeName, AlarmLevel]) -> dict[str, int]:
    return {name.value: int(level) for name, level in levels.items()}


_NAMES = (
    "voltage",
    "current",
    "soc_percent",
    "bms_soc_percent",
    "soh_percent",
    "temperature",
    "min_cell_mv",
    "max_cell_mv",
    "cell_imbalance_mv",
    "online_status",
    "power_w",
    "time_left_s",
)

_UNKNOWN: dict[str, float | int | None] = dict.fromkeys(_NAMES)


def _measured(snapshot: Snapshot) -> dict[str, float | int | None]:
    pack, cells = snapshot.pack, snapshot.cells
    return {
        "voltage": pack.voltage_v,
        "current": pack.current_a,
        "soc_percent": pack.soc_percent if pack.soc_known else None,
        "bms_soc_percent": _counted_by_bms_percent(snapshot),
        "soh_percent": pack.soh_percent,
        "temperature": snapshot.temperatures.hottest_c,
        "min_cell_mv": round(cells.min_v * 1000.0),
        "max_cell_mv": round(cells.max_v * 1000.0),
        "cell_imbalance_mv": round(cells.delta_mv),
        "online_status": pack.status_raw,
        "power_w": pack.power_w,
        "time_left_s": pack.time_left_s,
    }


def _counted_by_bms_percent(snapshot: Snapshot) -> float | None:
    return snapshot.pack.counted_by_bms_percent if snapshot.pack.soc_known else None


def pack_measured(view: View) -> dict[str, object]:
    """Return all that a pack measures under the names of ``BatteryNow``."""
    snapshot = view.measured
    return {
        **pack_numbers(snapshot),
        **age_numbers(view),
        "status": snapshot.pack.status.name if snapshot else None,
        "cells_mv": cells_mv(snapshot),
        "temperatures": temperatures(snapshot),
        "balancing_bits": balancing_bits(snapshot),
    }


def extremes_now(moment: Moment) -> dict[str, object]:
    """Return where the lowest and the highest cell of all packs that count are, with millivolts; None without any."""
    battery = moment.battery
    counting = [name for name in moment.packs if name in battery.members or not battery.members]
    live = [(name, cells) for name in counting if (cells := _live_cells(moment.packs[name])) is not None]
    if not live:
        return {"lowest_cell": None, "highest_cell": None}
    low_name, low = min(live, key=lambda each: each[1].min_v)
    high_name, high = max(live, key=lambda each: each[1].max_v)
    return {
        "lowest_cell": {"pack": low_name, "cell": low.min_number, "cell_mv": round(low.min_v * 1000.0)},
        "highest_cell": {"pack": high_name, "cell": high.max_number, "cell_mv": round(high.max_v * 1000.0)},
    }


def _live_cells(view: View) -> Cells | None:
    return view.measured.cells if view.measured is not None and view.measured.cells.count else None


def age_numbers(view: View) -> dict[str, object]:
    """Return freshness and age of the last sample."""
    return {"freshness": view.freshness.value, "age_ms": None if view.age_s is None else round(view.age_s * 1000.0)}


_CELLS = 16


class RegisterNow(TypedDict):
    """One value of the live sample by register of the BMS (tinybms-protocol.md, 2)."""

    address: int
    name: str
    value: float | int | None
    unit: str


@dataclass(frozen=True, slots=True)
class _Source:
    address: int
    name: str
    unit: str
    read: Callable[[Snapshot], float | int | None]


_SOURCES = (
    _Source(32, "lifetime_counter", "s", lambda s: s.pack.lifetime_s),
    _Source(34, "estimated_time_left", "s", lambda s: s.pack.time_left_s),
    _Source(36, "pack_voltage", "V", lambda s: s.pack.voltage_v),
    _Source(38, "pack_current", "A", lambda s: s.pack.current_a),
    _Source(40, "min_cell_voltage", "V", lambda s: s.cells.min_v),
    _Source(41, "max_cell_voltage", "V", lambda s: s.cells.max_v),
    _Source(42, "external_temperature_1", "°C", lambda s: s.temperatures.external_1_c),
    _Source(43, "external_temperature_2", "°C", lambda s: s.temperatures.external_2_c),
    _Source(45, "state_of_health", "%", lambda s: s.pack.soh_percent),
    _Source(46, "state_of_charge", "%", _counted_by_bms_percent),
    _Source(48, "internal_temperature", "°C", lambda s: s.temperatures.internal_c),
    _Source(50, "online_status", "", lambda s: s.pack.status_raw),
    _Source(52, "real_balancing_bits", "", lambda s: (balancing_bits(s) or 0) << (_CELLS - s.cells.count)),
)


def live_registers(snapshot: Snapshot | None) -> list[RegisterNow]:
    """Return the values by register; empty without a live sample.

    Cell n of N is register 16 - N + n - 1, because the cells sit at the highest connector pins.
    """
    if snapshot is None:
        return []
    first = _CELLS - snapshot.cells.count
    cells: list[RegisterNow] = [
        {"address": pin, "name": f"cell_{pin + 1}_voltage", "value": voltage_v, "unit": "V"}
        for pin, voltage_v in enumerate(snapshot.cells.voltages_v, start=first)
    ]
    return cells + [_entry(source, snapshot) for source in _SOURCES]


def registers_now(moment: Moment) -> list[RegisterNow]:
    """Return the values by register of the only BMS; empty for several, each of which has its own."""
    return [] if len(moment.packs) > 1 else live_registers(moment.view.measured)


def _entry(source: _Source, snapshot: Snapshot) -> RegisterNow:
    return {"address": source.address, "name": source.name, "value": source.read(snapshot), "unit": source.unit}
