"""``GET /api/status``: the flat object of the seed's README."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.services.web.face import BridgeFace, Picture
from tinybms_bridge.services.web.live.numbers import (
    active_levels,
    balancing_bits,
    battery_numbers,
    cells_mv,
    flat_counters,
    limit_numbers,
)
from tinybms_bridge.services.web.live.registers import live_registers
from tinybms_bridge.services.web.routes.answers import Answer
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.security import Viewer

__all__ = ["CanStats", "CvlStats", "EventBusStats", "RegisterValue", "Stats", "Status", "UartStats", "router"]

router = APIRouter(tags=["status"])


class UartStats(Answer):
    """Counters of the line to the BMS since the start."""

    polls: int
    success: int
    errors: int
    timeouts: int
    crc_errors: int
    latency_avg_ms: float


class CanStats(Answer):
    """Counters of the CAN bus since the start."""

    tx_count: int
    tx_errors: int
    keepalive_ok: bool
    """Whether a GX device is heard."""


class CvlStats(Answer):
    """State and limits; null while nothing is sent."""

    state: str | None = Field(examples=["FLOAT"])
    cvl_voltage_v: float | None
    ccl_limit_a: float | None
    dcl_limit_a: float | None


class EventBusStats(Answer):
    """Counters of the bus inside the bridge."""

    total_published: int
    queue_overruns: int


class Energy(Answer):
    """Energy and charge since the counters were first started."""

    charged_wh: float
    discharged_wh: float
    charged_ah: float
    discharged_ah: float


class Stats(Answer):
    """Counters, by part and under the flat names."""

    uart: UartStats
    can: CanStats
    cvl: CvlStats
    eventbus: EventBusStats
    energy: Energy
    uart_success_count: int
    uart_errors: int
    can_tx_count: int
    can_tx_errors: int
    victron_keepalive_ok: bool


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
    soh_percent: float | None = Field(examples=[98.5])
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


class LastValues(Measured):
    """The last measurements before the data became old."""

    at: datetime
    cvl: CvlStats
    """The last limits that were decided from fresh data."""


class Status(Measured):
    """The whole state. Measurements are null before the first sample, and while data is old (HOLD, SILENT)."""

    uptime_ms: int = Field(examples=[3600000])
    status: str | None = Field(description="Name of online_status", examples=["CHARGING"])
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
    stats: Stats
    registers: list[RegisterValue]


@router.get("/api/status")
async def status(face: Face, _user: Viewer) -> Status:
    """Return the whole state of battery and bridge."""
    picture = face.picture()
    snapshot = picture.view.measured
    return Status.model_validate(
        {
            **battery_numbers(picture),
            "status": snapshot.pack.status.name if snapshot else None,
            "cells_mv": cells_mv(snapshot),
            "balancing_bits": balancing_bits(snapshot),
            "alarms": active_levels(picture),
            "stats": _stats(face, picture),
            "registers": [RegisterValue.model_validate(each) for each in live_registers(snapshot)],
        }
    )


def _stats(face: BridgeFace, picture: Picture) -> dict[str, object]:
    uart, can, bus = face.uart(), face.can(), face.bus.statistics()
    return {
        "uart": UartStats.model_validate(uart),
        "can": CanStats.model_validate(can),
        "cvl": limit_numbers(picture.view.limits),
        "eventbus": EventBusStats.model_validate(bus),
        "energy": Energy.model_validate(picture.energy),
        **flat_counters(uart, can),
    }
