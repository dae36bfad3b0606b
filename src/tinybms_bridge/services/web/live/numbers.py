"""The flat numbers of the seed's README, made once for ``/api/status`` and for the live messages.

What is not live or not sent is null, also under the names of the seed; the last values are in an object of their own.
Fractions are as they come: whatever goes out gives them their decimals (``answer.rounded``).
"""

from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.web.face import CanFigures, Picture, UartFigures

__all__ = [
    "active_levels",
    "balancing_bits",
    "battery_numbers",
    "cells_mv",
    "flat_counters",
    "last_numbers",
    "limit_numbers",
    "pack_numbers",
    "temperatures",
]


def battery_numbers(picture: Picture) -> dict[str, object]:
    """Return what every picture of the battery begins with; the numbers are None while they are not live."""
    view = picture.view
    return {
        **pack_numbers(view.measured),
        "uptime_ms": round(picture.uptime_s * 1000.0),
        "age_ms": None if view.age_s is None else round(view.age_s * 1000.0),
        "freshness": view.freshness.value,
        "remark": view.remark,
        "last": last_numbers(picture),
    }


def pack_numbers(snapshot: Snapshot | None) -> dict[str, float | int | None]:
    """Return the flat measurements under the names of the README; None without any."""
    return _UNKNOWN if snapshot is None else _measured(snapshot)


def last_numbers(picture: Picture) -> dict[str, object] | None:
    """Return the last measurements and limits with their time, while there are no live ones; else None."""
    last = picture.view.last
    if last is None:
        return None
    return {
        "at": last.at(picture.at),
        **pack_numbers(last.snapshot),
        "cells_mv": cells_mv(last.snapshot),
        "cvl": limit_numbers(last.limits),
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
    """Return a mask of the cells that are being bled; bit 0 is cell 1. None without a sample."""
    if snapshot is None:
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


def flat_counters(uart: UartFigures, can: CanFigures) -> dict[str, int | bool]:
    """Return the health indicators that the README reads under ``stats``."""
    return {
        "uart_success_count": uart.success,
        "uart_errors": uart.errors,
        "can_tx_count": can.tx_count,
        "can_tx_errors": can.tx_errors,
        "victron_keepalive_ok": can.keepalive_ok,
    }


def active_levels(picture: Picture) -> dict[str, int]:
    """Return the alarms and notices that are not OK: 1 warning, 2 alarm."""
    active = (*picture.alarms.active().items(), *picture.notices.active().items())
    return {name.value: int(level) for name, level in active}


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
        "soc_percent": pack.soc_percent,
        "bms_soc_percent": pack.counted_by_bms_percent,
        "soh_percent": pack.soh_percent,
        "temperature": snapshot.temperatures.hottest_c,
        "min_cell_mv": round(cells.min_v * 1000.0),
        "max_cell_mv": round(cells.max_v * 1000.0),
        "cell_imbalance_mv": round(cells.delta_mv),
        "online_status": pack.status_raw,
        "power_w": pack.power_w,
        "time_left_s": pack.time_left_s,
    }
