"""The battery in the flat fields of the ESP32 firmware: once for ``/api/status`` and ``/ws``, so that they agree.

``BatteryNow`` is what both say. What a document has beside it, it adds to that model and names nothing anew. What is
not live or not sent is null, also under the names of the ESP32 firmware; the last values are in an object of their
own. The field ``registers`` has the last sample as the registers that it came from. Fractions are as they come:
whatever goes out gives them their decimals (``answers.rounded``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic, which brings it, takes no other before Python 3.12

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE, Snapshot, firmware_text
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.ports import Core, Hearing, Moment
from tinybms_bridge.services.web.answers import Answer, Shown

__all__ = [
    "BatteryNow",
    "CvlStats",
    "FlatStats",
    "LiveRegister",
    "LiveStatus",
    "Measured",
    "OutputNow",
    "PackNow",
    "active_levels",
    "balancing_bits",
    "battery_now",
    "battery_numbers",
    "cells_mv",
    "flat_counters",
    "last_numbers",
    "limit_numbers",
    "live_registers",
    "live_status",
    "outputs_now",
    "pack_measured",
    "pack_now",
    "pack_numbers",
    "temperatures",
]


def battery_numbers(moment: Moment) -> dict[str, object]:
    """Return what every view of the battery begins with; the numbers are None while they are not live."""
    view = moment.view
    return {
        **pack_numbers(view.measured),
        **_age(view),
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


def flat_counters(uart: UartState, can: CanState) -> dict[str, int | bool]:
    """Return the health indicators that the README reads under ``stats``."""
    return {
        "uart_success_count": uart.success,
        "uart_errors": uart.errors,
        "can_tx_count": can.tx_count,
        "can_tx_errors": can.tx_errors,
        "victron_keepalive_ok": can.keepalive_ok,
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


_CELLS = 16


@with_config(ConfigDict(use_attribute_docstrings=False))  # reading them again for each document reads the file again
class LiveRegister(TypedDict):
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


def live_registers(snapshot: Snapshot | None) -> list[LiveRegister]:
    """Return the values by register; empty without a live sample.

    Cell n of N is register 16 - N + n - 1, because the cells sit at the highest connector pins.
    """
    if snapshot is None:
        return []
    first = _CELLS - snapshot.cells.count
    cells: list[LiveRegister] = [
        {"address": pin, "name": f"cell_{pin + 1}_voltage", "value": voltage_v, "unit": "V"}
        for pin, voltage_v in enumerate(snapshot.cells.voltages_v, start=first)
    ]
    return cells + [_entry(source, snapshot) for source in _SOURCES]


def _entry(source: _Source, snapshot: Snapshot) -> LiveRegister:
    return {"address": source.address, "name": source.name, "value": source.read(snapshot), "unit": source.unit}


class CvlStats(Answer):
    """State and limits; null while nothing is sent."""

    state: str | None = Field(examples=["FLOAT"])
    cvl_voltage_v: float | None
    ccl_limit_a: float | None
    dcl_limit_a: float | None


class FlatStats(Answer):
    """The counters that the README reads by flat names, and the limits."""

    uart_success_count: int
    uart_errors: int
    can_tx_count: int
    can_tx_errors: int
    victron_keepalive_ok: bool
    """Whether a GX device is heard."""
    cvl: CvlStats


class Measured(Answer):
    """What the BMS measures."""

    voltage: float | None = Field(description="V", examples=[54.32])
    current: float | None = Field(description="A, positive into the battery", examples=[-12.5])
    soc_percent: float | None = Field(
        description="Null also while the BMS gives a count that cannot be (notice ``soc_unknown``)", examples=[87.3]
    )
    bms_soc_percent: float | None = Field(description="The BMS's own count, register 46", examples=[84.1])
    soh_percent: float | None = Field(
        description=f"Null where the firmware of the BMS reports none, which is before {firmware_text(REV_D_FIRMWARE)}",
        examples=[98.5],
    )
    temperature: float | None = Field(
        description="°C, the hottest external sensor, or the board's own without any", examples=[25.4]
    )
    min_cell_mv: int | None = Field(examples=[3415])
    max_cell_mv: int | None = Field(examples=[3435])
    cell_imbalance_mv: int | None = Field(examples=[20])
    online_status: int | None = Field(description="Register 50 of the BMS", examples=[145])
    power_w: float | None
    time_left_s: int | None
    cells_mv: list[int]
    """Cell 1 first; empty without a live sample."""


class LastValues(Measured):
    """The last measurements before the data became old."""

    at: datetime
    cvl: CvlStats
    """The last limits that were decided from fresh data."""
    alarms: dict[str, int]
    """Alarms and notices that were active when the core last answered; empty while it does."""


class PackNow(Answer):
    """One pack in short; null while it is not live."""

    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of its last sample."""
    voltage: float | None
    current: float | None
    soc_percent: float | None
    min_cell_mv: int | None
    max_cell_mv: int | None
    temperature: float | None


