"""The state of the battery under the names of the seed: once for ``/api/status`` and ``/ws``, so that they agree.

``BatteryNow`` is what both say. What a document has beside it, it adds to that model and names nothing anew.
"""

from datetime import datetime

from pydantic import Field

from tinybms_bridge.services.web.answer import Answer
from tinybms_bridge.services.web.face import BridgeFace, Picture
from tinybms_bridge.services.web.live.numbers import (
    active_levels,
    balancing_bits,
    battery_numbers,
    cells_mv,
    flat_counters,
    limit_numbers,
    temperatures,
)
from tinybms_bridge.services.web.live.registers import live_registers

__all__ = ["BatteryNow", "CvlStats", "FlatStats", "LiveStatus", "RegisterValue", "battery_now", "live_status"]


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


class RegisterValue(Answer):
    """One value of the live sample by register of the BMS (protocol Rev D, section 2)."""

    address: int
    name: str
    value: float | int | None
    unit: str


class Measured(Answer):
    """What the BMS measures."""

    voltage: float | None = Field(description="V", examples=[54.32])
    current: float | None = Field(description="A, positive into the battery", examples=[-12.5])
    soc_percent: float | None = Field(examples=[87.3])
    bms_soc_percent: float | None = Field(description="The BMS's own count, register 46", examples=[84.1])
    soh_percent: float | None = Field(
        description="Null where the firmware of the BMS reports none, which is before 2.3.251", examples=[98.5]
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
    """Active alarms and notices: 1 warning, 2 alarm."""
    inhibits: list[str] = Field(examples=[["charge"]])
    """Directions that are stopped by hand."""


class LiveStatus(BatteryNow):
    """The flat message of ``/ws``; every name that is not deprecated means the same as in ``/api/status``."""

    cells: list[int] = Field(deprecated=True)
    """Old name of ``cells_mv``; goes with version 1.0."""
    balancing: int | None = Field(deprecated=True)
    """Old name of ``balancing_bits``; goes with version 1.0."""
    stats: FlatStats
    registers: list[RegisterValue]
    """Missing where the client, or the longest message that is allowed, does not want them."""


def battery_now(face: BridgeFace, picture: Picture) -> dict[str, object]:
    """Return the values of ``BatteryNow``."""
    snapshot = picture.view.measured
    return {
        **battery_numbers(picture),
        "status": snapshot.pack.status.name if snapshot else None,
        "cells_mv": cells_mv(snapshot),
        "temperatures": temperatures(snapshot),
        "balancing_bits": balancing_bits(snapshot),
        "alarms": active_levels(picture),
        "inhibits": [inhibit.direction.value for inhibit in face.inhibits()],
    }


def live_status(face: BridgeFace, *, registers: bool) -> dict[str, object]:
    """Return a ``LiveStatus``, with or without its registers; not as a model, which would cost five times as much."""
    picture = face.picture()
    now = battery_now(face, picture)
    stats = {**flat_counters(face.uart(), face.can()), "cvl": limit_numbers(picture.view.limits)}
    message = {**now, "cells": now["cells_mv"], "balancing": now["balancing_bits"], "stats": stats}
    return {**message, "registers": live_registers(picture.view.measured)} if registers else message
