"""The battery in the flat fields of the ESP32 firmware: once for ``/api/status`` and ``/ws``, so that they agree.

``BatteryNow`` is what both say. What a document has beside it, it adds to that model and names nothing anew. What is
not live or not sent is null, also under the names of the ESP32 firmware; the last values are in an object of their
own. The field ``registers`` has the last sample as the registers that it came from. Fractions are as they come:
whatever goes out gives them their decimals (``answers.rounded``).
"""

from datetime import datetime

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic, which brings it, takes no other before Python 3.12

from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE, firmware_text
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.flat import (
    active_levels,
    age_numbers,
    balancing_bits,
    battery_numbers,
    cells_mv,
    limit_numbers,
    pack_numbers,
    registers_now,
    temperatures,
)
from tinybms_bridge.services.ports import Core, Hearing, Moment
from tinybms_bridge.services.web.answers import Answer, Shown
from tinybms_bridge.services.web.live.pack_facts import pack_facts

__all__ = [
    "BatteryNow",
    "CellNow",
    "CvlStats",
    "FlatStats",
    "LiveRegister",
    "LiveStatus",
    "Measured",
    "OutputNow",
    "PackNow",
    "battery_now",
    "flat_counters",
    "live_status",
    "outputs_now",
    "pack_now",
]


def flat_counters(uart: UartState, can: CanState) -> dict[str, int | bool]:
    """Return the health indicators that the README reads under ``stats``."""
    return {
        "uart_success_count": uart.success,
        "uart_errors": uart.errors,
        "can_tx_count": can.tx_count,
        "can_tx_errors": can.tx_errors,
        "victron_keepalive_ok": can.keepalive_ok,
    }


@with_config(ConfigDict(use_attribute_docstrings=False))  # reading them again for each document reads the file again
class LiveRegister(TypedDict):
    """One value of the live sample by register of the BMS (tinybms-protocol.md, 2)."""

    address: int
    name: str
    value: float | int | None
    unit: str


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
    """Cell 1 first, of several packs one pack after the other; empty without a live sample."""


class LastValues(Measured):
    """The last measurements before the data became old."""

    at: datetime
    cvl: CvlStats
    """The last limits that were decided from fresh data."""
    alarms: dict[str, int]
    """Alarms and notices that were active when the core last answered; empty while it does."""


class CellNow(Answer):
    """A cell that is an extreme of the whole battery."""

    pack: str = Field(examples=["main"])
    cell: int = Field(examples=[7])
    """Number from 1, in its pack."""
    cell_mv: int = Field(examples=[3521])


class PackNow(Answer):
    """One pack in short; null while it is not live."""

    condition: str | None = Field(examples=["in_use"])
    """Null while the core is not heard."""
    freshness: str = Field(examples=["FRESH"])
    age_ms: int | None
    """Age of its last sample."""
    voltage: float | None
    current: float | None
    soc_percent: float | None
    min_cell_mv: int | None
    max_cell_mv: int | None
    temperature: float | None
    charge_share: float | None
    """Its part of the current of the battery, 0 to 1; null for the only one."""
    discharge_share: float | None


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
    """Bit 0 is cell 1; null for several packs, each of which has its own."""
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
    snapshot, several = moment.view.measured, len(moment.packs) > 1
    return {
        **battery_numbers(moment),
        "uptime_ms": round(core.uptime_s * 1000.0),
        "status": snapshot.pack.status.name if snapshot else None,
        "cells_mv": cells_mv(snapshot),
        "temperatures": temperatures(snapshot),
        "balancing_bits": None if several else balancing_bits(snapshot),
        "alarms": active_levels(moment),
        "inhibits": [inhibit.direction.value for inhibit in core.inhibits()],
        "core": core.hearing(),
    }


_PACK_NAMES = ("voltage", "current", "soc_percent", "min_cell_mv", "max_cell_mv", "temperature")


def pack_now(name: str, moment: Moment) -> dict[str, object]:
    """Return the values of ``PackNow``."""
    view, facts = moment.packs[name], pack_facts(name, moment)
    numbers = pack_numbers(view.measured)
    return {
        "condition": facts["condition"],
        **age_numbers(view),
        **{each: numbers[each] for each in _PACK_NAMES},
        "charge_share": facts["charge_share"],
        "discharge_share": facts["discharge_share"],
    }


def outputs_now(core: Core) -> dict[str, object]:
    """Return an ``OutputNow`` for each output."""
    return {name: {"up": each.up, "gx_state": each.gx_state} for name, each in core.outputs().items()}


def live_status(core: Core, *, registers: bool) -> dict[str, object]:
    """Return a ``LiveStatus``, with or without its registers; not as a model, which would cost five times as much."""
    moment = core.moment()
    now = battery_now(core, moment)
    stats = {**flat_counters(core.uart(), core.can()), "cvl": limit_numbers(moment.view.limits)}
    message = {**now, "cells": now["cells_mv"], "balancing": now["balancing_bits"], "stats": stats}
    return {**message, "registers": registers_now(moment)} if registers else message
