"""The flat numbers of the seed's README, made once for ``/api/status`` and for the live messages."""

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.web.face import CanFigures, Picture, UartFigures

__all__ = ["active_levels", "balancing_bits", "cells_mv", "flat_counters", "limit_numbers", "pack_numbers", "rounded"]


def rounded(value: float | None, digits: int) -> float | None:
    """Return a value with so many decimals; None stays None."""
    return None if value is None else round(value, digits)


def pack_numbers(picture: Picture) -> dict[str, float | int | None]:
    """Return the flat measurements under the names of the README; None before the first sample."""
    snapshot = picture.snapshot
    numbers = _UNKNOWN if snapshot is None else _measured(snapshot)
    return {**numbers, "uptime_ms": round(picture.uptime_s * 1000.0)}


def cells_mv(snapshot: Snapshot | None) -> list[int]:
    """Return each cell in whole millivolts, cell 1 first."""
    return [] if snapshot is None else [round(voltage * 1000.0) for voltage in snapshot.cells.voltages_v]


def balancing_bits(snapshot: Snapshot | None) -> int:
    """Return a mask of the cells that are being bled; bit 0 is cell 1."""
    flags = () if snapshot is None else snapshot.cells.balancing
    return sum(1 << index for index, bled in enumerate(flags) if bled)


def limit_numbers(picture: Picture) -> dict[str, float | str | None]:
    """Return state and limits under the names of the README's ``stats.cvl``."""
    limits = picture.limits
    return {
        "state": None if limits is None else limits.state.value,
        "cvl_voltage_v": rounded(limits.cvl_v, 2) if limits else None,
        "ccl_limit_a": rounded(limits.ccl_a, 1) if limits else None,
        "dcl_limit_a": rounded(limits.dcl_a, 1) if limits else None,
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
    "soh_percent",
    "temperature",
    "min_cell_mv",
    "max_cell_mv",
    "cell_imbalance_mv",
    "online_status",
)

_UNKNOWN: dict[str, float | int | None] = dict.fromkeys(_NAMES)


def _measured(snapshot: Snapshot) -> dict[str, float | int | None]:
    pack, cells = snapshot.pack, snapshot.cells
    return {
        "voltage": round(pack.voltage_v, 2),
        "current": round(pack.current_a, 2),
        "soc_percent": round(pack.soc_percent, 1),
        "soh_percent": rounded(pack.soh_percent, 1),
        "temperature": rounded(snapshot.temperatures.hottest_c, 1),
        "min_cell_mv": round(cells.min_v * 1000.0),
        "max_cell_mv": round(cells.max_v * 1000.0),
        "cell_imbalance_mv": round(cells.delta_mv),
        "online_status": pack.status_raw,
    }
