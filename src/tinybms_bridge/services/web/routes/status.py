"""``GET /api/status``: the flat object that the README of the ESP32 firmware shows."""

from fastapi import APIRouter

from tinybms_bridge.services.ports import Core, Moment
from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.live.status import (
    BatteryNow,
    FlatStats,
    OutputNow,
    PackNow,
    RegisterValue,
    battery_now,
    flat_counters,
    limit_numbers,
    live_registers,
    outputs_now,
    pack_now,
)
from tinybms_bridge.services.web.routes.shared import TheCore
from tinybms_bridge.services.web.security import Viewer

__all__ = ["CanStats", "EventBusStats", "Stats", "Status", "UartStats", "router"]

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


class Stats(FlatStats):
    """Counters, by part and under the flat names."""

    uart: UartStats
    can: CanStats
    eventbus: EventBusStats
    energy: Energy


class Status(BatteryNow):
    """The whole state. Measurements are null before the first sample, and while data is old (HOLD, SILENT)."""

    packs: dict[str, PackNow]
    """Each pack in short, by name; ``/api/packs`` has all of it."""
    outputs: dict[str, OutputNow]
    """Each output in short, by name; ``/api/outputs`` has all of it."""
    stats: Stats
    registers: list[RegisterValue]


@router.get("/api/status")
async def status(core: TheCore, _user: Viewer) -> Status:
    """Return the whole state of battery and bridge."""
    moment = core.moment()
    registers = live_registers(moment.view.measured)
    packs = {name: pack_now(view) for name, view in moment.packs.items()}
    now = {
        **battery_now(core, moment),
        "packs": packs,
        "outputs": outputs_now(core),
        "stats": _stats(core, moment),
        "registers": registers,
    }
    return Status.model_validate(now)


def _stats(core: Core, moment: Moment) -> dict[str, object]:
    uart, can, bus = core.uart(), core.can(), core.bus.statistics()
    return {
        "uart": UartStats.model_validate(uart),
        "can": CanStats.model_validate(can),
        "cvl": limit_numbers(moment.view.limits),
        "eventbus": EventBusStats.model_validate(bus),
        "energy": Energy.model_validate(moment.battery.energy),
        **flat_counters(uart, can),
    }