class OutputNow(Answer):
    """One output in short."""

    up: bool
    gx_state: str = Field(examples=["present"])


class BatteryNow(Measured):
    """The battery now. Measurements are null before the first sample, and while data is old (HOLD, SILENT)."""

    uptime_ms: int = Field(examples=[3600000])
    status: str | None = Field(description="Name of online_status", examples=["CHARGING"])
    temperatures: list[float | None]
    """°C: the board's own sensor and the two external ones; empty without a live sample."""
    balancing_bits: int | None
    """Bit 0 is cell 1."""
    age_ms: int | None
    """Age of the last sample."""
    freshness: str = Field(examples=["FRESH"])
    remark: str
    """Why charging is stopped or nothing is sent, for want of data; empty while fresh data is sent."""
    last: LastValues | None
    """The last values, while there are no live ones."""
    alarms: dict[str, int]
    """Active alarms and notices: 1 warning, 2 alarm; ``core_unreachable`` alone while the core does not answer."""
    inhibits: list[str] = Field(examples=[["charge"]])
    """Directions that are stopped by hand."""
    core: Shown[Hearing]


class LiveStatus(BatteryNow):
    """The flat message of ``/ws``; every name that is not deprecated means the same as in ``/api/status``."""

    cells: list[int] = Field(deprecated=True)
    """Old name of ``cells_mv``; goes with version 1.0."""
    balancing: int | None = Field(deprecated=True)
    """Old name of ``balancing_bits``; goes with version 1.0."""
    stats: FlatStats
    registers: list[LiveRegister]
    """Missing where the client, or the longest message that is allowed, does not want them."""


def battery_now(core: Core, moment: Moment) -> dict[str, object]:
    """Return the values of ``BatteryNow``."""
    snapshot = moment.view.measured
    return {
        **battery_numbers(moment),
        "uptime_ms": round(core.uptime_s * 1000.0),
        "status": snapshot.pack.status.name if snapshot else None,
        "cells_mv": cells_mv(snapshot),
        "temperatures": temperatures(snapshot),
        "balancing_bits": balancing_bits(snapshot),
        "alarms": active_levels(moment),
        "inhibits": [inhibit.direction.value for inhibit in core.inhibits()],
        "core": core.hearing(),
    }


_PACK_NAMES = ("voltage", "current", "soc_percent", "min_cell_mv", "max_cell_mv", "temperature")


def pack_now(view: View) -> dict[str, object]:
    """Return the values of ``PackNow``."""
    numbers = pack_numbers(view.measured)
    return {**_age(view), **{name: numbers[name] for name in _PACK_NAMES}}


def outputs_now(core: Core) -> dict[str, object]:
    """Return an ``OutputNow`` for each output."""
    return {name: {"up": each.up, "gx_state": each.gx_state} for name, each in core.outputs().items()}


def pack_measured(view: View) -> dict[str, object]:
    """Return all that a pack measures under the names of ``BatteryNow``."""
    snapshot = view.measured
    return {
        **pack_numbers(snapshot),
        **_age(view),
        "status": snapshot.pack.status.name if snapshot else None,
        "cells_mv": cells_mv(snapshot),
        "temperatures": temperatures(snapshot),
        "balancing_bits": balancing_bits(snapshot),
    }


def _age(view: View) -> dict[str, object]:
    return {"freshness": view.freshness.value, "age_ms": None if view.age_s is None else round(view.age_s * 1000.0)}


def live_status(core: Core, *, registers: bool) -> dict[str, object]:
    """Return a ``LiveStatus``, with or without its registers; not as a model, which would cost five times as much."""
    moment = core.moment()
    now = battery_now(core, moment)
    stats = {**flat_counters(core.uart(), core.can()), "cvl": limit_numbers(moment.view.limits)}
    message = {**now, "cells": now["cells_mv"], "balancing": now["balancing_bits"], "stats": stats}
    return {**message, "registers": live_registers(moment.view.measured)} if registers else message
